"""What a killed run leaves behind is finished or undone by the next one."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import names as common_names
from ansible_collections.proven.go_service.plugins.module_utils.deploy import container as containers
from ansible_collections.proven.go_service.plugins.module_utils.deploy import judgement, recovery
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from deploys import VARIANTS, Killed, Memory, calls_of, names, running_service, serving, state, swap
from plays import SERVE
from samples import Settings


@pytest.mark.engine
@pytest.mark.parametrize(
    ("changes", "finished"),
    [({"command": SERVE}, True), ({"command": "exit 3"}, False), ({"command": SERVE, "deploy_strategy": "recreate"}, False)],
)
def test_a_real_swap_that_was_killed_is_finished_or_undone(
    clean: Engine, web: str, service: Settings, changes: dict[str, Any], finished: bool
) -> None:
    """It is finished where the new container proves healthy, and was proven by a candidate before."""
    old = swap(clean, service(), web).container_id
    clean.rename(old, "utest-web-set-aside")
    clean.stop(old, 0)
    wanted = service(**changes, start_timeout=1)
    new = clean.create("utest-web", containers.create_body(wanted, web, clean.api_version))
    clean.start(new)
    clean.create("utest-web-next", containers.create_body(wanted, web, clean.api_version))
    told = recovery.recover(clean, wanted)
    found = clean.container("utest-web")
    assert (found["Id"], found["State"]["Running"]) == (new if finished else old, True)
    assert names(clean) == ["utest-web"]
    done = "Finished an interrupted swap" if finished else "Undid an interrupted swap"
    assert [sentence.partition(":")[0] for sentence in told] == [done, "Removed the leftover container utest-web-next."]
    assert recovery.recover(clean, wanted) == []


@pytest.mark.parametrize(("policy", "image", "after"), VARIANTS)
def test_whenever_a_run_is_killed_the_next_one_recovers(fast: Settings, policy: str, image: str, after: bool) -> None:
    """The container that serves then is restarted by the Engine as before."""
    settings = fast(restart_policy=policy)
    for number in range(calls_of(settings, policy, image)):
        engine, old = running_service(settings, policy)
        engine.at, engine.after, engine.error = number, after, Killed()
        with pytest.raises(Killed):
            swap(engine, settings, image)
        engine.at = None
        recovery.recover(engine, settings)
        found = serving(engine, old)
        if found["Id"] == old:
            assert found["HostConfig"]["RestartPolicy"]["Name"] == policy, f"call {number}"
        assert recovery.recover(engine, settings) == []


@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_whenever_a_recovery_is_killed_the_next_one_recovers(fast: Settings, policy: str) -> None:
    settings = fast(restart_policy=policy)
    for number, second in itertools.product(range(calls_of(settings, policy, "bad")), range(12)):
        engine, old = running_service(settings, policy)
        engine.at, engine.error = number, Killed()
        with pytest.raises(Killed):
            swap(engine, settings, "bad")
        engine.calls, engine.at = 0, second
        with contextlib.suppress(Killed):
            recovery.recover(engine, settings)
        engine.at = None
        recovery.recover(engine, settings)
        assert state(engine) == [("utest-web", True)], f"calls {number}, {second}"
        if old in engine.records:
            assert engine.records[old]["HostConfig"]["RestartPolicy"]["Name"] == policy, f"calls {number}, {second}"


def test_a_container_on_its_way_to_the_end_is_waited_for_and_started_again(fast: Settings) -> None:
    """Killed while the old container took its time to stop: the next run comes before it has stopped."""

    class Stopping(Memory):
        stopping = ""
        looks = 0

        def container(self, name: str) -> dict[str, Any] | None:
            if name == self.stopping:
                self.looks += 1
                if self.looks == 5:
                    super().stop(name, 0)
            return super().container(name)

    engine = Stopping()
    engine.stopping = old = swap(engine, fast(), "good").container_id
    engine.rename(old, common_names.set_aside_name(fast().name))
    recovery.recover(engine, fast(stop_timeout=60))
    found = engine.container(fast().name)
    assert engine.looks == 5
    assert found is not None
    assert (found["Id"], found["State"]["Running"]) == (old, True)


def aside(engine: Memory, name: str = "utest-web") -> str:
    """Set the service's container aside as a swap does, and return its id."""
    found = engine.container(name)
    assert found is not None
    engine.stop(found["Id"], 0)
    engine.rename(found["Id"], common_names.set_aside_name(name))
    return found["Id"]


def begin(engine: Memory, wanted: Any, name: str, image: str = "good") -> str:
    """Make a container of the service under a name, and return its id."""
    return engine.create(name, containers.create_body(wanted, image, engine.api_version))


def test_each_thing_that_was_done_is_told_with_the_container_that_serves_now(fast: Settings) -> None:
    engine, old = running_service(fast(), "unless-stopped")
    aside(engine)
    new = begin(engine, fast(), "utest-web")
    engine.start(new)
    assert recovery.recover(engine, fast()) == [
        f"Finished an interrupted swap: the new container {new[:12]} is healthy, the old one is removed."
    ]
    assert aside(engine) == new
    engine.start(begin(engine, fast(), "utest-web", "bad"))
    undone = f"Undid an interrupted swap: the old container {new[:12]} runs again."
    assert recovery.recover(engine, fast()) == [undone]
    # With the strategy "recreate" nobody has held the new container to the contract.
    aside(engine)
    engine.start(begin(engine, fast(), "utest-web"))
    assert recovery.recover(engine, fast(deploy_strategy="recreate")) == [undone]
    # Nor where it was the strategy when the swap began, and the variables have another one now.
    aside(engine)
    begun = begin(engine, fast(), "utest-web")
    engine.start(begun)
    assert recovery.recover(engine, fast(), [engine.records[begun]["Image"]]) == [undone]
    engine.stop(new, 0)
    begin(engine, fast(), "utest-web-next")
    assert recovery.recover(engine, fast()) == [
        f"Completed an interrupted return to the old container: {new[:12]} runs again.",
        "Removed the leftover container utest-web-next.",
    ]
    assert state(engine) == [("utest-web", True)] and old != new


def test_a_container_is_started_again_only_where_a_return_was_interrupted(fast: Settings) -> None:
    """Not one that a user stopped, nor one that the Engine cannot start any more, nor another one's; and none where there is none."""
    removed = ["Removed the leftover container utest-web-next."]
    engine, old = running_service(fast(), "unless-stopped")
    engine.stop(old, 0)
    engine.done.clear()
    assert recovery.recover(engine, fast()) == []
    for record, change in ((engine.records[old]["State"], {"Dead": True}), (engine.records[old]["Config"], {"Labels": {}})):
        kept = dict(record)
        record.update(change)
        begin(engine, fast(), "utest-web-next")
        assert recovery.recover(engine, fast()) == removed
        record.clear()
        record.update(kept)
    engine.start(old)
    engine.done.clear()
    begin(engine, fast(), "utest-web-next")
    assert recovery.recover(engine, fast()) == removed
    assert [call for call in engine.done if call[0] == "start"] == []
    engine.remove(old)
    begin(engine, fast(), "utest-web-next")
    assert recovery.recover(engine, fast()) == removed
    assert state(engine) == []


def test_a_container_that_looked_into_the_builders_stage_is_removed(fast: Settings) -> None:
    engine, _old = running_service(fast(), "unless-stopped")
    labels = {common_names.LABEL_NAME: "utest-web", common_names.LABEL_KIND: common_names.KIND_CANDIDATE}
    engine.create(common_names.modules_name("utest-web"), {"Image": "good", "Labels": labels, "HostConfig": {}})
    assert recovery.recover(engine, fast()) == ["Removed the leftover container utest-web-modules."]
    assert state(engine) == [("utest-web", True)]


def test_leftovers_of_other_services_are_not_touched(fast: Settings) -> None:
    engine, _old = running_service(fast(), "unless-stopped")
    engine.create("utest-web-next", {"Image": "good", "Labels": {common_names.LABEL_NAME: "utest"}, "HostConfig": {}})
    assert judgement.leftovers(engine, "utest-web") == []
    assert recovery.recover(engine, fast()) == []
    assert len(engine.records) == 2
