"""What runs of a service is told as it is, also where there is no Engine yet."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.modules.running import NOTHING, state

PROVEN = {"id": "c1", "restarts": 0}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"Status": "running", "Health": {"Status": "healthy"}}, "healthy"),
        ({"Status": "running", "Health": {"Status": "starting"}}, "healthy"),
        ({"Status": "running", "Health": {"Status": "unhealthy"}}, "unhealthy"),
        ({"Status": "running"}, "running"),
        ({"Status": "exited", "Health": {"Status": "healthy"}}, "exited"),
    ],
)
def test_a_container_that_was_proven_is_healthy_before_the_engine_says_so(record: dict[str, Any], expected: str) -> None:
    assert state({"Id": "c1", "State": record}, PROVEN) == expected


def test_one_that_was_not_proven_is_starting() -> None:
    assert state({"Id": "c2", "State": {"Status": "running", "Health": {"Status": "starting"}}}, PROVEN) == "starting"


def test_a_host_without_an_engine_has_an_architecture(
    module: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere.sock")
    found = module("running", tmp_path, names=["web"])
    assert found["engine"] == "" and found["services"][0]["state"] == NOTHING
    assert found["architecture"] == {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
