"""Finds out whether the Engine publishes ports in the network of this process.

That is not always so: DOCKER_HOST or a docker context may name another machine, and in a container into which the Engine's socket is mounted, this process
has a separate network. Then 127.0.0.1 is not the Engine's: what listens here says nothing about the Engine's ports, and the service cannot be reached from here.
"""

from __future__ import annotations

import contextlib
import glob
import ipaddress
import os
import socket
import struct
from pathlib import Path
from urllib.parse import urlsplit

from ..engine.address import UNIX, Address
from ..engine.client import Engine
from .listening import parse_table

# Programs that forward an address to an Engine elsewhere, by their names in the kernel.
_FORWARDERS = ("ssh", "sshd", "socat", "autossh")
_ROOTLESS = "rootlesskit"


def elsewhere(engine: Engine, proc: str = "/proc") -> str:
    """Return why what the Engine publishes cannot be seen on this machine, "" if it can, or where nothing speaks against it.

    proc: where the kernel tells of processes. Where this user may not look at the Engine's, it is taken for one of this machine.
    """
    address = engine.address
    if address.docker_host.startswith(UNIX):
        return _behind(_peer(address), proc, f"what serves {address.docker_host}")
    name = urlsplit(address.docker_host).hostname or ""
    if not _own(name):
        return f"it is on another machine: {name} of {address.docker_host} is not an address of this one"
    port = urlsplit(address.docker_host).port
    if port and not address.docker_host.startswith("ssh://"):
        holder = _holder(port, proc)
        return _behind(holder, proc, f"what serves {address.docker_host}") if holder else ""
    return ""


def reaches_containers(engine: Engine, proc: str = "/proc") -> bool:
    """Say whether containers are reached from here by their own addresses.

    Those of a rootless Engine are in a network of its user alone, though its ports are published here: the same address may be another machine's here.
    """
    return not elsewhere(engine, proc) and not engine.is_rootless


def _peer(address: Address) -> int | None:
    """Return the id of the process that made the socket, 0 for a process of another process namespace, None if it is not known."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect("/" + address.docker_host[len(UNIX) :].lstrip("/"))
        pid, _uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        return int(pid)
    return None


def _own(name: str) -> bool:
    """Say whether a name or an address belongs to this machine; if it cannot be resolved, the answer is yes."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(name, None)}
    except OSError:
        return True
    for address in found:
        family = socket.AF_INET6 if ipaddress.ip_address(address.partition("%")[0]).version == 6 else socket.AF_INET
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
            return True
    return False


def _holder(port: int, proc: str) -> int | None:
    """Return the number of the process that listens on a TCP port here, None if it is not known."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            lines = Path(f"{proc}/net/{table}").read_text(encoding="ascii").splitlines()
            inodes |= {f"socket:[{line.split()[9]}]" for line in lines[1:] if any(held == port for _where, held in parse_table(line))}
    for descriptor in glob.glob(f"{proc}/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(descriptor) in inodes:
                return int(descriptor[len(proc) + 1 :].split("/")[0])
    return None


def _behind(pid: int | None, proc: str, what: str) -> str:
    """Return why the process that serves an Engine's address has another network than this one, "" if it has the same or does not tell."""
    if pid is None:
        return ""
    if pid == 0:
        return f"{what} is not a process of this machine or container, so the Engine is in another network"
    name = _name(pid, proc)
    if name in _FORWARDERS:
        return f"{what} is {name} (pid {pid}), which forwards to it"
    own, theirs = _network("self", proc), _network(pid, proc)
    if None in (own, theirs) or own == theirs:
        return ""
    # A rootless Engine has a separate network, and its parent process publishes its ports in the network of its user.
    while pid > 1:
        if _name(pid, proc) == _ROOTLESS and _network(pid, proc) == own:
            return ""
        pid = _parent(pid, proc)
    return f"{what} is {name}, which is in another network than this process"


def _name(pid: int, proc: str) -> str:
    with contextlib.suppress(OSError):
        return Path(f"{proc}/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    return "a process"


def _network(pid: int | str, proc: str) -> int | None:
    with contextlib.suppress(OSError):
        return os.stat(f"{proc}/{pid}/ns/net").st_ino
    return None


def _parent(pid: int, proc: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"{proc}/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("PPid:"):
                return int(line.split()[1])
    return 0
