"""The error for faults of a build context."""

from __future__ import annotations

from pathlib import Path

from ..common.failure import Problem
from ..common.files import Refused
from ..common.stages import SOURCE


class ContextError(Problem):
    """The source cannot become a build context; `remedy` says what to change."""

    stage = SOURCE


def unreadable(path: str | Path, error: OSError) -> ContextError:
    if isinstance(error, FileNotFoundError):
        return ContextError(f"{path} vanished while the source was read", "Run again when nothing writes to the source.")
    if isinstance(error, Refused):
        # It was a regular file when the names were read.
        return changed(path)
    return ContextError(
        f"{path} cannot be read: {error.strerror or error}",
        "Make it readable for the user who runs this, or exclude it with go_service_dockerignore.",
    )


def changed(path: str | Path) -> ContextError:
    return ContextError(f"{path} changed while the source was read", "Run again when nothing writes to the source.")
