"""How a run fails: where, why, what still runs, what to do."""

from __future__ import annotations

from typing import Any

# What still runs where nothing was done yet; it is true where nothing ran as well.
UNTOUCHED = "Nothing that ran before was touched."


class DeployError(Exception):
    """A deploy ended without the new version in place.

    stage: where ("candidate", "swap", ...); message: what happened; remedy: what to change; evidence: last log lines and health log;
    standing: what runs now.
    """

    def __init__(self, stage: str, message: str, remedy: str, evidence: list[str] | None = None, standing: str = "") -> None:
        super().__init__(message)
        self.stage = stage
        self.message = message
        self.remedy = remedy
        self.evidence = evidence or []
        self.standing = standing

    def as_dict(self) -> dict[str, Any]:
        """Return the error as a module returns it."""
        return {
            "stage": self.stage,
            "message": self.message,
            "remedy": self.remedy,
            "evidence": self.evidence,
            "standing": self.standing,
        }
