"""Slow operations that a client starts under a handle of its own choice, and whose result it fetches later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import msgspec
from starlette.responses import Response

from tallac.errors import RequestError, TallacError

RUNNING_MAX = 100
"""Operations that are kept at a time; a new one replaces the oldest that has ended."""

RETAIN_SECONDS = 4 * 24 * 3600.0
COLLECTED_SECONDS = 24 * 3600.0
RETAIN_SECONDS_MAX = 30 * 24 * 3600.0


class Operation(msgspec.Struct):
    """One operation.

    Attributes:
        task: The task that runs it.
        show: Returns the answer on its state, for the value of `output=`.
        expiry: The timer that forgets it.
    """

    task: asyncio.Task[None]
    show: Callable[[str, bool], Response]
    expiry: asyncio.TimerHandle | None = None


class Operations:
    """All operations of a gateway, by handle."""

    def __init__(self) -> None:
        """Start without operations."""
        self._by_handle: dict[str, Operation] = {}

    def start(
        self, handle: str, work: Coroutine[object, object, None], show: Callable[[str, bool], Response], retain: float | None
    ) -> None:
        """Start an operation under a handle; an earlier operation of the same handle is cancelled and forgotten.

        Raises:
            RequestError: Too many operations are running.
        """
        self.release(handle)
        if len(self._by_handle) >= RUNNING_MAX and not self._drop_ended():
            work.close()
            raise RequestError("too many slow operations are under way; try again later", 503)
        operation = Operation(asyncio.get_running_loop().create_task(work), show)
        self._by_handle[handle] = operation
        self._expire(handle, operation, RETAIN_SECONDS if retain is None else retain)

    def show(self, handle: str, output: str, *, release: bool, retain: float | None) -> Response:
        """Return the state of an operation; with release it is forgotten if it has ended.

        Raises:
            RequestError: No operation has this handle.
            TallacError: The operation failed with this error.
        """
        operation = self._find(handle)
        has_ended = operation.task.done()
        if has_ended and release:
            self.release(handle)
        elif has_ended or retain is not None:
            self._expire(handle, operation, COLLECTED_SECONDS if retain is None else retain)
        if has_ended and not operation.task.cancelled():
            error = operation.task.exception()
            if isinstance(error, TallacError):
                raise error
            if error is not None:
                raise RequestError(f"the operation failed unexpectedly ({type(error).__name__})", 500)
        return operation.show(output, has_ended)

    def cancel(self, handle: str, output: str) -> Response:
        """Cancel an operation, forget it, and return its last state.

        Raises:
            RequestError: No operation has this handle.
        """
        operation = self._find(handle)
        self.release(handle)
        return operation.show(output, True)

    def release(self, handle: str) -> None:
        """Forget an operation, and cancel it if it runs."""
        operation = self._by_handle.pop(handle, None)
        if operation is not None:
            operation.task.cancel()
            if operation.expiry is not None:
                operation.expiry.cancel()

    def close(self) -> None:
        """Cancel all operations."""
        for handle in list(self._by_handle):
            self.release(handle)

    def _find(self, handle: str) -> Operation:
        operation = self._by_handle.get(handle)
        if operation is None:
            raise RequestError("unknown/expired handle", 404)
        return operation

    def _expire(self, handle: str, operation: Operation, seconds: float) -> None:
        if operation.expiry is not None:
            operation.expiry.cancel()
        operation.expiry = asyncio.get_running_loop().call_later(min(seconds, RETAIN_SECONDS_MAX), self.release, handle)

    def _drop_ended(self) -> bool:
        for handle, operation in self._by_handle.items():
            if operation.task.done():
                self.release(handle)
                return True
        return False
