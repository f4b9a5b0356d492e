"""A container takes the place of another one, or the very same one comes back."""

from __future__ import annotations

import contextlib
import copy
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import UNTOUCHED, Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import proof as proofs
from ansible_collections.proven.go_service.plugins.module_utils.deploy import recovery
from ansible_collections.proven.go_service.plugins.module_utils.deploy import swap as swaps
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine, EngineError
from deploys import VARIANTS, Memory, calls_of, names, running_service, serving, state, swap
from plays import free_port
from samples import Settings


@pytest.mark.engine
def test_a_port_that_a_container_holds(clean: Engine, web: str, service: Settings) -> None:
    port = free_port()
    body = {
        "Image": web,
        "Cmd": ["sleep 60"],
        "ExposedPorts": {"8080/tcp": {}},
        "HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}},
    }
    holder = clean.create("utest-holder", body)
    clean.start(holder)
    try:
        with pytest.raises(Failure, match="taken by the container utest-holder"):
            swap(clean, service(publish=f"127.0.0.1:{port}"), web)
        assert names(clean) == ["utest-holder"]
    finally:
        clean.remove(holder)


@pytest.mark.engine
def test_a_swap_replaces_and_answers(clean: Engine, web: str, service: Settings) -> None:
    publish = f"127.0.0.1:{free_port()}"
    first = swap(clean, service(publish=publish, restart_policy="always"), web)
    assert (first.action, first.old_id) == ("created", "")
    second = swap(clean, service(publish=publish, env={"A": "b"}), web)
    assert (second.action, second.old_id) == ("replaced", first.container_id)
    assert 0 < second.outage_seconds < 5
    assert names(clean) == ["utest-web"]
    assert clean.container("utest-web")["Id"] == second.container_id
    assert clean.container(first.container_id) is None
    assert proofs.answers(service(), "127.0.0.1", int(publish.rpartition(":")[2])) == ""


@pytest.mark.engine
@pytest.mark.parametrize(
    ("command", "words"),
    [("echo boom; exit 3", ["exited with code 3", "log: boom"]), ("sleep 60", ["did not pass its health check within 0.5 s"])],
)
def test_a_swap_that_fails_brings_the_very_same_container_back(
    clean: Engine, web: str, service: Settings, command: str, words: list[str]
) -> None:
    publish = f"127.0.0.1:{free_port()}"
    old = swap(clean, service(publish=publish, restart_policy="always"), web).container_id
    with pytest.raises(Failure) as caught:
        swap(clean, service(command, publish=publish, start_timeout=0.5, restart_policy="no"), web)
    told = "\n".join([caught.value.message, *caught.value.evidence])
    assert [word for word in words if word not in told] == []
    assert caught.value.still_runs == f"The very same earlier container {old[:12]} runs again and is healthy."
    found = clean.container("utest-web")
    assert (found["Id"], found["State"]["Running"], found["HostConfig"]["RestartPolicy"]["Name"]) == (old, True, "always")
    assert names(clean) == ["utest-web"]
    assert proofs.answers(service(), "127.0.0.1", int(publish.rpartition(":")[2])) == ""


@pytest.mark.engine
def test_a_new_container_speaks_first(clean: Engine, client: Callable[..., str], web: str, service: Settings) -> None:
    """The host knows where to send packets for it without having asked, on a network that nobody has used yet."""
    network = client("network", "create", "--label", "go-service.name=utest-web", "utest-network")
    try:
        made = clean.container(swap(clean, service(network="utest-network"), web).container_id)
        address = made["NetworkSettings"]["Networks"]["utest-network"]["IPAddress"]
        deadline = time.monotonic() + 5
        while not (known := neighbours(f"br-{network[:12]}").get(address)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert known == made["NetworkSettings"]["Networks"]["utest-network"]["MacAddress"]
    finally:
        client("rm", "--force", "utest-web")
        client("network", "rm", "utest-network")


def neighbours(device: str) -> dict[str, str]:
    """Return the hardware addresses that this machine's kernel knows on a network device, by IP address (arp(7))."""
    lines = [line.split() for line in Path("/proc/net/arp").read_text().splitlines()[1:]]
    return {address: hardware for address, _kind, flags, hardware, _mask, found in lines if found == device and int(flags, 16) & 2}


@pytest.mark.engine
def test_a_service_that_is_not_as_it_should_be_is_taken_back(clean: Engine, web: str, service: Settings) -> None:
    """What only the running service can show is judged before the old container is given up."""
    publish = f"127.0.0.1:{free_port()}"
    old = swap(clean, service(publish=publish), web).container_id
    judged = []

    def disapprove(container_id: str, start_seconds: float) -> None:
        assert 0 < start_seconds < 5
        judged.append(container_id)
        raise proofs.NotProven("it is healthy, but breaks the contract", "Do what each line says.", ["Published address: ..."])

    with pytest.raises(Failure, match="breaks the contract") as caught:
        swap(clean, service(publish=publish, env={"A": "b"}), web, disapprove)
    assert caught.value.evidence == ["Published address: ..."]
    assert old not in judged
    found = clean.container("utest-web")
    assert (found["Id"], found["State"]["Running"]) == (old, True)
    assert names(clean) == ["utest-web"]


@pytest.mark.engine
def test_a_first_swap_that_fails_leaves_nothing(clean: Engine, web: str, service: Settings) -> None:
    with pytest.raises(Failure) as caught:
        swap(clean, service("exit 3"), web)
    assert "no earlier container" in caught.value.still_runs
    assert names(clean) == []


@pytest.mark.engine
def test_a_container_that_was_stopped_comes_back_stopped(clean: Engine, web: str, service: Settings) -> None:
    old = swap(clean, service(), web).container_id
    clean.stop(old, 0)
    with pytest.raises(Failure) as caught:
        swap(clean, service("exit 3"), web)
    assert "back as it was: stopped" in caught.value.still_runs
    found = clean.container("utest-web")
    assert (found["Id"], found["State"]["Running"]) == (old, False)


@pytest.mark.parametrize(("policy", "image", "after"), VARIANTS)
def test_whatever_call_fails_a_healthy_container_serves(fast: Settings, policy: str, image: str, after: bool) -> None:
    """One call fails: afterwards the old container is back as it was, or, where the failure came last, the new one serves."""
    total = calls_of(fast(), policy, image)
    assert total > 10
    for number in range(total):
        engine, old = running_service(fast(), policy)
        engine.at, engine.after = number, after
        with contextlib.suppress(Failure, EngineError):
            swap(engine, fast(), image)
        engine.at = None
        recovery.recover(engine, fast())
        record = serving(engine, old)
        if record["Id"] == old:
            assert record["HostConfig"]["RestartPolicy"]["Name"] in (policy, "unless-stopped")


@pytest.mark.parametrize(("policy", "after"), [("always", False), ("always", True), ("unless-stopped", False), ("unless-stopped", True)])
def test_one_call_that_fails_does_not_keep_the_old_container_from_coming_back(fast: Settings, policy: str, after: bool) -> None:
    """Nor does it need another run: the new container is no good, a call fails once, and the old one serves when the swap ends."""
    for number in range(calls_of(fast(), policy, "bad")):
        engine, old = running_service(fast(), policy)
        engine.at, engine.after = number, after
        with pytest.raises((Failure, EngineError)) as caught:
            swap(engine, fast(), "bad")
        assert getattr(caught.value, "stage", "") != "rollback", f"call {number}: {caught.value}"
        record = engine.records[old]
        assert (record["Name"], record["State"]["Running"]) == ("/utest-web", True), f"call {number}"


def test_where_even_the_way_back_fails_both_are_kept_and_a_person_is_told_what_to_do(fast: Settings) -> None:
    reached = 0
    for number in range(calls_of(fast(), "unless-stopped", "bad")):
        engine, old = running_service(fast(), "unless-stopped")
        engine.at, engine.lasting = number, True
        try:
            swap(engine, fast(), "bad")
        except Failure as error:
            if error.stage == "rollback":
                reached += 1
                assert old[:12] in error.message
                assert "docker start" in error.remedy and old[:12] in error.remedy
                assert error.still_runs == "It is not known, since the Engine gives no answer."
        except EngineError:
            pass
        assert old in engine.records, f"call {number}"
        engine.at, engine.lasting = None, False
        recovery.recover(engine, fast())
        assert state(engine) == [("utest-web", True)], f"call {number}"
    assert reached > 3


def test_a_container_that_was_unhealthy_before_comes_back_as_it_was(fast: Settings) -> None:
    engine, old = running_service(fast(), "unless-stopped")
    engine.records[old]["State"]["Health"] = {"Status": "unhealthy"}
    engine.records[old]["Config"]["Image"] = "bad"
    with pytest.raises(Failure) as caught:
        swap(engine, fast(), "bad")
    assert caught.value.still_runs.startswith(
        f"The earlier container {old[:12]} is back as it was: running, but unhealthy (it did not pass"
    )
    assert state(engine) == [("utest-web", True)] and old in engine.records


def test_a_container_that_vanishes_while_it_is_proven_is_told(fast: Settings) -> None:
    engine, old = running_service(fast(), "unless-stopped")
    original = engine.run_in

    def run_in(name: str, command: list[str], timeout: float) -> tuple[int, str]:
        if name != old:
            engine.records.pop(name, None)
        return original(name, command, timeout)

    engine.run_in = run_in
    with pytest.raises(Failure, match="it was removed while it was being proven") as caught:
        swap(engine, fast(), "good")
    assert old[:12] in caught.value.still_runs
    assert state(engine) == [("utest-web", True)]


# What is done, in its order, and what is said of it


def done(engine: Memory, *kinds: str) -> list[tuple[Any, ...]]:
    """Return what was done to containers since the service ran, of some kinds."""
    return [entry for entry in engine.done if entry[0] in kinds]


@pytest.mark.parametrize("policy", ["always", "unless-stopped", "on-failure"])
def test_the_engine_cannot_start_the_old_container_beside_the_new_one(fast: Settings, policy: str) -> None:
    """Only one with "always" would come up when the daemon is restarted; its policy comes back with it."""
    engine, old = running_service(fast(), policy)
    engine.done.clear()
    with pytest.raises(Failure):
        swap(engine, fast(stop_timeout=7), "bad")
    (new,) = {entry[1] for entry in done(engine, "start")} - {old}
    there, back = [("restart", old, "unless-stopped")], [("restart", old, "always")]
    always = policy == "always"
    assert done(engine, "restart", "start", "stop") == [
        *(there if always else []),
        ("stop", old, 7),
        ("start", new),
        ("stop", new, 7),
        *(back if always else []),
        ("start", old),
    ]
    assert engine.records[old]["HostConfig"]["RestartPolicy"]["Name"] == policy


def test_each_container_is_tested_for_as_long_as_its_health_test_may_take(fast: Settings) -> None:
    engine, old = running_service(fast(), "always")
    engine.done.clear()
    with pytest.raises(Failure):
        swap(engine, fast(health_timeout="2500ms"), "bad")
    tested = [entry for entry in done(engine, "tested") if entry[3:] == ("test",)]
    assert {entry[2] for entry in tested} == {2.5}
    assert len({entry[1] for entry in tested}) == 2 and tested[-1][1] == old


def test_a_swap_says_what_it_did(fast: Settings) -> None:
    engine = Memory()
    first = swap(engine, fast(), "good")
    assert (first.action, first.container_id, first.old_id) == ("created", *engine.records, "")
    second = swap(engine, fast(), "good")
    assert (second.action, second.container_id, second.old_id) == ("replaced", *engine.records, first.container_id)
    assert 0 <= second.outage_seconds == round(second.outage_seconds, 3) < 5


def test_a_new_container_that_cannot_be_made_touches_nothing(fast: Settings) -> None:
    engine, old = running_service(fast(), "always")
    before = copy.deepcopy(engine.records)

    def create(_name: str, _body: dict[str, Any]) -> str:
        raise EngineError("range of CPUs is from 0.01 to 2.00")

    engine.create = create
    with pytest.raises(Failure) as caught:
        swap(engine, fast(), "good")
    assert (caught.value.stage, caught.value.still_runs) == ("swap", UNTOUCHED)
    assert caught.value.message.startswith("range of CPUs") and "go_service_cpus" in caught.value.remedy
    assert engine.records == before and old in before


def test_what_the_engine_refuses_names_the_variable_and_what_a_service_says_does_not(fast: Settings) -> None:
    words = "range of CPUs is from 0.01 to 2.00"
    engine, old = running_service(fast(), "always")
    engine.error = EngineError(words)
    started = engine.start

    def refuse(name: str) -> None:
        if name != old:
            raise EngineError(words)
        started(name)

    engine.start = refuse
    with pytest.raises(Failure, match="the new container of good failed in the service's place: range of CPUs") as caught:
        swap(engine, fast(), "good")
    assert "go_service_cpus" in caught.value.remedy

    def disapprove(_container: str, _start_seconds: float) -> None:
        raise proofs.NotProven(words, "Do that.", ["its own words"])

    engine.start = started
    with pytest.raises(Failure) as caught:
        swap(engine, fast(), "good", disapprove)
    assert (caught.value.remedy, caught.value.evidence) == ("Do that.", ["its own words"])
    assert serving(engine, old)["Id"] == old


def test_an_error_of_the_engine_is_told_with_the_last_words_of_the_new_container(fast: Settings) -> None:
    engine, old = running_service(fast(), "always")
    engine.logs = lambda name, _lines=20: ["the old one"] if name == old else ["the new one"]

    def break_off(_container: str, _start_seconds: float) -> None:
        raise EngineError("broken")

    with pytest.raises(Failure) as caught:
        swap(engine, fast(), "good", break_off)
    assert caught.value.evidence == ["log: the new one"]


def test_a_container_speaks_first_on_each_network_that_has_a_way_out(fast: Settings) -> None:
    networks = {"a": {"Gateway": "172.20.0.1"}, "b": {"Gateway": ""}, "c": {"Gateway": "172.21.0.1"}}
    for found in ({"Networks": networks}, {"Networks": None}, None):
        engine = Memory()
        made = engine.create

        def create(name: str, body: dict[str, Any], made: Any = made, engine: Memory = engine, found: Any = found) -> str:
            identity = made(name, body)
            engine.records[identity]["NetworkSettings"] = found
            return identity

        engine.create = create
        new = swap(engine, fast(), "good").container_id
        said = [("said", new, "http://172.20.0.1:9/"), ("said", new, "http://172.21.0.1:9/")]
        assert done(engine, "said") == (said if found == {"Networks": networks} else [])


def test_a_first_container_that_fails_goes_and_that_nothing_runs_is_told(fast: Settings) -> None:
    engine = Memory()
    with pytest.raises(Failure) as caught:
        swap(engine, fast(), "bad")
    assert caught.value.still_runs == "There was no earlier container to bring back: the service does not run."
    assert engine.records == {}


def test_a_stopped_container_comes_back_stopped(fast: Settings) -> None:
    engine, old = running_service(fast(), "always")
    engine.records[old]["State"].update(Running=False, Status="exited")
    with pytest.raises(Failure) as caught:
        swap(engine, fast(), "bad")
    assert caught.value.still_runs == f"The earlier container {old[:12]} is back as it was: stopped."
    assert state(engine) == [("utest-web", False)] and old in engine.records


def test_a_container_that_the_engine_had_restarted_before_comes_back_as_healthy(fast: Settings) -> None:
    engine, old = running_service(fast(), "always")
    engine.records[old]["RestartCount"] = 3
    with pytest.raises(Failure) as caught:
        swap(engine, fast(), "bad")
    assert caught.value.still_runs == f"The very same earlier container {old[:12]} runs again and is healthy."


def test_a_container_that_the_engine_restarts_on_the_way_back_is_not_called_healthy(fast: Settings) -> None:
    engine, old = running_service(fast(), "always")
    tested = engine.run_in

    def run_in(name: str, command: list[str], timeout: float) -> tuple[int, str]:
        if name == old:
            engine.records[old]["RestartCount"] = 1
        return tested(name, command, timeout)

    engine.run_in, engine.last_exit = run_in, lambda _container: 1
    with pytest.raises(Failure) as caught:
        swap(engine, fast(), "bad")
    assert caught.value.stage == "rollback"
    assert caught.value.still_runs == "The service does not run: its earlier container ends each time that the Engine starts it."


STUCK: dict[str, tuple[Callable[[Memory, str], Any], str]] = {
    "runs, and is sick": (
        lambda engine, old: engine.records[old]["Config"].update(Image="bad"),
        "The earlier container {old} runs, but nothing has proven that it is healthy.",
    ),
    "is restarted again and again": (
        lambda engine, old: (engine.records[old]["Config"].update(Image="bad"), engine.records[old]["State"].update(Restarting=True)),
        "The service does not run: its earlier container ends each time that the Engine starts it.",
    ),
    "is gone": (lambda engine, old: engine.records.pop(old), "The service does not run."),
}


@pytest.mark.parametrize(("harm", "still_runs"), STUCK.values(), ids=STUCK)
def test_an_old_container_that_cannot_be_brought_back_is_told_with_what_runs(
    fast: Settings, harm: Callable[[Memory, str], Any], still_runs: str
) -> None:
    engine, old = running_service(fast(), "always")

    def disapprove(_container: str, _start_seconds: float) -> None:
        harm(engine, old)
        raise proofs.NotProven("it is not as it should be", "Do that.", [])

    with pytest.raises(Failure) as caught:
        swap(engine, fast(), "good", disapprove)
    (new,) = [identity for identity in engine.records if identity != old]
    assert (caught.value.stage, caught.value.still_runs) == ("rollback", still_runs.format(old=old[:12]))
    assert f"the earlier one ({old[:12]}) could not be brought back either" in caught.value.message
    assert "unexpected" not in caught.value.message
    for command in (
        f"docker logs {old[:12]}",
        f"docker rm -f {new[:12]}",
        f"docker rename {old[:12]} utest-web",
        f"docker start {old[:12]}",
    ):
        assert f"{command};" in f"{caught.value.remedy};"


def test_an_old_container_that_cannot_be_removed_is_kept_and_told(fast: Settings) -> None:
    engine, old = running_service(fast(), "always")
    engine.at = calls_of(fast(), "always", "good") - 1
    with pytest.raises(Failure) as caught:
        swap(engine, fast(), "good")
    (new,) = [identity for identity in engine.records if identity != old]
    assert caught.value.still_runs == f"The new container {new[:12]} runs and is healthy; the old one is kept as utest-web-set-aside."
    assert (caught.value.stage, caught.value.message) == ("swap", "broken")
    engine.at = None
    recovery.recover(engine, fast())
    assert serving(engine, old)["Id"] == new


def test_a_dead_container_goes_first_and_is_none_to_come_back(fast: Settings) -> None:
    """The Engine neither starts nor changes it any more."""
    engine, old = running_service(fast(), "always")
    engine.records[old]["State"].update(Running=False, Dead=True)
    engine.done.clear()
    made = swap(engine, fast(), "good")
    assert (made.action, made.old_id, list(engine.records)) == ("created", "", [made.container_id])
    assert done(engine, "stop", "restart") == []


@pytest.mark.parametrize("network", ["host", "bridge"])
def test_what_a_service_of_the_hosts_network_wants_is_looked_for_again_when_the_old_one_has_stopped(
    fast: Settings, network: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only then it is known which of the host's ports were the old container's own."""
    engine, old = running_service(fast(), "always")
    looked: list[tuple[bool, bool]] = []
    monkeypatch.setattr(
        swaps, "check_port", lambda _engine, _settings, own: looked.append((bool(own), engine.records[old]["State"]["Running"]))
    )
    swap(engine, fast(network=network, deploy_strategy="recreate"), "good")
    assert looked == [(True, True), *([(False, False)] if network == "host" else [])]


def test_a_container_passes_once_and_then_as_a_service_and_the_time_that_took_is_told(fast: Settings) -> None:
    engine, old = running_service(fast(), "always")
    engine.done.clear()
    told: list[float] = []
    new = swap(engine, fast(), "good", lambda _container, seconds: told.append(seconds)).container_id
    assert [entry[1] for entry in done(engine, "tested")] == [new, new]
    assert 0 <= told[0] == round(told[0], 3) < 5
    engine.done.clear()
    with pytest.raises(Failure):
        swap(engine, fast(), "bad")
    assert [entry[1] for entry in done(engine, "tested")].count(new) == 1
    assert old not in engine.records


def test_a_container_that_the_engine_is_about_to_start_again_is_stopped_before_it_is_set_aside(fast: Settings) -> None:
    engine, old = running_service(fast(), "unless-stopped")
    engine.done.clear()
    renamed = engine.rename

    def refuse(name: str, new_name: str) -> None:
        if name == old and engine.records[old]["State"]["Running"]:
            raise EngineError(f"sandbox {old} not found")
        renamed(name, new_name)

    engine.rename = refuse
    assert swap(engine, fast(stop_timeout=7), "good").old_id == old
    assert done(engine, "stop")[0] == ("stop", old, 7)


def test_of_a_new_container_that_is_gone_nothing_is_quoted(fast: Settings) -> None:
    engine, _old = running_service(fast(), "always")

    def vanish(container: str, _start_seconds: float) -> None:
        del engine.records[container]
        raise EngineError("broken")

    with pytest.raises(Failure, match="broken") as caught:
        swap(engine, fast(), "good", vanish)
    assert caught.value.evidence == []


def test_a_container_that_ended_again_and_again_comes_back_as_it_was(fast: Settings) -> None:
    engine, old = running_service(fast(), "always")
    engine.records[old]["State"].update(Restarting=True, Status="restarting")
    engine.records[old]["Config"]["Image"] = "bad"
    with pytest.raises(Failure) as caught:
        swap(engine, fast(), "bad")
    assert caught.value.still_runs.startswith(
        f"The earlier container {old[:12]} is back as it was: it ends each time that the Engine starts it ("
    )
    assert list(engine.records) == [old]


@pytest.mark.parametrize("by", ["settings", "container"])
def test_a_container_is_waited_for_as_long_as_it_was_given_to_stop(fast: Settings, by: str) -> None:
    """A killed run had told it to stop: started at once it would end a moment later."""
    engine, old = running_service(fast(), "always")
    record = engine.records[old]
    record["Config"]["StopTimeout"] = 60 if by == "container" else 0
    looks = itertools.count(1)
    looked = engine.container

    def container(name: str) -> dict[str, Any] | None:
        if next(looks) == 3:
            engine.stop(old, 0)
        return looked(name)

    engine.container = container
    engine.done.clear()
    swaps.revive(engine, fast(stop_timeout=60 if by == "settings" else 0), copy.deepcopy(record))
    assert [entry[0] for entry in engine.done] == ["start", "stop", "start"]
    assert record["State"]["Running"]


def test_a_container_that_does_not_stop_is_not_waited_for_longer(fast: Settings) -> None:
    engine, old = running_service(fast(), "always")
    engine.done.clear()
    began = time.monotonic()
    swaps.revive(engine, fast(stop_timeout=1), copy.deepcopy(engine.records[old]))
    assert 1 <= time.monotonic() - began < 5
    assert done(engine, "start") == [("start", old)]
