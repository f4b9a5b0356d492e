"""The cause of a failure in a module's result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def why(result: Mapping[str, Any]) -> str:
    """Return why a module failed, "" if it does not say.

    If the module ended with an unhandled exception, the result has no `msg` when an action gets it (ansible-core 2.19 and newer): the exception has the cause.
    """
    said = str(result.get("msg") or "")
    if said:
        return said
    exception = result.get("exception")
    if isinstance(exception, str):
        lines = [line for line in exception.splitlines() if line.strip()]
        return lines[-1].strip() if lines else ""
    return ": ".join(dict.fromkeys(_messages(getattr(exception, "event", None))))


def _messages(event: Any) -> Iterator[str]:
    """Yield what an event of Ansible's says, then what it came from."""
    while event is not None:
        message = str(getattr(event, "msg", "") or "").strip()
        if message:
            yield message
        event = getattr(getattr(event, "chain", None), "event", None)
