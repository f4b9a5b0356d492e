"""What the steps of a builder stage say about the builds in it: each build of the classic builder may continue from the stage of the last one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# How a step of an image says it, by the classic builder and by BuildKit, without quotes: the whole source, and in a later build what changed in it. An earlier
# version gave each source a directory of its own, like /src2.
_WHOLE = re.compile(r"\bCOPY (?:dir:\w+ in|\.) /src/ *\Z")
_CHANGES = re.compile(r"\bCOPY dir:\w+ in /(?:src\d+/)? *\Z")
_BEGUN = re.compile(r"/bin/sh -c #\(nop\) +(?:ARG |WORKDIR /src\d+).*", re.S)


def instruction(step: Mapping[str, Any]) -> str:
    """Return the instruction of a step of an image, without the quotes that only one of the builders writes."""
    return (step.get("CreatedBy") or "").replace('"', "")


def _brings_source(step: str) -> bool:
    return bool(_WHOLE.search(step) or _CHANGES.search(step))


def builds(steps: Iterable[str]) -> int:
    """Return how many builds follow one another in a build stage, from its instructions."""
    return sum(map(_brings_source, steps))


def added_bytes(history: Sequence[Mapping[str, Any]]) -> int:
    """Return how much the builds after the first have added to a build stage, in bytes; history: its steps from the Engine, the last one first."""
    steps = [instruction(step) for step in history]
    later = max((number for number, step in enumerate(steps) if _CHANGES.search(step)), default=-1)
    return sum(step.get("Size") or 0 for step in history[: later + 1])


def in_order(steps: Sequence[str], links: Sequence[str]) -> bool:
    """Say whether the steps after a build stage's label are those of builds that follow one another, the last of which may have been interrupted.

    steps: the last one first; links: those of them that link the service.
    """
    copies = linked = 0
    for step in reversed(steps):
        if _brings_source(step):
            if bool(_CHANGES.search(step)) != bool(copies) or linked != copies:
                return False
            copies += 1
        elif step in links:
            linked += 1
            if linked != copies:
                return False
    if not copies:
        return False
    return _brings_source(steps[0]) or steps[0] in links or (linked == copies and bool(_BEGUN.fullmatch(steps[0])))
