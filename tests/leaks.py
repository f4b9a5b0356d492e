"""Where secrets are looked for: in what is written and printed, in processes, and in what modules log."""

from __future__ import annotations

import base64
import os
import re
import socket
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import pytest

LOG_SOCKET = "/dev/log"


def forms(secret: str) -> list[bytes]:
    """Return a secret in the forms it may be written in, each without what encodings would change: its first nine characters tell it."""
    raw = secret.encode()
    middle = [base64.b64encode(b"\0" * before + raw)[4:16] for before in range(3)]
    return [raw[:9], raw[:9].hex().encode(), urllib.parse.quote(secret).encode(), *middle]


class Hunted:
    """The secrets that are looked for, by kind."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self.forms = {kind: forms(secret) for kind, secret in secrets.items()}
        self._regexes = {kind: re.compile(b"|".join(map(re.escape, written))) for kind, written in self.forms.items()}

    def told(self, content: bytes) -> set[str]:
        """Return the kinds of the secrets that are somewhere in a content."""
        return {kind for kind, regex in self._regexes.items() if regex.search(content)}


@dataclass
class Watch:
    """What was seen while runs went on. processes: command lines and environments that hold a secret; said: what came to the log socket."""

    hunted: Hunted
    processes: set[str] = field(default_factory=set)
    said: bytearray = field(default_factory=bytearray)
    looks: int = 0
    _seen: set[bytes] = field(default_factory=set)

    def look(self, own: str) -> None:
        """Look at every process of this machine; own: where this process is, for those of this machine alone, "" for those in containers as well."""
        for process in filter(str.isdigit, os.listdir("/proc")):
            # One that has just ended tells nothing any more.
            with suppress(OSError):
                if not own or os.readlink(f"/proc/{process}/ns/pid") == own:
                    for name in ("cmdline", "environ"):
                        with open(f"/proc/{process}/{name}", "rb") as opened:
                            content = opened.read()
                        # Most processes have the environment of another one: to search each of them anew would take a processor for itself.
                        if content in self._seen:
                            continue
                        self._seen.add(content)
                        self.processes |= {f"{kind} in {name}: {content[:300]!r}" for kind in self.hunted.told(content)}
        self.looks += 1


@contextmanager
def watching(listener: socket.socket, hunted: Hunted, *, containers: bool = False) -> Iterator[Watch]:
    """Look at all processes, and listen to what modules log, until the block ends; containers: at those in containers too."""
    watch, over = Watch(hunted), threading.Event()
    own = "" if containers else os.readlink("/proc/self/ns/pid")

    def look() -> None:
        while not over.wait(0.05):
            watch.look(own)

    def listen() -> None:
        listener.settimeout(0.2)
        while not over.is_set():
            with suppress(TimeoutError):
                watch.said += listener.recv(1 << 20) + b"\n"

    threads = [threading.Thread(target=work) for work in (look, listen)]
    for thread in threads:
        thread.start()
    try:
        yield watch
    finally:
        over.set()
        for thread in threads:
            thread.join()


@contextmanager
def log_socket() -> Iterator[socket.socket]:
    """Yield a socket where modules log to; this machine must have no log daemon of its own."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    with suppress(FileNotFoundError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(LOG_SOCKET)
        except ConnectionRefusedError:
            # Nobody listens: a run of this test that was killed left it.
            os.unlink(LOG_SOCKET)
    try:
        listener.bind(LOG_SOCKET)
    except OSError as error:
        pytest.skip(f"what modules log cannot be listened to at {LOG_SOCKET}: {error}")
    try:
        yield listener
    finally:
        listener.close()
        os.unlink(LOG_SOCKET)
