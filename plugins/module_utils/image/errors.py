"""What is wrong with a build context."""

from __future__ import annotations

from pathlib import Path


class ContextError(Exception):
    """The source cannot become a build context; `remedy` says what to change."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


def unreadable(path: str | Path, error: OSError) -> ContextError:
    if isinstance(error, FileNotFoundError):
        return ContextError(f"{path} vanished while the source was read", "Run again when nothing writes to the source.")
    return ContextError(
        f"{path} cannot be read: {error.strerror or error}",
        "Make it readable for the user that runs this, or keep it out with go_service_dockerignore.",
    )
