"""Whether a bundle does for a machine."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.plugin_utils.bundle import fitness

CONTENTS = {
    "machine": "x86_64",
    "releases": ["bookworm", "trixie"],
    "base_images": ["golang:1", "alpine:3"],
    "services": {"b": {}, "a": {}},
}
TARGET = {
    "machine": "x86_64",
    "release": "trixie",
    "name": "Debian 13",
    "status": "absent",
    "images": [["golang:1"], ["alpine:4", "alpine:3"]],
}

UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "another architecture": ({"machine": "aarch64"}, "it is for x86_64, but the machine is aarch64"),
    "another release": (
        {"release": "noble", "name": "Ubuntu 24.04"},
        "it has packages for bookworm, trixie, but the machine, which lacks an Engine",
    ),
    "no release": ({"release": "", "status": "no_library"}, "it has packages for bookworm, trixie"),
    "another base image": (
        {"images": [["golang:2", "stand-in:2"]]},
        "it does not have the base image golang:2 or stand-in:2, only golang:1, alpine:3",
    ),
}


def test_one_that_does() -> None:
    assert fitness.problems(CONTENTS, TARGET) == []
    # No package is needed where an Engine serves, or is only to be started.
    assert fitness.problems(CONTENTS, {**TARGET, "release": "noble", "status": "ready"}) == []
    assert fitness.problems(CONTENTS, {**TARGET, "release": "noble", "status": "silent"}) == []


@pytest.mark.parametrize("why", UNFIT)
def test_one_that_does_not(why: str) -> None:
    changes, said = UNFIT[why]
    (problem,) = fitness.problems(CONTENTS, {**TARGET, **changes})
    assert problem.startswith(said)


def test_all_that_is_wrong_is_said_at_once() -> None:
    assert len(fitness.problems(CONTENTS, {**TARGET, "machine": "riscv64", "release": "sid", "images": [["x"], ["y"]]})) == 4


def test_where_the_packages_are() -> None:
    assert fitness.packages_for(CONTENTS, "trixie") == "packages/trixie.tar"
    assert fitness.packages_for(CONTENTS, "sid") == ""
