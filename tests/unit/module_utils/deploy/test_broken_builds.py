"""Which containers are known to be left by a build that was broken off."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.names import APPLYING
from ansible_collections.proven.go_service.plugins.module_utils.deploy import broken_builds
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from small_plays import RUNTIME

DOCKERFILE = """FROM golang AS build
RUN go build net/http \\
 || true; \\
    touch -t 203701010000 x
"""
STEP = "go build net/http  || true;     touch -t 203701010000 x"


def step(kind: str = "builder", name: str = "api", state: str = "exited", run: str = STEP, **more: Any) -> dict[str, Any]:
    """Return the inspected container of a step of a build."""
    config = {"Labels": {"go-service.kind": kind, "go-service.name": name}, "Cmd": ["/bin/sh", "-c", run], "Image": "sha256:1"}
    return {"Name": "/dreamy_wright", "Config": {**config, **more}, "State": {"Status": state}}


@pytest.mark.parametrize(
    ("container", "ended"),
    [
        (step(), True),
        (step(state="created", run="#(nop) COPY dir:1 in /src/ "), True),
        pytest.param(step(run=f"{APPLYING}{STEP}"), True, id="of a build that goes on from the last one"),
        pytest.param(step(run=f"{APPLYING}go test ./..."), False, id="run by hand after it"),
        (step(state="running"), False),
        (step(name="other"), False),
        (step(kind="image"), False),
        (step(Labels=None), False),
        pytest.param(step(run="go test ./..."), False, id="run by hand from a builder stage"),
        pytest.param(step(Cmd=["sh"]), False, id="a shell in a builder stage"),
        pytest.param(step(Cmd=None), False, id="without a command"),
        pytest.param(step(Image="4bf669a3cf09"), False, id="run by hand by a short id"),
        pytest.param({**step(), "Name": "/my-own"}, False, id="named by somebody"),
    ],
)
def test_only_ended_steps_of_the_services_own_build_go(container: dict[str, Any], ended: bool) -> None:
    assert broken_builds.is_ended_step(container, "api", DOCKERFILE) is ended


def test_what_a_build_has_left_is_found_and_what_somebody_ran_from_its_stage_is_not(
    clean: Engine, client: Callable[..., str], tmp_path: Path
) -> None:
    dockerfile = f"FROM {RUNTIME}\nLABEL go-service.kind=builder go-service.name=utest-web\nRUN exit 3\n"
    with pytest.raises(subprocess.CalledProcessError):
        client("build", "-", stdin=dockerfile)
    (left,) = clean.containers(name="utest-web", kind="builder")
    client("run", "--name", "utest-shell", left["Image"], "true")
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Dockerfile").write_text(dockerfile)
    (step,) = broken_builds.ended_steps(clean, "utest-web", tmp_path)
    assert step == left["Id"]
    clean.remove(step)
    client("rm", "utest-shell")
