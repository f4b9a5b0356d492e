"""One life of a service, step by step, on each Engine. What a step took is in the README's table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from provision_tools import SCRATCH, changed, run

NAME = "cat-server"
CONTAINER = "inspect --type container " + NAME
# Nothing of a service may be left after its removal.
OWN = f"--filter label=go-service.name={NAME}"


@pytest.fixture(autouse=True)
def serves(machine_name: str) -> None:
    """Leave out the machine whose Engine does not serve the role."""
    if machine_name == "podman":
        pytest.skip("told by test_podman.py")


@pytest.fixture
def source(machine_name: str) -> Path:
    """The program of the service, as this machine's runs build it."""
    return SCRATCH / "sources" / machine_name / "main.go"


def report(machine_name: str) -> dict[str, Any]:
    """Return the last report of the service."""
    (path,) = SCRATCH.rglob(f"reports/{machine_name}/{NAME}.json")
    return json.loads(path.read_text(encoding="utf-8"))


def life(docker) -> tuple[str, str, str]:
    """Return the service's container, since when it runs, and of which image."""
    found = docker.json(CONTAINER)[0]
    return found["Id"], found["State"]["StartedAt"], found["Image"]


def test_1_what_it_is(docker, cell) -> None:
    """The machine has the Engine that the table says."""
    cell["column"] = "Engine"
    version, info = docker.json("version --format '{{json .Server}}'"), docker.json("info --format '{{json .}}'")
    secured = {part.removeprefix("name=").split(",")[0] for part in info["SecurityOptions"]}
    kind = [name for name in ("userns", "rootless") if name in secured]
    cell["text"] = ", ".join([f"Docker {version['Version'].split('+')[0]}", f"API {version['ApiVersion']}", info["Driver"], *kind])


def test_2_the_main_job(docker, machine_name: str, health, cell) -> None:
    """The contract is kept, on the report's own word, and the service answers."""
    cell["column"] = "main job"
    verdicts = [check["verdict"] for check in report(machine_name)["checks"]]
    cell["text"] = f"{verdicts.count('pass')} checks passed, {verdicts.count('skip')} skipped"
    # The machines share their processors: a first build may take longer than its budget, which warns.
    assert set(verdicts) <= {"pass", "skip", "warn"} and verdicts.count("pass") > 40
    assert health()
    assert docker.json(CONTAINER)[0]["State"]["Health"]["Status"] in ("healthy", "starting")


def test_3_a_second_run(machine_name: str, docker, cell) -> None:
    """It changes nothing, and the container goes on."""
    cell["column"] = "second run"
    before = life(docker)
    assert changed(run("build", machine_name)) == 0
    assert life(docker) == before


def test_4_an_edit(machine_name: str, docker, health, source: Path, cell) -> None:
    """It is built on the last build's stage, proven and put in the place of what ran before, whose image stays for the way back."""
    cell["column"] = "edit"
    before = life(docker)
    with source.open("a", encoding="utf-8") as program:
        program.write('\nvar edited = "edited"\n\nfunc init() { version += edited }\n')
    assert changed(run("build", machine_name)) > 0
    after = life(docker)
    assert after[0] != before[0] and after[2] != before[2]
    assert "edited" in health()
    assert docker.json(f"inspect --type image {before[2]}")
    assert "FROM sha256:" in json.dumps(report(machine_name))


def test_5_a_broken_edit(machine_name: str, docker, health, source: Path, cell) -> None:
    """It costs nothing: the compiler's line is told, and the very container runs on."""
    cell["column"] = "broken edit"
    before, sound = life(docker), source.read_text(encoding="utf-8")
    source.write_text(f"{sound}\nfunc broken( {{\n", encoding="utf-8")
    told = run("build", machine_name, succeeds=False)
    source.write_text(sound, encoding="utf-8")
    assert "main.go:" in told and "syntax error" in told
    assert life(docker) == before and health()


def test_6_a_way_back(machine_name: str, docker, health, cell) -> None:
    """The image before the edit serves again, without a build."""
    cell["column"] = "way back"
    before = life(docker)
    run("rollback", machine_name)
    assert life(docker)[2] != before[2]
    assert "edited" not in health()


def test_7_a_removal(machine_name: str, docker, cell) -> None:
    """Nothing of the service is left."""
    cell["column"] = "removal"
    run("remove", machine_name)
    for left in (f"ps --all --quiet {OWN}", f"images --all --quiet {OWN}", f"volume ls --quiet {OWN}"):
        assert docker(left) == "", left
