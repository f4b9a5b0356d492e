"""Whether the service's host port can be had, and who holds it."""

from __future__ import annotations

import contextlib
import errno
import glob
import ipaddress
import os
import socket
from collections.abc import Mapping
from typing import Any

from ..common.failure import UNTOUCHED, Failure
from ..common.settings import parse_publish
from ..common.stages import PORT
from ..engine.client import Engine


def check_port(engine: Engine, settings: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
    """Raise Failure where the host port is taken by anything but the service's own old container."""
    published = parse_publish(settings["publish"])
    if not published:
        return
    address, port = published
    bindings = ((old or {}).get("HostConfig") or {}).get("PortBindings") or {}
    if old and old["State"]["Running"] and any(b.get("HostPort") == str(port) for found in bindings.values() for b in found or []):
        return
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            message, remedy = f"the address {address} is not one of this host's", "Choose another address in go_service_publish."
        elif error.errno == errno.EACCES:
            # Only this process may not bind it; the Engine may.
            return
        else:
            others = [name for name in engine.publishers(port) if name != settings["name"]]
            holder = f"the container {', '.join(others)}" if others else port_holder(port)
            message = f"the host port {address}:{port} is taken by {holder}"
            remedy = "Stop it, or choose another port in go_service_publish."
        raise Failure(PORT, message, remedy, UNTOUCHED) from error


def port_holder(port: int) -> str:
    """Return who listens on a TCP port of this host, as far as /proc tells: 'the process nginx (pid 812)'."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table, encoding="ascii") as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for descriptor in glob.glob("/proc/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(descriptor) in inodes:
                pid = descriptor.split("/")[2]
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as name:
                    return f"the process {name.read().strip()} (pid {pid})"
    return "another process"
