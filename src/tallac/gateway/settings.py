"""The address, TLS files and limits of a gateway."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import msgspec

from tallac.errors import UsageError

DEFAULT_PORT = 3456
"""The port that Tahoe-LAFS nodes listen on, and that the `tahoe` command connects to."""


class GatewaySettings(msgspec.Struct, frozen=True):
    """The address, TLS files and limits of a gateway.

    Attributes:
        host, port: The address to listen at; port 0 chooses a free one.
        certificate, key: Files for TLS, both or neither.
        host_names: Host names that clients may use besides the address.
        is_insecure: Whether other machines may connect without TLS.
        header_seconds: How long a client may take over the head of a request.
        requests_max: Connections at a time; further ones get status 503.
        shutdown_seconds: How long requests in progress may take once the gateway stops.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    certificate: Path | None = None
    key: Path | None = None
    host_names: tuple[str, ...] = ()
    is_insecure: bool = False
    header_seconds: float = 30.0
    requests_max: int = 200
    shutdown_seconds: int = 1

    def require_safe(self) -> None:
        """Require that no caps cross a network unencrypted.

        Raises:
            UsageError: They would, or only one of certificate and key is given.
        """
        if (self.certificate is None) != (self.key is None):
            raise UsageError("--certificate and --key belong together: give both")
        if self.certificate is None and not self.is_insecure and not is_loopback(self.host):
            raise UsageError(
                f"--listen {self.host} lets other machines connect, and caps would cross the network unencrypted: "
                "give --certificate and --key for TLS, or --insecure where something else protects the connection"
            )


def is_loopback(host: str) -> bool:
    """Whether an address is a loopback address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
