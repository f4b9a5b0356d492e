"""Whether the Engine publishes its ports on this machine: told by what the kernel has of the process behind its address."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.deploy import place
from ansible_collections.proven.go_service.plugins.module_utils.engine.address import Address
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from plays import PROJECT


def process(proc: Path, pid: int | str, name: str, network: str, parent: int = 1) -> None:
    """Make the kernel's record of a process."""
    (proc / "networks").mkdir(parents=True, exist_ok=True)
    (proc / "networks" / network).touch()
    (proc / str(pid) / "ns").mkdir(parents=True)
    (proc / str(pid) / "comm").write_text(f"{name}\n")
    (proc / str(pid) / "status").write_text(f"Name:\t{name}\nPPid:\t{parent}\n")
    os.link(proc / "networks" / network, proc / str(pid) / "ns/net")


@pytest.mark.parametrize(
    ("pid", "process_is", "told"),
    [
        pytest.param(7, ("dockerd", "host", 1), "", id="the same network"),
        pytest.param(1, ("systemd", "host", 0), "", id="the socket of systemd"),
        pytest.param(7, ("dockerd", "other", 1), "dockerd, which is in another network", id="another network"),
        pytest.param(7, ("dockerd", "other", 9), "", id="rootless, published by its parent"),
        pytest.param(7, ("ssh", "host", 1), "ssh (pid 7), which forwards", id="a tunnel"),
        pytest.param(0, (), "not a process of this machine or container", id="another process space"),
        pytest.param(None, (), "", id="not known"),
        pytest.param(8, (), "", id="not to be looked at"),
    ],
)
def test_the_process_behind_a_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pid: int | None, process_is: tuple[str, str, int] | tuple[()], told: str
) -> None:
    process(tmp_path, "self", "python", "host")
    process(tmp_path, 9, "rootlesskit", "host")
    if process_is:
        process(tmp_path, pid, *process_is)
    monkeypatch.setattr(place, "_peer", lambda _address: pid)
    found = place.elsewhere(SimpleNamespace(address=Address("unix:///x.sock")), str(tmp_path))
    assert told in found if told else found == ""


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("tcp://192.0.2.7:2376", "192.0.2.7 of tcp://192.0.2.7:2376 is not an address of this one"),
        ("ssh://dev@192.0.2.7", "is not an address of this one"),
        ("tcp://[2001:db8::1]:2376", "is not an address of this one"),
        ("tcp://127.0.0.1:1", ""),
        ("ssh://dev@localhost", ""),
    ],
)
def test_an_address_of_the_network(address: str, told: str) -> None:
    found = place.elsewhere(SimpleNamespace(address=Address(address)))
    assert told in found if told else found == ""


def test_a_socket_of_this_process(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        address = Address(f"unix://{tmp_path}/s")
        assert place._peer(address) == os.getpid()
        assert place.elsewhere(SimpleNamespace(address=address)) == ""


@pytest.mark.engine
@pytest.mark.parametrize(
    ("namespaces", "told"),
    [
        pytest.param((), "", id="here"),
        pytest.param(
            ("--pid", "--fork", "--mount-proc", "--net"),
            "is not a process of this machine or container",
            id="as in a container with the socket",
        ),
        pytest.param(("--net",), "is in another network than this process", id="as in a container with the host's processes"),
    ],
)
def test_the_engine_of_this_machine_from_namespaces(engine: Engine, namespaces: tuple[str, ...], told: str) -> None:
    if namespaces and (os.geteuid() or not engine.address.docker_host.startswith("unix://")):
        pytest.skip("namespaces of the test's own need root, and a socket")
    package = "ansible_collections.proven.go_service.plugins.module_utils"
    code = f"from {package}.deploy.place import elsewhere; from {package}.engine.client import Engine; print(elsewhere(Engine()))"
    found = subprocess.run(
        ["unshare", *namespaces, sys.executable, "-c", code], cwd=PROJECT / "collections", capture_output=True, text=True, check=True
    ).stdout.strip()
    assert told in found if told else found == ""
