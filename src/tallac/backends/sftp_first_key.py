"""A login over SSH in which the first key signs at once, with the request for the service that wants it.

The library asks for the service, asks without a key which methods there are, asks whether a key would do, and then signs: four
ways there and back. RFC 4252, section 7, has a client sign without asking; it costs nothing where the key is a file. What comes
after a refusal is left to the library: it asks about every other key, and says what failed.
"""

from __future__ import annotations

import os

import asyncssh
from asyncssh.auth import _ClientPublicKeyAuth

_SERVICE = b"ssh-userauth"
_METHOD = b"publickey"
_KNOWN_SERVERS = "SSH-2.0-OpenSSH_"
"""The servers that work off in order what they are sent, as the protocol has it; nobody has tried others."""

_PLAIN_ALGORITHMS = frozenset({b"ssh-ed25519", b"ecdsa-sha2-nistp256", b"ecdsa-sha2-nistp384", b"ecdsa-sha2-nistp521"})
"""Keys that sign in one way alone. For the others it takes the server's word to choose one, which has not come yet."""


class _SigningAtOnce(_ClientPublicKeyAuth):
    """The library's login by a key, without the question whether the server knows it."""

    async def _start(self) -> None:
        self._keypair = await self._conn.public_key_auth_requested()
        if self._keypair is None:
            self._conn.try_next_auth(next_method=True)
        else:
            await self._send_signed_request()


def may_sign_at_once(options: asyncssh.SSHClientConnectionOptions) -> bool:
    """Whether the first key that a connection would try is a file of a plain kind.

    A key of an agent may want its user's consent, and is used only after the server has said that it would do.
    """
    # Without a path, the library looks for an agent on Windows alone, where there is a usual place for it.
    may_have_agent = bool(options.agent_path) or os.name != "posix"
    if may_have_agent or options.pkcs11_provider or not options.public_key_auth or not options.client_keys:
        return False
    key = options.client_keys[0]
    return key.get_key_type() == "local" and key.algorithm in _PLAIN_ALGORITHMS


def sign_at_once(connection: asyncssh.SSHClientConnection) -> None:
    """Set up a connection that is about to be made to log in so, where its server is OpenSSH's; see `may_sign_at_once`."""
    ask_for_service, try_next = connection.send_service_request, connection.try_next_auth

    def ask_and_sign(service: bytes) -> None:
        ask_for_service(service)
        version = connection.get_extra_info("server_version", "")
        if service == _SERVICE and version.startswith(_KNOWN_SERVERS):
            connection.try_next_auth = go_on  # type: ignore[method-assign]  # Put back by its first call.
            connection._auth = _SigningAtOnce(connection, _METHOD)  # noqa: SLF001 - it offers no other way.

    def go_on(*, next_method: bool = False) -> None:
        connection.try_next_auth = try_next  # type: ignore[method-assign]  # As above.
        # The answer that grants the service comes first, and would begin what has been begun.
        if next_method:
            try_next(next_method=next_method)

    connection.send_service_request = ask_and_sign  # type: ignore[method-assign]  # The library asks through it.
