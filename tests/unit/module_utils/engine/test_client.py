"""The calls to the Engine, on the real one; how its answers are read; what happens while it is away."""

from __future__ import annotations

import os
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine import client as engines
from ansible_collections.proven.go_service.plugins.module_utils.engine import records
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine, EngineError, EngineUnreachable, Missing
from relays import Relay

Client = Callable[..., str]
IMAGE = "stand-in/runtime:1.37.0"


# What the Engine answers


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("1970-01-01T00:01:00.5Z", 60.5),
        ("1970-01-01T00:00:01.123456789Z", 1.123456789),
        ("1970-01-01T02:00:00+02:00", 0.0),
        ("2026-03-01T12:00:00.000000001-05:00", 1772384400.000000001),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert records.parse_time(text) == pytest.approx(seconds, abs=1e-6)


@pytest.mark.parametrize("text", ["", "now", "2026-03-01T12:00:00", "0001-01-01T00:00:00Zx"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a time of the Engine|Invalid isoformat"):
        records.parse_time(text)


def frame(stream: int, payload: bytes) -> bytes:
    """Return a piece of a multiplexed stream."""
    return bytes([stream, 0, 0, 0]) + len(payload).to_bytes(4, "big") + payload


@pytest.mark.parametrize(
    ("raw", "payload"),
    [
        (b"", b""),
        (frame(1, b"out\n") + frame(2, b"err\n") + frame(1, b""), b"out\nerr\n"),
        (frame(1, b"\x01\0\0\0\0\0\0\x02xy"), b"\x01\0\0\0\0\0\0\x02xy"),
        (frame(1, b"whole") + frame(1, b"cut off")[:-4], b"wholecut"),
        (b"plain text of a terminal", b"plain text of a terminal"),
        (b"short", b""),
    ],
)
def test_multiplexed_output(raw: bytes, payload: bytes) -> None:
    assert engines.demultiplex(raw) == payload


@pytest.mark.parametrize(
    ("check", "command"),
    [
        (None, None),
        ({}, None),
        ({"Test": []}, None),
        ({"Test": ["NONE"]}, None),
        ({"Test": ["CMD"]}, None),
        ({"Test": ["CMD", "wget", "-q"]}, ["wget", "-q"]),
        ({"Test": ["CMD-SHELL", "wget -q || exit 1"]}, ["/bin/sh", "-c", "wget -q || exit 1"]),
    ],
)
def test_the_command_of_a_health_check(check: object, command: list[str] | None) -> None:
    assert records.health_test({"Config": {"Healthcheck": check}}) == command


# The real Engine


@pytest.fixture
def sleeper(engine: Engine) -> Iterator[str]:
    """Return the id of a running container that logs and waits."""
    body = {
        "Image": IMAGE,
        "Cmd": ["/bin/sh", "-c", "echo out; echo err >&2; exec sleep 60"],
        "Labels": {"go-service.name": "utest-sleeper", "go-service.kind": "service"},
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "58081"}]}},
        "ExposedPorts": {"80/tcp": {}},
    }
    made = engine.create("utest-sleeper", body)
    engine.start(made)
    yield made
    engine.remove(made)


@pytest.mark.engine
def test_what_is_not_there(engine: Engine) -> None:
    assert engine.image("utest-none:1") is None
    assert engine.container("utest-none") is None
    assert not engine.network_exists("utest-none")
    assert engine.network_exists("bridge")
    assert engine.containers(name="utest-none") == []
    assert engine.images(name="utest-none") == []
    assert engine.logs("utest-none") == []
    assert engine.run_in("utest-none", ["true"], 1)[0] == -1
    assert engine.remove_image("utest-none:1")
    engine.remove("utest-none")
    for call in (
        lambda: engine.start("utest-none"),
        lambda: engine.stop("utest-none", 0),
        lambda: engine.rename("utest-none", "utest-other"),
        lambda: engine.set_restart_policy("utest-none", {"Name": "no"}),
        lambda: engine.create("utest-none", {"Image": "utest-none:1"}),
        lambda: engine.tag("utest-none:1", "utest-none", "2"),
    ):
        with pytest.raises(Missing, match="utest-none"):
            call()


@pytest.mark.engine
def test_the_life_of_a_container(engine: Engine, sleeper: str) -> None:
    assert engine.container("utest-sleeper")["Id"] == sleeper
    assert [container["Id"] for container in engine.containers(name="utest-sleeper", kind="service")] == [sleeper]
    assert engine.containers(name="utest-sleeper", kind="candidate") == []
    assert engine.publishers(58081) == ["utest-sleeper"]
    assert engine.publishers(58082) == []
    assert sorted(engine.logs(sleeper)) == ["err", "out"]
    engine.start(sleeper)  # runs already
    engine.rename(sleeper, "utest-renamed")
    engine.set_restart_policy("utest-renamed", {"Name": "always"})
    assert engine.container(sleeper)["HostConfig"]["RestartPolicy"]["Name"] == "always"
    engine.stop(sleeper, 0)
    engine.stop(sleeper, 0)  # stopped already
    assert not engine.container(sleeper)["State"]["Running"]
    assert engine.run_in(sleeper, ["true"], 1)[0] == -1
    with pytest.raises(EngineError, match="utest-renamed"):
        engine.create("utest-renamed", {"Image": IMAGE})
    engine.remove(sleeper)
    assert engine.container(sleeper) is None


@pytest.mark.engine
def test_the_exit_code_of_a_container_that_runs_again(engine: Engine) -> None:
    """It ends with 7 in its first life, and in its second one the Engine's record says 0."""
    again = "test -e /tmp/second && exec sleep 60; touch /tmp/second; exit 7"
    body = {"Image": IMAGE, "Cmd": ["sh", "-c", again], "HostConfig": {"RestartPolicy": {"Name": "always"}}}
    container = engine.create("utest-restarted", body)
    try:
        engine.start(container)
        deadline = time.monotonic() + 30
        while not (found := engine.container(container))["RestartCount"] or found["State"]["Restarting"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert found["State"]["ExitCode"] == 0
        assert engine.last_exit(found) == 7
    finally:
        engine.remove(container)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("command", "timeout", "expected"),
    [
        (["/bin/sh", "-c", "echo fine; echo too >&2"], 5, (0, "fine\ntoo")),
        (["/bin/sh", "-c", "echo no; exit 7"], 5, (7, "no")),
        (["sleep", "5"], 0.3, (-1, "no answer within 0.3 s")),
        (["/bin/sh", "-c", "while :; do echo busy; usleep 100000; done"], 0.5, (-1, "no answer within 0.5 s")),
    ],
)
def test_commands_in_a_container(engine: Engine, sleeper: str, command: list[str], timeout: float, expected: tuple[int, str]) -> None:
    began = time.monotonic()
    code, output = engine.run_in(sleeper, command, timeout)
    assert time.monotonic() - began < 3
    assert (code, "\n".join(sorted(output.splitlines()))) == expected


@pytest.mark.engine
def test_a_command_that_is_not_there(engine: Engine, sleeper: str) -> None:
    code, output = engine.run_in(sleeper, ["nosuch"], 5)
    assert code not in (0, None)
    assert "nosuch" in output


@pytest.mark.engine
def test_every_call_is_counted(engine: Engine, sleeper: str) -> None:
    """Those that fail too; a command is made, started and looked after."""
    for call, calls in [
        (engine.version, 1),
        (lambda: engine.image("utest-none"), 1),
        (lambda: engine.logs(sleeper), 1),
        (lambda: engine.stats(sleeper), 1),
        (lambda: engine.read_files(sleeper, lambda stream: stream.read()), 1),
        (lambda: engine.run_in(sleeper, ["true"], 5), 3),
        (lambda: engine.run_unheard(sleeper, ["true"]), 2),
    ]:
        before = engine.calls
        call()
        assert engine.calls - before == calls


@pytest.mark.engine
def test_archives_are_streams(engine: Engine, sleeper: str) -> None:
    def names(stream: IO[bytes]) -> list[str]:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            return [member.name for member in archive]

    assert "manifest.json" in engine.read_image(IMAGE, names)
    assert "bin/busybox" in engine.read_files(sleeper, names)
    for missing in (engine.read_image, engine.read_files):
        with pytest.raises(Missing, match="utest-none"):
            missing("utest-none", names)


@pytest.mark.engine
def test_an_image_in_use_stays(engine: Engine, client: Client) -> None:
    client("build", "-q", "-t", "utest-used", "-", stdin=f"FROM {IMAGE}\nLABEL a=b\n")
    made = engine.create("utest-user", {"Image": "utest-used", "Cmd": ["true"]})
    assert not engine.remove_image("utest-used")
    engine.tag("utest-used", "utest-used", "other")
    assert engine.remove_image("utest-used:other")
    assert engine.image("utest-used")
    engine.remove(made)
    assert engine.remove_image("utest-used")
    assert engine.image("utest-used") is None


# An Engine that is away


@pytest.fixture
def relay(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Relay]:
    """Return what starts a socket to the Engine, which DOCKER_HOST names."""
    assert engine
    if not Path("/var/run/docker.sock").is_socket():
        pytest.skip("the Engine of this machine does not listen on /var/run/docker.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/e")
    return lambda: Relay(tmp_path / "e")


@pytest.mark.engine
def test_no_engine_at_all_is_said_at_once(relay: Callable[[], Relay]) -> None:
    assert relay
    began = time.monotonic()
    with pytest.raises(EngineUnreachable):
        Engine()
    assert time.monotonic() - began < 5


@pytest.mark.engine
def test_an_engine_that_goes_away_is_waited_for(relay: Callable[[], Relay], tmp_path: Path) -> None:
    first = relay()
    engine = Engine()
    version = engine.version()["Version"]
    first.end()
    engine.close()
    os.unlink(tmp_path / "e")
    back = []
    threading.Timer(0.7, lambda: back.append(relay())).start()
    began = time.monotonic()
    assert engine.version()["Version"] == version
    assert 0.5 < time.monotonic() - began < 10
    back[0].end()


@pytest.mark.engine
def test_an_engine_that_stays_away_is_given_up(relay: Callable[[], Relay], tmp_path: Path) -> None:
    first = relay()
    engine = Engine(patience=0.4)
    first.end()
    engine.close()
    os.unlink(tmp_path / "e")
    began = time.monotonic()
    with pytest.raises(EngineUnreachable, match="the Engine did not come back within 0 s"):
        engine.version()
    assert time.monotonic() - began < 5
