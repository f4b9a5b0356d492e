"""One line that a worker of Ansible shows a person while it works."""

from __future__ import annotations

import mmap


class Board:
    """A line that a worker of Ansible writes and the callback of the main process reads: memory that both have since the worker began."""

    SIZE = 1024

    def __init__(self) -> None:
        self.is_read = False
        self._memory = mmap.mmap(-1, self.SIZE)

    def write(self, host: str, text: str) -> None:
        """Show what happens on a host; text: empty for nothing, which leaves what another host shows."""
        if not text and self.read()[0] != host:
            return
        line = f"{host}\0{text}".encode() if text else b""
        # The length comes last, so that a line is never read before all of it is there.
        self._memory[:2] = b"\0\0"
        line = line[: self.SIZE - 2]
        self._memory[2 : 2 + len(line)] = line
        self._memory[:2] = len(line).to_bytes(2, "big")

    def read(self) -> tuple[str, str]:
        """Return the host and the text that was written last, both empty if there is none."""
        length = int.from_bytes(self._memory[:2], "big")
        host, _zero, text = self._memory[2 : 2 + length].decode(errors="ignore").partition("\0")
        return host, text


# Made when the callback is loaded, before any worker begins. If no callback reads it, nothing is asked for.
BOARD = Board()
