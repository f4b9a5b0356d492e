"""What is told of an Engine that cannot serve the role, before anything is changed."""

from __future__ import annotations

import pytest
from provision_tools import changed, run


@pytest.fixture(autouse=True)
def podman(machine_name: str) -> None:
    """Leave out the machines that have Docker."""
    if machine_name != "podman":
        pytest.skip("it has Docker")


def test_what_it_is(docker, cell) -> None:
    cell["column"] = "Engine"
    (engine,) = (part for part in docker.json("version --format '{{json .Server}}'")["Components"] if "Podman" in part["Name"])
    cell["text"] = f"Podman {engine['Version']}"


def test_it_is_told_before_anything_starts(machine_name: str, docker, cell) -> None:
    cell.update(column="main job", text="refused, nothing changed")
    before = docker("images --all --quiet") + docker("ps --all --quiet")
    told = run("build", machine_name, succeeds=False)
    assert (
        "Podman 5." in told
        and "answers in the place of a Docker Engine" in told
        and "Name the socket of a Docker Engine (DOCKER_HOST" in told
    )
    assert changed(told) == 0
    assert docker("images --all --quiet") + docker("ps --all --quiet") == before
