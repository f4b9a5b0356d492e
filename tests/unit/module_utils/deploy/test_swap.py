"""A container takes the place of another one, or the very same one comes back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import proof as proofs
from ansible_collections.proven.go_service.plugins.module_utils.deploy import recovery
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine, EngineError
from deploys import VARIANTS, calls_of, names, running_service, serving, state, swap
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
    assert proofs.http_answers("127.0.0.1", int(publish.rpartition(":")[2]), "/health") == ""


@pytest.mark.engine
@pytest.mark.parametrize(
    ("command", "words"),
    [("echo boom; exit 3", ["exited with code 3", "log: boom"]), ("sleep 60", ["did not pass its health test within 0.5 s"])],
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
    assert proofs.http_answers("127.0.0.1", int(publish.rpartition(":")[2]), "/health") == ""


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

    def disapprove(container_id: str) -> None:
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
    assert "back as it was: running, but unhealthy" in caught.value.still_runs
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
