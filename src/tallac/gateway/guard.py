"""The checks that every request has to pass, and the headers that every answer gets.

The gateway holds the user's keys, and a browser on the same machine runs scripts of strangers. A page of theirs can send requests
here, under this address or, after DNS rebinding, under a host name of its own; so only known host names are answered, and a
request that changes something is refused if a browser sends it. A new browser says that it is one by Origin and Sec-Fetch; an old
one by its name and the user's languages, which go with every form, and which no page can take away. Stored files are served so that
a browser runs none of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tallac.gateway.answers import text_answer

SAFE_METHODS = ("GET", "HEAD")
METHODS = (*SAFE_METHODS, "PUT", "POST", "DELETE")

_BROWSER_MARKS = ("origin", "sec-fetch-site", "sec-fetch-mode", "referer", "accept-language", "cookie")
_BROWSER_NAMES = ("mozilla/", "opera/")
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
    """An ASGI middleware that refuses requests which a page of a stranger may have sent, and adds security headers to answers."""

    def __init__(self, application: ASGIApp, allowed_hosts: Iterable[str]) -> None:
        """Accept only requests whose Host header is exactly one of these, as in `127.0.0.1:3456`."""
        self._application = application
        self._allowed = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it to the application."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in ANSWER_HEADERS.items():
                    headers.setdefault(name, value)
            # A client that reads nothing for so long occupies a connection that another may need.
            async with asyncio.timeout(SEND_WAIT_SECONDS):
                await send(message)

        headers = Headers(scope=scope)
        refusal = self._refusal(scope["method"], headers)
        answer = self._application if refusal is None else text_answer(refusal[1], refusal[0])
        if _has_two_lengths(scope, headers):
            # Whoever reads such a request otherwise sees another one behind it (RFC 9112, 6.1 and 6.3).
            answer = text_answer("Content-Length and Transfer-Encoding can't be combined, nor the latter used with HTTP/1.0.", 400)
            answer.headers["connection"] = "close"
        await answer(scope, receive, send_marked)

    def _refusal(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """Return the status and the sentence that refuse a request; None if it is accepted."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._allowed:
            return 421, "This gateway is not known under the name that this request was sent to."
        if method not in METHODS:
            return 405, "The gateway knows GET, HEAD, PUT, POST and DELETE."
        if method not in SAFE_METHODS and _is_of_browser(headers):
            return 403, "A browser may look here, and change nothing: any page that it shows could have sent this."
        if headers.get("sec-fetch-site", "none") not in _SAME_ORIGIN_SITES and headers.get("sec-fetch-mode") != "navigate":
            return 403, "Another site's page may not load what is stored here."
        return None


def _is_of_browser(headers: Headers) -> bool:
    name = headers.get("user-agent", "").lower()
    return name.startswith(_BROWSER_NAMES) or any(mark in headers for mark in _BROWSER_MARKS)


def _has_two_lengths(scope: Scope, headers: Headers) -> bool:
    return "transfer-encoding" in headers and ("content-length" in headers or scope.get("http_version") == "1.0")


def allowed_hosts(host: str, port: int, names: Iterable[str]) -> list[str]:
    """Return the values of the Host header that a gateway accepts."""
    known = {"127.0.0.1", "localhost", "[::1]", *names}
    if host not in ("0.0.0.0", "::"):  # noqa: S104 - they stand for all addresses, and are none themselves.
        known.add(f"[{host}]" if ":" in host else host)
    with_port = [f"{name}:{port}" for name in known]
    # Clients leave out the default port of a scheme.
    return sorted([*with_port, *known]) if port in (80, 443) else sorted(with_port)
