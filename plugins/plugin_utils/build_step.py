"""The step of an image build that runs at this moment, for the person who waits for it.

The module that builds says nothing before its end. But each RUN instruction is a process of the host, whichever builder starts it. So another thread asks the host whether one has the
arguments of an instruction, through a copy of Ansible's connection, without a module and without any other user's rights. Of the Engine of another machine, or on a host that hides its
processes or has no command python3, nothing is found, and nothing is shown.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import os
import re
import shlex
import threading
from collections.abc import Iterator
from typing import Any

from ..module_utils.common.names import APPLYING
from ..module_utils.common.secrets import mask
from .board import BOARD

# The connections of which a copy works beside its original: each command is a process of its own.
CONNECTIONS = ("local", "ssh")
# Seconds between two questions.
INTERVAL = 1.0
# Gets digests and prints a number: no command line comes to the host or leaves it, and a long one is not too long for an argument.
_LOOK = """\
import glob, hashlib, sys
running = set()
for path in glob.glob("/proc/[0-9]*/cmdline"):
    try:
        with open(path, "rb") as stream:
            whole = stream.read()
    except OSError:
        continue
    for arguments in (whole, whole.partition(bytes(1))[2]):
        running.add(hashlib.sha256(arguments).hexdigest())
print(*[number for number, forms in enumerate(sys.argv[1:]) if running & set(forms.split(","))][:1])
"""
_RUN = re.compile(r"^RUN +(?:--\S+ +)*(.*)$", re.M)


def run_steps(dockerfile: str) -> list[str]:
    """Return the commands of the RUN instructions of a Dockerfile, as a builder gives them to the shell."""
    return _RUN.findall(re.sub(r"\\\n", "", dockerfile))


def question(commands: list[str]) -> str:
    """Return the shell command that prints the number of the first command that a process of the host is, nothing if there is none."""
    return shlex.join(["python3", "-c", _LOOK, *(",".join(map(_digest, _arguments(command))) for command in commands)])


def _arguments(command: str) -> Iterator[list[str]]:
    """Yield the arguments that the process of a command may have, without the first of a shell."""
    # A build that goes on from the last one begins the step that compiles with a check.
    for before in ("", APPLYING):
        yield ["-c", before + command]
    # A shell becomes its command if that is a single one.
    with contextlib.suppress(ValueError):
        yield shlex.split(command)


def _digest(arguments: list[str]) -> str:
    """Return the SHA-256 of arguments as /proc has them: with a zero after each."""
    return hashlib.sha256(b"".join(os.fsencode(argument) + b"\0" for argument in arguments)).hexdigest()


class _Watch:
    """Asks a host again and again which step of a build runs, and writes it on the board."""

    def __init__(self, connection: Any, host: str, commands: list[str], hidden: tuple[str, ...]) -> None:
        self._connection, self._host, self._commands, self._hidden = connection, host, commands, hidden
        self._turn, self._ended = threading.Lock(), threading.Event()

    def run(self) -> None:
        """Ask until the build ends."""
        # What goes wrong here goes wrong for the build too, and is told there.
        with contextlib.suppress(Exception):
            self._connection.set_become_plugin(None)
            asked = question(self._commands)
            while not self._ended.wait(INTERVAL):
                _code, printed, _errors = self._connection.exec_command(asked, sudoable=False)
                runs = self._commands[int(printed)] if printed.strip() else ""
                with self._turn:
                    if not self._ended.is_set():
                        BOARD.write(self._host, mask(runs, self._hidden))

    def end(self) -> None:
        """Write nothing from now on."""
        with self._turn:
            self._ended.set()
            BOARD.write(self._host, "")


@contextlib.contextmanager
def watched(connection: Any, host: str, dockerfile: str, hidden: tuple[str, ...]) -> Iterator[None]:
    """Write on the board which step of a build runs, as long as the block runs.

    connection: Ansible's, to the host; dockerfile: from which the build is made; hidden: texts that nobody may read.
    """
    commands = run_steps(dockerfile)
    if not BOARD.is_read or not commands or getattr(connection, "transport", "") not in CONNECTIONS:
        yield
        return
    watch = _Watch(copy.copy(connection), host, commands, hidden)
    threading.Thread(target=watch.run, daemon=True).start()
    try:
        yield
    finally:
        watch.end()
