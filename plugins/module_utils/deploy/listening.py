"""What a container listens on according to its kernel, compared with where its health check connects."""

from __future__ import annotations

import contextlib
import glob
import ipaddress
import os
import re
import socket
import ssl
import struct
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ..engine.client import Engine
from ..engine.records import health_test

_LISTENS = "0A"
_PLACE = re.compile(r"(?:[0-9A-Fa-f]{8}|[0-9A-Fa-f]{32}):[0-9A-Fa-f]{4}")
# On user-defined networks, the Engine's DNS server listens here inside the container.
_NAME_SERVER = "127.0.0.11"
_ALL = ("0.0.0.0", "::")
_SECONDS = 2.0

# (address, port)
Listener = tuple[str, int]


def parse_table(text: str, inodes: set[str] | None = None) -> set[Listener]:
    """Return (address, port) of each listening socket of /proc/net/tcp or tcp6 (proc(5)); inodes: of the sockets that count, None for all."""
    found = set()
    for line in text.splitlines():
        fields = line.split()
        # Output that comes from a container may be anything.
        if len(fields) < 10 or fields[3] != _LISTENS or not _PLACE.fullmatch(fields[1]) or not (inodes is None or fields[9] in inodes):
            continue
        digits, _colon, port = fields[1].rpartition(":")
        # Each four bytes of the address are a number in the machine's byte order.
        words = (int(digits[at : at + 8], 16) for at in range(0, len(digits), 8))
        address = ipaddress.ip_address(b"".join(struct.pack("=I", word) for word in words))
        shown = str(getattr(address, "ipv4_mapped", None) or address)
        if shown != _NAME_SERVER:
            found.add((shown, int(port, 16)))
    return found


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()


def _own_sockets(container_id: str, proc: str) -> set[str]:
    """Return the inodes of the sockets that the processes of a container hold."""
    inodes: set[str] = set()
    for group in glob.glob(f"{proc}/[0-9]*/cgroup"):
        # A process may have ended meanwhile, or this user may not look at it: then nothing is known.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if container_id in _read(group):
                folder = f"{os.path.dirname(group)}/fd"
                inodes.update(os.readlink(f"{folder}/{name}")[len("socket:[") : -1] for name in os.listdir(folder))
    return inodes


def listeners(container: Mapping[str, Any], proc: str = "/proc") -> set[Listener] | None:
    """Return what a container listens on; None if the kernel of this machine does not run it, or does not tell."""
    with contextlib.suppress(OSError):
        pid = (container.get("State") or {}).get("Pid") or 0
        if not pid or container["Id"] not in _read(f"{proc}/{pid}/cgroup"):
            return None
        # In the host's network there are sockets of other programs as well.
        shared = not ((container.get("HostConfig") or {}).get("NetworkMode") or "").startswith("host")
        inodes = None if shared else _own_sockets(container["Id"], proc)
        found = parse_table(_read(f"{proc}/{pid}/net/tcp"), inodes)
        with contextlib.suppress(FileNotFoundError):  # A kernel without IPv6.
            found |= parse_table(_read(f"{proc}/{pid}/net/tcp6"), inodes)
        return found
    return None


def told(found: Iterable[Listener]) -> str:
    """Return listeners as a text for people: '5678 (127.0.0.1), 8080 (all addresses)'."""
    ports: dict[int, list[str]] = {}
    for address, port in sorted(found, key=lambda listener: (listener[1], listener[0])):
        ports.setdefault(port, []).append(address)
    return ", ".join(f"{port} ({'all addresses' if '::' in held else ', '.join(held)})" for port, held in ports.items())


def any_certificate() -> ssl.SSLContext:
    """Return a TLS context that accepts the service's own certificate, which this machine does not know; it loads no known authorities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def speaks_tls(address: str, port: int) -> bool:
    """Say whether the program that listens there answers the start of a TLS handshake with TLS."""
    try:
        context = any_certificate()
        with socket.create_connection((address, port), timeout=_SECONDS) as plain, context.wrap_socket(plain, server_hostname="localhost"):
            return True
    except ssl.SSLError as error:
        # A TLS alert is an answer, too: for instance, that it has no certificate for that name.
        return "ALERT" in (error.reason or "")
    except OSError:
        return False


class Ears:
    """What a container was seen listening on. now: at the last look, None if that is not known; ever: at any look."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.now: set[Listener] | None = None
        self.ever: set[Listener] = set()

    def listen(self, container: Mapping[str, Any], ask: bool = False) -> None:
        """Look once more; ask: look with a command in the container if the kernel of this machine does not run the container."""
        self.now = listeners(container)
        if self.now is None and ask and container.get("Id") and not (container["HostConfig"].get("NetworkMode") or "").startswith("host"):
            _code, tables = self._engine.run_in(container["Id"], ["cat", "/proc/net/tcp", "/proc/net/tcp6"], _SECONDS)
            self.now = parse_table(tables) if "local_address" in tables else None
        self.ever |= self.now or set()

    def before_the_end(self) -> str:
        """Return a line of evidence about a container that has ended, "" if nothing is known."""
        if self.ever:
            return f"measured: it listened on {told(self.ever)} before it ended"
        return "" if self.now is None else "measured: it was not seen listening on any port"

    def diagnosis(self, container: Mapping[str, Any], tests: str, near: bool = True) -> tuple[str, str]:
        """Return (what is wrong with the ports that a running container listens on, what to do), ("", "") for nothing; tests: output of its health checks.

        near: whether an address of the container, used on this machine, really leads to this container.
        """
        self.listen(container, ask=True)
        asked = re.findall(r"https?://\S+", " ".join(health_test(container) or []))
        if self.now is None or not asked:
            return "", ""
        # The address is the last word, after the headers.
        where = urlsplit(asked[-1])
        port, host = where.port or (443 if where.scheme == "https" else 80), where.hostname or ""
        here = sorted(address for address, held in self.now if held == port)
        if not self.now:
            if self.ever:
                return (
                    f"it listens on no port any more; it did on {told(self.ever)}",
                    "Find out from its log lines why it has closed its port.",
                )
            return (
                "it never listened on any port",
                "Find out from its log lines for what it waits before it listens (a database, a host name, a file); go_service_network, go_service_env and "
                "go_service_volumes give it what it needs. If it is only slow, raise go_service_start_timeout.",
            )
        if not here:
            others = sorted({held for _address, held in self.now})
            right = str(others[0]) if len(others) == 1 else "the one that serves the health check"
            return (
                f"it listens on {told(self.now)}, and go_service_port says {port}",
                f"Set go_service_port to {right}, or make the service listen on {port}: it finds that number in PORT, "
                "or tell it by go_service_args or go_service_env.",
            )
        reached = _from_outside(container, here) if near else []
        if where.scheme == "http" and any(speaks_tls(address, port) for address in reached):
            return (
                f"it speaks TLS on port {port}, where the health check uses plain HTTP",
                "Set go_service_health_scheme to https, or make the service speak plain HTTP on go_service_port, by go_service_args or go_service_env.",
            )
        if where.scheme == "https" and reached and not any(speaks_tls(address, port) for address in reached):
            return (
                f"it does not speak TLS on port {port}, where the health check uses TLS",
                "Set go_service_health_scheme to http, or make the service speak TLS on go_service_port, by go_service_args or go_service_env.",
            )
        refused = re.search(r"can't connect[^\n]*?(?:\(([0-9a-f.:\[\]]+?)\))?: Connection refused|connection refused", tests, re.I)
        if refused:
            return _deaf(host, port, here, (refused[1] or "").strip("[]"))
        return "", ""


def _deaf(host: str, port: int, here: list[str], tried: str) -> tuple[str, str]:
    """Return what is wrong if a health check was refused although something listens on the port. tried: the address that it used, "" if not known."""
    family = "IPv6" if ":" in tried else "IPv4"
    if "::" in here or tried in here or (family == "IPv4" and tried and "0.0.0.0" in here):
        return (
            f"it listens on {told((address, port) for address in here)} now, but did not yet when it was asked",
            "Raise go_service_start_timeout, or make the service start faster.",
        )
    instead = "127.0.0.1" if "0.0.0.0" in here else here[0]
    return (
        f"it listens on {told((address, port) for address in here)}, but the health check connects to {host}{f' ({tried})' if tried else ''}",
        f"Set go_service_health_host to {instead}, or make the service listen on all addresses, by go_service_args or go_service_env.",
    )


def _from_outside(container: Mapping[str, Any], here: list[str]) -> list[str]:
    """Return the addresses at which this machine reaches a port that a container listens on."""
    if (container["HostConfig"].get("NetworkMode") or "") == "host":
        return ["127.0.0.1" if address == "0.0.0.0" else "::1" if address == "::" else address for address in here]
    networks = ((container.get("NetworkSettings") or {}).get("Networks") or {}).values()
    own = [network["IPAddress"] for network in networks if network.get("IPAddress")]
    return [address for address in own if address in here or set(_ALL).intersection(here)]
