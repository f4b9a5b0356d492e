"""A build by the classic builder that goes on from the builder stage of the last one, and the Dockerfile for it.

What Go compiled for the last build lies in that stage, addressed by content. So the compiler makes only what changed and what depends on it, and the
binary is the same, byte for byte (https://pkg.go.dev/cmd/go#hdr-Build_and_test_caching, and `-trimpath`, by which no directory is part of it). The
source comes to a directory of its own in each such build, so that no file of an earlier one is seen. The layers pile up within bounds; beyond them a
build starts from the builder image again. The content digest goes by the ordinary Dockerfile alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..common.settings import Settings
from .module_access import way

# How many builds may stand on one another, and how many bytes those after the first may add to the disk.
MAX_BUILDS = 12
MAX_BYTES = 512_000_000
# With fewer packages of its own a service gains nothing: its compiler is at work for less time than the further instruction takes.
MIN_PACKAGES = 10

_SOURCE = "\nCOPY . /src/\n"
# How a step of an image says it, by the classic builder and by BuildKit, without quotes.
_COPIED = re.compile(r"\bCOPY (?:dir:\w+ in|\.) /src(\d*)/ *\Z")
_BEGUN = re.compile(r"/bin/sh -c #\(nop\) +(?:ARG |WORKDIR /src\d+).*", re.S)


def basis(project: Mapping[str, Any], facts: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return what decides whether a build may go on from the last one, {} for a service that never may.

    project: the Go facts; facts: the variables of the Dockerfile template that follow from them. `standing`: what has to be the same of both builds;
    `compiled`: the packages of others that have layers of their own, and `packages`: how many are the service's own, which say whether it is worth it.

    Not where tests run in the build, which are code of the service and could leave anything there; nor where files of the source are copied out of the
    stage, or modules come by credentials.
    """
    if settings.run_tests or facts["file_modes"] or way(settings, project) or project["profiled"]:
        return {}
    names = ("goflags", "own_goflags", "for_compiler", "trust_in_build", "vendored", "module_subdir", "module_download")
    standing = [settings.name, *(facts[name] for name in names), sorted(settings.build_args), sorted(settings.build_env)]
    return {
        "standing": _digest(standing),
        "compiled": _digest([facts["std_layers"], facts["module_packages"]]),
        "packages": len(project["packages"]),
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def standing_on(wanted: Mapping[str, Any], values: str, builder_id: str) -> dict[str, str]:
    """Return what is kept of a build for the next one, {} where that may not go on from it.

    wanted: as `basis` returns it; values: fingerprint of the values of the build's arguments and variables; builder_id: of the builder image.
    """
    return {"standing": _digest([wanted["standing"], values, builder_id]), "compiled": wanted["compiled"]} if wanted else {}


def is_worth_it(wanted: Mapping[str, Any], last: Mapping[str, Any], builds: int) -> bool:
    """Say whether to go on from the last build. Once one did, its ordinary layers are no longer those of the source: it is gone on from the next time too.

    last: what was kept of it; builds: how many stand on one another in its stage.
    """
    return builds > 1 or wanted["packages"] >= MIN_PACKAGES or wanted["compiled"] != last["compiled"]


def builds(steps: Iterable[str]) -> int:
    """Return how many builds stand on one another in a builder stage, from its instructions."""
    return sum(1 for step in steps if _COPIED.search(step))


def added_bytes(history: Sequence[Mapping[str, Any]]) -> int:
    """Return how much the builds after the first have added to a builder stage, in bytes; history: its steps as the Engine tells them, the last one first."""
    steps = [(step.get("CreatedBy") or "").replace('"', "") for step in history]
    later = max((number for number, step in enumerate(steps) if (found := _COPIED.search(step)) and found[1]), default=-1)
    return sum(step.get("Size") or 0 for step in history[: later + 1])


def in_order(steps: Sequence[str], links: Sequence[str]) -> bool:
    """Say whether the steps above a builder stage's label are those of builds that stand on one another, the last of which may have been broken off.

    steps: the last one first; links: those of them that link the service.
    """
    copies = linked = 0
    for step in reversed(steps):
        found = _COPIED.search(step)
        if found:
            copies += 1
            if int(found[1] or 1) != copies or linked != copies - 1:
                return False
        elif step in links:
            linked += 1
            if linked != copies:
                return False
    if not copies:
        return False
    return bool(_COPIED.search(steps[0])) or steps[0] in links or (linked == copies and bool(_BEGUN.fullmatch(steps[0])))


def dockerfile(ordinary: str, stage: str, number: int) -> str:
    """Return the Dockerfile of a build that goes on from the last one.

    ordinary: that of the service; stage: id of the builder stage to go on from; number: of the build among those that stand on one another, from 2 on.
    """
    head, _copied, tail = ordinary.partition(_SOURCE)
    arguments = re.findall(r"^ARG .*\n", head, re.M)
    directory = re.findall(r"^WORKDIR /src(.*)$", head, re.M)[-1]
    return (
        "# Goes on from the builder stage of the last build, where what it compiled lies. The image has its digest by the ordinary Dockerfile.\n"
        f"FROM {stage} AS build\n{''.join(arguments)}WORKDIR /src{number}{directory}\n\nCOPY . /src{number}/\n{tail}"
    )
