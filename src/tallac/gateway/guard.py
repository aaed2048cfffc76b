"""What every request has to pass, whatever it asks for, and what every answer gets.

The gateway holds the user's keys, and a browser on his machine runs what strangers send it. A page of theirs can send requests
here, under this address or, after DNS rebinding, under a name of its own; so only known names are answered, and what changes
something is refused where a browser sends it. What is stored is served such that a browser runs none of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tallac.gateway.answers import text_answer

SAFE_METHODS = ("GET", "HEAD")
METHODS = (*SAFE_METHODS, "PUT", "POST", "DELETE")

_BROWSER_MARKS = ("origin", "sec-fetch-site", "sec-fetch-mode", "referer")
_SAME_ORIGIN_SITES = ("same-origin", "none")

SEND_WAIT_SECONDS = 120.0

ANSWER_HEADERS = {
    "content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Guard:
    """Refuses what may be no client's own wish, and marks answers as what they are. Stands before the application."""

    def __init__(self, application: ASGIApp, allowed_hosts: Iterable[str]) -> None:
        """Answer only requests whose Host is exactly one of these, as in `127.0.0.1:3456`."""
        self._application = application
        self._allowed = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ANSWER_HEADERS.items():
                    headers.setdefault(name, value)
            # Who takes nothing for so long holds a connection that somebody else may want.
            async with asyncio.timeout(SEND_WAIT_SECONDS):
                await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        answer = self._application if refusal is None else text_answer(refusal[1], refusal[0])
        await answer(scope, receive, send_marked)

    def _refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """Give status and sentence for a request that is refused; None for one that is not."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._allowed:
            return 421, "This gateway is not known under the name that this request was sent to."
        if method not in METHODS:
            return 405, "The gateway knows GET, HEAD, PUT, POST and DELETE."
        if method not in SAFE_METHODS and any(mark in headers for mark in _BROWSER_MARKS):
            return 403, "A browser may look here, and change nothing: any page that it shows could have sent this."
        if headers.get("sec-fetch-site", "none") not in _SAME_ORIGIN_SITES and headers.get("sec-fetch-mode") != "navigate":
            return 403, "Another site's page may not load what is stored here."
        return None


def allowed_hosts(host: str, port: int, names: Iterable[str]) -> list[str]:
    """Give the values of Host under which a gateway is known."""
    known = {"127.0.0.1", "localhost", "[::1]", *names}
    if host not in ("0.0.0.0", "::"):  # noqa: S104 - they stand for all addresses, and are none themselves.
        known.add(f"[{host}]" if ":" in host else host)
    with_port = [f"{name}:{port}" for name in known]
    # Clients leave out the port that a scheme has of itself.
    return sorted([*with_port, *known]) if port in (80, 443) else sorted(with_port)
