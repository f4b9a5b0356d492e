"""Several services of one host in one play: each has its own values, one that fails keeps no other from running, and the run fails at its end."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from plays import changed
from plays import play as project_play
from small_plays import QUICK, play, service_image

SECRET = "s3cret-of-the-last"
NAMES = ["utest-one", "utest-wrong", "utest-ends", "utest-last"]
SERVICES: list[dict[str, Any]] = [
    {"name": NAMES[0]},
    {"name": NAMES[1], "port": 0},
    {"name": NAMES[2], "args": ["exit 3"]},
    {"name": NAMES[3], "env": {"OWN": SECRET}},
]
Runs = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def runs(engine: Engine, client: Callable[..., str], web: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Return what does something for a list of services; take all of them away in the end."""
    assert engine
    top = tmp_path_factory.mktemp("several")
    for name in NAMES:
        service_image(client, name, web)

    def do(services: Any, entry_point: str = "main", *options: str) -> subprocess.CompletedProcess[str]:
        role = {"name": "proven.go_service.go_service", "tasks_from": "services", "rolespec_validate": False}
        task = {"ansible.builtin.import_role": role, "vars": {"go_services_entry_point": entry_point}}
        return play(top, [task], {"here": {}}, {**QUICK, "go_service_env": {"SHARED": "1"}, "go_services": services}, options=options)

    yield do
    client("rm", "-fv", NAMES[0], NAMES[3])
    client("rmi", "-f", *(f"{name}:{tag}" for name in NAMES for tag in ("1", "latest")))


def container(name: str) -> dict[str, Any]:
    """Return the service's container."""
    return json.loads(subprocess.check_output(["docker", "inspect", name], text=True))[0]


def exists(name: str) -> bool:
    """Say whether the Engine has the service's container."""
    return subprocess.run(["docker", "inspect", "--type", "container", name], capture_output=True, check=False).returncode == 0


def test_one_that_fails_keeps_no_other_from_running_and_the_run_fails(runs: Runs) -> None:
    done = runs(SERVICES, "main", "-vvv")
    assert done.returncode == 2
    first, last = container(NAMES[0]), container(NAMES[3])
    assert first["State"]["Running"] and last["State"]["Running"]
    assert "SHARED=1" in first["Config"]["Env"]
    # A value takes the place of the shared one as a whole.
    assert f"OWN={SECRET}" in last["Config"]["Env"] and "SHARED=1" not in last["Config"]["Env"]
    assert "2 of 4 services failed: utest-wrong, utest-ends." in done.stdout
    assert "go_service_port is 0" in done.stdout
    assert "the candidate of utest-ends:1 failed: it exited with code 3" in done.stdout
    rows = re.findall(r"^ *(utest-\w+) +(created|failed) +\S+ +(.*?)$", done.stdout, re.M)
    assert [(name, did, told.strip()) for name, did, told in rows if did == "failed"] == [
        (NAMES[1], "failed", "the role go_service cannot work with this input"),
        (NAMES[2], "failed", "the candidate of utest-ends:1 failed: it exited with code 3"),
    ]
    assert SECRET not in done.stdout + done.stderr

    good = [SERVICES[0], SERVICES[3]]
    again = runs(good)
    assert (again.returncode, changed(again.stdout)) == (0, 0)
    assert [container(name)["Id"] for name in (NAMES[0], NAMES[3])] == [first["Id"], last["Id"]]

    removed = runs(good, "remove")
    assert removed.returncode == 0 and changed(removed.stdout) > 0
    assert not any(map(exists, (NAMES[0], NAMES[3])))


def test_a_wrong_list_is_told_before_anything_is_done(runs: Runs) -> None:
    done = runs([{"name": NAMES[0], "env": {"A": SECRET}, "sorce": "x"}, {"name": NAMES[0]}])
    assert done.returncode == 2
    assert "has sorce" in done.stdout and "has the same name 'utest-one' as service 1" in done.stdout
    assert SECRET not in done.stdout + done.stderr
    assert not exists(NAMES[0])


def test_each_playbook_of_the_project_works_for_a_list_also_one_that_is_called_like_an_entry_point(
    runs: Runs, client: Callable[..., str], tmp_path: Path
) -> None:
    """A playbook lies in another directory than the role's tasks of the same name, and must not be taken for them."""
    good = [SERVICES[0], SERVICES[3]]
    assert runs(good).returncode == 0
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    where = {"go_service_work_dir": str(tmp_path / "work"), "go_service_report_dir": str(tmp_path / "reports")}
    variables = {**QUICK, **local, **where, "go_services": good}
    told = project_play("rollback", {**variables, "go_service_image_tag": ""}, "-i", "localhost,", succeeds=False)
    assert told.count("was in service before the one that runs") >= 2, told
    assert all(container(service["name"])["State"]["Running"] for service in good)
    # The name that the role did not give would stay, with a warning.
    client("rmi", *(f"{service['name']}:1" for service in good))
    told = project_play("remove", variables, "-i", "localhost,")
    assert changed(told) > 0 and not any(exists(service["name"]) for service in good)
