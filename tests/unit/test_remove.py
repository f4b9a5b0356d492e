"""What a removal takes away of a build that was broken off."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).resolve().parents[2] / "roles/go_service/library/go_service_remove.py"
SPEC = importlib.util.spec_from_file_location("go_service_remove", FILE)
assert SPEC and SPEC.loader
module = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(module)


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
