"""A deploy: the candidate, the swap, the way back, and what a killed run leaves behind.

The first part runs against the real Engine, real listeners and real log lines. The second part runs against an Engine in memory, for
what a real one cannot be made to do at will: fail, or see its caller die, at each single call in turn.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import names as common_names
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import candidate as candidates
from ansible_collections.proven.go_service.plugins.module_utils.deploy import container as containers
from ansible_collections.proven.go_service.plugins.module_utils.deploy import history, judgement, recovery, remedies
from ansible_collections.proven.go_service.plugins.module_utils.deploy import port as ports
from ansible_collections.proven.go_service.plugins.module_utils.deploy import proof as proofs
from ansible_collections.proven.go_service.plugins.module_utils.deploy import swap as swaps
from ansible_collections.proven.go_service.plugins.module_utils.deploy.lock import LABEL_HOLDER, LABEL_LOCK
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine, EngineError, Missing
from ansible_collections.proven.go_service.plugins.modules import deploy

Client = Callable[..., str]
Settings = Callable[..., dict[str, Any]]
SERVE = "exec httpd -f -p 8080 -h /srv"
BARE = "stand-in/runtime:1.37.0"


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def listener(answer: bytes | None = b"", family: int = socket.AF_INET) -> Iterator[int]:
    """Listen on a port and answer each connection with bytes and an end; None answers nothing. Yield the port."""
    with socket.socket(family) as server:
        server.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        server.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _address = server.accept()
                    if answer is not None:
                        connection.recv(4096)
                        connection.sendall(answer)
                        connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


# What the last words of a service mean

REMEDIES = {
    "open /data/x.db: read-only file system": "go_service_tmpfs",
    "exec /usr/local/bin/api: exec format error": "GOARCH",
    'exec: "wget": executable file not found in $PATH: unknown': "BusyBox",
    "/bin/sh: wget: not found": "BusyBox",
    "health test: exit 1: wget: can't connect to remote host (127.0.0.1): Connection refused": "go_service_port",
    "log: dial tcp 10.0.0.5:5432: connect: connection refused": "something that the service needs does not answer",
    "log: http: TLS handshake error from 127.0.0.1:5: client sent an HTTP request to an HTTPS server": "speaks TLS",
    "log: memory usage: 5 %": "Read the log lines",
    "log: wget: server returned error: HTTP/1.1 404 Not Found": "Read the log lines",
    "wget: server returned error: HTTP/1.1 404 Not Found": "go_service_health_path",
    "wget: server returned error: HTTP/1.1 503 Service Unavailable": "answers the health check with an error",
    "flag provided but not defined: -listen": "go_service_args",
    "Usage of api:": "go_service_args",
    "open /srv/config.yml: permission denied": "go_service_volumes",
    "dial tcp: lookup db on 127.0.0.11:53: no such host": "go_service_network",
    "panic: runtime error": "Read the log lines",
}


@pytest.mark.parametrize(("line", "word"), REMEDIES.items())
def test_a_remedy_for_the_last_words(line: str, word: str) -> None:
    assert word in remedies.remedy_for(["log: started", line])


def test_without_last_words_there_is_a_general_remedy() -> None:
    assert "go_service_args" in remedies.remedy_for([])


# What the Engine thinks of a container


class HealthTester:
    """Stands for an Engine that runs a health test in a container."""

    def __init__(self, code: int) -> None:
        self.code = code

    def run_in(self, name: str, command: list[str], timeout: float) -> tuple[int, str]:
        """Return how the test went."""
        return self.code, ""


def watched_container(status: str, seconds_ago: float, **state: Any) -> dict[str, Any]:
    """Return a running container that the Engine tests every two seconds, and has tested last so many seconds ago."""
    ended = datetime.fromtimestamp(time.time() - seconds_ago, timezone.utc).isoformat().replace("+00:00", "Z")
    record = {"Running": True, "Status": "running", "StartedAt": "2026-01-01T00:00:00.5Z", **state}
    record["Health"] = {"Status": status, "Log": [{"End": ended, "ExitCode": 0, "Output": ""}]}
    check = {"Test": ["CMD", "test"], "Interval": 2_000_000_000, "Timeout": 1_000_000_000}
    return {"Id": "x", "State": record, "Config": {"Healthcheck": check}}


@pytest.mark.parametrize(
    ("status", "seconds_ago", "state", "code", "words"),
    [
        ("healthy", 1, {}, 1, ""),
        ("starting", 1, {}, 1, ""),
        ("unhealthy", 1, {}, 0, "unhealthy"),
        ("healthy", 60, {}, 0, ""),
        ("healthy", 60, {}, 1, "unhealthy, which the Engine does not notice any more"),
        ("healthy", 1, {"Running": False, "Status": "exited"}, 0, "exited"),
        ("healthy", 1, {"Paused": True, "Status": "paused"}, 0, "paused"),
        ("healthy", 1, {"Restarting": True, "Status": "restarting"}, 0, "restarting"),
    ],
)
def test_what_a_container_has_to_be_replaced_for(status: str, seconds_ago: float, state: dict[str, Any], code: int, words: str) -> None:
    assert judgement.reason_to_replace(HealthTester(code), watched_container(status, seconds_ago, **state)) == words


PROVEN = {"id": "x", "restarts": 2}


@pytest.mark.parametrize(
    ("restarts", "proven", "again"),
    [
        (0, {}, False),
        (1, {}, True),
        (2, PROVEN, False),
        (3, PROVEN, True),
        (0, PROVEN, False),
        (1, PROVEN, True),
        (2, {"id": "y", "restarts": 2}, True),
    ],
    ids=["never", "never proven", "no more", "once more", "started by hand", "by hand, then by the Engine", "another container"],
)
def test_a_restart_since_the_last_proof_is_a_reason_to_prove_again(restarts: int, proven: dict[str, Any], again: bool) -> None:
    assert bool(judgement.restarted({"Id": "x", "RestartCount": restarts}, proven)) == again


def test_the_engine_tests_each_interval_or_not_at_all() -> None:
    """Two intervals, one test of the longest kind, and five seconds for a busy machine."""
    assert judgement.is_watched(watched_container("healthy", 9.5))
    assert not judgement.is_watched(watched_container("healthy", 10.5))


# The host's ports


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.0 404 Not Found\r\n\r\nno", ""),
        (b"HTTP/1.1 500 Internal Server Error\r\n\r\n", ""),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0-OpenSSH_9.2"),
        (b"", "Remote end closed connection without response"),
        (None, "timed out"),
    ],
)
def test_what_counts_as_an_http_answer(answer: bytes | None, expected: str) -> None:
    with listener(answer) as port:
        assert proofs.http_answers("127.0.0.1", port, "/health", timeout=0.3).strip() == expected


def test_a_refused_connection_is_told_apart() -> None:
    assert proofs.http_answers("127.0.0.1", free_port(), "/") == "refused"


def test_an_answer_over_ipv6() -> None:
    with listener(b"HTTP/1.1 200 OK\r\n\r\n", socket.AF_INET6) as port:
        assert proofs.http_answers("::1", port, "/") == ""


class Publishers:
    """Stands for an Engine whose containers publish nothing."""

    @staticmethod
    def publishers(port: int) -> list[str]:
        """Return no names."""
        return []


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6], ids=["IPv4", "IPv6"])
def test_a_taken_port_names_the_process(settings: Settings, family: int) -> None:
    with listener(family=family) as port:
        address = "127.0.0.1" if family == socket.AF_INET else "[::1]"
        with pytest.raises(Failure) as caught:
            ports.check_port(Publishers(), settings(publish=f"{address}:{port}"), None)
        assert f":{port} is taken by the process " in caught.value.message
        assert f"(pid {os.getpid()})" in caught.value.message
    assert (caught.value.stage, caught.value.still_runs) == ("port", "Nothing that ran before was touched.")
    assert "go_service_publish" in caught.value.remedy
    ports.check_port(Publishers(), settings(publish=f"{address}:{port}"), None)


def test_an_address_of_another_host(settings: Settings) -> None:
    with pytest.raises(Failure, match=r"192\.0\.2\.1 is not one of this host's"):
        ports.check_port(Publishers(), settings(publish="192.0.2.1:8080"), None)


def test_a_service_without_a_published_port_needs_none(settings: Settings) -> None:
    ports.check_port(Publishers(), settings(publish=""), None)


@pytest.mark.parametrize(("running", "host_port", "taken"), [(True, 0, False), (False, 0, True), (True, 1, True)])
def test_the_port_of_the_old_container_is_its_own(settings: Settings, running: bool, host_port: int, taken: bool) -> None:
    with listener() as port:
        bindings = {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port + host_port)}]}
        old = {"State": {"Running": running}, "HostConfig": {"PortBindings": bindings}}
        with pytest.raises(Failure) if taken else contextlib.nullcontext():
            ports.check_port(Publishers(), settings(publish=f"127.0.0.1:{port}"), old)


@pytest.mark.parametrize(("own", "taken"), [("127.0.0.1", True), ("0.0.0.0", False)])
def test_a_wider_address_than_the_old_containers_may_be_taken(settings: Settings, own: str, taken: bool) -> None:
    """The old container's own part of it is free when it stops; somebody else's is not."""
    with socket.create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]
        old = {"State": {"Running": True}, "HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": own, "HostPort": str(port)}]}}}
        with pytest.raises(Failure, match=r"taken at 127\.0\.0\.2 by the process") if taken else contextlib.nullcontext():
            ports.check_port(Publishers(), settings(publish=f"0.0.0.0:{port}"), old)


# On the real Engine


@pytest.fixture
def service(settings: Settings) -> Settings:
    """Return what makes the settings of a small service that starts at once and stops at once."""

    def make(command: str = SERVE, **changes: Any) -> dict[str, Any]:
        quick = {"name": "utest-web", "publish": "", "stop_timeout": 0, "stable_seconds": 0, "start_timeout": 5, "args": [command]}
        return settings(**{**quick, **changes})

    return make


@pytest.fixture
def clean(engine: Engine) -> Iterator[Engine]:
    """Return the Engine, without containers of the service before and after."""

    def empty() -> None:
        for made in engine.containers(name="utest-web"):
            engine.remove(made["Id"])
        for held in engine.volumes(LABEL_LOCK, "utest-web"):
            engine.remove_volume(held["Name"])

    empty()
    yield engine
    empty()


def swap(engine: Any, wanted: dict[str, Any], image: str, approve: Callable[[str], None] | None = None) -> swaps.Swap:
    """Put a new container of an image in the service's place."""
    return swaps.swap(engine, wanted, containers.create_body(wanted, image, engine.api_version), approve)


def names(engine: Engine) -> list[str]:
    """Return the names of the service's containers."""
    return sorted(container["Names"][0].lstrip("/") for container in engine.containers(name="utest-web"))


@pytest.mark.engine
def test_a_candidate_is_proven_and_measured(clean: Engine, web: str, service: Settings) -> None:
    """The Engine keeps five tests: the first success is remembered though the candidate is watched for longer than that."""
    looked = []

    def look(container_id: str) -> str:
        looked.append((names(clean), clean.container(container_id)))
        return "what was found"

    began = time.monotonic()
    proof, found = candidates.prove_candidate(clean, service(stable_seconds=2.6, publish="127.0.0.1:8080"), web, look)
    assert time.monotonic() - began > 2.6
    assert found == "what was found"
    ((present, candidate),) = looked
    assert present == ["utest-web-candidate"]
    assert candidate["Id"] == proof.container_id and candidate["State"]["Running"]
    assert not candidate["HostConfig"]["PortBindings"]
    assert 0 < proof.start_seconds < 2.6
    assert names(clean) == []


@pytest.mark.engine
def test_a_candidate_that_is_being_looked_at_may_still_fail(clean: Engine, web: str, service: Settings) -> None:
    """The look is part of the time for which a candidate has to stay healthy, and takes nothing from it."""
    with pytest.raises(Failure, match="exited with code 4"):
        candidates.prove_candidate(
            clean, service("httpd -f -p 8080 -h /srv & sleep 1.2; exit 4", stable_seconds=3), web, lambda _id: time.sleep(1)
        )
    assert names(clean) == []


@pytest.mark.engine
def test_a_look_that_fails_leaves_no_candidate(clean: Engine, web: str, service: Settings) -> None:
    """Whatever goes wrong."""

    def look(_container_id: str) -> None:
        raise ValueError("an archive that cannot be read")

    with pytest.raises(ValueError, match="cannot be read"):
        candidates.prove_candidate(clean, service(), web, look)
    assert names(clean) == []


# Command and settings of a candidate that fails -> what is said, and what to do.
FAILING = {
    "exits at once": ("echo boom >&2; exit 3", {}, ["exited with code 3", "log: boom"], "go_service_args"),
    "never healthy": (
        "sleep 60",
        {"start_timeout": 0.8},
        ["within 0.8 s (go_service_start_timeout): it never listened on any port", "health test: exit 1"],
        "go_service_start_timeout",
    ),
    "dies later": ("httpd -f -p 8080 -h /srv & sleep 1.2; exit 4", {"stable_seconds": 3}, ["exited with code 4"], "go_service_args"),
    "too little memory": (
        "exec tail /dev/zero",
        {"memory": "8m"},
        ["it was killed", "by its memory limit of 8 MiB (exit code 137)"],
        "go_service_memory",
    ),
    "writes to its own file system": ("touch /srv/x || exit 5", {}, ["exited with code 5", "Read-only file system"], "go_service_tmpfs"),
    "listens inside only": (
        "exec httpd -f -p 127.0.0.1:8080 -h /srv",
        {"publish": "127.0.0.1:8080", "health_host": "127.0.0.1"},
        ["refuses connections from outside on port 8080"],
        "0.0.0.0:port",
    ),
    "cannot be started": (SERVE, {"network": "utest-none"}, ["utest-none"], "go_service_"),
}


@pytest.mark.engine
@pytest.mark.parametrize("case", FAILING.values(), ids=FAILING)
def test_a_candidate_that_fails_says_how_and_is_gone(clean: Engine, web: str, service: Settings, case: tuple[Any, ...]) -> None:
    command, changes, words, remedy = case
    with pytest.raises(Failure) as caught:
        candidates.prove_candidate(clean, service(command, **changes), web, str)
    told = "\n".join([caught.value.message, *caught.value.evidence])
    assert [word for word in words if word not in told] == []
    assert remedy in caught.value.remedy
    assert (caught.value.stage, caught.value.still_runs) == ("candidate", "Nothing that ran before was touched.")
    assert names(clean) == []


@pytest.mark.engine
@pytest.mark.parametrize(("image", "words"), [(BARE, "has no health check"), ("utest-web:none", "there is no image utest-web:none")])
def test_an_image_that_cannot_be_proven(clean: Engine, service: Settings, image: str, words: str) -> None:
    with pytest.raises(Failure, match=words):
        candidates.prove_candidate(clean, service(), image, str)
    assert names(clean) == []


@pytest.mark.engine
@pytest.mark.parametrize(
    ("suffix", "labels"),
    [
        *((suffix, {}) for suffix in ("", "-candidate", "-next", "-set-aside", "-failed")),
        pytest.param("", {common_names.LABEL_NAME: "utest-other", common_names.LABEL_KIND: "service"}, id="another service's"),
        pytest.param("", {common_names.LABEL_NAME: "utest-web", common_names.LABEL_KIND: "image"}, id="run from the image by hand"),
    ],
)
def test_a_foreign_container_is_left_alone(clean: Engine, suffix: str, labels: dict[str, str]) -> None:
    made = clean.create(f"utest-web{suffix}", {"Image": BARE, "Labels": labels})
    try:
        with pytest.raises(Failure) as caught:
            judgement.refuse_foreign(clean, "utest-web")
        for word in (f"the name utest-web{suffix} is held", BARE, made[:12], "created"):
            assert word in caught.value.message
        assert f"docker rename utest-web{suffix}" in caught.value.remedy
        assert clean.container(made)["Name"] == f"/utest-web{suffix}"
    finally:
        clean.remove(made)


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


@pytest.mark.engine
def test_a_container_that_exits_every_second_is_not_as_it_should_be(clean: Engine, web: str, service: Settings) -> None:
    """Healthy for a moment each time, and made as it should be: only the count of its restarts tells while it runs."""
    wanted = service("httpd -p 8080 -h /srv; sleep 1; exit 1", stable_seconds=1.5)
    body = containers.create_body(wanted, web, clean.api_version)
    clean.start(clean.create("utest-web", body))
    image_id = clean.image(web)["Id"]
    seen = set()
    deadline = time.monotonic() + 30
    while len(seen) < 2 and time.monotonic() < deadline:
        found = clean.container("utest-web")
        if found["RestartCount"]:
            reasons = judgement.shortcomings(clean, found, body, image_id)
            seen.add(bool(reasons))
            assert reasons in ([], ["the container is restarting"], ["the container is exited"])
            assert "has restarted the container since it was proven" in judgement.restarted(found, {})
    assert seen == {True, False}, "seen while it runs, and between two runs"
    past = history.History("utest-web")
    assert deploy.keep(clean, wanted, body, image_id, past) is None
    assert past.container == {}


@pytest.mark.engine
@pytest.mark.parametrize(("command", "finished"), [(SERVE, True), ("exit 3", False)])
def test_a_real_swap_that_was_killed_is_finished_or_undone(
    clean: Engine, web: str, service: Settings, command: str, finished: bool
) -> None:
    old = swap(clean, service(), web).container_id
    clean.rename(old, "utest-web-set-aside")
    clean.stop(old, 0)
    wanted = service(command, start_timeout=1)
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


# The modules that hold it together


@pytest.fixture
def staged(
    clean: Engine, service: Settings, generate: Callable[..., dict[str, str]], module: Callable[..., dict[str, Any]], tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """Return what runs go_service_prepare for a source on this host, in the work directory tmp_path/work."""
    assert clean.container("utest-web") is None
    (tmp_path / "source").mkdir()
    (tmp_path / "source/go.mod").write_text("module example.com/web\n\ngo 1.22\n")
    (tmp_path / "source/main.go").write_text("package main\n\nfunc main() {}\n")
    settings = service(work_dir=str(tmp_path / "work"))

    def run(mode: str, token: str = "t1", **arguments: Any) -> dict[str, Any]:
        common = {"settings": settings, "source_root": str(tmp_path / "source"), "base_images": [BARE, BARE], **generate()}
        identity = {"token": token, "owner": "alice@laptop, process 1", "controller": "c"}
        project = {"origin": {"revision": "abc", "date": "", "url": ""}}
        return module("prepare", tmp_path, mode=mode, lock=identity, project=project, **{**common, **arguments})

    return run


@pytest.mark.engine
def test_a_look_touches_nothing(staged: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    looked = staged("look")
    assert looked["changed"] and looked["plan"]["stage"] == ["the staged source differs", "Dockerfile differs", ".dockerignore differs"]
    assert looked["plan"]["build"] == [f"there is no image {looked['plan']['image']} yet"]
    assert not (tmp_path / "work").exists()


@pytest.mark.engine
def test_a_look_at_a_service_that_is_to_be_placed_sees_a_taken_port(
    staged: Callable[..., dict[str, Any]], service: Settings, tmp_path: Path
) -> None:
    """So a check predicts no deploy that cannot be; an image can be built and proven without the port."""
    with listener() as port:
        wanted = service(work_dir=str(tmp_path / "work"), publish=f"127.0.0.1:{port}")
        refused = staged("look", settings=wanted, places=True)
        assert refused["failure"]["stage"] == "port"
        assert f"127.0.0.1:{port} is taken by the process " in refused["msg"]
        assert staged("look", settings=wanted)["plan"]["deploy"]


@pytest.mark.engine
def test_a_source_is_staged_once(staged: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    first = staged("stage")
    context = tmp_path / "work/utest-web/context"
    assert first["changed"] and first["held"] and first["plan"]["stage"] == []
    assert sorted(path.name for path in context.iterdir()) == [".dockerignore", "Dockerfile", "go.mod", "main.go"]
    assert f'go-service.digest="{first["plan"]["digest"]}"' in (context / "Dockerfile").read_text()
    again = staged("stage")
    assert (again["changed"], again["plan"]["digest"]) == (False, first["plan"]["digest"])
    (tmp_path / "source/main.go").write_text("package main\n\nfunc main() { panic(1) }\n")
    edited = staged("stage")
    assert edited["changed"] and edited["plan"]["digest"] != first["plan"]["digest"]
    assert "panic" in (context / "main.go").read_text()


@pytest.mark.engine
def test_another_run_is_waited_for_and_an_ended_one_is_not(clean: Engine, staged: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """What a killed run left is recovered, and the source is staged all the same."""
    assert staged("stage")["recovered"] == []
    held = staged("stage", token="t2")
    assert (held["changed"], held["locked"]["owner"], held["locked"]["token"]) == (False, "alice@laptop, process 1", "t1")
    (volume,) = clean.volumes(LABEL_LOCK, "utest-web")
    clean.remove_volume(volume["Name"])
    ended = volume["Labels"][LABEL_HOLDER].replace('"boot": "', '"boot": "before-')
    clean.create_volume(volume["Name"], {**volume["Labels"], LABEL_HOLDER: ended})
    (tmp_path / "source/main.go").write_text("package main\n\nfunc main() { panic(2) }\n")
    taken = staged("stage", token="t2")
    assert taken["recovered"] == ["Took over the lock of an ended run (alice@laptop, process 1)."]
    assert taken["plan"]["stage"] == []
    assert "panic(2)" in (tmp_path / "work/utest-web/context/main.go").read_text()


# On an Engine in memory


class Killed(BaseException):
    """The run is gone: nothing after this happens."""


class Memory:
    """An Engine in memory that keeps the real one's rules as far as a swap depends on them: names are unique, what is not there is Missing.

    It counts the calls, and at call number `at` raises `error`, before the call takes effect or after it; from there on always, if `lasting`.
    The image "bad" never passes its health test.
    """

    api_version = (1, 41)

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.calls = 0
        self._ids = itertools.count(1)
        self.at: int | None = None
        self.error: BaseException = EngineError("broken")
        self.after = self.lasting = False

    def _call(self, effect: Callable[[], Any]) -> Any:
        number, self.calls = self.calls, self.calls + 1
        hit = self.at is not None and (number == self.at or (self.lasting and number > self.at))
        if hit and not self.after:
            raise self.error
        result = effect()
        if hit:
            raise self.error
        return result

    def _find(self, name: str) -> dict[str, Any] | None:
        return next((record for record in self.records.values() if name in (record["Id"], record["Name"][1:])), None)

    def _get(self, name: str) -> dict[str, Any]:
        found = self._find(name)
        if found is None:
            raise Missing(f"no such container: {name}")
        return found

    def _free(self, name: str) -> None:
        if self._find(name):
            raise EngineError(f"the name {name} is in use")

    def container(self, name: str) -> dict[str, Any] | None:
        return self._call(lambda: copy.deepcopy(self._find(name)))

    def image(self, reference: str) -> dict[str, Any] | None:
        return None

    def containers(self, **labels: str) -> list[dict[str, Any]]:
        wanted = {f"go-service.{name}": value for name, value in labels.items()}
        return self._call(
            lambda: [
                {"Id": record["Id"], "ImageID": record["Image"], "Names": [record["Name"]], "Labels": record["Config"]["Labels"]}
                for record in self.records.values()
                if wanted.items() <= record["Config"]["Labels"].items()
            ]
        )

    def create(self, name: str, body: dict[str, Any]) -> str:
        def effect() -> str:
            self._free(name)
            made = f"{next(self._ids):064d}"[::-1]
            self.records[made] = {
                "Id": made,
                "Name": f"/{name}",
                "Image": body["Image"],
                "State": {"Running": False, "Status": "created", "StartedAt": "", "ExitCode": 0},
                "Config": {"Labels": body["Labels"], "Image": body["Image"], "Healthcheck": {"Test": ["CMD", "test"]}},
                "HostConfig": {**body["HostConfig"]},
            }
            return made

        return self._call(effect)

    def start(self, name: str) -> None:
        self._call(lambda: self._get(name)["State"].update(Running=True, Status="running"))

    def stop(self, name: str, timeout: int) -> None:
        self._call(lambda: self._get(name)["State"].update(Running=False, Status="exited"))

    def rename(self, name: str, new_name: str) -> None:
        def effect() -> None:
            self._free(new_name)
            self._get(name)["Name"] = f"/{new_name}"

        self._call(effect)

    def set_restart_policy(self, name: str, policy: dict[str, Any]) -> None:
        self._call(lambda: self._get(name)["HostConfig"].update(RestartPolicy=policy))

    def remove(self, name: str) -> None:
        found = self._find(name)
        self._call(lambda: self.records.pop(found["Id"]) if found else None)

    def run_in(self, name: str, command: list[str], timeout: float) -> tuple[int, str]:
        def effect() -> tuple[int, str]:
            found = self._find(name)
            return (0, "") if found and found["State"]["Running"] and found["Config"]["Image"] != "bad" else (1, "sick")

        return self._call(effect)

    def logs(self, name: str, lines: int = 20) -> list[str]:
        return []

    def happenings(self, container: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
        return []


@pytest.fixture
def fast(service: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return what makes settings of a deploy that never waits."""
    monkeypatch.setattr(proofs, "POLL", 0)
    monkeypatch.setattr(swaps, "STOP_SLACK", 0)
    return lambda **changes: service(start_timeout=1e-9, **changes)


def running_service(settings: dict[str, Any], policy: str) -> tuple[Memory, str]:
    """Return an Engine with the service in it, and its container's id."""
    engine = Memory()
    old = swap(engine, {**settings, "restart_policy": policy}, "good").container_id
    engine.calls = 0
    return engine, old


def calls_of(settings: dict[str, Any], policy: str, image: str) -> int:
    """Return how many calls a swap makes where nothing goes wrong but the image."""
    engine, _old = running_service(settings, policy)
    with contextlib.suppress(Failure):
        swap(engine, settings, image)
    return engine.calls


def state(engine: Memory) -> list[tuple[str, bool]]:
    """Return (name, running) of all containers."""
    return sorted((record["Name"][1:], record["State"]["Running"]) for record in engine.records.values())


VARIANTS = list(itertools.product(["always", "unless-stopped"], ["good", "bad"], [False, True]))


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
        assert state(engine) == [("utest-web", True)], f"call {number}"
        (record,) = engine.records.values()
        assert record["Id"] == old or record["Config"]["Image"] == "good"
        if record["Id"] == old:
            assert record["HostConfig"]["RestartPolicy"]["Name"] in (policy, "unless-stopped")


@pytest.mark.parametrize(("policy", "image", "after"), VARIANTS)
def test_whenever_a_run_is_killed_the_next_one_recovers(fast: Settings, policy: str, image: str, after: bool) -> None:
    for number in range(calls_of(fast(), policy, image)):
        engine, old = running_service(fast(), policy)
        engine.at, engine.after, engine.error = number, after, Killed()
        with pytest.raises(Killed):
            swap(engine, fast(), image)
        engine.at = None
        recovery.recover(engine, fast())
        assert state(engine) == [("utest-web", True)], f"call {number}"
        (record,) = engine.records.values()
        assert record["Id"] == old or record["Config"]["Image"] == "good"
        assert recovery.recover(engine, fast()) == []


@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_whenever_a_recovery_is_killed_the_next_one_recovers(fast: Settings, policy: str) -> None:
    for number, second in itertools.product(range(calls_of(fast(), policy, "bad")), range(12)):
        engine, _old = running_service(fast(), policy)
        engine.at, engine.error = number, Killed()
        with pytest.raises(Killed):
            swap(engine, fast(), "bad")
        engine.calls, engine.at = 0, second
        with contextlib.suppress(Killed):
            recovery.recover(engine, fast())
        engine.at = None
        recovery.recover(engine, fast())
        assert state(engine) == [("utest-web", True)], f"calls {number}, {second}"


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
    engine.rename(old, common_names.set_aside_name(fast()["name"]))
    recovery.recover(engine, fast(stop_timeout=60))
    found = engine.container(fast()["name"])
    assert engine.looks == 5
    assert found is not None
    assert (found["Id"], found["State"]["Running"]) == (old, True)


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


def test_leftovers_of_other_services_are_not_touched(fast: Settings) -> None:
    engine, _old = running_service(fast(), "unless-stopped")
    engine.create("utest-web-next", {"Image": "good", "Labels": {common_names.LABEL_NAME: "utest"}, "HostConfig": {}})
    assert recovery.leftovers(engine, "utest-web") == []
    assert recovery.recover(engine, fast()) == []
    assert len(engine.records) == 2


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
