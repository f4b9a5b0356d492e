"""The calls to the Engine, on the real one; how its answers are read; what happens while it is away."""

from __future__ import annotations

import http.server
import importlib.util
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, ClassVar

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine import client as engines
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine, EngineError, EngineUnreachable, Missing
from engines import Module
from fake_engine import Fault, fake_engine
from plays import PROJECT, RUNTIME
from relays import Relay, TlsRelay

Client = Callable[..., str]


# What the Engine answers


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


# The real Engine


@pytest.fixture
def sleeper(engine: Engine) -> Iterator[str]:
    """Return the id of a running container that logs and waits."""
    body = {
        "Image": RUNTIME,
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
    assert set(engine.publishers(58081).values()) == {"utest-sleeper"}
    assert engine.publishers(58081, beside="utest-sleeper") == {}
    assert engine.publishers(58082) == {}
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
        engine.create("utest-renamed", {"Image": RUNTIME})
    engine.remove(sleeper)
    assert engine.container(sleeper) is None


@pytest.mark.engine
def test_a_path_of_the_engines_machine(engine: Engine, tmp_path: Path) -> None:
    """It is seen with the Engine's rights, and nothing is made by the look, neither a container nor the path."""
    before = [container["Id"] for container in engine.containers()]
    assert engine.has_path(str(tmp_path))
    assert not engine.has_path(str(tmp_path / "missing"))
    assert not (tmp_path / "missing").exists()
    assert [container["Id"] for container in engine.containers()] == before


@pytest.mark.engine
def test_a_path_below_a_directory_that_this_user_may_not_enter(engine: Engine, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "closed/inner").mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    # The connection is there already, as that of a member of the group docker.
    assert engine.has_path(str(tmp_path))
    request.getfixturevalue("unprivileged")
    assert not os.access(tmp_path / "closed/inner", os.F_OK, effective_ids=True)
    assert engine.has_path(str(tmp_path / "closed/inner"))


@pytest.mark.engine
def test_files_of_a_container_that_was_never_started(engine: Engine) -> None:
    """They are written and read with the owner's number and mode, in what is mounted too."""
    made = engine.create("utest-files", {"Image": RUNTIME, "HostConfig": {"Binds": ["utest-files:/given"]}})
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("one")
        entry.size, entry.mode, entry.uid = 3, 0o400, 1234
        archive.addfile(entry, io.BytesIO(b"abc"))
    try:
        engine.write_path(made, "/given", packed.getvalue())

        def read(stream: IO[bytes]) -> list[tuple[str, int, int, bytes]]:
            with tarfile.open(fileobj=stream, mode="r|") as opened:
                return [(one.name, one.uid, one.mode & 0o7777, opened.extractfile(one).read()) for one in opened if one.isfile()]

        assert engine.read_path(made, "/given", read) == [("given/one", 1234, 0o400, b"abc")]
        with pytest.raises(Missing):
            engine.read_path(made, "/missing", read)
    finally:
        engine.remove(made)
        engine.remove_volume("utest-files")


@pytest.mark.engine
def test_the_exit_code_of_a_container_that_runs_again(engine: Engine) -> None:
    """It ends with 7 in its first life, and in its second one the Engine's record says 0."""
    again = "test -e /tmp/second && exec sleep 60; touch /tmp/second; exit 7"
    body = {"Image": RUNTIME, "Cmd": ["sh", "-c", again], "HostConfig": {"RestartPolicy": {"Name": "always"}}}
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

    assert "manifest.json" in engine.read_image(RUNTIME, names)
    assert "bin/busybox" in engine.read_files(sleeper, names)
    for missing in (engine.read_image, engine.read_files):
        with pytest.raises(Missing, match="utest-none"):
            missing("utest-none", names)


@pytest.mark.engine
def test_an_image_in_use_stays(engine: Engine, client: Client) -> None:
    client("build", "-q", "-t", "utest-used", "-", stdin=f"FROM {RUNTIME}\nLABEL a=b\n")
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
@pytest.mark.parametrize("how", ["lost", "cut", "refuse"])
def test_a_container_whose_new_name_is_not_confirmed_has_it_all_the_same(tmp_path: Path, how: str) -> None:
    with fake_engine(tmp_path) as server:
        server.rules.add_image("some:1")
        asking = Engine(server.docker_host)
        made = asking.create("utest-a", {"Image": "some:1"})
        server.arm(Fault(0, how, after=True))
        asking.rename(made, "utest-b")
        assert asking.container(made)["Name"] == "/utest-b"
        other = asking.create("utest-c", {"Image": "some:1"})
        with pytest.raises(EngineError, match="already in use"):
            asking.rename(other, "utest-b")


@pytest.mark.parametrize(("held", "taken"), [({}, True), ({"Labels": {"a": "c"}}, False), ({"started": True}, False)])
def test_a_container_whose_making_is_not_confirmed_is_made_once(tmp_path: Path, held: dict[str, Any], taken: bool) -> None:
    """Asked again, the Engine has one of that name: it is ours, unless it is not as it was asked for, or runs."""
    body = {"Image": "some:1", "Labels": {"a": "b"}}
    with fake_engine(tmp_path) as server:
        server.rules.add_image("some:1")
        asking = Engine(server.docker_host)
        if not taken:
            there = asking.create("utest-a", {**body, "Labels": held.get("Labels", body["Labels"])})
            if "started" in held:
                asking.start(there)
        server.arm(Fault(0, "lost"))
        if taken:
            made = asking.create("utest-a", body)
            assert list(server.rules.state.containers) == [made]
            return
        with pytest.raises(EngineError, match="already in use"):
            asking.create("utest-a", body)
        assert list(server.rules.state.containers) == [there]


def test_an_engine_that_refuses_the_first_request_is_told_in_its_own_words(tmp_path: Path) -> None:
    """It may be starting: nothing is wrong with the library that asks."""
    with fake_engine(tmp_path) as server:
        server.arm(Fault(0, "refuse"))
        with pytest.raises(EngineUnreachable, match="it answers 500: the fake Engine refuses") as caught:
            Engine(server.docker_host)
        assert "Docker SDK" not in caught.value.message
        assert Engine(server.docker_host).version()["ApiVersion"] == "1.41"


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


WEB = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.mark.parametrize("host", ["ssh://-oProxyCommand=x", "ssh://h;touch${IFS}x", "ssh://h x", "ssh://h\n", "ssh://"])
def test_what_no_shell_may_see(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(EngineUnreachable, match="is not a valid address"):
        Engine()


def test_an_address_nobody_listens_at(module: Module, tmp_path: Path) -> None:
    for docker_host, status in [(f"unix://{tmp_path}/none", "absent"), ("tcp://127.0.0.1:1", "unusable")]:
        found = module("engine_info", tmp_path, docker_host=docker_host)
        assert (found["status"], found["docker_host"], found["images"], found["server"]) == (status, docker_host, [], {})
        assert docker_host in found["message"]


def test_an_engine_that_comes_is_waited_for(engine: Engine, module: Module, tmp_path: Path) -> None:
    assert engine
    starter = f"import sys, time; sys.path.insert(0, {str(PROJECT / 'tests/unit')!r}); import relays; time.sleep(1); relays.Relay({str(tmp_path / 'e')!r}); time.sleep(30)"
    with subprocess.Popen([sys.executable, "-c", starter]) as later:
        try:
            assert module("engine_info", tmp_path, docker_host=f"unix://{tmp_path}/e", wait=20)["status"] == "ready"
        finally:
            later.kill()


def test_a_socket_that_accepts_and_never_answers(module: Module, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute"))
        mute.listen()
        began = time.monotonic()
        found = module("engine_info", tmp_path, docker_host=f"unix://{tmp_path}/mute", timeout=1)
    assert found["status"] == "silent"
    assert time.monotonic() - began < 10


def test_a_socket_of_somebody_else(unprivileged: Path) -> None:
    if os.getuid():
        pytest.skip("only root can make a socket that belongs to another user")
    os.seteuid(0)
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(unprivileged / "closed"))
        closed.listen()
        os.chmod(unprivileged / "closed", 0o600)
        os.seteuid(65534)
        with pytest.raises(EngineUnreachable, match="permission denied") as failure:
            Engine(f"unix://{unprivileged}/closed")
    assert failure.value.status == "denied"


def test_the_library_is_missing(engine: Engine, module: Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert engine
    (tmp_path / "docker.py").write_text("raise ImportError('No module named docker')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = module("engine_info", tmp_path)
    assert (found["status"], found["library"]) == ("no_library", False)
    for word in (sys.executable, "python3-docker", "pip install docker", "ansible_python_interpreter"):
        assert word in found["message"]
    # What is to be installed depends on it.
    assert module("engine_info", tmp_path, docker_host=f"unix://{tmp_path}/none")["status"] == "absent"


class OtherEngine(http.server.BaseHTTPRequestHandler):
    """Says which API it speaks, and nothing else."""

    api = "1.40"
    more: ClassVar[dict[str, object]] = {}

    def do_GET(self) -> None:
        """Answer."""
        self.server.heard += self.path.encode() + b"\n"
        body = json.dumps({"ApiVersion": self.api, "Version": "x", **self.more}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        """Return nothing: a socket of the file system has no address."""
        return ""

    def log_message(self, *words: object) -> None:
        """Keep quiet."""


def test_an_engine_that_is_too_old(tmp_path: Path) -> None:
    relay = Relay(tmp_path / "old", OtherEngine)
    with pytest.raises(EngineUnreachable, match=r"speaks API 1\.40 at most, and 1\.41 is needed: upgrade it to 20\.10 or newer"):
        Engine(f"unix://{tmp_path}/old")
    relay.end()


def test_podman_in_the_place_of_an_engine_is_told_by_its_own_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As 5.4.2 answers by its Docker socket; with a real one: the scenario engines."""
    monkeypatch.setattr(OtherEngine, "api", "1.41")
    monkeypatch.setattr(
        OtherEngine, "more", {"Components": [{"Name": "Podman Engine", "Version": "5.4.2"}, {"Name": "Conmon", "Version": "2.1"}]}
    )
    relay = Relay(tmp_path / "podman", OtherEngine)
    with pytest.raises(
        EngineUnreachable, match=r"Podman 5\.4\.2 answers in the place of a Docker Engine: .* Name the socket of a Docker Engine"
    ):
        Engine(f"unix://{tmp_path}/podman").version()
    relay.end()


def test_an_engine_that_is_newer_than_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What came with newer APIs, such as the start interval of 1.44, is in reach of an old library."""
    monkeypatch.setattr(OtherEngine, "api", "1.99")
    relay = Relay(tmp_path / "new", OtherEngine)
    engine = Engine(f"unix://{tmp_path}/new")
    engine.version()
    engine.stats("x")
    assert engine.api_version == (1, 99)
    assert relay.heard.split() == [b"/version", b"/v1.99/version", b"/v1.99/containers/x/stats?stream=0&one-shot=1"]
    relay.end()


def test_a_library_that_cannot_speak_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("paramiko"):
        pytest.skip("paramiko is installed here")
    with pytest.raises(EngineUnreachable, match=f"{re.escape(sys.executable)} -m pip install paramiko"):
        Engine("ssh://root@127.0.0.1:1")


def use(engine: Engine) -> None:
    """Have all that is asked of an Engine done: short answers, streams, a command that answers and one that does not."""
    container = engine.create("utest-address", {"Image": RUNTIME, "Cmd": ["sh", "-c", "echo here; exec sleep 60"]})
    try:
        engine.start(container)
        assert engine.run_in(container, ["echo", "fine"], 10) == (0, "fine")
        began = time.monotonic()
        assert engine.run_in(container, ["sleep", "20"], 0.5) == (-1, "no answer within 0.5 s")
        assert time.monotonic() - began < 3
        assert engine.logs(container) == ["here"]
        assert engine.stats(container)["id"] == container
        assert engine.read_image(RUNTIME, lambda stream: len(stream.read())) > 1_000_000
        engine.stop(container, 0)
        assert engine.last_exit(engine.container(container)) == 137
    finally:
        engine.remove(container)


def seen_by_docker_modules(options: Mapping[str, Any], directory: Path) -> bool:
    """Say whether a module of community.docker finds the tests' image by these options."""
    (directory / "arguments.json").write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {"name": RUNTIME, **options}}))
    command = [sys.executable, "-m", "ansible_collections.community.docker.plugins.modules.docker_image_info", directory / "arguments.json"]
    # Certificate authorities of the web take the place of the Engine's there.
    environment = {name: value for name, value in os.environ.items() if name not in WEB and not name.startswith("DOCKER_")}
    done = json.loads(subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout)
    return bool(done.get("images"))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with two CAs (right, wrong), each a directory with ca.pem and a client's cert.pem and key.pem; the right one has also
    those of a server at 127.0.0.1 and of one called engine.example."""
    root = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=root, check=True, capture_output=True)

    for ca in ("right", "wrong"):
        (root / ca).mkdir()
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        openssl("req", "-x509", *curve, "-keyout", f"{ca}/ca-key.pem", "-out", f"{ca}/ca.pem", "-subj", f"/CN={ca}", "-days", "2")
        for name, subject, extension in [
            ("", "client", "extendedKeyUsage=clientAuth"),
            ("server-", "127.0.0.1", "subjectAltName=IP:127.0.0.1"),
            ("named-", "engine.example", "subjectAltName=DNS:engine.example"),
        ]:
            (root / "extensions").write_text(extension)
            openssl("req", *curve, "-keyout", f"{ca}/{name}key.pem", "-out", "request", "-subj", f"/CN={subject}")
            signer = ["-CA", f"{ca}/ca.pem", "-CAkey", f"{ca}/ca-key.pem", "-CAcreateserial", "-extfile", "extensions", "-days", "2"]
            openssl("x509", "-req", "-in", "request", "-out", f"{ca}/{name}cert.pem", *signer)
    return root


@pytest.fixture(params=["server-"])
def tls(engine: Engine, certificates: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[TlsRelay]:
    """Yield a port that speaks TLS, which DOCKER_HOST names."""
    assert engine
    right = certificates / "right"
    relay = TlsRelay(right / f"{request.param}cert.pem", right / f"{request.param}key.pem", right / "ca.pem")
    monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{relay.server_address[1]}")
    yield relay
    relay.end()


@pytest.mark.engine
def test_tls(tls: TlsRelay, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates / "right"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "wrong/ca.pem"))
    engine = Engine()
    use(engine)
    assert tls.heard.count(b"/exec/") >= 3
    assert seen_by_docker_modules(engine.address.options, tmp_path)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("verify", "path", "words"),
    [
        ("TLS_VERIFY", "wrong", "certificate verify failed"),
        ("TLS", "wrong", "alert|reset|closed|EOF"),
        ("TLS_VERIFY", "none", "certificate verify failed"),
        ("", "right", "aborted|reset|closed|without response"),
    ],
)
def test_tls_with_wrong_certificates(
    *,
    tls: TlsRelay,
    certificates: Path,
    module: Module,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verify: str,
    path: str,
    words: str,
) -> None:
    if verify:
        monkeypatch.setenv(f"DOCKER_{verify}", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates / path))
    found = module("engine_info", tmp_path)
    assert (found["status"], tls.heard) == ("unusable", b"")
    assert re.search(words, found["message"])


@pytest.mark.engine
def test_tls_without_proof_of_the_engine(tls: TlsRelay, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").symlink_to(certificates / "wrong/ca.pem")
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).symlink_to(certificates / "right" / name)
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_TLS", "1")
    assert Engine().version()["Version"]


@pytest.mark.engine
@pytest.mark.parametrize("tls", ["named-"], indirect=True)
def test_tls_by_another_name(tls: TlsRelay, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates / "right"))
    with pytest.raises(EngineUnreachable, match=r"engine\.example|doesn't match|IP address mismatch"):
        Engine()
    monkeypatch.setenv("DOCKER_TLS_HOSTNAME", "engine.example")
    engine = Engine()
    assert engine.version()["Version"]
    assert seen_by_docker_modules(engine.address.options, tmp_path)
    monkeypatch.setenv("DOCKER_TLS_HOSTNAME", "another.example")
    with pytest.raises(EngineUnreachable, match=r"engine\.example|doesn't match|mismatch"):
        Engine()


@pytest.mark.engine
@pytest.mark.parametrize(("own", "words"), [(True, ""), (False, "alert|reset|closed|EOF")])
def test_tls_of_a_context(
    *,
    tls: TlsRelay,
    certificates: Path,
    context: Callable[[str, str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own: bool,
    words: str,
) -> None:
    """With the client's certificate, and without one, which this Engine refuses."""
    right = certificates / "right"
    mine = f",cert={right}/cert.pem,key={right}/key.pem" if own else ""
    host = os.environ["DOCKER_HOST"]
    monkeypatch.delenv("DOCKER_HOST")
    context("secure", f"host={host},ca={right}/ca.pem{mine}")
    monkeypatch.setenv("DOCKER_CONTEXT", "secure")
    if own:
        engine = Engine()
        assert (engine.address.docker_host, engine.address.verify) == (host, True)
        assert engine.version()["Version"]
        assert seen_by_docker_modules(engine.address.options, tmp_path)
    else:
        with pytest.raises(EngineUnreachable, match=words):
            Engine()
    assert bool(tls.heard) is own


@pytest.fixture
def ssh(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of the Engine by an ssh server of the test's own."""
    assert engine
    if not Path("/usr/sbin/sshd").exists() or os.getuid():
        pytest.skip("an ssh server of the test's own needs /usr/sbin/sshd (Debian: openssh-server) and root")
    pytest.importorskip("paramiko", reason="the Docker SDK speaks ssh only where paramiko is installed")
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    Path("/run/sshd").mkdir(exist_ok=True)
    (tmp_path / "sshd").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/client.pub\nStrictModes no\n"
        f"PermitRootLogin prohibit-password\nUsePAM no\nPidFile none\nSetEnv PATH={os.environ['PATH']}\n"
    )
    (tmp_path / "known").write_text(f"[127.0.0.1]:{port} {(tmp_path / 'host.pub').read_text()}")
    (tmp_path / "bin").mkdir()
    wrapper = tmp_path / "bin/ssh"
    options = f"-o IdentityFile={tmp_path}/client -o IdentitiesOnly=yes -o UserKnownHostsFile={tmp_path}/known -o BatchMode=yes"
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F none {options} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    with subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(tmp_path / "sshd")], stderr=subprocess.DEVNULL) as server:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as attempt:
                if not attempt.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.05)
        yield f"ssh://root@127.0.0.1:{port}"
        server.kill()


@pytest.mark.engine
def test_ssh(ssh: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", ssh)
    engine = Engine()
    assert engine.address.docker_host == ssh
    use(engine)


@pytest.mark.engine
def test_ssh_to_where_nobody_is(ssh: str, module: Module, tmp_path: Path) -> None:
    found = module("engine_info", tmp_path, docker_host=ssh.rpartition(":")[0] + ":1", timeout=5)
    assert found["status"] == "unusable"
