from __future__ import annotations

from tallac.cli.signals import interruption_behind


class Interrupted:
    """An attribute that a signal hits while its class is made."""

    def __set_name__(self, owner: type, name: str) -> None:
        raise KeyboardInterrupt


def test_an_interruption_that_became_an_error() -> None:
    """What a signal raises while a class is made is found, whatever Python makes of it."""
    try:
        type("Owner", (), {"attribute": Interrupted()})
    except BaseException as error:  # noqa: BLE001 - which one it is depends on Python.
        assert isinstance(interruption_behind(error), KeyboardInterrupt)
    else:
        raise AssertionError("nothing was raised")


def test_an_error_of_its_own() -> None:
    """An error with an error for its reason is no interruption."""
    try:
        try:
            raise KeyError("a")
        except KeyError as reason:
            raise RuntimeError("b") from reason
    except RuntimeError as error:
        assert interruption_behind(error) is None
