"""Private modules, on both builders: from a git host by HTTPS that asks for a password, and from one by SSH. What they are read by is looked for in
all that the Engine keeps, in what is written, printed and logged, and in all processes.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import git_hosts
import leaks
import pytest
from plays import PROJECT, ansible_playbook, changed, environment, left_on_engine, play

pytestmark = pytest.mark.skipif("ENGINES" not in os.environ, reason="make engines runs it")
SERVICE = "private-words"
PASSWORD = "Passwd7Kq-x_1~z9"
PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.import_role:
        name: proven.go_service.go_service
"""
# With next to nothing of the standard library, which is compiled anew for a builder image of the test's own.
MAIN = """\
package main

import (
	"os"
	"time"

	"{0}/team/greeting"
	parting "{0}/team/parting.git"
)

func main() {{
	println(greeting.Word + " and " + parting.Word)
	if len(os.Args) == 1 {{
		time.Sleep(time.Hour)
	}}
}}
"""


@dataclass
class Hosts:
    """Both git hosts. key: the private key of SSH; known: the line of known_hosts; by_password: what the one by HTTPS was asked for."""

    address: str
    root: Path
    key: str
    known: str
    by_password: git_hosts.Host


@pytest.fixture(scope="module")
def hosts(builder_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    """Serve two private modules, each from a host of its own kind."""
    root, address = tmp_path_factory.mktemp("hosts"), git_hosts.gateway()
    authority, certificate = git_hosts.make_authority(root / "authority", address)
    git_hosts.build_builder(builder_image, authority, root)
    for name, module in {"greeting": "greeting", "parting": "parting.git"}.items():
        files = {f"{name}.go": f'package {name}\n\nconst Word = "{name}"\n'}
        git_hosts.make_repository(root / f"team/{name}", f"{address}/team/{module}", files)
    key = git_hosts.make_key(root / "key")
    with (
        git_hosts.serving(root, address, certificate, f"me:{PASSWORD}") as by_password,
        git_hosts.serving_ssh(root / "ssh", root / "team", address, root / "key.pub") as known,
    ):
        yield Hosts(address, root, key, known, by_password)
    git_hosts.docker("rmi", "--force", git_hosts.BUILDER)


@pytest.fixture
def source(hosts: Hosts, go_binary: Path, tmp_path: Path) -> Path:
    """Return the source of a service that needs both, with its go.sum."""
    made = tmp_path / "given/source"
    made.mkdir(parents=True)
    (made / "go.mod").write_text("module example.org/words\n\ngo 1.21\n")
    (made / "main.go").write_text(MAIN.format(hosts.address))
    (tmp_path / "netrc").write_text(f"machine {hosts.address} login me password {PASSWORD}\n")
    env = {
        **os.environ,
        "GOPRIVATE": hosts.address,
        "GOFLAGS": "-mod=mod -modcacherw",
        "GOTOOLCHAIN": "local",
        "GOMODCACHE": str(tmp_path / "mod"),
        "SSL_CERT_FILE": str(hosts.root / "authority/ca.pem"),
        "NETRC": str(tmp_path / "netrc"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{hosts.root}/team/.insteadOf",
        "GIT_CONFIG_VALUE_0": f"https://{hosts.address}/team/",
    }
    # The repositories lie there without the suffix.
    for name in ("greeting", "parting"):
        link = hosts.root / f"team/{name}.git"
        if not link.is_symlink():
            link.symlink_to(name)
    done = subprocess.run([go_binary, "mod", "tidy"], cwd=made, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "mod")
    (tmp_path / "netrc").unlink()
    return made


@pytest.fixture
def variables(source: Path, runtime_image: str, hosts: Hosts, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Return the variables of the service, which is gone after the test."""
    made = {
        "go_service_name": SERVICE,
        "go_service_source": str(source),
        "go_service_publish": "",
        "go_service_health_command": [f"/usr/local/bin/{SERVICE}", "health"],
        "go_service_builder_image": git_hosts.BUILDER,
        "go_service_runtime_image": runtime_image,
        "go_service_build_env": {"GOPRIVATE": hosts.address},
        "go_service_work_dir": str(tmp_path / "work"),
        "go_service_report_dir": str(tmp_path / "reports"),
        "go_service_stable_seconds": 0,
        "go_service_keep_images": 1,
    }
    yield made
    play("remove", {name: value for name, value in made.items() if name != "go_service_build_secrets"})
    assert left_on_engine(SERVICE) == []
    assert not (tmp_path / f"work/{SERVICE}").exists()


def credentials(hosts: Hosts, builder: str, password: str = PASSWORD, key: str = "") -> dict[str, Any]:
    """Return go_service_build_secrets, in another form for each builder."""
    by_key = {"user": "root", "port": git_hosts.SSH_PORT, "ssh_key": key or hosts.key, "known_hosts": hosts.known}
    by_password: dict[str, Any] = {hosts.address: {"user": "me", "token": password}}
    if builder == "buildx":
        by_password = {"netrc": f"machine {hosts.address}\nlogin me\npassword {password}\n"}
    return {**by_password, f"{hosts.address}/team/parting.git": by_key}


def of_key(key: str) -> str:
    """Return a part of a private key that nothing else has."""
    return "".join(key.splitlines()[1:-1])[100:140]


def kept_by_the_engine(hunted: leaks.Hunted, since: float, patterns: Path) -> list[str]:
    """Return where a secret is in what the Engine keeps: the files of its directory that were made since, with all layers, containers, volumes, logs and the cache of
    BuildKit; and as the Engine tells it: every image as an archive, its history, every container and volume.
    """
    patterns.write_bytes(b"\n".join(form for forms in hunted.forms.values() for form in forms) + b"\n")
    root = git_hosts.docker("info", "--format", "{{.DockerRootDir}}")
    search = ["find", root, "/var/lib/containerd", "-xdev", "-type", "f", "-newerct", f"@{since:.0f}", "-print0"]
    listed = subprocess.run(search, capture_output=True, check=False).stdout
    assert listed.count(b"\0") > 100
    found = (
        subprocess.run(["xargs", "-0", "grep", "-alFf", patterns], input=listed, capture_output=True, check=False)
        .stdout.decode()
        .splitlines()
    )
    images = sorted(
        set(git_hosts.docker("images", "--all", "--quiet", "--no-trunc", "--filter", f"label=go-service.name={SERVICE}").split())
    )
    assert images
    save = subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE)
    found += [
        f"docker save: {line!r}"
        for line in subprocess.run(["grep", "-aoFf", patterns], stdin=save.stdout, capture_output=True, check=False).stdout.split()
    ]
    assert save.wait() == 0
    containers, volumes = git_hosts.docker("ps", "--all", "--quiet").split(), git_hosts.docker("volume", "ls", "--quiet").split()
    told = "".join(git_hosts.docker("history", "--no-trunc", image) for image in images)
    told += git_hosts.docker("inspect", *images, *containers) + git_hosts.docker("volume", "inspect", *volumes)
    # Of some the Engine keeps none that could be read.
    logs = [subprocess.run(["docker", "logs", container], capture_output=True, text=True, check=False) for container in containers]
    told += "".join(log.stdout + log.stderr for log in logs)
    return found + [f"the Engine tells {kind}" for kind in hunted.told(told.encode())]


def said() -> str:
    """Return what the service says."""
    return subprocess.run(["docker", "logs", SERVICE], capture_output=True, text=True, check=True).stderr.strip()


@pytest.fixture
def log_socket() -> Iterator[socket.socket]:
    """Return a socket where modules log to."""
    with leaks.log_socket() as listener:
        yield listener


class Runs:
    """Runs of the playbook, as talkative as can be. printed: what all of them printed."""

    def __init__(self, variables: dict[str, Any], directory: Path, buildx: dict[str, str]) -> None:
        self.variables, self.printed, self._directory = variables, "", directory
        (directory / "tmp").mkdir()
        self._env = environment(
            **buildx,
            ANSIBLE_CONFIG=PROJECT / "ansible.cfg",
            ANSIBLE_COLLECTIONS_PATH=f"{PROJECT}/.ansible/collections:{PROJECT}/collections",
            ANSIBLE_INVENTORY=PROJECT / "inventory/local.yml",
            ANSIBLE_HOME=directory / "ansible",
            ANSIBLE_LOG_PATH=directory / "ansible.log",
            TMPDIR=directory / "tmp",
        )

    def run(self, *arguments: str, **changes: Any) -> subprocess.CompletedProcess[str]:
        """Run it with some variables, which come from a file as from a vault."""
        given = self._directory / "given/variables.json"
        (self._directory / "given/play.yml").write_text(PLAYBOOK)
        given.write_text(json.dumps({**self.variables, **{f"go_service_{name}": value for name, value in changes.items()}}))
        done = ansible_playbook(
            self._directory / "given/play.yml", "-vvv", "--diff", "-e", f"@{given}", *arguments, cwd=PROJECT, env=self._env
        )
        self.printed += done.stdout + done.stderr
        return done

    def well(self, *arguments: str, **changes: Any) -> str:
        """Run it, and return what it printed."""
        done = self.run(*arguments, **changes)
        assert done.returncode == 0, done.stdout[-6000:]
        return done.stdout

    def failed(self, **changes: Any) -> dict[str, Any]:
        """Run it, which has to fail in the build; return the failure as its report tells it."""
        done = self.run(**changes)
        assert done.returncode == 2, done.stdout[-6000:]
        failure = json.loads((self._directory / f"reports/localhost/{SERVICE}.json").read_text())["failure"]
        assert failure["stage"] == "build", failure
        return failure


@pytest.fixture
def runs(variables: dict[str, Any], buildx: dict[str, str], tmp_path: Path) -> Runs:
    """Return what runs the playbook for the service."""
    return Runs(variables, tmp_path, buildx)


@pytest.mark.parametrize("builder", ["docker_image", "buildx"])
def test_private_modules(builder: str, hosts: Hosts, runs: Runs, log_socket: socket.socket, tmp_path: Path) -> None:
    hunted = leaks.Hunted({"password": PASSWORD, "key": of_key(hosts.key)})
    began = time.time() - 1
    runs.variables.update(go_service_builder=builder, go_service_build_secrets=credentials(hosts, builder))
    with leaks.watching(log_socket, hunted, containers=True) as watch:
        without = runs.failed(build_secrets={})
        assert without["remedy"].startswith(f"{hosts.address} lets nobody read a module without a credential"), without
        wrong = runs.failed(build_secrets=credentials(hosts, builder, password="Another-1"))
        assert "refuses" in wrong["remedy"] and "go_service_build_secrets" in wrong["remedy"], wrong
        other = git_hosts.make_key(tmp_path / "given/other")
        unknown = runs.failed(build_secrets=credentials(hosts, builder, key=other))
        assert "key" in unknown["remedy"] and "go_service_build_secrets" in unknown["remedy"], unknown
        runs.well("--check")
        runs.well()
        assert said() == "greeting and parting"
        # Another token builds nothing; neither does the same.
        assert changed(runs.well(build_secrets=credentials(hosts, builder, password="Another-1"))) == 0
        # An edit downloads nothing anew.
        served = hosts.by_password.served("/team/")
        main = Path(runs.variables["go_service_source"]) / "main.go"
        main.write_text(main.read_text().replace(" and ", " & "))
        assert changed(runs.well()) > 0
        assert said() == "greeting & parting"
        assert hosts.by_password.served("/team/") == served > 0
        # It came by SSH, although the other host has it too.
        assert hosts.by_password.served("/team/parting") == 0
    found = {
        "engine": kept_by_the_engine(hunted, began, tmp_path / "given/patterns"),
        "printed": hunted.told(runs.printed.encode()),
        "files": [
            str(path)
            for path in tmp_path.rglob("*")
            if path.is_file() and not path.is_relative_to(tmp_path / "given") and hunted.told(path.read_bytes())
        ],
        "processes": watch.processes,
        "logged": hunted.told(bytes(watch.said)),
    }
    assert found == {"engine": [], "printed": set(), "files": [], "processes": set(), "logged": set()}
    assert watch.looks > 100 and b"Invoked with" in watch.said
