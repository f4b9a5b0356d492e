"""The lock of a service, with real processes: who holds it, when it is stale, who may give it back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import lock as locks
from ansible_collections.proven.go_service.plugins.module_utils.deploy.lock import Lock, Locked, LockLost, working
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from ansible_collections.proven.go_service.plugins.plugin_utils import units, variables
from deploys import Volumes
from plays import PROJECT

NAME = "utest-lock"


def clear(store: Any) -> None:
    """Take all locks of the service away."""
    for volume in store.volumes(locks.LABEL_LOCK, NAME):
        store.remove_volume(volume["Name"])


@pytest.fixture(params=["in memory", pytest.param("on the Engine", marks=pytest.mark.engine)])
def store(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return what a lock is kept in: an Engine, and what keeps volumes as one does."""
    kept = Volumes() if request.param == "in memory" else request.getfixturevalue("engine")
    clear(kept)
    yield kept
    clear(kept)


@pytest.fixture
def lock(store: Any, tmp_path: Path) -> Lock:
    """Return a lock that nobody holds."""
    return Lock(store, NAME, tmp_path)


def plant(store: Any, volume: str, **fields: object) -> None:
    """Take the lock as another host, kernel or run would have done."""
    holder = {"token": "t1", "owner": "alice", "controller": "a", "boot": locks.boot_id(), "taken": time.time(), **fields}
    store.create_volume(volume, {locks.LABEL_LOCK: NAME, locks.LABEL_HOLDER: json.dumps(holder)})


def test_a_lock_is_taken_and_given_back(lock: Lock, tmp_path: Path) -> None:
    assert lock.holder() is None
    assert lock.take("t1", "alice@laptop, process 1", "laptop|1|2", host="web1") == ""
    holder = lock.holder()
    assert (holder.token, holder.owner, holder.controller, holder.boot) == ("t1", "alice@laptop, process 1", "laptop|1|2", locks.boot_id())
    assert abs(holder.taken - time.time()) < 5
    assert lock.take("t1", "alice@laptop, process 1", "laptop|1|2") == ""
    assert lock.release("t1")
    assert lock.holder() is None and list(tmp_path.iterdir()) == []


def test_a_lock_of_another_run_is_refused_and_told(store: Any, lock: Lock) -> None:
    plant(store, f"{NAME}-lock-t1", taken=time.time() - 75)
    with pytest.raises(Locked) as caught:
        lock.take("t2", "bob", "b")
    assert caught.value.holder.token == "t1"
    assert 74 < caught.value.age < 90
    assert caught.value.message == f"another run works on the service: alice holds the lock for {caught.value.age:.0f} s"
    assert f"docker volume rm {NAME}-lock-t1" in caught.value.remedy
    assert caught.value.as_dict()["since"] == f"for {caught.value.age:.0f} s"
    assert lock.holder().token == "t1"


def test_two_users_of_one_engine_wait_for_each_other(store: Any, lock: Lock, tmp_path: Path) -> None:
    """Each has a work directory of his own."""
    lock.take("t1", "alice", "a")
    with pytest.raises(Locked):
        Lock(store, NAME, tmp_path / "bob").take("t2", "bob", "b")
    assert Lock(store, f"{NAME}-other", tmp_path / "bob").holder() is None


RACE = """
import sys, time
from pathlib import Path
from ansible_collections.proven.go_service.plugins.module_utils.deploy.lock import Lock, Locked
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
lock = Lock(Engine(), sys.argv[1], Path("/nowhere"))
time.sleep(max(0, float(sys.argv[3]) - time.time()))
try:
    lock.take(sys.argv[2], sys.argv[2], "c")
    print("held")
except Locked:
    print("locked")
"""


@pytest.mark.engine
def test_of_runs_that_come_at_one_moment_one_at_most_gets_the_lock(engine: Engine) -> None:
    """A stale lock lies there as well, which all of them want to take over."""
    clear(engine)
    plant(engine, f"{NAME}-lock-old", boot="another", token="old")
    start = str(time.time() + 2.5)
    path = {**os.environ, "PYTHONPATH": str(PROJECT / "collections")}
    racers = [
        subprocess.Popen([sys.executable, "-c", RACE, NAME, f"r{number}", start], stdout=subprocess.PIPE, text=True, env=path)
        for number in range(4)
    ]
    said = [racer.communicate()[0].strip() for racer in racers]
    assert sorted(set(said)) in (["held", "locked"], ["locked"]) and said.count("held") <= 1, said
    left = [volume["Name"] for volume in engine.volumes(locks.LABEL_LOCK, NAME)]
    assert left == [f"{NAME}-lock-r{number}" for number in range(4) if said[number] == "held"] or "held" not in said
    clear(engine)


STALE = {"the host was started anew": {"boot": "another"}, "it is older than any run": {"taken": time.time() - locks.STALE_AFTER - 10}}


@pytest.mark.parametrize("fields", STALE.values(), ids=STALE)
def test_a_stale_lock_is_taken_over_and_told(store: Any, lock: Lock, fields: dict[str, object]) -> None:
    plant(store, f"{NAME}-lock-t1", **fields)
    assert lock.holder() is None
    with pytest.raises(LockLost, match="is gone, and no other run has it: its volume was removed, or it is stale"):
        lock.ensure_held("t1")
    assert lock.take("t2", "bob", "b") == "alice"
    assert lock.holder().token == "t2"
    assert [volume["Name"] for volume in store.volumes(locks.LABEL_LOCK, NAME)] == [f"{NAME}-lock-t2"]


@pytest.mark.parametrize("stale", [False, True])
def test_the_lock_file_of_an_earlier_version_counts(lock: Lock, tmp_path: Path, stale: bool) -> None:
    file = tmp_path / "lock"
    boot = "another" if stale else locks.boot_id()
    file.write_text(json.dumps({"token": "t1", "owner": "alice", "controller": "a", "boot": boot, "taken": time.time()}))
    if stale:
        assert lock.take("t2", "bob", "b") == "alice"
        assert not file.exists()
        return
    with pytest.raises(Locked) as caught:
        lock.take("t2", "bob", "b")
    assert caught.value.by_hand == f"rm {file}" and file.exists()
    assert lock.take("t2", "bob", "b", dead=["t1"]) == "alice"
    assert not file.exists()


def test_no_build_can_outlast_its_lock() -> None:
    variables.FIELDS["build_timeout"](86400)
    with pytest.raises(units.Rejected):
        variables.FIELDS["build_timeout"](86401)
    assert locks.STALE_AFTER > 86400


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '{"token": "t1"}', '{"token": 1, "unknown": 2}', "\x00\xff"])
def test_an_unreadable_lock_is_as_none_and_stays(store: Any, lock: Lock, tmp_path: Path, content: str) -> None:
    (tmp_path / "lock").write_bytes(content.encode("latin-1"))
    store.create_volume(f"{NAME}-foreign", {locks.LABEL_LOCK: NAME, locks.LABEL_HOLDER: content.replace("\0", "")})
    assert lock.holder() is None
    assert lock.take("t2", "bob", "b") == ""
    assert lock.holder().token == "t2"
    lock.release("t2")
    assert [volume["Name"] for volume in store.volumes(locks.LABEL_LOCK, NAME)] == [f"{NAME}-foreign"]


def test_a_link_in_the_locks_place_is_not_followed(lock: Lock, tmp_path: Path) -> None:
    holder = {"token": "t1", "owner": "alice", "controller": "a", "boot": locks.boot_id(), "taken": time.time()}
    (tmp_path / "elsewhere").write_text(json.dumps(holder))
    (tmp_path / "lock").symlink_to("elsewhere")
    assert lock.take("t2", "bob", "b") == ""
    assert json.loads((tmp_path / "elsewhere").read_text()) == holder


def test_only_the_holder_gives_a_lock_back(lock: Lock) -> None:
    assert not lock.release("t1")
    lock.take("t1", "alice", "a")
    assert not lock.release("t2")
    with pytest.raises(LockLost, match="held by alice"):
        lock.ensure_held("t2")
    assert lock.holder().token == "t1"


def test_a_lock_whose_volume_somebody_removes_is_told_with_what_does_so(store: Any, lock: Lock) -> None:
    """Nobody took over, so nobody is accused of it."""
    lock.take("t1", "alice", "a")
    store.remove_volume(f"{NAME}-lock-t1")
    with pytest.raises(LockLost) as caught:
        lock.ensure_held("t1")
    assert "another run took over" not in caught.value.message
    assert "docker volume prune" in caught.value.remedy


def test_the_lock_of_a_run_that_is_known_to_be_gone_is_taken_over(lock: Lock) -> None:
    lock.take("t1", "alice", "a")
    with pytest.raises(Locked):
        lock.take("t2", "bob", "b", dead=["t0"])
    assert lock.take("t2", "bob", "b", dead=["t1"]) == "alice"
    assert lock.holder().token == "t2"


def test_of_two_that_come_at_one_moment_the_one_that_sees_the_other_steps_back(tmp_path: Path) -> None:
    class Meanwhile(Volumes):
        """Another run takes the lock between the first look and the volume."""

        def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
            if name.endswith("t2"):
                plant(self, f"{NAME}-lock-t1")
            super().create_volume(name, labels)

    store = Meanwhile()
    with pytest.raises(Locked, match="alice holds the lock"):
        Lock(store, NAME, tmp_path).take("t2", "bob", "b")
    assert [volume["Name"] for volume in store.volumes(locks.LABEL_LOCK, NAME)] == [f"{NAME}-lock-t1"]
    assert Lock(Meanwhile(), NAME, tmp_path).take("t2", "bob", "b", dead=["t1"]) == "alice"


def test_a_lock_that_grew_stale_is_not_given_back_as_ones_own(lock: Lock, store: Any) -> None:
    plant(store, f"{NAME}-lock-t1", boot="another")
    assert not lock.release("t1")
    assert store.volumes(locks.LABEL_LOCK, NAME) == []


def test_a_host_that_tells_no_boot_is_one_boot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(locks, "_BOOT_ID", tmp_path / "none")
    lock = Lock(Volumes(), NAME, tmp_path)
    lock.take("t1", "alice", "a")
    lock.ensure_held("t1")


@pytest.mark.parametrize(("age", "stale"), [(locks.STALE_AFTER - 60, False), (locks.STALE_AFTER + 60, True), (-7200, False)])
def test_a_lock_is_stale_when_it_is_older_than_any_run(lock: Lock, store: Any, tmp_path: Path, age: float, stale: bool) -> None:
    plant(store, f"{NAME}-lock-t1", taken=time.time() - age)
    assert (lock.holder() is None) is stale
    clear(store)
    file = tmp_path / "lock"
    file.write_text(json.dumps({"token": "t1", "owner": "alice", "controller": "a", "boot": locks.boot_id(), "taken": time.time()}))
    os.utime(file, (time.time() - age,) * 2)
    assert (lock.holder() is None) is stale


# The kernel lock

HOLD = """
import sys, time
from ansible_collections.proven.go_service.plugins.module_utils.deploy.lock import working
with working(sys.argv[1]):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


@contextmanager
def working_process(seconds: float) -> Iterator[subprocess.Popen]:
    """Run a process that works on the service as a module does, for some seconds."""
    path = {**os.environ, "PYTHONPATH": str(PROJECT / "collections")}
    with subprocess.Popen([sys.executable, "-c", HOLD, NAME, str(seconds)], stdout=subprocess.PIPE, text=True, env=path) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_module_that_works_is_waited_for() -> None:
    with working_process(0.6) as process:
        began = time.monotonic()
        with working(NAME):
            waited = time.monotonic() - began
        process.wait()
    assert 0.3 < waited < 5


def test_a_module_that_is_killed_is_not_waited_for() -> None:
    with working_process(60) as process:
        process.kill()
        process.wait()
        began = time.monotonic()
        with working(NAME):
            assert time.monotonic() - began < 5


def test_a_module_that_does_not_end_is_named() -> None:
    with working_process(60) as process, pytest.raises(Failure, match=f"the process {process.pid} of "), working(NAME, patience=0.2):
        pass


def test_work_that_fails_ends_the_kernel_lock() -> None:
    with pytest.raises(ZeroDivisionError), working(NAME):
        raise ZeroDivisionError
    with working(NAME):
        pass


# How an action waits for its turn


@pytest.mark.parametrize(
    ("age", "words"), [(0.4, "for 0 s"), (75, "for 75 s"), (-4995, "since a time that the host's clock has not reached")]
)
def test_no_time_is_told_that_cannot_be(age: float, words: str) -> None:
    assert locks.since(age).startswith(words)
    assert "-" not in locks.since(age)
