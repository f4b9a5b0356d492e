"""The lock of a service, with real processes: who holds it, when it is stale, who may give it back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import settings
from ansible_collections.proven.go_service.plugins.module_utils.deploy import lock as locks
from ansible_collections.proven.go_service.plugins.module_utils.deploy.lock import Lock, Locked, Lost
from ansible_collections.proven.go_service.plugins.plugin_utils import variables


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    """Return a lock that nobody holds."""
    return Lock(tmp_path)


@pytest.fixture(scope="module")
def prepare(plugin: Callable[[str], ModuleType]) -> ModuleType:
    """Return the action that tells whether a controller is gone."""
    return plugin("action.prepare")


def change(lock: Lock, **fields: object) -> None:
    """Change fields of the lock file as another host, kernel or run would have written them."""
    times = lock.path.stat()
    lock.path.write_text(json.dumps({**json.loads(lock.path.read_text()), **fields}))
    os.utime(lock.path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_lock_is_taken_and_given_back(lock: Lock) -> None:
    assert lock.holder() is None
    assert lock.take("t1", "alice@laptop, process 1", "laptop|1|2") == ""
    holder = lock.holder()
    assert (holder.token, holder.owner, holder.controller, holder.boot) == ("t1", "alice@laptop, process 1", "laptop|1|2", locks.boot_id())
    assert abs(holder.taken - time.time()) < 5
    assert lock.release("t1")
    assert lock.holder() is None and not lock.path.exists()


def test_a_lock_of_another_run_is_refused_and_told(lock: Lock) -> None:
    lock.take("t1", "alice@laptop, process 1", "laptop|1|2")
    change(lock, taken=time.time() - 75)
    with pytest.raises(Locked) as caught:
        lock.take("t2", "bob", "b")
    assert caught.value.holder.token == "t1"
    assert 74 < caught.value.age < 90
    assert str(caught.value) == f"alice@laptop, process 1 holds the lock {lock.path} for {caught.value.age:.0f} s"
    assert lock.holder().token == "t1"


@pytest.mark.parametrize("refresh", [lambda lock: lock.take("t1", "alice", "a"), lambda lock: lock.keep("t1")], ids=["take", "keep"])
def test_a_lock_is_refreshed_by_its_holder(lock: Lock, refresh: Callable[[Lock], object]) -> None:
    lock.take("t1", "alice", "a")
    taken = lock.holder().taken
    os.utime(lock.path, (1, time.time() - locks.STALE_AFTER + 100))
    refresh(lock)
    assert time.time() - lock.path.stat().st_mtime < 5
    assert lock.holder().taken == taken


STALE: dict[str, Callable[[Lock], object]] = {
    "the host was started anew": lambda lock: change(lock, boot="another"),
    "nothing refreshed it": lambda lock: os.utime(lock.path, (1, time.time() - locks.STALE_AFTER - 10)),
}


@pytest.mark.parametrize("outdate", STALE.values(), ids=STALE)
def test_a_stale_lock_is_taken_over_and_told(lock: Lock, outdate: Callable[[Lock], object]) -> None:
    lock.take("t1", "alice", "a")
    outdate(lock)
    assert lock.holder() is None
    with pytest.raises(Lost, match="gone; another run took over"):
        lock.keep("t1")
    assert not lock.release("t1")
    assert lock.take("t2", "bob", "b") == "alice"
    assert lock.holder().token == "t2"


def test_no_build_can_outlast_its_lock() -> None:
    variables.FIELDS["build_timeout"](86400)
    with pytest.raises(settings.Rejected):
        variables.FIELDS["build_timeout"](86401)
    assert locks.STALE_AFTER > 86400


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"token": "t1"}', '{"token": 1, "unknown": 2}', "\x00\xff"])
def test_an_unreadable_lock_is_as_none(lock: Lock, content: str) -> None:
    lock.path.write_bytes(content.encode("latin-1"))
    assert lock.holder() is None
    assert lock.take("t2", "bob", "b") == ""
    assert lock.holder().token == "t2"


def test_only_the_holder_gives_a_lock_back(lock: Lock) -> None:
    assert not lock.release("t1")
    lock.take("t1", "alice", "a")
    assert not lock.release("t2")
    with pytest.raises(Lost, match="held by alice"):
        lock.keep("t2")
    assert lock.holder().token == "t1"


def test_the_lock_of_a_run_that_is_known_to_be_gone_is_taken_over(lock: Lock) -> None:
    lock.take("t1", "alice", "a")
    with pytest.raises(Locked):
        lock.take("t2", "bob", "b", dead="t0")
    assert lock.take("t2", "bob", "b", dead="t1") == "alice"
    assert lock.holder().token == "t2"


# Whether a controller is gone


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


# The kernel lock

HOLD = """
import fcntl, os, sys, time
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""


@contextmanager
def working_process(directory: Path, seconds: float) -> Iterator[subprocess.Popen]:
    """Run a process that works in a directory as a module does, for some seconds."""
    command = [sys.executable, "-c", HOLD, str(directory / "working"), str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_module_that_works_is_waited_for(lock: Lock, tmp_path: Path) -> None:
    with working_process(tmp_path, 0.6) as process:
        began = time.monotonic()
        with lock.working():
            waited = time.monotonic() - began
        process.wait()
    assert 0.3 < waited < 5


def test_a_module_that_is_killed_is_not_waited_for(lock: Lock, tmp_path: Path) -> None:
    with working_process(tmp_path, 60) as process:
        process.kill()
        process.wait()
        began = time.monotonic()
        with lock.working():
            assert time.monotonic() - began < 5


def test_work_that_fails_ends_the_kernel_lock(lock: Lock) -> None:
    with pytest.raises(ZeroDivisionError), lock.working():
        raise ZeroDivisionError
    with lock.working():
        pass
