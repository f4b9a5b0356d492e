"""Secrets never leave where they are needed: one of each kind is given to a service, and looked for in all that a run leaves anywhere.

The service writes its secret to its own log. The runs succeed, and fail at each stage, in a check and for real. What is looked through: what
they print at -vvv with --diff, for people and as JSON, what callbacks write of each task, Ansible's log, the reports, facts, temporary and work
directories, what modules send to the log socket, command lines and environments of all processes outside of containers, and what the Engine keeps.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import leaks
import pytest
import yaml
from plays import PROJECT, ansible_playbook, environment

NAME = "canary-of-secrets"
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_role:
        name: proven.go_service.go_service
        tasks_from: {entry}
"""
# How a run is printed.
PEOPLE, MACHINES = "ansible.builtin.default", "ansible.posix.json"

# A secret of each kind: no two have a part in common, and each has characters that encodings change.
SECRETS = {
    "env": 'Enviro7Kq&"x/1',
    "build_env": "Builden9Zt$y+2",
    "build_args": "Buildar4Wm?w=3",
    "label": "Labelva6Pn<v 4",
    "file": "Besides3Rt%u,5",
    "address": "Address8Hd~t_6",
    "query": "Queryval2Fj~s_7",
    "token": "Tokenuse5Lb~r_8",
    "remote": "Remoteof7Cx~q_9",
    "login": "Loginpas1Vk'p:0",
}


HUNTED = leaks.Hunted(SECRETS)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Guarded(SimpleHTTPRequestHandler):
    """Serves files to who knows the password."""

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer with a file, or ask for the password."""
        wanted = base64.b64encode(f"me:{SECRETS['address']}".encode()).decode()
        if self.headers["Authorization"] == f"Basic {wanted}":
            super().do_GET()
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="source"')
            self.end_headers()


@contextmanager
def repository(source: Path, directory: Path) -> Iterator[str]:
    """Serve a repository with the files of a directory; yield host and path of its address."""
    author = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    for arguments in (
        ["init", "-q"],
        ["add", "go.mod", "main.go", "main_test.go"],
        [*author, "commit", "-q", "-m", "first"],
        ["update-server-info"],
    ):
        command = ["git", "--git-dir", directory, "--work-tree", source, *arguments]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Guarded, directory=str(directory.parent)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}/{directory.name}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Canary:
    """The service in a directory of its own. printed: what all its runs printed."""

    root: Path
    variables: dict[str, Any]
    printed: str = ""

    def play(self, entry: str = "main", printed: str = PEOPLE, check: bool = False, **changes: Any) -> subprocess.CompletedProcess:
        """Run the role with some variables; what is secret comes from a file, as from a vault."""
        (self.root / "given").mkdir(exist_ok=True)
        variables = {f"go_service_{name}": value for name, value in {**self.variables, **changes}.items()}
        logins = dict.fromkeys(("ansible_password", "ansible_become_password"), SECRETS["login"])
        (self.root / "given/variables.yml").write_text(yaml.safe_dump({**variables, **logins}))
        (self.root / "given/play.yml").write_text(PLAYBOOK.format(entry=entry))
        (self.root / "tmp").mkdir(exist_ok=True)
        env = environment(
            ANSIBLE_CONFIG=PROJECT / "ansible.cfg",
            ANSIBLE_COLLECTIONS_PATH=f"{PROJECT}/.ansible/collections:{PROJECT}/collections",
            ANSIBLE_INVENTORY=PROJECT / "inventory/local.yml",
            ANSIBLE_HOME=self.root / "ansible",
            ANSIBLE_LOG_PATH=self.root / "ansible.log",
            ANSIBLE_STDOUT_CALLBACK=printed,
            ANSIBLE_CALLBACKS_ENABLED="ansible.builtin.tree,ansible.builtin.junit",
            ANSIBLE_CALLBACK_TREE_DIR=self.root / "tree",
            JUNIT_OUTPUT_DIR=self.root / "junit",
            ANSIBLE_CACHE_PLUGIN="jsonfile",
            ANSIBLE_CACHE_PLUGIN_CONNECTION=self.root / "facts",
            TMPDIR=self.root / "tmp",
        )
        given = ("-e", f"@{self.root}/given/variables.yml")
        options = ("-vvv", "--diff", *(["--check"] if check else []))
        done = ansible_playbook(self.root / "given/play.yml", *options, *given, cwd=PROJECT, env=env)
        assert printed == PEOPLE or json.loads(done.stdout[done.stdout.index("\n{") :])["stats"], done.stdout[-3000:]
        self.printed += done.stdout + done.stderr
        return done

    def failed(self, stage: str, **changes: Any) -> dict[str, Any]:
        """Run the role, which has to fail at a stage; return the failure as its report tells it."""
        done = self.play(**changes)
        assert done.returncode == 2, done.stdout[-3000:]
        failure = json.loads((self.root / f"reports/localhost/{NAME}.json").read_text())["failure"]
        assert failure["stage"] == stage, failure
        return failure

    def leaks(self) -> list[str]:
        """Return each file that holds a secret, but for those that were given, and for the Dockerfile that is handed to the builder."""
        dockerfile = self.root / f"work/{NAME}/context/Dockerfile"
        found = []
        for path in self.root.rglob("*"):
            if path.is_file() and not path.is_relative_to(self.root / "given") and path != dockerfile:
                found += [f"{kind} in {path.relative_to(self.root)}" for kind in HUNTED.told(path.read_bytes())]
        return found


@pytest.fixture
def log_socket() -> Iterator[socket.socket]:
    """Return a socket where modules log to."""
    with leaks.log_socket() as listener:
        yield listener


@pytest.fixture
def canary(builder_image: str, runtime_image: str, tmp_path: Path) -> Iterator[Canary]:
    """Return the service, not built yet; all that the role makes of it is gone afterwards."""
    source = tmp_path / "given/source"
    shutil.copytree(PROJECT / "tests/services/canary", source)
    (source / ".env").write_text(f"KEY={SECRETS['file']}\n")
    for arguments in (["init", "-q"], ["remote", "add", "origin", f"https://me:{SECRETS['remote']}@example.org/x?t={SECRETS['remote']}"]):
        subprocess.run(["git", "-C", source, *arguments], check=True, capture_output=True)
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    service = Canary(
        tmp_path,
        {
            "name": NAME,
            "source": str(source),
            "publish": f"127.0.0.1:{free_port()}",
            "work_dir": str(tmp_path / "work"),
            "report_dir": str(tmp_path / "reports"),
            "builder_image": builder_image,
            "runtime_image": runtime_image,
            "env": {"SECRET": SECRETS["env"], "MODE": "ok", "FLAG": "1", "LEVEL": "info"},
            "build_env": {"BUILD_NOTE": SECRETS["build_env"]},
            "build_args": {"BUILD_ARGUMENT": SECRETS["build_args"]},
            "labels": {"note": SECRETS["label"]},
            "volumes": [f"{tmp_path}/state:/state"],
            "stable_seconds": 0,
            "run_tests": True,
        },
    )
    clean_up()
    yield service
    clean_up()


def docker(*arguments: str) -> str:
    """Run the Docker client and return what it prints."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def clean_up() -> None:
    """Take away what the role made for the service."""
    label = f"label=go-service.name={NAME}"
    containers = docker("ps", "--all", "--quiet", "--filter", label).split()
    images = docker("images", "--quiet", "--filter", label).split()
    if containers:
        docker("rm", "--force", "--volumes", *containers)
    if images:
        docker("rmi", "--force", *sorted(set(images)))


def kept_by_the_engine() -> dict[str, set[str]]:
    """Return the kinds of the secrets in the Engine's records of the service: container, image and history, and its builder stages."""
    label = f"label=go-service.name={NAME}"
    records: dict[str, str] = {"container": json.dumps(json.loads(docker("inspect", NAME)))}
    for image in docker("images", "--quiet", "--no-trunc", "--filter", label).split():
        kind = docker("inspect", "--format", '{{index .Config.Labels "go-service.kind"}}', image)
        history = docker("history", "--no-trunc", image)
        records[kind] = records.get(kind, "") + docker("inspect", image) + history
    return {kind: HUNTED.told(json.dumps(record).replace("\\", "").encode()) for kind, record in records.items()}


@contextmanager
def hunted(canary: Canary, log_socket: socket.socket) -> Iterator[None]:
    """Insist that no secret is found anywhere after the runs of the block."""
    with leaks.watching(log_socket, HUNTED) as watch:
        yield
    found = {
        "printed": HUNTED.told(canary.printed.encode()),
        "files": canary.leaks(),
        "processes": watch.processes,
        "logged": HUNTED.told(bytes(watch.said)),
    }
    assert found == {"printed": set(), "files": [], "processes": set(), "logged": set()}
    assert watch.looks > 100 and b"Invoked with" in watch.said
    assert "\x1b" not in canary.printed and "\u202e" not in canary.printed
    modes = {path.name: path.stat().st_mode & 0o077 for path in (canary.root / "reports").rglob("*") if path.is_file()}
    assert modes and set(modes.values()) == {0}


def assert_told(failure: dict[str, Any]) -> None:
    """Insist that the words of the service are told, without the secrets and without what a terminal would obey."""
    words = "\n".join(failure["evidence"])
    assert r"\x1b[2J\x1b]0;owned\x07 connecting with *** \u202e" in words
    assert "quoted" in words and words.count("***") >= 3


def telling(canary: Canary) -> str:
    """Return a source whose build tells its secrets, and fails."""
    source = canary.root / "given/telling"
    shutil.copytree(canary.variables["source"], source)
    (source / "tell").touch()
    return str(source)


def test_no_secret_leaves_where_it_is_needed(canary: Canary, log_socket: socket.socket) -> None:
    with hunted(canary, log_socket):
        looked = canary.play(printed=MACHINES, check=True)
        assert looked.returncode == 0, looked.stdout[-4000:]
        first = canary.play()
        assert first.returncode == 0, first.stdout[-4000:]
        kept = {"container": {"env", "label"}, "image": set(), "builder": {"build_env", "build_args"}}
        assert kept_by_the_engine() == kept
        assert (canary.root / f"work/{NAME}/context/Dockerfile").stat().st_mode & 0o077 == 0
        # Values that are part of everything destroy nothing.
        report = json.loads((canary.root / f"reports/localhost/{NAME}.json").read_text())
        assert report["verdict"] != "fail" and re.fullmatch("[0-9a-f]{64}", report["image"]["digest"])
        told = canary.failed("swap", printed=MACHINES, env={"SECRET": SECRETS["env"], "MODE": "second"})
        with repository(Path(canary.variables["source"]), canary.root / "given/source.git") as place:
            address = f"http://me:{SECRETS['address']}@{place}"
            fetched = canary.play(source=address, source_type="git")
            assert fetched.returncode == 0, fetched.stdout[-4000:]
        assert kept_by_the_engine() == kept
        removed = canary.play("remove", printed=MACHINES)
        assert removed.returncode == 0, removed.stdout[-4000:]
    assert_told(told)


@pytest.mark.long
def test_no_secret_leaves_in_a_run_that_fails(canary: Canary, log_socket: socket.socket) -> None:
    """At each stage that the test above leaves out, and where a repository is refused."""
    with hunted(canary, log_socket):
        canary.failed("source", main_package="./nowhere")
        built = canary.failed("build", source=telling(canary))
        told = canary.failed("candidate", printed=MACHINES, env={"SECRET": SECRETS["env"], "MODE": "exit"})
        held = canary.failed("contract", budget={"image_mb": 0.001})
        with repository(Path(canary.variables["source"]), canary.root / "given/source.git") as place:
            address = f"http://somebody:{SECRETS['address']}@{place}"
            refused = canary.play(source=address, source_type="git", source_version="nowhere")
            assert refused.returncode == 2 and f"http://{place}" in refused.stdout
            unknown = canary.play(source=f"http://{SECRETS['token']}@{place}", source_type="git", printed=MACHINES)
            assert unknown.returncode == 2 and "credential helper" in unknown.stdout
            asked = canary.play(source=f"http://{place}?private_token={SECRETS['query']}", source_type="git")
            assert asked.returncode == 2 and "has a query" in asked.stdout
    assert "built with *** and ***" in "\n".join(built["evidence"])
    size = "\n".join(held["evidence"])
    assert "0.001 MB" in size or "image-size" in size
    assert_told(told)
