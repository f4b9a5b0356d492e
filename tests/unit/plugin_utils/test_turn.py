"""Whether a controller is gone, and how an action waits for its turn."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure


@pytest.fixture(scope="module")
def prepare(plugin: Callable[[str], ModuleType]) -> ModuleType:
    """Return what tells whether a controller is gone."""
    return plugin("plugin_utils.turn")


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen]:
    """Return a process that lives until it is killed."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_killed_controller_is_gone(prepare: ModuleType, sleeper: subprocess.Popen) -> None:
    controller = f"{prepare.machine()}|{sleeper.pid}|{prepare.process_start(sleeper.pid)}"
    assert not prepare.is_dead(controller)
    sleeper.send_signal(signal.SIGKILL)
    sleeper.wait()
    assert prepare.is_dead(controller)


def test_a_killed_controller_whose_end_nobody_asks_for_is_gone(prepare: ModuleType, sleeper: subprocess.Popen) -> None:
    """As in a container whose first process is no init: it stays in the list of processes."""
    controller = f"{prepare.machine()}|{sleeper.pid}|{prepare.process_start(sleeper.pid)}"
    sleeper.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert os.path.exists(f"/proc/{sleeper.pid}/stat")
    assert prepare.is_dead(controller)


def test_a_worker_whose_controller_was_killed_takes_nothing_in_the_name_of_another_process(prepare: ModuleType) -> None:
    """Ansible's workers outlive it. What they are children of then, mostly the first process of a machine, lives for ever."""
    told, tell = multiprocessing.Pipe()

    def work() -> None:
        tell.send(prepare.identity("here")["controller"])
        deadline = time.monotonic() + 10
        while os.getppid() == multiprocessing.parent_process().pid and time.monotonic() < deadline:
            time.sleep(0.01)
        for begin in (lambda: prepare.identity("here"), lambda: prepare.wait_for(lambda _lock: {}, {}, "web", 1, print)):
            try:
                begin()
                tell.send("it went on")
            except Failure as failure:
                tell.send(failure.message)

    def control() -> None:
        os.setsid()
        multiprocessing.get_context("fork").Process(target=work).start()
        time.sleep(60)

    controlling = multiprocessing.get_context("fork").Process(target=control)
    controlling.start()
    assert told.recv() == f"{prepare.machine()}|{controlling.pid}|{prepare.process_start(controlling.pid)}"
    controlling.kill()
    controlling.join()
    assert [told.recv(), told.recv()] == ["the run that this task belongs to has ended"] * 2


def test_a_controller_is_told_from_a_later_process_of_the_same_number(prepare: ModuleType, sleeper: subprocess.Popen) -> None:
    start = prepare.process_start(sleeper.pid)
    assert start.isdigit()
    assert prepare.is_dead(f"{prepare.machine()}|{sleeper.pid}|{int(start) - 1}")


@pytest.mark.parametrize("controller", ["", "elsewhere|1|2", "elsewhere/0/boot|999999999|2", "a|b", "a|b|c|d"])
def test_a_controller_elsewhere_is_not_judged(prepare: ModuleType, controller: str) -> None:
    assert not prepare.is_dead(controller)


def test_a_garbled_controller_of_this_machine_is_not_judged(prepare: ModuleType) -> None:
    assert not prepare.is_dead(f"{prepare.machine()}|x|1")


def test_a_controller_names_the_process_above_the_worker(prepare: ModuleType) -> None:
    machine, pid, start = prepare.controller_identity().split("|")
    assert (machine, pid, start) == (prepare.machine(), str(os.getppid()), prepare.process_start(os.getppid()))


def held_by(prepare: ModuleType, **fields: object) -> dict[str, object]:
    """Return what a module tells of a lock that is held."""
    return {
        "locked": {
            "token": "t1",
            "owner": "alice",
            "controller": "elsewhere|1|2",
            "host": "web",
            "since": "for 3 s",
            "by_hand": "x",
            **fields,
        }
    }


def test_one_machine_under_two_names_of_an_inventory_is_refused_at_once(prepare: ModuleType) -> None:
    me = prepare.identity("b")
    began = time.monotonic()
    with pytest.raises(Failure, match=r"^a and b of the inventory are one machine") as caught:
        prepare.wait_for(lambda lock: held_by(prepare, controller=me["controller"], host="a"), me, "api", 60, pytest.fail)
    assert time.monotonic() - began < 1
    assert caught.value.stage == "lock"


def test_locks_of_ended_runs_and_of_an_earlier_part_of_this_run_are_taken_over(prepare: ModuleType) -> None:
    me = prepare.identity("a")
    gone = f"{prepare.machine()}|999999999|2"
    left = [held_by(prepare, token="t1", controller=gone), held_by(prepare, token="t2", controller=me["controller"], host="a")]
    seen = []

    def work(lock: dict[str, object]) -> dict[str, object]:
        seen.append(list(lock.get("dead", [])))
        return left.pop(0) if left else {"changed": True}

    assert prepare.wait_for(work, me, "api", 60, pytest.fail) == {"changed": True}
    assert seen == [[], ["t1"], ["t1", "t2"]]


def test_a_run_that_does_not_end_is_waited_for_and_then_named(prepare: ModuleType) -> None:
    told: list[str] = []
    with pytest.raises(Failure, match=r"alice, for 3 s; this run waited for 0\.1 s \(go_service_lock_timeout\)") as caught:
        prepare.wait_for(lambda lock: held_by(prepare), prepare.identity("a"), "api", 0.1, told.append)
    assert told == ["Waiting for another run on this host: alice, for 3 s already."]
    assert "free the lock on the host: x" in caught.value.remedy
