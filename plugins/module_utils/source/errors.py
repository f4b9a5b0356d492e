"""The error for faults of a source."""

from __future__ import annotations

from ..common import stages
from ..common.failure import Problem


class SourceError(Problem):
    """The source cannot be built as it is.

    message: what is wrong, and where.
    remedy: what to change, as a sentence.
    variable: the role variable to look at, "" if the source itself has to change.
    """

    stage = stages.SOURCE
    remedy = "Correct the source, then run again."

    def __init__(self, message: str, remedy: str = "", variable: str = "") -> None:
        named = "" if not variable or variable in message + remedy else f" ({variable})"
        super().__init__(message + named, remedy)
        self.variable = variable

    def __str__(self) -> str:
        return f"{self.message}. {self.remedy}"


MAIN = "go_service_main_package"
MODULE_DIR = "go_service_module_dir"
BUILD_TAGS = "go_service_build_tags"
SOURCE = "go_service_source"
