"""Where the Engine is found, held against the docker command, and whether it answers there: by socket, TLS and ssh, by contexts, or not at all."""

from __future__ import annotations

import http.server
import importlib.util
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.proven.go_service.plugins.module_utils.engine import address
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine, EngineUnreachable
from plays import PROJECT, ansible_playbook, environment
from relays import Relay, TlsRelay

IMAGE = "stand-in/runtime:1.37.0"
SETTINGS = ("HOST", "CONTEXT", "CONFIG", "TLS", "TLS_VERIFY", "TLS_HOSTNAME", "CERT_PATH")
WEB = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
Module = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a directory for docker's configuration, empty, and forget what the tests were started with."""
    for name in SETTINGS:
        monkeypatch.delenv(f"DOCKER_{name}", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the docker command with the settings of the test."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def context(config: Path) -> Callable[[str, str], None]:
    """Return what makes a docker context by the docker command."""
    if not shutil.which("docker"):
        pytest.skip("there is no docker command on this machine")

    def make(name: str, endpoint: str) -> None:
        made = docker("context", "create", name, "--docker", endpoint)
        assert made.returncode == 0, made.stderr

    return make


# Which address


@pytest.mark.parametrize(
    ("settings", "current"),
    [
        ({}, ""),
        ({"HOST": "unix:///tmp/utest-host.sock"}, ""),
        ({"CONTEXT": "one"}, ""),
        ({"CONTEXT": "default"}, "two"),
        ({}, "two"),
        ({}, "default"),
        ({"CONTEXT": "one"}, "two"),
        ({"CONTEXT": ""}, "two"),
        ({"HOST": "unix:///tmp/utest-host.sock", "CONTEXT": "one"}, "two"),
        ({"HOST": ""}, "two"),
    ],
)
def test_the_docker_command_asks_there_too(
    context: Callable[[str, str], None], config: Path, monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str], current: str
) -> None:
    context("one", "host=unix:///tmp/utest-one.sock")
    context("two", "host=unix:///tmp/utest-two.sock")
    if current:
        (config / "config.json").write_text(json.dumps({"currentContext": current}))
    for name, value in settings.items():
        monkeypatch.setenv(f"DOCKER_{name}", value)
    found = address.find()
    if found.docker_host == address.DEFAULT:
        assert "utest" not in docker("version").stderr
    else:
        assert f" at {found.docker_host}. " in docker("version").stderr
    assert address.find("unix:///tmp/utest-option.sock").docker_host == "unix:///tmp/utest-option.sock"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, {"docker_host": address.DEFAULT, "tls": False, "validate_certs": False}),
        ({"HOST": "unix://"}, {"docker_host": address.DEFAULT, "tls": False, "validate_certs": False}),
        ({"HOST": "unix:///x", "TLS_VERIFY": "1"}, {"docker_host": "unix:///x", "tls": False, "validate_certs": False}),
        ({"HOST": "ssh://dev@h:22", "TLS_VERIFY": "1"}, {"docker_host": "ssh://dev@h:22", "tls": False, "validate_certs": False}),
        ({"HOST": "tcp://h:1"}, {"docker_host": "tcp://h:1", "tls": False, "validate_certs": False}),
        ({"HOST": "tcp://h:1", "TLS_VERIFY": ""}, {"docker_host": "tcp://h:1", "tls": False, "validate_certs": False}),
        ({"HOST": "tcp://h:1", "TLS": "1"}, {"docker_host": "tcp://h:1", "tls": True, "validate_certs": False}),
        (
            {"HOST": "tcp://h:1", "TLS_VERIFY": "1", "TLS_HOSTNAME": "e"},
            {"docker_host": "tcp://h:1", "tls": True, "validate_certs": True, "tls_hostname": "e"},
        ),
    ],
)
def test_the_environment(monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str], expected: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"DOCKER_{name}", value)
    assert address.find().options == expected


def test_a_key_without_its_certificate_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"HOST": "tcp://h:1", "TLS_VERIFY": "1", "CERT_PATH": str(tmp_path)}.items():
        monkeypatch.setenv(f"DOCKER_{name}", value)
    for name in ("ca.pem", "key.pem"):
        (tmp_path / name).touch()
    assert (address.find().ca, address.find().cert, address.find().key) == (str(tmp_path / "ca.pem"), "", "")


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (lambda config, meta: meta.unlink(), "there is no docker context one, chosen by currentContext"),
        (lambda config, meta: meta.write_text("{"), "the docker context one, .*cannot be read"),
        (lambda config, meta: meta.write_text('{"Endpoints": {}}'), "the docker context one, .*cannot be read"),
        (lambda config, meta: (config / "config.json").write_text("{"), r"config\.json cannot be read"),
        (lambda config, meta: (config / "config.json").write_text("[]"), r"config\.json cannot be read"),
    ],
)
def test_a_context_that_cannot_be_read_is_no_reason_to_ask_another_engine(
    *, context: Callable[[str, str], None], config: Path, module: Module, tmp_path: Path, broken: Callable[[Path, Path], object], words: str
) -> None:
    context("one", "host=unix:///tmp/utest-one.sock")
    (config / "config.json").write_text('{"currentContext": "one"}')
    broken(config, next(config.glob("contexts/meta/*/meta.json")))
    found = module("engine_info", tmp_path)
    assert (found["status"], found["docker_host"], found["connection"]) == ("unusable", "", {})
    assert re.search(words, found["message"])


@pytest.mark.parametrize("host", ["ssh://-oProxyCommand=x", "ssh://h;touch${IFS}x", "ssh://h x", "ssh://h\n", "ssh://"])
def test_what_no_shell_may_see(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(EngineUnreachable, match="is no address"):
        Engine()


# Nobody there, or nobody who can be spoken to


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

    def do_GET(self) -> None:
        """Answer."""
        self.server.heard += self.path.encode() + b"\n"
        body = json.dumps({"ApiVersion": self.api, "Version": "x"}).encode()
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


# Every way there


def use(engine: Engine) -> None:
    """Have all that is asked of an Engine done: short answers, streams, a command that answers and one that does not."""
    container = engine.create("utest-address", {"Image": IMAGE, "Cmd": ["sh", "-c", "echo here; exec sleep 60"]})
    try:
        engine.start(container)
        assert engine.run_in(container, ["echo", "fine"], 10) == (0, "fine")
        began = time.monotonic()
        assert engine.run_in(container, ["sleep", "20"], 0.5) == (-1, "no answer within 0.5 s")
        assert time.monotonic() - began < 3
        assert engine.logs(container) == ["here"]
        assert engine.stats(container)["id"] == container
        assert engine.read_image(IMAGE, lambda stream: len(stream.read())) > 1_000_000
        engine.stop(container, 0)
        assert engine.last_exit(engine.container(container)) == 137
    finally:
        engine.remove(container)


def seen_by_docker_modules(options: Mapping[str, Any], directory: Path) -> bool:
    """Say whether a module of community.docker finds the tests' image by these options."""
    (directory / "arguments.json").write_text(json.dumps({"ANSIBLE_MODULE_ARGS": {"name": IMAGE, **options}}))
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


# The builder builds where the other modules look


@pytest.mark.engine
@pytest.mark.parametrize("chosen", ["DOCKER_CONTEXT", "currentContext"])
@pytest.mark.parametrize("builder", ["docker_image", "buildx"])
def test_the_image_is_built_on_the_engine_that_a_context_names(
    *,
    engine: Engine,
    module: Module,
    context: Callable[[str, str], None],
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chosen: str,
    builder: str,
) -> None:
    """community.docker's modules know no contexts: the role hands them the address. The relay hears the build."""
    if builder == "buildx" and docker("buildx", "version").returncode:
        pytest.skip("this machine has no docker buildx")
    relay = Relay(tmp_path / "e")
    context("relay", f"host=unix://{tmp_path}/e")
    if chosen == "DOCKER_CONTEXT":
        monkeypatch.setenv("DOCKER_CONTEXT", "relay")
    else:
        (config / "config.json").write_text('{"currentContext": "relay"}')
    connection = module("engine_info", tmp_path)["connection"]
    assert connection["docker_host"] == f"unix://{tmp_path}/e"
    (tmp_path / "source").mkdir()
    (tmp_path / "source/Dockerfile").write_text(f"FROM {IMAGE}\nLABEL a={tmp_path.name}\n")
    settings = {"name": "utest-built", "build_timeout": 60, "build_network": "default", "builder": builder}
    plan = {
        "image": f"utest-built:{builder}-{chosen.lower()}",
        "context": str(tmp_path / "source"),
        "engine": {"connection": connection},
        "builder": {"name": builder},
    }
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(PROJECT / "roles/go_service/vars/main.yml")],
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": [
            {
                "ansible.builtin.include_tasks": str(PROJECT / "roles/go_service/tasks/stages/build.yml"),
                "vars": {"__go_service_record": {"settings": settings, "plan": plan}},
            }
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    relay.heard = b""
    ran = ansible_playbook("-i", "localhost,", "-c", "local", tmp_path / "play.yml", cwd=PROJECT, env=environment())
    relay.end()
    assert ran.returncode == 0, ran.stdout
    assert b"POST /v1" in relay.heard and b"/build?" in relay.heard
    assert engine.image(plan["image"])["Config"]["Labels"]["a"] == tmp_path.name
