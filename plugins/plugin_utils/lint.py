"""The linters of the Dockerfile, if this machine (the controller) has them: hadolint and checkov.

Neither reads the user's configuration: the same Dockerfile is judged the same way everywhere. Formats: `hadolint
--format json` (hadolint 2.15), `checkov --output json` (checkov 3). What they find is judged by the contract.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from ..module_utils.common.secrets import MASK

TOOLS = ("hadolint", "checkov")
_SECONDS = 120
# How the template passes a value to the build stage, in the form that the linters get.
_BUILDERS = re.compile(r'(?:ENV|ARG) \w+="' + re.escape(MASK) + '"')


def find_tool(name: str) -> str:
    """The path of a linter: beside this Python (as in a virtual environment) or in PATH; "" for none."""
    beside = os.path.join(os.path.dirname(sys.executable), name)
    return beside if os.access(beside, os.X_OK) else shutil.which(name) or ""


def fingerprint(dockerfile: str, tools: Mapping[str, str]) -> str:
    """A fingerprint of everything on which the findings depend: the Dockerfile, and the linters with the times of their files."""
    ages = [f"{name} {os.path.getmtime(path) if path else 'none'}" for name, path in sorted(tools.items())]
    return hashlib.sha256("\n".join([dockerfile, *ages]).encode()).hexdigest()


def _environment() -> dict[str, str]:
    # No HOME, since hadolint reads ~/.config/hadolint.yaml and checkov ~/.checkov.yaml.
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent", "LANG": "C.UTF-8"}


def run_hadolint(path: str, dockerfile: str) -> list[dict[str, Any]]:
    """Return hadolint's findings: [{"code", "level", "line", "message"}]. Raises OSError, ValueError or
    subprocess.SubprocessError."""
    done = subprocess.run(
        [path, "--no-fail", "--format", "json", "-"],
        input=dockerfile.encode(),
        capture_output=True,
        timeout=_SECONDS,
        check=True,
        cwd="/",
        env=_environment(),
    )
    return parse_hadolint(json.loads(done.stdout))


def parse_hadolint(document: Any) -> list[dict[str, Any]]:
    """Read hadolint's JSON; raise ValueError for anything else."""
    if not isinstance(document, list):
        raise ValueError("not hadolint's list of findings")
    return [{key: item[key] for key in ("code", "level", "line", "message")} for item in document]


def run_checkov(path: str, dockerfile: str) -> list[dict[str, Any]]:
    """Return checkov's failed checks, as findings. Raises OSError, ValueError or subprocess.SubprocessError."""
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "Dockerfile")
        with open(name, "w", encoding="utf-8") as stream:
            stream.write(dockerfile)
        options = ("--framework", "dockerfile", "--output", "json", "--compact", "--soft-fail", "--skip-download")
        done = subprocess.run(
            [path, "--file", name, *options],
            capture_output=True,
            timeout=_SECONDS,
            check=True,
            cwd=folder,
            env={**_environment(), "HOME": folder},
        )
    return parse_checkov(json.loads(done.stdout))


def parse_checkov(document: Any) -> list[dict[str, Any]]:
    """Read checkov's JSON; raise ValueError for anything else."""
    if not isinstance(document, dict) or document.get("check_type") != "dockerfile":
        raise ValueError("not checkov's report of a Dockerfile")
    return [
        {
            "code": item["check_id"],
            "level": "warning",
            "line": (item.get("file_line_range") or [0])[0],
            "message": item["check_name"].strip(),
        }
        for item in document["results"]["failed_checks"]
    ]


_RUN = {"hadolint": run_hadolint, "checkov": run_checkov}


def lint(dockerfile: str, tools: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Run the installed linters.

    :param tools: name -> path, "" for a linter that is not installed.
    :returns: name -> {"findings": [...], "problem": why it gave no answer}; a linter that is not installed is left out.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, path in tools.items():
        if not path:
            continue
        try:
            found[name] = {"findings": _RUN[name](path, dockerfile), "problem": ""}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, subprocess.SubprocessError) as error:
            found[name] = {"findings": [], "problem": str(error)}
    return found


def examine(dockerfile: str, known: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the linters of this machine find in a Dockerfile: {"fingerprint", "linters": what `lint` returns}.

    :param known: an earlier result; it is returned again for the same Dockerfile and the same linters, since checkov takes seconds.
    """
    tools = {name: find_tool(name) for name in TOOLS}
    fresh = fingerprint(dockerfile, tools)
    linters = known["linters"] if known and known.get("fingerprint") == fresh else lint(dockerfile, tools)
    return {
        "fingerprint": fresh,
        "linters": {name: {**answer, "findings": _that_count(dockerfile, answer)} for name, answer in linters.items()},
    }


def _that_count(dockerfile: str, answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the findings of a linter without DL3064 ("do not pass sensitive data by ARG or ENV") for go_service_build_env and go_service_build_args:
    these belong to the build stage, of which the image has nothing, and the check is about the image."""
    lines = dockerfile.splitlines()
    return [
        finding
        for finding in answer["findings"]
        if not (finding["code"] == "DL3064" and 0 < finding["line"] <= len(lines) and _BUILDERS.fullmatch(lines[finding["line"] - 1]))
    ]
