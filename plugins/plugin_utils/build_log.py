"""What a build printed: its steps, and why it failed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..module_utils.common.failure import DISK_FULL, UNTOUCHED, Failure, folded
from ..module_utils.common.stages import BUILD
from ..module_utils.image.dockerfile import without_values

STEP = re.compile(r"^Step (\d+)/(\d+) : (.*)")
_LINES = 30


def steps(output: str) -> list[dict[str, Any]]:
    """Return the steps of the classic builder's output: [{"instruction": ..., "cached": bool}]."""
    found: list[dict[str, Any]] = []
    for line in output.splitlines():
        match = STEP.match(line)
        if match:
            found.append({"instruction": without_values(match[3]), "cached": False})
        elif found and line.strip() == "---> Using cache":
            found[-1]["cached"] = True
    return found


# What to look for in the last lines of a failed build, and what to do about it.
_REMEDIES = (
    (r"no space left on device|disk quota exceeded", DISK_FULL),
    (
        r"buildx plugin|unknown command: docker buildx",
        "Install the buildx plugin of the Docker client on the host, or build without it: go_service_builder: docker_image.",
    ),
    (r"Read timed out|timed out \(read timeout", "Raise go_service_build_timeout, or see what the build waits for."),
    (
        r"Error connecting|Error while fetching server API version|Cannot connect to the Docker daemon",
        "Start the Engine of the host (systemctl start docker, or the role docker_engine), then run again.",
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
        r"malformed import path|invalid input directory name",
        "Go builds no package in a directory of that name. Rename it: letters, digits and . _ ~ + - are allowed.",
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


def explain(head: str, instruction: str, printed: Iterable[str]) -> Failure:
    """Return the failure of a build.

    head: what the module said; instruction: the one that failed, "" where it is not known; printed: what that printed.
    """
    # A builder quotes the Dockerfile, with the values of build_env and build_args in it.
    head, instruction = without_values(head), without_values(instruction)
    lines = [line for line in folded(map(without_values, printed)) if line][-_LINES:]
    text = "\n".join([*lines, head])
    remedy = next((remedy for pattern, remedy in _REMEDIES if re.search(pattern, text, re.M)), "")
    if not remedy and re.search(r"^\S+\.go:\d+", text, re.M):
        remedy = "Correct the source at the lines named, then run again."
    reason = re.search(r"message: (.*)", head)
    message = f"the build failed at: {instruction}" if instruction else f"the build failed: {reason[1] if reason else head}"
    return Failure(BUILD, message, remedy or "Read the lines above, correct the cause, run again.", UNTOUCHED, lines or [head])
