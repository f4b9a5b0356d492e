"""A build with the classic builder that goes on from the build stage of the last build, and the Dockerfile for it.

That stage contains the source of the last build and what Go compiled for it, addressed by content. So only what changed is sent, only what changed and
what depends on it is compiled, and the binary is the same, byte for byte (https://pkg.go.dev/cmd/go#hdr-Build_and_test_caching). Before Go compiles anything,
the build compares the whole source in the stage with the checksums of what is to be built (`changes`). The number of added layers is limited; beyond the
limit, a build starts from the builder image again. The content digest is computed only from the ordinary Dockerfile.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from ..common.names import APPLYING
from ..common.settings import Settings
from .changes import FOR_STAGE, SOURCE
from .module_access import way

# How many builds may follow one another in a stage, and how many bytes those after the first may add on the disk.
MAX_BUILDS = 12
MAX_BYTES = 512_000_000
# A service with fewer own packages and fewer files gains nothing: they are compiled and sent in less time than the comparison takes.
MIN_PACKAGES, MIN_FILES = 10, 200

_SOURCE, _COMPILE = f"\nCOPY . /{SOURCE}/\n", "RUN go build "


def basis(project: Mapping[str, Any], facts: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the data that decide whether a build may go on from the last one, {} for a service for which that is never allowed.

    project: the Go facts; facts: the variables of the Dockerfile template that follow from them. `standing`: what both builds must have in common;
    `compiled`: the packages of other modules that have separate layers, and `packages`: the number of the service's own packages, which tell whether it
    is worth it.

    It is not allowed if tests run in the build, since they are code of the service and could leave anything there; nor if files of the source are copied
    out of the stage, if modules need credentials, if the image is for another platform, or if GOFLAGS is given, with which Go may write to go.mod (-mod=mod).
    """
    flagged = "GOFLAGS" in {*settings.build_args, *settings.build_env}
    if flagged or settings.platform or settings.run_tests or facts["file_modes"] or way(settings, project) or project["profiled"]:
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


def standing_on(wanted: Mapping[str, Any], values: str, builder_id: str, manifest: str) -> dict[str, str]:
    """Return what is kept of a build for the next one, {} where that may not go on from it.

    wanted: as `basis` returns it; values: fingerprint of the values of the build's arguments and variables; builder_id: of the builder image;
    manifest: digest of the manifest of the source.
    """
    if not wanted:
        return {}
    return {"standing": _digest([wanted["standing"], values, builder_id]), "compiled": wanted["compiled"], "manifest": manifest}


def is_worth_it(wanted: Mapping[str, Any], last: Mapping[str, Any], builds: int, files: int) -> bool:
    """Say whether to go on from the last build. If the last build itself went on from another one, the ordinary layers no longer fit the source, so the next
    build goes on as well.

    last: what was kept of it; builds: how many builds follow one another in its stage; files: how many the source has.
    """
    return builds > 1 or wanted["packages"] >= MIN_PACKAGES or files >= MIN_FILES or wanted["compiled"] != last["compiled"]


def dockerfile(ordinary: str, stage: str) -> str:
    """Return the Dockerfile of a build that goes on from the last one, for a context that `changes.write` has written.

    ordinary: that of the service; stage: id of the build stage to go on from, which has its variables and its working directory.
    """
    head, _copied, tail = ordinary.partition(_SOURCE)
    arguments = re.findall(r"^ARG .*\n", head, re.M)
    return (
        "# Goes on from the builder stage of the last build, where its source and what it compiled lie. The image has its digest by the ordinary Dockerfile.\n"
        f"FROM {stage} AS build\n{''.join(arguments)}\nCOPY {FOR_STAGE}/ /\n"
        f"{tail.replace(_COMPILE, f'RUN {APPLYING}{_COMPILE[4:]}', 1)}"
    )
