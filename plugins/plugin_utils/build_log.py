"""What a build printed: its steps, and why it failed."""

from __future__ import annotations

import ast
import re
from typing import Any

from ..module_utils.common.failure import UNTOUCHED

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STEP = re.compile(r"^Step (\d+)/(\d+) : (.*)")
_LINES = 30


def steps(output: str) -> list[dict[str, Any]]:
    """Return the steps of the classic builder's output: [{"instruction": ..., "cached": bool}]."""
    found: list[dict[str, Any]] = []
    for line in output.splitlines():
        match = _STEP.match(line)
        if match:
            found.append({"instruction": match[3], "cached": False})
        elif found and line.strip() == "---> Using cache":
            found[-1]["cached"] = True
    return found


def was_cached(output: str) -> bool:
    """Say whether a build could stand on an earlier one: a step that runs Go came from the cache."""
    classic = any(step["cached"] and step["instruction"].startswith("RUN go ") for step in steps(output))
    return classic or bool(re.search(r"^#\d+ CACHED$", output, re.M))


# What to look for in the last lines of a failed build, and what to do about it.
_REMEDIES = (
    (
        r"no space left on device|disk quota exceeded",
        "Free space on the host: docker system df shows what the Engine holds, docker builder prune and docker image prune free it.",
    ),
    (r"no test files|--- FAIL|^FAIL\b", "A test failed. Correct it, or build without tests: go_service_run_tests: false."),
    (
        r"go\.mod requires go >= |requires go1\.|toolchain not available",
        "The module needs a newer Go. Set go_service_builder_image to an image that has it.",
    ),
    (
        r"dial tcp|i/o timeout|proxyconnect|no such host|tls: failed|connection refused|Forbidden",
        "The builder cannot download modules. Set GOPROXY in go_service_build_env, set go_service_build_network, or vendor them (go mod vendor).",
    ),
    (
        r"missing go\.sum entry|updates to go\.(?:mod|sum) needed|inconsistent vendoring"
        r"|no required module provides package|cannot find module providing package",
        "Run go mod tidy (and go mod vendor) in the source.",
    ),
    (
        r"pattern .*: no matching files found",
        "A //go:embed pattern matches nothing in the build context: check the files, and go_service_dockerignore.",
    ),
    (
        r"build constraints exclude all Go files|C source files not allowed",
        "The service needs cgo, which a static build switches off. Use a pure Go package instead.",
    ),
    (
        r"signal: killed|cannot allocate memory",
        "The compiler ran out of memory. Give the host more of it, or compile one package at a time, with GOMAXPROCS: 1 in go_service_build_env.",
    ),
    (r"apk: not found", "The runtime base has no apk. Empty go_service_packages, or use an Alpine base."),
    (r"unable to select packages|no such package", "Check the names in go_service_packages."),
    (
        r"adduser: .*in use|already exists",
        "The user or its number is taken in the base image. Choose another go_service_user or go_service_uid.",
    ),
)


def _classic(message: str) -> tuple[str, list[str]]:
    """Return the failed instruction and what it printed, from docker_image's message, which ends in the list of all lines."""
    _head, _marker, tail = message.partition(", logs: ")
    try:
        lines = [str(line) for line in ast.literal_eval(tail)] if tail else [message]
    except (ValueError, SyntaxError):
        lines = (tail or message).splitlines()
    instruction, last = "", lines
    for index, line in enumerate(lines):
        match = _STEP.match(line)
        if match:
            instruction, last = match[3], lines[index + 1 :]
    return instruction, [line for line in last if not line.startswith((" --->", "Removing intermediate"))]


def _buildkit(output: str) -> tuple[str, list[str]]:
    """Return the failed instruction and what it printed, from the plain progress of BuildKit."""
    failed = re.search(r"^#(\d+) ERROR: (.*)$", output, re.M)
    if not failed:
        return "", output.splitlines()
    title = re.search(rf"^#{failed[1]} \[[^\]]*\] (.*)$", output, re.M)
    printed = re.findall(rf"^#{failed[1]} [0-9.]+ (.*)$", output, re.M)
    return (title[1] if title else ""), printed or [failed[2]]


def broken_off(output: str) -> dict[str, Any]:
    """Return the failure of a build whose builder said neither that it is done nor why not, from what it printed until then."""
    seen = steps(output)
    return {
        "stage": "build",
        "message": f"the build broke off at: {seen[-1]['instruction']}" if seen else "the build broke off",
        "remedy": "The Engine ended or was restarted meanwhile. See that it runs (docker info) and what its log says, then run again.",
        "evidence": [],
        "standing": UNTOUCHED,
    }


def explain(message: str, output: str = "") -> dict[str, Any]:
    """Return a failed build as a failure record: stage, message, remedy, evidence, standing.

    message: of the failed module, docker_image or docker_image_build; output: what BuildKit printed, "" for the classic builder.
    """
    instruction, printed = _buildkit(output) if output else _classic(message)
    lines = [_COLOUR.sub("", line).rstrip() for line in printed]
    lines = [line for line in lines if line][-_LINES:]
    head = message.partition(", logs: ")[0]
    text = "\n".join([*lines, head])
    remedy = next((remedy for pattern, remedy in _REMEDIES if re.search(pattern, text, re.M)), "")
    if not remedy and re.search(r"^\S+\.go:\d+", text, re.M):
        remedy = "Correct the source at the lines named, then run again."
    reason = re.search(r"message: (.*)", head)
    return {
        "stage": "build",
        "message": f"the build failed at: {instruction}" if instruction else f"the build failed: {reason[1] if reason else head}",
        "remedy": remedy or "Read the lines above, correct the cause, run again.",
        "evidence": lines or [head],
        "standing": UNTOUCHED,
    }
