"""One look at a machine tells which of its services are as they should be: these are done with, and the others are seen to as ever."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from plays import changed
from small_plays import QUICK, play, service_image

SECRET = "s3cret-of-one"
NAMES = ["utest-first", "utest-second", "utest-third"]
SERVICES: list[dict[str, Any]] = [{"name": NAMES[0]}, {"name": NAMES[1], "env": {"OWN": SECRET}}, {"name": NAMES[2]}]
PREPARED = "Look at the service and stage what changed in its source"
Runs = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of the plays."""
    return tmp_path_factory.mktemp("look")


@pytest.fixture(scope="module")
def runs(engine: Engine, client: Callable[..., str], web: str, top: Path) -> Iterator[Runs]:
    """Return what sees to a machine with a list of services, or with one; take all of them away in the end."""
    assert engine
    for name in NAMES:
        service_image(client, name, web)

    def do(*options: str, services: Any = SERVICES, **variables: Any) -> subprocess.CompletedProcess[str]:
        task = {
            "ansible.builtin.import_role": {"name": "proven.go_service.go_service", "tasks_from": "machine", "rolespec_validate": False}
        }
        # Of the base images none is wanted: the services have images already.
        wanted = {
            "base_images_builder": web,
            "base_images_runtime": web,
            "go_services": services,
            "go_service_report_dir": str(top / "reports"),
        }
        return play(top, [task], {"here": {}}, {**QUICK, **wanted, **variables}, options=options)

    yield do
    client("rm", "-fv", *NAMES)
    client("rmi", "-f", *(f"{name}:{tag}" for name in NAMES for tag in ("1", "latest")))


def container(name: str) -> dict[str, Any]:
    """Return the service's container."""
    return json.loads(subprocess.check_output(["docker", "inspect", name], text=True))[0]


def test_services_that_are_as_they_should_be_are_done_with_and_the_others_seen_to(runs: Runs, top: Path) -> None:
    first = runs("-vvv")
    assert first.returncode == 0, first.stdout
    assert first.stdout.count(f"TASK [proven.go_service.go_service : {PREPARED}]") == 3
    assert SECRET not in first.stdout + first.stderr
    before = {name: container(name)["Id"] for name in NAMES}

    again = runs("-vvv")
    assert (again.returncode, changed(again.stdout)) == (0, 0)
    assert PREPARED not in again.stdout
    assert again.stdout.count("unchanged") >= 3
    assert SECRET not in again.stdout + again.stderr
    assert {name: container(name)["Id"] for name in NAMES} == before

    # The second one is stopped by hand, the third one is asked for something wrong.
    subprocess.run(["docker", "stop", "-t0", NAMES[1]], check=True, capture_output=True)
    wrong = [*SERVICES[:2], {**SERVICES[2], "port": 0}]
    done = runs("-v", services=wrong)
    assert done.returncode == 2
    assert "go_service_port is 0" in done.stdout and "1 of 3 services failed: utest-third." in done.stdout
    assert done.stdout.count(f"TASK [proven.go_service.go_service : {PREPARED}]") == 1
    rows = re.findall(r"^ +(utest-\w+) +(unchanged|replaced|created|failed) ", done.stdout, re.M)
    assert rows == list(zip(NAMES, ("unchanged", "replaced", "failed")))
    assert container(NAMES[1])["State"]["Running"] and container(NAMES[0])["Id"] == before[NAMES[0]]

    report = top / f"reports/here/{NAMES[0]}.json"
    told = json.loads(report.read_text())
    report.unlink()
    assert runs().returncode == 0
    written = json.loads(report.read_text())
    assert (written["verdict"], written["image"]) == (told["verdict"], told["image"])
    assert [stage["stage"] for stage in written["timeline"]] == ["look and stage"]


def test_one_service_that_is_as_it_should_be_is_summed_up(runs: Runs) -> None:
    name = {"go_service_name": NAMES[0]}
    assert runs(services=[], **name).returncode == 0
    before = container(NAMES[0])["Id"]
    again = runs("-v", services=[], **name)
    assert (again.returncode, changed(again.stdout)) == (0, 0)
    assert f"{NAMES[0]} is healthy; nothing had to change." in again.stdout
    assert PREPARED not in again.stdout
    assert container(NAMES[0])["Id"] == before

    checked = runs("-v", "--check", services=[], **name, go_service_env={"A": "1"})
    assert (checked.returncode, container(NAMES[0])["Id"]) == (0, before)
    assert changed(checked.stdout) > 0
