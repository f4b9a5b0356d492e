"""Runs that are killed, Engines that go away, and runs that meet: the next run makes it whole."""

from __future__ import annotations

import threading

import pytest
from lifecycle_tools import BREAK, BUILDER, SERVICE, Case, Run, locks, unbuilt, until

# Says "quiet" where the Engine has not tested the service for ten seconds.
QUIET = f"""
last=$(docker inspect --format '{{{{range .State.Health.Log}}}}{{{{.End}}}}|{{{{end}}}}' {SERVICE} | awk -F '|' '{{print $(NF-1)}}')
test $(( $(date +%s) - $(date +%s --date "$(echo "$last" | cut -d ' ' -f 1,2)") )) -gt 10 && echo quiet || true
"""


def kill(case: Case, run: Run) -> None:
    """End a run at once, here and on its target."""
    run.kill()
    case.vm.kill_guests()


def goes_on(case: Case, version: str) -> Run:
    """The next run takes the lock over and says so, and the wanted version is healthy, with nothing left over."""
    assert locks(case.vm), "the killed run left no lock"
    run = case.play(version=version).must_succeed()
    assert "Took over the lock of an ended run" in run.said
    assert case.vm.version() == version
    assert case.health() != "unhealthy"
    case.nothing_left()
    return run


def test_killed_during_the_build(case: Case) -> None:
    """Killed while the builder works: the service was not touched, the next run builds and deploys."""
    version = unbuilt("K")
    with case.vm.watch("start", **BUILDER) as event:
        run = case.play(version=version)
        event()
    kill(case, run)
    assert case.vm.service() == case.before
    assert case.client.tally().failed == 0
    goes_on(case, version)


@pytest.mark.core
def test_killed_with_the_old_container_set_aside(case: Case) -> None:
    """Killed after the old container was told to stop and before the new one started: the next run undoes it first."""
    vm = case.vm
    vm.stop_delay("8s")
    since = vm.now()
    with vm.watch("rename", id=case.before.id) as event:
        run = case.play(version=case.other)
        event()
        until(lambda: vm.events(since, "kill", id=case.before.id))
    kill(case, run)
    vm.forget()
    assert f"{SERVICE}-set-aside" in vm.names()
    again = goes_on(case, case.other)
    assert f"Undid an interrupted swap: the old container {case.before.id[:12]} runs again" in again.said
    assert vm.inspect(case.before.id) is None


def test_killed_and_the_new_version_withdrawn(case: Case) -> None:
    """Killed in the middle of a swap, and the old version is wanted again: the very same old container runs on."""
    vm = case.vm
    vm.stop_delay("8s")
    with vm.watch("rename", id=case.before.id) as event:
        run = case.play(version=case.other)
        event()
    kill(case, run)
    vm.forget()
    goes_on(case, case.version)
    case.came_back()


def test_killed_while_waiting_for_the_new_container(case: Case) -> None:
    """Killed when the new container has started and is not yet healthy: the next run waits for it and finishes the swap."""
    vm = case.vm
    vm.script(case.other, "ok", "slow:8s", "ok")
    with vm.watch("start", name=SERVICE) as event:
        run = case.play(version=case.other)
        started = event()
    kill(case, run)
    assert f"{SERVICE}-set-aside" in vm.names()
    again = goes_on(case, case.other)
    assert "Finished an interrupted swap: the new container" in again.said
    after = vm.service()
    assert after is not None
    assert after.id == started["Actor"]["ID"]


def test_killed_controller_alone(case: Case) -> None:
    """Only the controller dies in the middle of a swap: what works on the target ends its work, and the next run finds it done."""
    vm = case.vm
    vm.stop_delay("2s")
    with vm.watch("rename", id=case.before.id) as event:
        run = case.play(version=case.other)
        event()
    run.kill()
    vm.forget()
    again = case.play(version=case.other).must_succeed()
    assert "nothing had to change" in again.summary
    assert vm.version() == case.other
    case.nothing_left()


@pytest.mark.core
def test_engine_restarted_while_the_candidate_is_waited_for(case: Case) -> None:
    """The Engine is restarted in the middle of the run: the run waits for it and goes on."""
    vm = case.vm
    vm.script(case.other, "slow:4s", "ok")
    with vm.watch("start", name=f"{SERVICE}-candidate") as event:
        run = case.play(version=case.other)
        event()
    vm.sh("systemctl restart docker")
    run.must_succeed()
    # An Engine that has just come back may miss the end of the old container ("failed to exit within 10s of kill" in its log), and then
    # waits out go_service_stop_timeout and its own ten seconds before it lets go of the port.
    case.swapped(10 + 10)
    case.nothing_left()


def test_unhealthy_when_the_engine_no_longer_asks(case: Case) -> None:
    """Engine 20.10 ends its health checks when its daemon is restarted and containers go on: the run asks itself."""
    vm = case.vm
    # Before the restart: a container that is still starting then would be so for ever.
    until(lambda: case.health() == "healthy")
    vm.sh("systemctl restart docker")
    until(lambda: case.health() == "healthy")
    vm.sh(BREAK)
    # Since the last test, for more than two intervals and one test of the longest kind.
    until(lambda: vm.sh(QUIET) == "quiet" or case.health() == "unhealthy")
    case.play().must_succeed()
    after = vm.service()
    assert after is not None
    assert (after.id != case.before.id, after.image) == (True, case.before.image)
    assert vm.version() == case.version
    case.nothing_left()


def test_two_runs_at_once(case: Case) -> None:
    """Two runs for one service: one deploys, the other waits for it and finds nothing to do."""
    vm = case.vm
    since = vm.now()
    runs = [case.play(version=case.other) for _ in range(2)]
    threads = [threading.Thread(target=run.wait) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for run in runs:
        run.must_succeed()
    case.swapped()
    case.nothing_left()
    made = vm.events(since, "create", name=f"{SERVICE}-next")
    assert len(made) == 1, made
    assert sum("Waiting for another run on this host" in run.said for run in runs) <= 1
    assert sum("nothing had to change" in run.summary for run in runs) == 1
