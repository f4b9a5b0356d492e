"""Whether the Engine publishes its ports on this machine: told by what the kernel has of the process behind its address."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.deploy import place
from ansible_collections.proven.go_service.plugins.module_utils.engine.address import Address


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
        pytest.param(7, ("dockerd", "other", 1), "dockerd with another network", id="another network"),
        pytest.param(7, ("dockerd", "other", 9), "", id="rootless, published by its parent"),
        pytest.param(7, ("ssh", "host", 1), "ssh (pid 7), which forwards", id="a tunnel"),
        pytest.param(0, (), "no process of this machine or container", id="another process space"),
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
        ("tcp://192.0.2.7:2376", "192.0.2.7 of tcp://192.0.2.7:2376 is no address of this one"),
        ("ssh://dev@192.0.2.7", "is no address of this one"),
        ("tcp://[2001:db8::1]:2376", "is no address of this one"),
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
