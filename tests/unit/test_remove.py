"""What a removal takes away of a build that was broken off."""

from __future__ import annotations

import pytest
from ansible_collections.proven.go_service.plugins.modules import remove as module


@pytest.mark.parametrize(
    ("kind", "name", "state", "ended"),
    [
        ("builder", "api", "exited", True),
        ("builder", "api", "created", True),
        ("builder", "api", "running", False),
        ("builder", "other", "exited", False),
        ("image", "api", "exited", False),
    ],
)
def test_only_ended_steps_of_the_services_own_build_go(kind: str, name: str, state: str, ended: bool) -> None:
    container = {"Labels": {"go-service.kind": kind, "go-service.name": name}, "State": state}
    assert module.is_ended_build_step(container, "api") is ended


def test_a_container_without_labels_stays() -> None:
    assert not module.is_ended_build_step({"Labels": None, "State": "exited"}, "api")
