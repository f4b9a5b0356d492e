"""What a removal takes away of a build that was broken off."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.image.changes import APPLYING
from ansible_collections.proven.go_service.plugins.modules import remove as module

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
    assert module.is_ended_build_step(container, "api", DOCKERFILE) is ended
