"""Locations in object stores and over SFTP: `s3://BUCKET/PREFIX`, `az://`, `gs://`, `sftp://[USER@]HOST[:PORT]/PATH`.

What `--store KEY=VALUE` says is kept behind a question mark, so that it is remembered wherever a location is. None of it is secret.
What the environment says of the place, an endpoint or an account, is put there as well when a location is first written: later on
the environment can't send a vault's user elsewhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from tallac.backends.limits import Limits
from tallac.backends.object_store_credentials import azure_account, azure_endpoint, read_profile
from tallac.backends.object_store_settings import AZURE, GOOGLE, S3, ObjectStoreSettings
from tallac.backends.sftp_session import SftpSettings
from tallac.errors import UsageError
from tallac.look.criteria import parse_rate

SFTP = "sftp"

_LIMITS = ("limit-upload", "limit-download", "connections")
_OPTIONS: dict[str, tuple[str, ...]] = {
    S3: ("endpoint", "region", "profile", "storage-class", "addressing", "ca", "etag", "lock-for", *_LIMITS),
    AZURE: ("endpoint", "account", "storage-class", "ca", *_LIMITS),
    GOOGLE: ("endpoint", "storage-class", "ca", *_LIMITS),
    SFTP: ("identity", "known-hosts", "ssh-config", *_LIMITS),
}
_FILES = frozenset({"ca", "identity", "known-hosts", "ssh-config"})
_PLACE = frozenset({"endpoint", "account"})
_SCHEME = re.compile(rf"({'|'.join(_OPTIONS)})://(.*)", re.IGNORECASE | re.DOTALL)
_SECRET = re.compile(r"secret|password|passphrase|token|key", re.IGNORECASE)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
_PREFIX_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")
_EXAMPLE = {
    S3: "s3://BUCKET/PREFIX",
    AZURE: "az://CONTAINER/PREFIX",
    GOOGLE: "gs://BUCKET/PREFIX",
    SFTP: "sftp://USER@HOST/PATH",
}


def is_store(location: str) -> bool:
    """Whether a location is in an object store or on a machine with SFTP, as written or as remembered."""
    return _SCHEME.fullmatch(location) is not None


def is_object_store(location: str) -> bool:
    """Whether a remembered location is in an object store."""
    return is_store(location) and not location.startswith(f"{SFTP}://")


def show_store(location: str) -> str:
    """Write a location without its options."""
    return location.partition("?")[0]


def parse_options(texts: Sequence[str]) -> dict[str, str]:
    """Read what `--store` was given.

    Raises:
        UsageError: It is no KEY=VALUE, or a secret.
    """
    options: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip().lower()
        if not equals or not key or not value:
            raise UsageError(f"--store {key or 'KEY'}: write KEY=VALUE, as in --store region=eu-central-1")
        if not any(key in keys for keys in _OPTIONS.values()):
            if _SECRET.search(key):
                # The value is not shown.
                raise UsageError(
                    f"--store {key}: secrets are not remembered with a vault; set the usual variables, or use --store profile=NAME"
                )
            known = ", ".join(sorted({key for keys in _OPTIONS.values() for key in keys} - {"etag"}))
            raise UsageError(f"--store {key}: there is no such option; there are {known}")
        options[key] = value
    return options


def parse_store_location(text: str, given: Mapping[str, str]) -> str:
    """Turn what a user writes into a location that means the same on another day.

    Args:
        text: The URL, perhaps with options of its own, which come first.
        given: The options of `--store`.

    Raises:
        UsageError: It is malformed, or an option does not belong to it.
    """
    match = _SCHEME.fullmatch(text)
    assert match is not None, "only called for what is_store() accepts"
    scheme, (rest, mark, query) = match[1].lower(), match[2].partition("?")
    options = {key: value for key, value in given.items() if key in _OPTIONS[scheme]}
    if mark:
        options |= _parse_query(query, scheme)
    for key in set(given) - set(options):
        raise UsageError(f"--store {key}: {scheme}:// has no such option; it has {_shown_options(scheme)}")
    options = {key: os.path.abspath(os.path.expanduser(value)) if key in _FILES else value for key, value in options.items()}
    _check_limits(options)
    if scheme == SFTP:
        return _join(_sftp_base(rest), options)
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(
            f"{show_store(text)}: this names no {'container' if scheme == AZURE else 'bucket'}; write {_EXAMPLE[scheme]}"
        )
    for part in prefix.split("/") if prefix else ():
        if not _PREFIX_PART.fullmatch(part):
            raise UsageError(
                f"{show_store(text)}: {part!r} can't be a part of a vault's name; use letters, digits, dots, - and _, "
                "and no dot at its beginning"
            )
    _check_options(options)
    return _join(f"{scheme}://{bucket}" + (f"/{prefix}" if prefix else ""), options)


def with_context(location: str) -> str:
    """Return a location with what the environment, or the profile, says of the place; what it says itself stays."""
    scheme = location.partition(":")[0]
    options = dict(parse_qsl(location.partition("?")[2]))
    if scheme == S3:
        profile = read_profile(options.get("profile", ""))
        of_profile: Mapping[str, str] = {} if profile is None else profile.values
        # A profile that was named comes first, as in Amazon's own tools.
        environment: Mapping[str, str] = {} if "profile" in options else os.environ
        endpoint = environment.get("AWS_ENDPOINT_URL_S3", "") or environment.get("AWS_ENDPOINT_URL", "")
        region = environment.get("AWS_REGION", "") or environment.get("AWS_DEFAULT_REGION", "")
        endpoint = endpoint or of_profile.get("endpoint_url", "")
        region = region or of_profile.get("region", "")
        _add_missing(options, endpoint=endpoint, region=region)
    elif scheme == AZURE:
        _add_missing(options, account=azure_account())
        _add_missing(options, endpoint=azure_endpoint(options.get("account", "")))
    _check_options(options)
    return _join(show_store(location), options)


def with_option(location: str, key: str, value: str) -> str:
    """Return a location that has one option more, or another value of it."""
    return _join(show_store(location), {**dict(parse_qsl(location.partition("?")[2])), key: value})


def place_of(location: str) -> str:
    """Return a location with no more than what tells places apart: limits, credentials and what was found out do not."""
    return _join(show_store(location), {key: value for key, value in parse_qsl(location.partition("?")[2]) if key in _PLACE})


def complete_store(location: str, known: Iterable[str]) -> str | None:
    """Return the known location that is meant by one that was written without some of its options; None where that is not clear."""
    options = set(parse_qsl(location.partition("?")[2]))
    found = {
        other for other in known if show_store(other) == show_store(location) and options <= set(parse_qsl(other.partition("?")[2]))
    }
    return found.pop() if len(found) == 1 else None


def settings_of(location: str) -> ObjectStoreSettings:
    """Return the settings that a location in an object store stands for."""
    parts = urlsplit(location)
    options = dict(parse_qsl(parts.query))
    return ObjectStoreSettings(
        kind=parts.scheme,
        bucket=parts.netloc,
        prefix=parts.path.strip("/"),
        endpoint=options.get("endpoint", ""),
        region=options.get("region", ""),
        account=options.get("account", ""),
        profile=options.get("profile", ""),
        storage_class=options.get("storage-class", ""),
        is_virtual_hosted=options.get("addressing") == "virtual",
        has_bare_tags=options.get("etag") == "bare",
        ca_file=options.get("ca", ""),
    )


def sftp_settings_of(location: str) -> SftpSettings:
    """Return the settings that a location over SFTP stands for."""
    parts = urlsplit(location)
    options = dict(parse_qsl(parts.query))
    path = unquote(parts.path)
    return SftpSettings(
        host=parts.hostname or "",
        user=parts.username or "",
        port=parts.port or 0,
        path=path.removeprefix("/") if path.startswith("/~/") or path == "/~" else path,
        identity=options.get("identity", ""),
        known_hosts=options.get("known-hosts", ""),
        ssh_config=options.get("ssh-config", ""),
    )


def lock_seconds_of(location: str) -> float:
    """Return how long objects at a location are locked, as it is remembered; 0 for not at all."""
    return _lock_seconds(dict(parse_qsl(location.partition("?")[2])))


def _lock_seconds(options: Mapping[str, str]) -> float:
    found = re.fullmatch(r"([0-9]{1,5})d?", options.get("lock-for", "0"), re.ASCII)
    if found is None:
        raise UsageError(f"--store lock-for={options['lock-for']}: write days, as in 30d")
    return int(found[1]) * 86400.0


def limits_of(location: str) -> Limits:
    """Return the limits of the line that are remembered with a location."""
    options = dict(parse_qsl(location.partition("?")[2]))
    upload, download = (parse_rate(options[key]) if key in options else None for key in _LIMITS[:2])
    return Limits(upload, download, int(options["connections"]) if "connections" in options else None)


def _check_limits(options: Mapping[str, str]) -> None:
    _lock_seconds(options)
    for key in _LIMITS[:2]:
        try:
            parse_rate(options.get(key, "0"))
        except UsageError as error:
            raise UsageError(f"--store {key}: {error}") from error
    if not re.fullmatch("[0-9]{1,3}", options.get("connections", "0")):
        raise UsageError(f"--store connections={options['connections']}: write a number, as in 4")


def _add_missing(options: dict[str, str], **values: str) -> None:
    for key, value in values.items():
        if value:
            options.setdefault(key, value)


def _parse_query(query: str, scheme: str) -> dict[str, str]:
    try:
        options = dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True))
    except ValueError:
        raise UsageError(f"{scheme}://...?{query}: after the question mark, write KEY=VALUE with & between them") from None
    for key in options:
        if key not in _OPTIONS[scheme]:
            raise UsageError(f"{scheme}://...?{key}=: there is no such option; there are {_shown_options(scheme)}")
    return options


def _shown_options(scheme: str) -> str:
    return ", ".join(key for key in _OPTIONS[scheme] if key != "etag")


def _check_options(options: Mapping[str, str]) -> None:
    endpoint = options.get("endpoint", "")
    if endpoint:
        # What is left out may be a secret: some put a token behind the URL in a connection string.
        shown = re.split("[?#]", endpoint)[0].rpartition("@")[2]
        host = shown.partition("://")[2] or shown
        try:
            parts = urlsplit(endpoint)
        except ValueError:
            raise UsageError(f"endpoint {shown}: this is no URL; write https://HOST") from None
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(f"endpoint {shown}: this is no URL; write https://{host}, or http://{host} where it has no TLS")
        if parts.username or parts.password:
            raise UsageError("the endpoint holds a user's name or password; set the usual variables instead")
        if parts.query or parts.fragment:
            raise UsageError(f"endpoint {shown}: give the server's URL alone, as in https://s3.example.org")
    if options.get("addressing", "path") not in {"path", "virtual"}:
        raise UsageError(f"--store addressing={options['addressing']}: give path or virtual")
    if options.get("etag", "bare") != "bare":
        raise UsageError(f"--store etag={options['etag']}: Tallac finds this out by itself; leave it out")


def _sftp_base(rest: str) -> str:
    machine, slash, path = rest.partition("/")
    user, at, host = machine.rpartition("@")
    name, colon, port = host.rpartition(":") if not host.endswith("]") else (host, "", "")
    if not colon:
        name, port = host, ""
    if not name or not slash or not path.strip("/"):
        raise UsageError(f"sftp://{rest}: write sftp://USER@HOST/PATH; the path begins at the root, or with ~/ at your home there")
    if ":" in user:
        raise UsageError("sftp: a password can't stand in a location; use a key or an agent")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise UsageError(f"sftp://{rest}: {port!r} is no port")
    quoted = quote(unquote(path).rstrip("/"), safe="/~")
    return f"{SFTP}://{user}{at}{name}{colon}{port}/{quoted}"


def _join(base: str, options: Mapping[str, str]) -> str:
    query = "&".join(f"{key}={quote(value, safe=':/')}" for key, value in sorted(options.items()))
    return f"{base}?{query}" if query else base
