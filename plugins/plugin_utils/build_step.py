"""The step of an image build that runs at this moment, for the person who waits for it.

The module that builds says nothing before its end. But each RUN instruction is a process of the host, with the instruction's text as one of its arguments, whichever builder starts
it. So another thread asks the host for these texts through a copy of Ansible's connection, without a module and without any other user's rights. Of the Engine of another machine, or on a
host that hides its processes or has no GNU grep, nothing is found, and nothing is shown.
"""

from __future__ import annotations

import contextlib
import copy
import re
import shlex
import threading
from collections.abc import Iterator
from typing import Any

from ..module_utils.common.secrets import mask
from ..module_utils.image.changes import APPLYING
from .board import BOARD

# The connections of which a copy works beside its original: each command is a process of its own.
CONNECTIONS = ("local", "ssh")
# Seconds between two questions.
INTERVAL = 1.0
_RUN = re.compile(r"^RUN (?:--\S+ )*(.*)$", re.M)


def run_steps(dockerfile: str) -> list[str]:
    """Return the commands of the RUN instructions of a Dockerfile, as a builder gives them to the shell."""
    return _RUN.findall(re.sub(r"\\\n", "", dockerfile))


def question(commands: list[str]) -> str:
    """Return the shell command that prints those of the commands which run now as an argument of a process, with a zero byte after each."""
    # The texts come to grep through printf of the shell: so they are whole arguments of the build's processes alone.
    texts = " ".join(map(shlex.quote, [*commands, *(APPLYING + command for command in commands if command.startswith("go build "))]))
    return f"printf '%s\\n' {texts} | grep -zoxhsF -f - /proc/[0-9]*/cmdline"


class _Watch:
    """Asks a host again and again which step of a build runs, and writes it on the board."""

    def __init__(self, connection: Any, host: str, asked: str, hidden: tuple[str, ...]) -> None:
        self._connection, self._host, self._asked, self._hidden = connection, host, asked, hidden
        self._turn, self._ended = threading.Lock(), threading.Event()

    def run(self) -> None:
        """Ask until the build ends."""
        # What goes wrong here goes wrong for the build too, and is told there.
        with contextlib.suppress(Exception):
            self._connection.set_become_plugin(None)
            while not self._ended.wait(INTERVAL):
                _code, printed, _errors = self._connection.exec_command(self._asked, sudoable=False)
                runs = [text for text in printed.decode(errors="replace").split("\0") if text]
                with self._turn:
                    if not self._ended.is_set():
                        BOARD.write(self._host, mask(runs[0].removeprefix(APPLYING), self._hidden) if runs else "")

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
    watch = _Watch(copy.copy(connection), host, question(commands), hidden)
    threading.Thread(target=watch.run, daemon=True).start()
    try:
        yield
    finally:
        watch.end()
