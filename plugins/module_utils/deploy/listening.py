"""What a container listens on, as its kernel has it, held against where its health check asks."""

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
# On networks of a user's own the Engine's name server listens here, in the container.
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
        # A container's own words may be anything.
        if len(fields) < 10 or fields[3] != _LISTENS or not _PLACE.fullmatch(fields[1]) or not (inodes is None or fields[9] in inodes):
            continue
        digits, _colon, port = fields[1].rpartition(":")
        # Each four bytes of the address are a number of the machine's byte order.
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
        # A process may have ended meanwhile; where this user may not look, nothing is known.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if container_id in _read(group):
                folder = f"{os.path.dirname(group)}/fd"
                inodes.update(os.readlink(f"{folder}/{name}")[len("socket:[") : -1] for name in os.listdir(folder))
    return inodes


def listeners(container: Mapping[str, Any], proc: str = "/proc") -> set[Listener] | None:
    """Return what a container listens on; None where the kernel of this machine does not run it, or does not tell."""
    with contextlib.suppress(OSError):
        pid = (container.get("State") or {}).get("Pid") or 0
        if not pid or container["Id"] not in _read(f"{proc}/{pid}/cgroup"):
            return None
        # The host's network has the sockets of others as well.
        shared = not ((container.get("HostConfig") or {}).get("NetworkMode") or "").startswith("host")
        inodes = None if shared else _own_sockets(container["Id"], proc)
        found = parse_table(_read(f"{proc}/{pid}/net/tcp"), inodes)
        with contextlib.suppress(FileNotFoundError):  # A kernel without IPv6.
            found |= parse_table(_read(f"{proc}/{pid}/net/tcp6"), inodes)
        return found
    return None


def told(found: Iterable[Listener]) -> str:
    """Return listeners as a person reads them: '5678 (127.0.0.1), 8080 (all addresses)'."""
    ports: dict[int, list[str]] = {}
    for address, port in sorted(found, key=lambda listener: (listener[1], listener[0])):
        ports.setdefault(port, []).append(address)
    return ", ".join(f"{port} ({'all addresses' if '::' in held else ', '.join(held)})" for port, held in ports.items())


def any_certificate() -> ssl.SSLContext:
    """Return what takes a service's own certificate, which this machine does not know; nothing that it does know is read for that."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def speaks_tls(address: str, port: int) -> bool:
    """Say whether who listens there answers the beginning of TLS by TLS."""
    try:
        context = any_certificate()
        with socket.create_connection((address, port), timeout=_SECONDS) as plain, context.wrap_socket(plain, server_hostname="localhost"):
            return True
    except ssl.SSLError as error:
        # An alert is an answer by TLS: it has no certificate for that name, for instance.
        return "ALERT" in (error.reason or "")
    except OSError:
        return False


class Ears:
    """What a container was found listening on. now: the last time, None where it is not known; ever: at any time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.now: set[Listener] | None = None
        self.ever: set[Listener] = set()

    def listen(self, container: Mapping[str, Any], ask: bool = False) -> None:
        """Look once more; ask: by a command in the container where the kernel of this machine does not run it."""
        self.now = listeners(container)
        if self.now is None and ask and container.get("Id") and not (container["HostConfig"].get("NetworkMode") or "").startswith("host"):
            _code, tables = self._engine.run_in(container["Id"], ["cat", "/proc/net/tcp", "/proc/net/tcp6"], _SECONDS)
            self.now = parse_table(tables) if "local_address" in tables else None
        self.ever |= self.now or set()

    def before_the_end(self) -> str:
        """Return what is known of a container that has ended: a line of evidence, "" for nothing."""
        if self.ever:
            return f"measured: it listened on {told(self.ever)} before it ended"
        return "" if self.now is None else "measured: it was not seen listening on any port"

    def diagnosis(self, container: Mapping[str, Any], tests: str, near: bool = True) -> tuple[str, str]:
        """Return (what is wrong with where a running container listens, what to do), ("", "") for nothing; tests: what its health checks printed.

        near: whether this machine reaches the container's own addresses, and not those of another one.
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
                return f"it listens on no port any more; it did on {told(self.ever)}", "See in its log lines why it has closed its port."
            return (
                "it never listened on any port",
                "See in its log lines what it waits for before it listens (a database, a name, a file); go_service_network, go_service_env and "
                "go_service_volumes give it what it needs. If it only takes its time, raise go_service_start_timeout.",
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
                f"it speaks TLS on port {port}, where the health check asks by plain HTTP",
                "Set go_service_health_scheme to https, or make the service speak plain HTTP on go_service_port, by go_service_args or go_service_env.",
            )
        if where.scheme == "https" and reached and not any(speaks_tls(address, port) for address in reached):
            return (
                f"it does not speak TLS on port {port}, where the health check asks by TLS",
                "Set go_service_health_scheme to http, or make the service speak TLS on go_service_port, by go_service_args or go_service_env.",
            )
        refused = re.search(r"can't connect[^\n]*?(?:\(([0-9a-f.:\[\]]+?)\))?: Connection refused|connection refused", tests, re.I)
        if refused:
            return _deaf(host, port, here, (refused[1] or "").strip("[]"))
        return "", ""


def _deaf(host: str, port: int, here: list[str], tried: str) -> tuple[str, str]:
    """Return what is wrong where a port is listened on, but a health check was refused there. tried: the address that it asked, "" if not known."""
    family = "IPv6" if ":" in tried else "IPv4"
    if "::" in here or tried in here or (family == "IPv4" and tried and "0.0.0.0" in here):
        return (
            f"it listens on {told((address, port) for address in here)} now, but did not yet when it was asked",
            "Raise go_service_start_timeout, or make the service start faster.",
        )
    instead = "127.0.0.1" if "0.0.0.0" in here else here[0]
    return (
        f"it listens on {told((address, port) for address in here)}, and the health check asks {host}{f' ({tried})' if tried else ''}",
        f"Set go_service_health_host to {instead}, or make the service listen on all addresses, by go_service_args or go_service_env.",
    )


def _from_outside(container: Mapping[str, Any], here: list[str]) -> list[str]:
    """Return the addresses by which this machine reaches a port that a container listens on."""
    if (container["HostConfig"].get("NetworkMode") or "") == "host":
        return ["127.0.0.1" if address == "0.0.0.0" else "::1" if address == "::" else address for address in here]
    networks = ((container.get("NetworkSettings") or {}).get("Networks") or {}).values()
    own = [network["IPAddress"] for network in networks if network.get("IPAddress")]
    return [address for address in own if address in here or set(_ALL).intersection(here)]
