"""Signals that end a module: it cleans up and reports the signal, and work that must not be left half done is completed first."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

# The signals that Ctrl-C, the end of a session and `kill` send.
ENDING = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A signal ends this module. This is not an Exception, so that code which handles errors and goes on does not handle it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.name = signal.Signals(number).name


class _State:
    """depth: how many pieces of work are to be completed first; waiting: the signal that came meanwhile; told: whether one was raised."""

    depth = 0
    waiting = 0
    told = False


def _came(number: int, _frame: FrameType | None) -> None:
    if _State.told:
        # A second signal does not interrupt the cleaning up after the first one.
        return
    if _State.depth:
        _State.waiting = _State.waiting or number
        return
    _State.told = True
    raise Interrupted(number)


@contextlib.contextmanager
def heeding() -> Iterator[None]:
    """Raise Interrupted when a signal arrives; a signal that was already ignored when this process started stays ignored."""
    before = {number: signal.getsignal(number) for number in ENDING}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, _came)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


@contextlib.contextmanager
def whole() -> Iterator[None]:
    """Let the work inside complete, with success or with an error; a signal that arrives meanwhile is raised after a success.

    An error ends the module as the signal would, and knows what runs now.
    """
    _State.depth += 1
    failed = True
    try:
        yield
        failed = False
    finally:
        _State.depth -= 1
        waiting = 0 if _State.depth else _State.waiting
        if waiting:
            _State.waiting = 0
            if failed:
                _State.told = True
            else:
                _came(waiting, None)
