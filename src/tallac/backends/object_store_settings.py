"""Which object store is meant: the settings of a bucket or container, none of them secret, and how a client of it is made."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, cast

import msgspec

from tallac.backends.object_store_credentials import S3Keys, azure_options, google_options
from tallac.errors import ConfigurationError, StoreError

if TYPE_CHECKING:
    from obstore.store import (
        AzureConfig,
        AzureStore,
        ClientConfig,
        GCSConfig,
        GCSStore,
        MemoryStore,
        S3Config,
        S3CredentialProvider,
        S3Store,
    )

    Store = S3Store | AzureStore | GCSStore | MemoryStore

S3, AZURE, GOOGLE, MEMORY = "s3", "az", "gs", "memory"

CONNECT_TIMEOUT = "10s"
WHOLE_TIMEOUT = "3650d"
"""A request may take as long as it needs; whether anything moves is what the time-out on reading is about."""

REGION_DEFAULT = "us-east-1"


class ObjectStoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that name a place in an object store. Holds no secret: each process finds the credentials by itself.

    Attributes:
        kind: `s3`, `az`, `gs`, or `memory` for tests.
        bucket: The bucket's name, or the container's.
        prefix: What the names of all objects begin with, without a slash at its end; "" for nothing.
        endpoint: The server's URL; "" for the provider's own.
        region: S3's region; "" for the default one.
        account: Azure's storage account.
        profile: The section of `~/.aws/credentials` and `config` that was named; "" for the environment's choice.
        storage_class: Of what is uploaded and never changed; "" for the bucket's default.
        is_virtual_hosted: Whether the bucket is named by the host in place of the path.
        has_bare_tags: Whether the store compares ETags without their quotation marks, as Ceph does.
        is_locked: Whether objects get locks, as S3 has them.
        ca_file: Certificates that are trusted besides the system's; "" for none.
    """

    kind: str
    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    account: str = ""
    profile: str = ""
    storage_class: str = ""
    is_virtual_hosted: bool = False
    has_bare_tags: bool = False
    is_locked: bool = False
    ca_file: str = ""

    @property
    def where(self) -> str:
        """The place as messages show it."""
        above = f"/{self.prefix}" if self.prefix else ""
        return f"{self.kind}://{self.bucket}{above}"

    @property
    def host(self) -> str:
        """The server, as messages show it."""
        return self.endpoint.partition("://")[2].strip("/") if self.endpoint else f"the servers of {_PROVIDERS[self.kind]}"

    @property
    def key_names(self) -> str:
        """Where the credentials come from, as messages show it."""
        if self.kind == AZURE:
            return "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
        if self.kind == GOOGLE:
            return "GOOGLE_APPLICATION_CREDENTIALS"
        if self.profile:
            return f"profile {self.profile!r} in ~/.aws/credentials"
        return "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile in ~/.aws/credentials"

    @property
    def bucket_word(self) -> str:
        """The word for a bucket there."""
        return "container" if self.kind == AZURE else "bucket"


_PROVIDERS = {S3: "Amazon S3", AZURE: "Azure", GOOGLE: "Google Cloud", MEMORY: "this process"}


def open_store(settings: ObjectStoreSettings, read_timeout_seconds: float) -> Store:
    """Make a client. Nothing is asked yet. It never tries anything again by itself.

    Args:
        settings: Where.
        read_timeout_seconds: How long nothing may arrive; while a request is sent, nothing does.

    Raises:
        ConfigurationError: The credentials are incomplete, or can't be read.
        StoreError: The settings make no sense to the library.
    """
    from obstore.exceptions import BaseError  # lazy import: it costs a start 16 ms, and only these locations need it

    try:
        return _open(settings, read_timeout_seconds)
    except (BaseError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise StoreError(f"{settings.where}: can't be used ({reason}); check the location, and {settings.key_names}") from error


def _open(settings: ObjectStoreSettings, read_timeout_seconds: float) -> Store:
    from obstore.store import AzureStore, GCSStore, MemoryStore, S3Store  # lazy import: as above

    client = _client_options(settings, read_timeout_seconds)
    if settings.kind == MEMORY:
        return MemoryStore()
    if settings.kind == AZURE:
        azure = azure_options(settings.account, settings.endpoint, settings.where)
        return AzureStore(
            settings.bucket,
            config=cast("AzureConfig", {**azure, "use_emulator": False}),
            client_options=client,
            retry_config={"max_retries": 0},
        )
    if settings.kind == GOOGLE:
        google = google_options(settings.endpoint, settings.where)
        return GCSStore(settings.bucket, config=cast("GCSConfig", google), client_options=client, retry_config={"max_retries": 0})
    keys = S3Keys(settings.profile, settings.where)
    # Amazon wants a checksum with each put into a bucket that locks by itself.
    checksum: S3Config = {"checksum_algorithm": "SHA256"} if settings.is_locked else {}
    config: S3Config = {
        # The only name that the environment can't override.
        "aws_endpoint_url_s3": s3_endpoint(settings),
        "region": settings.region or REGION_DEFAULT,
        "virtual_hosted_style_request": settings.is_virtual_hosted,
        # One request for one object: some servers don't know the other kind, and a delete costs nothing.
        "disable_bulk_delete": True,
        "unsigned_payload": False,
        "skip_signature": False,
        **checksum,
    }
    return S3Store(
        settings.bucket,
        config=config,
        client_options=client,
        retry_config={"max_retries": 0},
        credential_provider=None if keys() is None else cast("S3CredentialProvider", KeyProvider(keys)),
    )


class KeyProvider:
    """A provider of one place's keys: the library would mix those that it is told with a session token in the environment."""

    def __init__(self, keys: S3Keys) -> None:
        self._keys = keys

    def __call__(self) -> dict[str, object]:
        """Return them as the library wants them, which asks again when they expire."""
        found = self._keys()
        assert found is not None, "there were keys when the store was opened, or an error is raised"
        return {
            "access_key_id": found.key_id,
            "secret_access_key": found.secret,
            "token": found.token or None,
            "expires_at": found.expires_at,
        }


def s3_endpoint(settings: ObjectStoreSettings) -> str:
    """Return the URL that requests go to; without an endpoint, that of the region at Amazon."""
    endpoint = settings.endpoint.rstrip("/")
    if not endpoint:
        region = settings.region or REGION_DEFAULT
        endpoint = f"https://s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
    if settings.is_virtual_hosted:
        scheme, _, host = endpoint.partition("://")
        endpoint = f"{scheme}://{settings.bucket}.{host}"
    return endpoint


def _client_options(settings: ObjectStoreSettings, read_timeout_seconds: float) -> ClientConfig:
    options: ClientConfig = {
        "connect_timeout": CONNECT_TIMEOUT,
        "timeout": WHOLE_TIMEOUT,
        "read_timeout": f"{max(round(read_timeout_seconds * 1000), 1)}ms",
        "allow_http": settings.endpoint.startswith("http://"),
    }
    if settings.ca_file:
        options["root_certificate"] = _read_certificates(settings.ca_file)
    return options


def _read_certificates(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            text = file.read()
        ssl.create_default_context(cadata=text)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise ConfigurationError(f"{path}: can't read certificates from it ({error}); give a file in PEM format") from error
    return text
