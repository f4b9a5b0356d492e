"""What a run keeps for all of its hosts is brought once, and goes with the run, or with the next one."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

from ansible_collections.proven.go_service.plugins.plugin_utils import turn
from ansible_collections.proven.go_service.plugins.plugin_utils.depot import Depot, archive_of


def _ask(place: str, counted: str) -> None:
    def make(path: Path) -> dict[str, Any]:
        with open(counted, "a") as file:
            file.write("x")
        path.write_text("the archive")
        return {"made": os.getpid()}

    assert Depot(place).once("archive", "web", make)["made"]
    assert Depot(place).file("archive", "web").read_text() == "the archive"


def test_of_many_workers_one_brings_it(tmp_path: Path) -> None:
    place, counted = tmp_path / "ansible-local-1", tmp_path / "counted"
    place.mkdir()
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_ask, args=(str(place), str(counted))) for _number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 6
    assert counted.read_text() == "x"


def test_what_failed_is_tried_again_by_the_next(tmp_path: Path) -> None:
    def fail(_path: Path) -> dict[str, Any]:
        raise OSError("no space")

    for _number in range(2):
        try:
            Depot(str(tmp_path)).once("offer", "web", fail)
        except OSError as error:
            assert str(error) == "no space"
    assert Depot(str(tmp_path)).once("offer", "web", lambda _path: {"id": 1}) == {"id": 1}


def test_killed_runs_are_cleared_away_and_living_ones_are_not(tmp_path: Path) -> None:
    runs = {
        "dead": f"{turn.machine()}|4194304|1",
        "living": f"{turn.machine()}|{os.getpid()}|{turn.process_start(os.getpid())}",
        "elsewhere": "other/0/|1|1",
    }
    for name, owner in runs.items():
        folder = tmp_path / name / "go-service-fleet"
        folder.mkdir(parents=True)
        (folder / "owner").write_text(owner)
        (folder / "web.archive.file").write_text("x")
    (tmp_path / "own").mkdir()
    Depot(str(tmp_path / "own")).once("offer", "web", lambda _path: {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "living", "own"]


def test_hosts_of_different_architectures_get_different_archives() -> None:
    assert archive_of({"architecture": "arm64"}) != archive_of({"architecture": "amd64"})
