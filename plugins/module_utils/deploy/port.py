"""Whether the service's host port is free, and what holds it."""

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
from ..common.settings import CANDIDATE, TCP, UDP, Endpoint, Publication, Settings
from ..common.stages import PORT
from ..engine.client import Engine
from .listening import parse_table
from .place import elsewhere

# The network in which a container uses the host's own ports.
HOST = "host"


def _wanted(settings: Settings) -> list[Endpoint]:
    """Return the addresses and ports of the host that the service will use."""
    if settings.network == HOST:
        return [Endpoint("0.0.0.0", port) for port in settings.ports]
    return [published.endpoint for published in settings.publications if published.protocol == TCP]


def refuse_beside(engine: Engine, settings: Settings, old: Mapping[str, Any] | None) -> None:
    """Raise Failure if a candidate would listen on the host's own ports, and the old container has the port that it needs.

    The candidate could not listen there, and if it went on anyway, the old container's answers would prove it.
    """
    if settings.network != HOST or settings.deploy_strategy != CANDIDATE:
        return
    if _addresses(old, settings.port):
        raise Failure(
            PORT,
            f"go_service_network is host, so that a candidate cannot have the port {settings.port} beside the running container {settings.name}",
            "Set go_service_deploy_strategy: recreate: the old container is stopped first, and comes back if the new one fails.",
            UNTOUCHED,
        )
    check_port(engine, settings, None)


def check_port(engine: Engine, settings: Settings, old: Mapping[str, Any] | None) -> None:
    """Raise Failure if a host port is taken by anything but the service's own old container.

    If the Engine is in another network than this process, only the Engine's containers can be checked; anything else that has the port shows up when the
    port is published.
    """
    here = not elsewhere(engine)
    for published in settings.publications if here and settings.network != HOST else ():
        if published.protocol == UDP:
            _check_datagrams(engine, settings, published, old)
    for endpoint in _wanted(settings):
        if here:
            _check_endpoint(engine, settings, endpoint, old)
        else:
            _check_containers(engine, settings, endpoint)


def _check_datagrams(engine: Engine, settings: Settings, published: Publication, old: Mapping[str, Any] | None) -> None:
    """Raise Failure if a UDP port of the host is taken by anything but the service's own old container."""
    endpoint = published.endpoint
    if _addresses(old, endpoint.port, UDP):
        return
    family = socket.AF_INET6 if ipaddress.ip_address(endpoint.address).version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((endpoint.address, endpoint.port))
    except OSError as error:
        if error.errno == errno.EACCES:
            return
        others = list(dict.fromkeys(engine.publishers(endpoint.port, beside=settings.name).values()))
        holder = f"the container {', '.join(others)}" if others else "another process"
        message = (
            f"the host port {endpoint}/{UDP} cannot be used: {error.strerror}; {holder} has it, or the address is not one of this host's"
        )
        raise Failure(PORT, message, "Stop it, or choose another port in go_service_publish_more.", UNTOUCHED) from error


def _check_containers(engine: Engine, settings: Settings, endpoint: Endpoint) -> None:
    """Raise Failure if another container of the Engine has a port at an address."""
    if any(_collide(endpoint.address, held) for held in engine.publishers(endpoint.port, beside=settings.name)):
        raise _taken(engine, settings, endpoint, endpoint.address)


def _check_endpoint(engine: Engine, settings: Settings, endpoint: Endpoint, old: Mapping[str, Any] | None) -> None:
    address, port = endpoint.address, endpoint.port
    own = _addresses(old, port)
    if own:
        # What the old container holds becomes free when it stops; with a wider address, something else may hold the rest.
        others_hold = {held for held in _listening(port) if held not in own and _collide(address, held)}
        if others_hold and address not in own:
            raise _taken(engine, settings, endpoint, min(others_hold))
        return
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, True)
            probe.bind((address, port))
    except OSError as error:
        if error.errno == errno.EADDRNOTAVAIL:
            message, remedy = (
                f"the address {address} is not one of this host's",
                f"Choose another address in {_variable(settings, endpoint)}.",
            )
        elif error.errno == errno.EACCES:
            # Only this process may not bind the port; the Engine may.
            return
        else:
            raise _taken(engine, settings, endpoint, address) from error
        raise Failure(PORT, message, remedy, UNTOUCHED) from error


def _variable(settings: Settings, endpoint: Endpoint) -> str:
    if settings.network == HOST:
        return "go_service_port"
    return "go_service_publish" if endpoint == settings.publish else "go_service_publish_more"


def _taken(engine: Engine, settings: Settings, endpoint: Endpoint, held: str) -> Failure:
    """Return the failure for a port that is taken; held: the address at which it is taken."""
    address, port = endpoint.address, endpoint.port
    others = list(dict.fromkeys(engine.publishers(port, beside=settings.name).values()))
    holder = f"the container {', '.join(others)}" if others else port_holder(port, "" if held == address else held)
    at = "" if held == address else f" at {held}"
    message = f"the host port {endpoint} is taken{at} by {holder}"
    return Failure(PORT, message, f"Stop it, or choose another port in {_variable(settings, endpoint)}.", UNTOUCHED)


def _addresses(container: Mapping[str, Any] | None, port: int, protocol: str = TCP) -> set[str]:
    """Return the host addresses at which a running container has a host port."""
    if not container or not container["State"]["Running"]:
        return set()
    if (container.get("HostConfig") or {}).get("NetworkMode") == HOST:
        return {"0.0.0.0", "::"}
    bindings = [
        bound
        for inside, bound in ((container.get("HostConfig") or {}).get("PortBindings") or {}).items()
        if inside.endswith(f"/{protocol}")
    ]
    found = {binding.get("HostIp") or "" for bound in bindings for binding in bound or [] if binding.get("HostPort") == str(port)}
    return found | ({"0.0.0.0", "::"} if found & {"", "0.0.0.0"} else set())


def _listening(port: int) -> set[str]:
    """Return the addresses of this host at which a process listens on a TCP port, as far as /proc tells."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table, encoding="ascii") as lines:
            found |= {address for address, held in parse_table(lines.read()) if held == port}
    return found


def _collide(wanted: str, held: str) -> bool:
    """Say whether two addresses exclude each other on the same port: they are equal, or one stands for all addresses of its family ("::" may stand for both)."""
    same = ipaddress.ip_address(wanted).version == ipaddress.ip_address(held).version
    return wanted == held or "::" in (wanted, held) or (same and "0.0.0.0" in (wanted, held))


def port_holder(port: int, address: str = "") -> str:
    """Return who listens on a TCP port of this host, as far as /proc tells: 'the process nginx (pid 812)'; address: where, "" for anywhere."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table, encoding="ascii") as lines:
            for line in lines:
                fields = line.split()
                if any(held == port and address in ("", where) for where, held in parse_table(line)):
                    inodes.add(f"socket:[{fields[9]}]")
    for descriptor in glob.glob("/proc/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(descriptor) in inodes:
                pid = descriptor.split("/")[2]
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as name:
                    return f"the process {name.read().strip()} (pid {pid})"
    return "another process"
