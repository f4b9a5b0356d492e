"""The builder docker_image: the Engine's classic one, by community.docker's module of that name."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from ...module_utils.common.failure import UNTOUCHED, Failure
from ...module_utils.common.stages import BUILD
from ..build_log import ENGINE_ENDED, STEP, explain, steps
from ..results import why

MODULE = "community.docker.docker_image"
_SECOND_FROM = re.compile(r"^Step (?!1/)\d+/\d+ : FROM ", re.M)
_STEP_ID = re.compile(r"^ ---> ([0-9a-f]{12})$", re.M)


def arguments(build: Mapping[str, Any]) -> dict[str, Any]:
    """Return the module's arguments. build: the options of the action `build`."""
    path = {"path": build["context"], "http_timeout": build["timeout"], "pull": False, "use_config_proxy": True}
    if build["network"] != "default":
        path["network"] = build["network"]
    return {"name": build["name"], "tag": build["tag"], "source": "build", "build": path, "use_ssh_client": True}


def log(result: Mapping[str, Any]) -> str:
    """Return the builder's output from the module's result."""
    return str(result.get("stdout") or "")


def was_cached(printed: str) -> bool:
    """Say whether a build could use an earlier one: a step that runs Go came from the cache, or it went on from the build stage of the last build."""
    return any(
        (step["cached"] and step["instruction"].startswith("RUN go ")) or step["instruction"].startswith("FROM sha256:")
        for step in steps(printed)
    )


def stage(printed: str) -> str:
    """Return the short id of the build stage of a build, "" if it is not known: the last step before the second FROM."""
    first, *others = _SECOND_FROM.split(printed, maxsplit=1)
    return ["", *_STEP_ID.findall(first)][-1] if others else ""


def failure(result: Mapping[str, Any], project: Mapping[str, Any] | None = None) -> Failure | None:
    """Return why a build failed, None if it did not; project: the Go facts of its source. A failed module's message ends with the list of all lines."""
    if not result.get("failed"):
        return None if result.get("image") else broken_off(log(result))
    head, _marker, tail = why(result).partition(", logs: ")
    try:
        lines = [str(line) for line in ast.literal_eval(tail)] if tail else []
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        lines = tail.splitlines()
    instruction, last = "", lines
    for index, line in enumerate(lines):
        match = STEP.match(line)
        if match:
            instruction, last = match[3], lines[index + 1 :]
    return explain(head, instruction, [line for line in last if not line.startswith((" --->", "Removing intermediate"))], project)


def broken_off(printed: str) -> Failure:
    """Return the failure of a build whose builder said neither that it succeeded nor why it failed, from what it printed until then."""
    seen = steps(printed)
    message = f"the build was interrupted at: {seen[-1]['instruction']}" if seen else "the build was interrupted"
    return Failure(BUILD, message, ENGINE_ENDED, UNTOUCHED)
