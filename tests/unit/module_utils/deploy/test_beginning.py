"""How a run begins on a service: the lock is held while it works, stays if it is to stay, and is given back after any error."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import stages
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import UNTOUCHED, Failure, Progress
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.deploy import ownership
from ansible_collections.proven.go_service.plugins.module_utils.deploy.beginning import begun
from ansible_collections.proven.go_service.plugins.module_utils.deploy.lock import Lock, Locked
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine

pytestmark = pytest.mark.engine
NAME = "utest-begun"
IDENTITY = {"token": "t1", "owner": "alice@laptop, process 1", "controller": "laptop|1|2", "host": "web1"}


@pytest.fixture
def own(settings: Callable[..., Settings], tmp_path: Path) -> Settings:
    """Return the settings of a service of which nothing is on this machine."""
    return settings(name=NAME, work_dir=str(tmp_path))


def holder(engine: Engine, directory: Path) -> str:
    """Return the token of the run that holds the service's lock, "" for none."""
    found = Lock(engine, NAME, directory).holder()
    return found.token if found else ""


@pytest.mark.parametrize("stays", [True, False])
def test_the_lock_is_held_while_it_works_and_stays_only_if_it_is_to(engine: Engine, own: Settings, tmp_path: Path, stays: bool) -> None:
    directory, progress = tmp_path / NAME, Progress(stages.LOOK, UNTOUCHED)
    with begun(engine, own, directory, IDENTITY, progress) as state:
        assert (holder(engine, directory), state.done, progress.stage, progress.still_runs) == ("t1", [], stages.STAGE, UNTOUCHED)
        assert ownership.examine(directory, NAME).service == NAME
        state.held = stays
    assert holder(engine, directory) == ("t1" if stays else "")
    Lock(engine, NAME, directory).release("t1") if stays else None


def test_an_error_gives_the_lock_back_although_it_was_to_stay(engine: Engine, own: Settings, tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="of the work"),
        begun(engine, own, tmp_path / NAME, IDENTITY, Progress(stages.LOOK, UNTOUCHED)) as state,
    ):
        state.held = True
        raise ValueError("of the work")
    assert holder(engine, tmp_path / NAME) == ""


def test_another_runs_lock_is_left_to_it(engine: Engine, own: Settings, tmp_path: Path) -> None:
    directory = tmp_path / NAME
    Lock(engine, NAME, directory).take(**{**IDENTITY, "token": "t0"})
    with pytest.raises(Locked), begun(engine, own, directory, IDENTITY, Progress(stages.LOOK, UNTOUCHED)):
        pytest.fail("it began")
    assert holder(engine, directory) == "t0" and not directory.exists()
    Lock(engine, NAME, directory).release("t0")


def test_an_ended_runs_lock_is_taken_over_and_told(engine: Engine, own: Settings, tmp_path: Path) -> None:
    directory, progress = tmp_path / NAME, Progress(stages.LOOK, UNTOUCHED)
    Lock(engine, NAME, directory).take(**{**IDENTITY, "token": "t0"})
    with begun(engine, own, directory, {**IDENTITY, "dead": ["t0"]}, progress) as state:
        assert len(state.done) == 1 and state.done[0].startswith("Took over the lock of an ended run (")
        assert progress.still_runs == f"{state.done[0]} Nothing else that ran before was touched."
    assert holder(engine, directory) == ""


def test_a_directory_of_somebody_else_is_refused(engine: Engine, own: Settings, tmp_path: Path) -> None:
    (tmp_path / NAME / "context").mkdir(parents=True)
    (tmp_path / NAME / "context/notes").write_text(f"mine, {time.time()}")
    with (
        pytest.raises(Failure, match="this role did not make it"),
        begun(engine, own, tmp_path / NAME, IDENTITY, Progress(stages.LOOK, UNTOUCHED)),
    ):
        pytest.fail("it began")
    assert holder(engine, tmp_path / NAME) == "" and (tmp_path / NAME / "context/notes").exists()
