"""Run tests again and again without starting Python and importing libraries each time.

Usage: python scripts/forked_tests.py LOG, in the checkout; scripts/mutants.py starts it. Each line of its input is a JSON list: the CPU
seconds that a process may take, and the arguments of pytest. For each it prints a JSON object: `status`, how the tests ended (0: all
passed; negative: the signal that ended them), and `cpu`, the seconds that they took. What the tests print is in the file LOG.

Each run is a fork of this process, which holds what the first run imported, save what lies in the checkout: that may be another one each time.
The tests that failed before are run first, then those that take the least time.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

# A fault that never ends is ended by its CPU time, whatever else the machine does; one that waits, by the clock, and one that gathers, by its memory.
WAITING, MEMORY = 30, 4 << 30


class Order:
    """A plugin of pytest that sorts the tests, and notes how they went. took: seconds of each test of this run; failed: those that did."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._failures: Counter[str] = Counter()
        self.took: dict[str, float] = {}
        self.failed: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Sort them."""
        items.sort(key=lambda item: (-self._failures[item.nodeid], self._seconds.get(item.nodeid, 0.0)))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how one went."""
        self.took[report.nodeid] = self.took.get(report.nodeid, 0.0) + report.duration
        if report.failed:
            self.failed.append(report.nodeid)

    def learn(self, seconds: dict[str, float], failed: list[str]) -> None:
        """Take over what a run in a fork noted."""
        self._seconds.update(seconds)
        self._failures.update(failed)


def libraries() -> list[str]:
    """Return the names of the imported modules that lie outside of the checkout, in the order of their import."""
    here = Path.cwd().resolve()
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and not name.startswith(("ansible_collections", "__")) and not Path(file).resolve().is_relative_to(here / "tests"):
            found.append(name)
    return found


def in_a_fork(cpu: float, arguments: list[str], log: Path, notes: Path, order: Order, *, first: bool) -> tuple[int, float]:
    """Run pytest in a fork; return how it ended and the CPU seconds it took. notes: the file in which it leaves what is to be known of it."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    notes.unlink(missing_ok=True)
    pid = os.fork()
    if not pid:
        os.setsid()
        with log.open("wb") as output, open(os.devnull, "rb") as nothing:
            for number, file in enumerate((nothing, output, output)):
                os.dup2(file.fileno(), number)
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu) + 1, int(cpu) + 2))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        # The first run leaves the compiled files behind; a later one, which may be of a fault, must not.
        sys.dont_write_bytecode = not first
        status = pytest.main(arguments, plugins=[order])
        told: dict[str, Any] = {"seconds": order.took, "failed": order.failed, "libraries": libraries() if first else []}
        notes.write_text(json.dumps(told), encoding="utf-8")
        sys.stdout.flush()
        os._exit(status)
    until = time.monotonic() + 20 * cpu + WAITING
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > until:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return os.waitstatus_to_exitcode(status), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Answer each line."""
    log = Path(sys.argv[1])
    notes, order, first = log.with_suffix(".json"), Order(), True
    for line in sys.stdin:
        cpu, arguments = json.loads(line)
        status, taken = in_a_fork(cpu, arguments, log, notes, order, first=first)
        if notes.exists():
            told = json.loads(notes.read_text(encoding="utf-8"))
            order.learn(told["seconds"], told["failed"])
            for name in told["libraries"]:
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        first = False
        print(json.dumps({"status": status, "cpu": taken}), flush=True)


if __name__ == "__main__":
    main()
