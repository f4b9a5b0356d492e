"""What is found out of the machine of an Engine, from files and a package database of the test's own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine import machine


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"debug": true}', {"debug": True}),
        ('\ufeff{"debug": true}', {"debug": True}),
        ("", {}),
        ("\n", {}),
        ("[1]", None),
        ('{"debug": tru', None),
        (b"\xff", None),
    ],
)
def test_settings_that_cannot_be_read_are_not_taken_for_none(tmp_path: Path, text: str | bytes, found: object) -> None:
    file = tmp_path / "daemon.json"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert machine.read_object(file) == found


def test_no_file_is_no_settings(tmp_path: Path) -> None:
    assert machine.read_object(tmp_path / "daemon.json") == {}


def test_what_the_role_has_brought_up_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SETTINGS", tmp_path / "daemon.json")
    monkeypatch.setattr(machine, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(machine, "PENDING", tmp_path / "pending")
    monkeypatch.setattr(machine, "PID_FILES", (str(tmp_path / "pid"),))
    monkeypatch.setattr(machine, "_by_hand", lambda _proc: 0)
    monkeypatch.setattr(machine, "rootless", list)
    monkeypatch.setattr(machine, "INSTALLING", tmp_path / "installing")
    nothing = {"record": {}, "settings": {}, "pending": False, "installing": False, "process": 0, "rootless": []}
    assert machine.set_up() == nothing
    (tmp_path / "record.json").write_text(json.dumps({"source": "docker"}))
    (tmp_path / "daemon.json").write_text("no json")
    (tmp_path / "pending").touch()
    (tmp_path / "installing").touch()
    (tmp_path / "pid").write_text("1")
    monkeypatch.setattr(machine, "program", lambda: "")
    assert machine.set_up() == {**nothing, "record": {"source": "docker"}, "settings": None, "pending": True, "installing": True}
    (tmp_path / "daemon.json").write_text('{"proxies": {"https-proxy": "http://me:p@ss@proxy:3128"}, "labels": ["a//b"]}')
    assert machine.set_up()["settings"] == {"proxies": {"https-proxy": "http://***@proxy:3128"}, "labels": ["a//b"]}


@pytest.mark.parametrize(
    ("record", "package", "known"),
    [
        ({"source": "distribution", "packages": ["docker.io"]}, "docker.io", True),
        ({"source": "distribution", "packages": ["docker.io"]}, "docker-ce", False),
        ({"source": "distribution", "packages": ["docker-ce"]}, "docker-ce", True),
        ({"source": "docker", "packages": ["docker-ce"]}, "docker.io", False),
        ({"source": "docker", "packages": ["docker-ce"]}, "", True),
    ],
)
def test_a_record_of_an_engine_whose_place_another_took_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: dict[str, object], package: str, known: bool
) -> None:
    monkeypatch.setattr(machine, "RECORD", tmp_path / "record.json")
    (tmp_path / "record.json").write_text(json.dumps(record))
    monkeypatch.setattr(machine, "origin", lambda _path: {"package": package})
    assert machine.set_up()["record"] == (record if known else {})


def test_the_process_of_a_daemon_is_one_that_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not another that has its number now, and none that was killed and not yet waited for."""
    monkeypatch.setattr(machine, "PID_FILES", (str(tmp_path / "pid"),))
    (tmp_path / "pid").write_text("42")
    (tmp_path / "42").mkdir()
    for command, found in ((b"/usr/bin/dockerd\0-H\0fd://\0", 42), (b"", 0), (b"/usr/bin/python3\0", 0)):
        (tmp_path / "42/cmdline").write_bytes(command)
        assert machine.process(tmp_path) == found


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return what lays a process of root beside that of the one who looks, both of this machine but for what is given."""
    monkeypatch.setattr(machine, "PID_FILES", ())
    own = {"pid": "pid:[1]", "mnt": "mnt:[2]", "net": "net:[3]"}
    if os.geteuid():
        pytest.skip("root owns the processes")

    def lay(number: str, **given: str) -> Path:
        place = tmp_path / number
        (place / "ns").mkdir(parents=True)
        for kind, link in own.items():
            (place / "ns" / kind).symlink_to(given.get(kind, link))
        (place / "exe").symlink_to(given.get("exe", "/usr/sbin/dockerd"))
        (place / "comm").write_text(given.get("comm", "dockerd") + "\n")
        (place / "cmdline").write_text(given.get("cmdline", "dockerd\0-H\0unix:///srv/other.sock\0"))
        return place

    lay("self", comm="python3", exe="/usr/bin/python3")
    lay("1", comm="systemd", exe="/usr/lib/systemd/systemd")
    return lay


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, True),
        ({"comm": "own-name"}, True),
        ({"comm": "own-name", "exe": "/usr/local/bin/dockerd (deleted)"}, True),
        ({"exe": "/opt/dockerd-29"}, True),
        ({"comm": "sh", "exe": "/usr/bin/dash", "cmdline": "sh\0-c\0dockerd\0"}, False),
        ({"cmdline": ""}, False),
        ({"pid": "pid:[9]"}, False),
        ({"mnt": "mnt:[9]"}, False),
        ({"net": "net:[9]"}, False),
    ],
)
def test_a_daemon_that_was_started_by_hand_is_seen_unless_it_is_of_another_machine(
    tmp_path: Path, proc: Callable[..., Path], given: dict[str, str], found: bool
) -> None:
    proc("4711", **given)
    assert machine.process(tmp_path) == (4711 if found else 0)


def test_a_daemon_of_an_ordinary_user_is_not_the_machines(tmp_path: Path, proc: Callable[..., Path]) -> None:
    os.chown(proc("4711"), 65534, 65534)
    assert machine.process(tmp_path) == 0


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Path]]:
    """Return what lays a socket into a directory of this machine's users, at which the given answer comes."""
    monkeypatch.setattr(machine, "USERS", tmp_path / "user")
    monkeypatch.setattr(machine, "_PATIENCE", 0.5)
    with contextlib.ExitStack() as running:

        def lay(place: str, answer: str) -> Path:
            path = tmp_path / place / "docker.sock"
            path.parent.mkdir(parents=True)
            server = running.enter_context(socket.socket(socket.AF_UNIX))
            server.bind(str(path))
            server.listen()

            def serve() -> None:
                with contextlib.suppress(OSError):
                    asked, _address = server.accept()
                    with asked:
                        asked.sendall(answer.encode() if asked.recv(999) else b"")

            if answer:
                threading.Thread(target=serve, daemon=True).start()
            return path

        yield lay


def test_an_engine_that_a_user_runs_without_root_is_seen_if_it_answers(
    tmp_path: Path, proc: Callable[..., Path], users: Callable[[str, str], Path]
) -> None:
    """By its place, or by the environment of its process; not one that is silent, that refuses, or that has ended."""
    first, other = users("user/1000", "HTTP/1.1 200 OK\r\n\r\nOK"), users("home/me/.docker/run", "HTTP/1.1 200 OK\r\n\r\nOK")
    users("user/1001", "HTTP/1.1 503 Service Unavailable\r\n\r\n")
    users("user/1002", "")
    (tmp_path / "user/1003").mkdir()
    (tmp_path / "user/1003/docker.sock").touch()
    process = proc("4711")
    (process / "environ").write_text(f"PATH=/usr/bin\0XDG_RUNTIME_DIR={other.parent}\0")
    os.chown(process, 65534, 65534)
    me = first.owner()
    assert machine.rootless(tmp_path) == [{"user": me, "docker_host": f"unix://{path}"} for path in sorted((first, other))]


@pytest.mark.parametrize(("numbers", "found"), [("4711", 4711), ("4711\t1", 0)])
def test_an_ordinary_user_knows_a_daemon_of_a_container_by_its_numbers(
    tmp_path: Path, proc: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, numbers: str, found: int
) -> None:
    def refused(path: Path) -> str:
        raise PermissionError(path)

    (proc("4711") / "status").write_text(f"Name:\tdockerd\nNSpid:\t{numbers}\nVmSize:\t1 kB\n")
    monkeypatch.setattr(os, "readlink", refused)
    assert machine.process(tmp_path) == found


@pytest.mark.skipif(bool(os.geteuid()) or not shutil.which("unshare"), reason="root makes namespaces")
def test_of_processes_that_live_only_those_of_this_machine_are_its_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever runs here besides."""
    monkeypatch.setattr(machine, "PID_FILES", ())
    program = tmp_path / "dockerd"
    shutil.copy(shutil.which("sleep") or "", program)
    before = machine.process()
    for words, seen in (([], True), (["unshare", "--net"], False), (["unshare", "--mount"], False)):
        started = subprocess.Popen([*words, program, "60"])
        try:
            deadline = time.monotonic() + 10
            while Path(f"/proc/{started.pid}/comm").read_text() != "dockerd\n" and time.monotonic() < deadline:
                time.sleep(0.05)
            lives = machine._lives_here(Path(f"/proc/{started.pid}"), Path("/proc/self"))
            assert lives == seen
            assert machine.process() in ({before, started.pid} - {0} if seen else {before})
        finally:
            started.kill()
            started.wait()
    assert machine.process() == before


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Return what makes a dpkg-query that knows which package a path is of."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(machine, "_PATH", str(tmp_path))

    def make(owners: dict[str, str]) -> None:
        lines = "".join(f'"--search {path}") echo "{package}: {path}";;\n' for path, package in owners.items())
        program = tmp_path / "dpkg-query"
        program.write_text(f'#!/bin/sh\ncase "$1 $2" in\n{lines}--show*) echo 1.2-3;;\n*) exit 1;;\nesac\n')
        program.chmod(0o755)

    return make


@pytest.mark.parametrize(
    ("path", "owners", "package", "source"),
    [
        ("/usr/sbin/dockerd", {"/usr/sbin/dockerd": "docker.io"}, "docker.io", "the distribution"),
        ("/usr/bin/dockerd", {"/usr/bin/dockerd": "docker-ce"}, "docker-ce", "Docker's repository"),
        ("/usr/sbin/dockerd", {"/sbin/dockerd": "own-docker"}, "own-docker", "the package own-docker"),
        ("/usr/local/bin/dockerd", {}, "", "no package: it was installed by hand"),
    ],
)
def test_whose_a_daemon_is(database: Callable[..., None], path: str, owners: dict[str, str], package: str, source: str) -> None:
    database(owners)
    found = machine.origin(path)
    assert found == {"program": path, "package": package, "package_version": "1.2-3" if package else "", "source": source}


def test_a_snap_is_no_package() -> None:
    assert machine.origin("/snap/docker/1/bin/dockerd")["source"] == "a snap"


def test_of_no_daemon_nothing_is_known() -> None:
    assert set(machine.origin("").values()) == {""}


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"kernel/security/lsm": "lockdown,capability,landlock,yama,apparmor\n"}, ["apparmor"]),
        ({"module/apparmor/parameters/enabled": "Y\n"}, ["apparmor"]),
        ({"module/apparmor/parameters/enabled": "N\n"}, []),
        ({"fs/selinux/enforce": "1"}, ["selinux"]),
        ({}, []),
    ],
)
def test_security_modules(tmp_path: Path, files: dict[str, str], found: list[str]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert machine.security_modules(tmp_path) == found


def test_the_room_of_a_directory_that_cannot_be_seen_is_that_of_the_one_above(tmp_path: Path) -> None:
    assert machine.space(str(tmp_path / "a/b"))["size_bytes"] == machine.space(str(tmp_path))["size_bytes"] > 0


@pytest.mark.parametrize(("name", "found"), [("systemd", "systemd"), ("init", "init"), ("bash", ""), ("tini", "")])
def test_what_starts_the_daemon_after_a_restart(tmp_path: Path, name: str, found: str) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1/comm").write_text(f"{name}\n")
    assert machine.first_process(tmp_path) == found


def test_a_service_of_the_daemon_is_found(tmp_path: Path) -> None:
    assert not machine.has_unit(tmp_path)
    (tmp_path / "etc/init.d").mkdir(parents=True)
    (tmp_path / "etc/init.d/docker").touch()
    assert machine.has_unit(tmp_path)


def test_the_engines_own_words() -> None:
    assert machine.limits({"Warnings": ["WARNING: No swap limit support", "other"]}) == ["No swap limit support", "other"]
    assert machine.limits({"Warnings": None}) == []
