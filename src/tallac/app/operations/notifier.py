"""Sending notices: to services through apprise, and to addresses that are pinged. Nothing here fails a backup.

Each address is asked in a thread of its own, and all of them together get so much time: one that hangs is left behind.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from tallac import __version__
from tallac.caps.redaction import redact
from tallac.errors import NotifyError
from tallac.jobs.notices import Notice, Occasion, is_wanted

SECONDS_MAX = 20.0
"""So long all notices of one occasion may take together."""

REQUEST_SECONDS = 8.0
PING_TRIES = 2
LOG_SIZE_MAX = 10_000
"""The end of the log that a ping carries, in bytes; healthchecks.io takes 100 kB."""

_KUMA = re.compile(r"/api/push/[^/]+/?$")
_APPRISE_MISSING = "this kind of address takes apprise: `pip install 'tallac[notify]'`"
_PING_ENDINGS = {Occasion.START: "/start", Occasion.FAILURE: "/fail"}
_SILENT_PINGS = frozenset({Occasion.RECOVERY, Occasion.ANOMALY, Occasion.OVERDUE})

Send = Callable[[str, Notice], None]
"""Sends a notice to an address; raises NotifyError."""


def is_ping(url: str) -> bool:
    """Whether an address is pinged, and not written to: apprise's addresses of web hooks are json:// and the like."""
    return urlsplit(url).scheme in {"http", "https"}


def show_address(url: str) -> str:
    """Return of an address what may be shown: its scheme, and of one that is pinged its host. All else may be a password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}/..." if is_ping(url) else f"{parts.scheme}://..."


class Notifier:
    """Sends notices."""

    def __init__(self, *, seconds_max: float = SECONDS_MAX, send: Send | None = None) -> None:
        """Wait at most so long for all; `send` takes the place of the network in tests."""
        self._seconds_max = seconds_max
        self._send = send or _send

    def send(self, notice: Notice, urls: Sequence[str], wanted: Sequence[str] = ()) -> dict[str, str]:
        """Send a notice to those of some addresses that want it.

        Pings are sent at the start and the end of each run, whatever is wanted: what is pinged does its own thinking.

        Returns:
            The addresses that could not be reached, each with the reason. Nothing is raised.
        """
        chosen = [url for url in dict.fromkeys(urls) if _takes(url, notice, wanted)]
        safe = Notice(notice.occasion, notice.job, redact(notice.title), redact(notice.body))
        problems: dict[str, str] = {}
        threads = []
        for url in chosen:
            thread = threading.Thread(target=self._try, args=(url, safe, problems), daemon=True)
            thread.start()
            threads.append((url, thread))
        # The first one may take all of the time; the others have been running meanwhile.
        deadline = _Deadline(self._seconds_max)
        for url, thread in threads:
            thread.join(deadline.left())
            if thread.is_alive():
                problems.setdefault(url, f"no answer within {self._seconds_max:.0f} s")
        # Threads that are left behind may still add to it.
        return {url: redact(reason) for url, reason in list(problems.items())}

    def _try(self, url: str, notice: Notice, problems: dict[str, str]) -> None:
        try:
            self._send(url, notice)
        except NotifyError as error:
            problems[url] = str(error)
        except Exception as error:  # noqa: BLE001 - whatever a hundred services can raise, the backup is done.
            problems[url] = f"unexpected {type(error).__name__}"


class _Deadline:
    """A point in time, for several waits."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return how many seconds are left."""
        return max(0.0, self._end - time.monotonic())


def _takes(url: str, notice: Notice, wanted: Sequence[str]) -> bool:
    if is_ping(url):
        return notice.occasion not in _SILENT_PINGS and not (notice.occasion is Occasion.START and _is_kuma(url))
    return is_wanted(notice, wanted)


def _send(url: str, notice: Notice) -> None:
    if is_ping(url):
        _ping(url, notice)
    else:
        _write_to(url, notice)


def _is_kuma(url: str) -> bool:
    return _KUMA.search(urlsplit(url).path) is not None


def ping_request(url: str, notice: Notice) -> urllib.request.Request:
    """Return the request that tells what is pinged.

    Uptime Kuma's push monitors, known by `/api/push/` in their path, are told `status` and `msg`. All others are spoken to as
    healthchecks.io is: `/start`, nothing or `/fail` at the end of the path, and the end of the log as the body.
    https://healthchecks.io/docs/http_api/, https://github.com/louislam/uptime-kuma/wiki
    """
    parts = urlsplit(url)
    headers = {"User-Agent": f"tallac/{__version__}"}
    if _is_kuma(url):
        said = urlencode({"status": "down" if notice.is_bad else "up", "msg": notice.title[:200]}, quote_via=quote)
        query = "&".join(part for part in parts.query.split("&") if part.partition("=")[0] not in {"", "status", "msg"})
        return urllib.request.Request(urlunsplit(parts._replace(query=f"{query}&{said}".lstrip("&"))), headers=headers)  # noqa: S310
    path = parts.path.rstrip("/") + _PING_ENDINGS.get(notice.occasion, "")
    body = notice.body.encode("utf-8", "replace")[-LOG_SIZE_MAX:]
    headers["Content-Type"] = "text/plain; charset=utf-8"
    return urllib.request.Request(  # noqa: S310 - its scheme was looked at.
        urlunsplit(parts._replace(path=path)), data=body, headers=headers, method="POST"
    )


def _ping(url: str, notice: Notice) -> None:
    request = ping_request(url, notice)
    reason = ""
    for _ in range(PING_TRIES):
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as answer:  # noqa: S310 - its scheme was looked at.
                answer.read(1000)
                return
        except urllib.error.HTTPError as error:
            with error:
                reason = f"it answered {error.code} {error.reason}"
            if error.code < 500:
                break
        except (OSError, ValueError) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
    raise NotifyError(reason)


def _write_to(url: str, notice: Notice) -> None:
    try:
        # lazy import: a hundred services, for those who use one
        import apprise
    except ImportError as error:
        raise NotifyError(_APPRISE_MISSING) from error
    # It would say on standard error what went wrong, and with which address.
    logger = logging.getLogger("apprise")
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    service = apprise.Apprise()
    if not service.add(url):
        raise NotifyError("no service has such an address; https://appriseit.com lists them")
    kinds = {
        Occasion.FAILURE: apprise.NotifyType.FAILURE,
        Occasion.OVERDUE: apprise.NotifyType.WARNING,
        Occasion.ANOMALY: apprise.NotifyType.WARNING,
        Occasion.RECOVERY: apprise.NotifyType.SUCCESS,
    }
    if not service.notify(title=notice.title, body=notice.body, notify_type=kinds.get(notice.occasion, apprise.NotifyType.INFO)):
        raise NotifyError("the service refused it, or could not be reached")
