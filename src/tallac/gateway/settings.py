"""How a gateway listens, and what it puts up with."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import msgspec

from tallac.errors import UsageError

DEFAULT_PORT = 3456
"""Where Tahoe-LAFS nodes listen, and where the `tahoe` command looks for one."""


class GatewaySettings(msgspec.Struct, frozen=True):
    """How a gateway listens.

    Attributes:
        host, port: Where; port 0 takes a free one.
        certificate, key: Files for TLS; both or none.
        host_names: Names beside the address under which clients may ask for it.
        is_insecure: Other machines may connect without TLS.
        header_seconds: How long a client may take over the head of a request.
        requests_max: Connections at a time; more are told to try again later.
        shutdown_seconds: How long what is under way may take when the gateway is to stop.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    certificate: Path | None = None
    key: Path | None = None
    host_names: tuple[str, ...] = ()
    is_insecure: bool = False
    header_seconds: float = 30.0
    requests_max: int = 200
    shutdown_seconds: int = 10

    def require_safe(self) -> None:
        """See that nobody's caps are sent over a network for all to read.

        Raises:
            UsageError: They would be, or the settings make no sense.
        """
        if (self.certificate is None) != (self.key is None):
            raise UsageError("--certificate and --key belong together: give both")
        if self.certificate is None and not self.is_insecure and not is_loopback(self.host):
            raise UsageError(
                f"--listen {self.host} lets other machines connect, and caps would cross the network for all to read: "
                "give --certificate and --key for TLS, or --insecure where something else protects the connection"
            )


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
