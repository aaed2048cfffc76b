"""Where a user's credentials for object stores are: the environment, and the files that Amazon's tools share.

The library reads the environment by itself, and nothing else. What it would take half of, or from the wrong place, is decided here.
"""

from __future__ import annotations

import configparser
import json
import os
import shlex
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tallac.errors import ConfigurationError

COMMAND_TIMEOUT_SECONDS = 60
RENEWED_BEFORE = timedelta(minutes=5)
"""The library asks for new keys so long before the old ones expire as well."""

GOOGLE_ENDPOINT = "https://storage.googleapis.com"
_GOOGLE_KINDS = ("service_account", "authorized_user")
_KINDS_UNKNOWN = (
    "sso_session",
    "sso_start_url",
    "login_session",
    "role_arn",
    "source_profile",
    "credential_source",
    "web_identity_token_file",
)


@dataclass(frozen=True)
class Credentials:
    """A pair of keys for S3.

    Attributes:
        key_id: Its public part.
        secret: Its secret part.
        token: A session's token; "" where there is none.
        expires_at: Up to when they are valid, where whoever gave them gives new ones then; None for as long as a command runs.
    """

    key_id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    expires_at: datetime | None = None


class S3Keys:
    """The keys of one place, found when they are first needed, and anew shortly before they expire. Thread-safe."""

    def __init__(self, profile: str, where: str, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Look for nothing yet; see `find_s3_credentials`."""
        self._profile = profile
        self._where = where
        self._now = now
        self._lock = threading.Lock()
        self._found: Credentials | None = None

    def __call__(self) -> Credentials | None:
        """Return them, as `find_s3_credentials` does, and with its errors."""
        with self._lock:
            expires_at = None if self._found is None else self._found.expires_at
            if self._found is None or (expires_at is not None and self._now() > expires_at - RENEWED_BEFORE):
                try:
                    self._found = find_s3_credentials(self._profile, self._where)
                except ConfigurationError:
                    # Those that are there hold for some minutes more, and by then whoever gives new ones may be back.
                    if expires_at is None or self._now() >= expires_at:
                        raise
            return self._found


@dataclass(frozen=True)
class Profile:
    """A section of the files that Amazon's tools share.

    Attributes:
        name: What it is called.
        values: Those of `config` and, above them, those of `credentials`; they hold secrets.
    """

    name: str
    values: Mapping[str, str] = field(repr=False)


def find_s3_credentials(profile: str, where: str) -> Credentials | None:
    """Return the keys for S3: of the profile that was named, or else of the environment, or else of the default profile.

    Returns:
        None where the library finds them itself: a web identity, a container's or the machine's own.

    Raises:
        ConfigurationError: There is half a pair, or the profile is missing or of another kind.
    """
    environment = os.environ
    if not profile:
        key_id, secret = environment.get("AWS_ACCESS_KEY_ID", ""), environment.get("AWS_SECRET_ACCESS_KEY", "")
        if key_id and secret:
            return Credentials(key_id, secret, environment.get("AWS_SESSION_TOKEN", "") or environment.get("AWS_TOKEN", ""))
        if key_id or secret:
            there, missing = ("ID", "SECRET") if key_id else ("SECRET", "ID")
            names = {"ID": "AWS_ACCESS_KEY_ID", "SECRET": "AWS_SECRET_ACCESS_KEY"}
            raise ConfigurationError(f"{where}: {names[there]} is set and {names[missing]} is not; set both")
    found = read_profile(profile)
    if found is None:
        return None
    credentials = _of_profile(found, where)
    is_elsewhere = (
        environment.get("AWS_WEB_IDENTITY_TOKEN_FILE")
        or environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        or environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    )
    if credentials is None and not is_elsewhere:
        for key in _KINDS_UNKNOWN:
            if key in found.values:
                export = f"aws configure export-credentials --profile {shlex.quote(found.name)} --format"
                # A profile that was named comes before the variables that this sets.
                variables = "" if profile else f'run `eval "$({export} env)"` before, or '
                raise ConfigurationError(
                    f"{where}: profile {found.name!r} has {key}, which Tallac does not read; "
                    f"{variables}use a profile that has `credential_process = {export} process`"
                )
    return credentials


def read_profile(name: str = "") -> Profile | None:
    """Read a section of `~/.aws/config` and `~/.aws/credentials`, or of the files that the environment names.

    Args:
        name: The section's; "" for what AWS_PROFILE says, or `default`.

    Returns:
        None where none was named and there is no default one.

    Raises:
        ConfigurationError: The one that was named is missing, or a file can't be read.
    """
    environment = os.environ
    chosen = name or environment.get("AWS_PROFILE", "") or environment.get("AWS_DEFAULT_PROFILE", "")
    wanted = chosen or "default"
    config = Path(environment.get("AWS_CONFIG_FILE", "") or "~/.aws/config").expanduser()
    credentials = Path(environment.get("AWS_SHARED_CREDENTIALS_FILE", "") or "~/.aws/credentials").expanduser()
    values: dict[str, str] = {}
    has_found = False
    for path, section in ((config, wanted if wanted == "default" else f"profile {wanted}"), (credentials, wanted)):
        parser = _parse(path)
        if parser.has_section(section):
            has_found = True
            values |= dict(parser.items(section, raw=True))
    if has_found:
        return Profile(wanted, values)
    if chosen:
        raise ConfigurationError(f"no profile {chosen!r} in {credentials} or {config}; `aws configure --profile` makes one")
    return None


def _parse(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(default_section="\0", interpolation=None, strict=False)
    try:
        parser.read(path, encoding="utf-8")
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise ConfigurationError(f"{path}: can't read it ({str(error).splitlines()[0]}); mend it") from error
    return parser


def _of_profile(profile: Profile, where: str) -> Credentials | None:
    values = profile.values
    key_id, secret = values.get("aws_access_key_id", ""), values.get("aws_secret_access_key", "")
    if key_id and secret:
        return Credentials(key_id, secret, values.get("aws_session_token", ""))
    if key_id or secret:
        missing = "aws_secret_access_key" if key_id else "aws_access_key_id"
        raise ConfigurationError(f"{where}: profile {profile.name!r} lacks {missing}; add it, or remove the other half")
    if "credential_process" in values:
        return _ask_process(values["credential_process"], profile.name, where)
    return None


def _ask_process(command: str, profile: str, where: str) -> Credentials:
    """Run a profile's `credential_process`, which prints JSON."""
    try:
        finished = subprocess.run(
            shlex.split(command), capture_output=True, check=True, stdin=subprocess.DEVNULL, timeout=COMMAND_TIMEOUT_SECONDS
        )
        answer = json.loads(finished.stdout)
        expires_at = datetime.fromisoformat(answer["Expiration"]) if answer.get("Expiration") else None
        if expires_at is not None and expires_at.tzinfo is None:
            expires_at = expires_at.replace(tzinfo=UTC)
        token = str(answer.get("SessionToken") or "")
        return Credentials(str(answer["AccessKeyId"]), str(answer["SecretAccessKey"]), token, expires_at)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, subprocess.SubprocessError):
        # What it printed may hold secrets.
        raise ConfigurationError(
            f"{where}: the credential_process of profile {profile!r} gave no credentials; run it by itself to see why"
        ) from None


def azure_options(account: str, endpoint: str, where: str) -> dict[str, str]:
    """Return what the library is told of an Azure account; keys and tokens in the usual variables it finds by itself.

    Args:
        account: The one that was named; "" for the environment's.
        endpoint: The server's URL; "" for Azure's own, whatever the environment says.
        where: The place as messages show it.

    Raises:
        ConfigurationError: The account is not named anywhere.
    """
    connection = _connection_string()
    name = account or connection.get("accountname", "")
    if not name:
        raise ConfigurationError(f"{where}: which storage account? Set AZURE_STORAGE_ACCOUNT_NAME, or give --store account=NAME")
    options = {"account_name": name, "endpoint": endpoint or _azure_endpoint(name)}
    # A connection string is for one account; what another one's says must not be mixed into this one.
    if connection.get("accountname", "") == name:
        if connection.get("accountkey"):
            options["account_key"] = connection["accountkey"]
        if connection.get("sharedaccesssignature"):
            options["sas_key"] = connection["sharedaccesssignature"].removeprefix("?")
    return options


def azure_account() -> str:
    """Return the storage account that the environment names; "" where it names none."""
    return os.environ.get("AZURE_STORAGE_ACCOUNT_NAME", "") or _connection_string().get("accountname", "")


def azure_endpoint(account: str) -> str:
    """Return the URL that the environment's connection string gives for an account; "" for Azure's own, or none."""
    connection = _connection_string()
    if not account or connection.get("accountname", "") != account:
        return ""
    endpoint = connection.get("blobendpoint", "").rstrip("/")
    if not endpoint and connection.get("endpointsuffix"):
        protocol = connection.get("defaultendpointsprotocol", "") or "https"
        endpoint = f"{protocol}://{account}.blob.{connection['endpointsuffix']}"
    return "" if endpoint == _azure_endpoint(account) else endpoint


def _azure_endpoint(account: str) -> str:
    return f"https://{account}.blob.core.windows.net"


def _connection_string() -> dict[str, str]:
    text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING", "")
    parts = (part.partition("=") for part in text.split(";") if part)
    return {key.strip().lower(): value.strip() for key, _, value in parts}


def google_options(endpoint: str, where: str) -> dict[str, str]:
    """Return what the library is told of Google's store and credentials.

    Args:
        endpoint: The server's URL; "" for Google's own, whatever the environment says.
        where: The place as messages show it.

    Raises:
        ConfigurationError: The file that the environment names is missing, or holds no credentials of a kind that is known.
    """
    options = {"base_url": endpoint or GOOGLE_ENDPOINT}
    path = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    if not path:
        return options
    try:
        with open(path, "rb") as file:
            found = json.load(file)
    except FileNotFoundError:
        raise ConfigurationError(f"{where}: GOOGLE_APPLICATION_CREDENTIALS names {path}, which is not there; mend it") from None
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or found.get("type") not in _GOOGLE_KINDS:
        raise ConfigurationError(
            f"{where}: GOOGLE_APPLICATION_CREDENTIALS names {path}, which holds no credentials that Tallac can read; "
            "give a service account's key, as a JSON file"
        )
    return options | {"application_credentials": path}
