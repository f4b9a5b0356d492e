"""The builder buildx: BuildKit, by community.docker's module docker_image_build."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...module_utils.common.failure import OWN_STORE, UNTOUCHED, Failure
from ...module_utils.common.stages import BUILD
from ...module_utils.image.module_access import SECRET_ID
from ..build_log import explain
from ..results import why

MODULE = "community.docker.docker_image_build"


def arguments(build: Mapping[str, Any]) -> dict[str, Any]:
    """Return the module's arguments. build: the options of the action `build`, and `access`, the path of the script with which private
    modules are read, if there are any."""
    asked = {"name": build["name"], "tag": build["tag"], "path": build["context"]}
    if build.get("access"):
        asked["secrets"] = [{"id": SECRET_ID, "type": "file", "src": build["access"]}]
    return asked if build["network"] == "default" else {**asked, "network": build["network"]}


def stage(printed: str) -> str:
    """Return "": BuildKit keeps the builder stage in its cache, where it has no name."""
    del printed
    return ""


def log(result: Mapping[str, Any]) -> str:
    """Return the builder's output from the module's result: the plain progress goes to stderr."""
    return str(result.get("stdout") or "") + str(result.get("stderr") or "")


def was_cached(printed: str) -> bool:
    """Say whether a build could use the cache of an earlier one."""
    return bool(re.search(r"^#\d+ CACHED$", printed, re.M))


def failure(result: Mapping[str, Any], project: Mapping[str, Any] | None = None) -> Failure | None:
    """Return why a build failed, None if it did not. project: the Go facts of its source."""
    if not result.get("failed"):
        if result.get("image"):
            return None
        return Failure(BUILD, "the builder made no image in the Engine", OWN_STORE, UNTOUCHED)
    printed, message = log(result), why(result)
    failed = re.search(r"^#(\d+) ERROR: (.*)$", printed, re.M)
    if not failed:
        return explain(message, "", printed.splitlines(), project)
    title = re.search(rf"^#{failed[1]} \[[^\]]*\] (.*)$", printed, re.M)
    lines = re.findall(rf"^#{failed[1]} [0-9.]+ (.*)$", printed, re.M)
    instruction = re.sub(r"--mount=\S+ (?:\\\s*)?", "", title[1]) if title else ""
    return explain(message, instruction, lines or [failed[2]], project)
