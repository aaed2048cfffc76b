"""Content on a terminal: text is written, and what would confuse the terminal is refused."""

from __future__ import annotations

import re

from tallac.errors import OutputError
from tallac.interfaces import Buffer
from tallac.transfer.files import Sink

# What text has of control characters: tab, line feed, form feed, carriage return.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")


class TerminalSink:
    """Passes text on, and refuses a block that is not text; what came before is written."""

    def __init__(self, sink: Sink, place: str) -> None:
        """Write to a sink; errors name the place that the content is from."""
        self._sink = sink
        self._place = place

    def write(self, data: Buffer, /) -> None:
        """Write a block.

        Raises:
            OutputError: It holds control characters that text does not have.
        """
        if _CONTROL.search(data):
            raise OutputError(
                f"{self._place}: not text, so it is not written to the terminal; give a file's name, "
                "redirect standard output, or add --force"
            )
        self._sink.write(data)
