"""Run tests again and again without starting Python and importing libraries each time.

Usage: python scripts/forked_tests.py LOG, in the checkout; scripts/mutants.py starts it. Each line of its input is a JSON list: the CPU
seconds that a process may take, and the arguments of pytest. For each it prints a JSON object: `status`, how the tests ended (0: all
passed; negative: the signal that ended them), and `cpu`, the seconds that they took. What the tests print is in the file LOG.

Each run is a fork of this process, which holds what the first run imported, save what lies in the checkout: that may be another one each time.
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
from pathlib import Path

import pytest

# A fault that never ends is ended by its CPU time, whatever else the machine does; one that waits, by the clock, and one that gathers, by its memory.
WAITING, MEMORY = 30, 4 << 30


def libraries() -> list[str]:
    """Return the names of the imported modules that lie outside of the checkout, in the order of their import."""
    here = Path.cwd().resolve()
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and not name.startswith(("ansible_collections", "__")) and not Path(file).resolve().is_relative_to(here / "tests"):
            found.append(name)
    return found


def in_a_fork(cpu: float, arguments: list[str], log: Path, names: Path | None) -> tuple[int, float]:
    """Run pytest in a fork; return how it ended and the CPU seconds it took. names: where it writes what it imported."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pid = os.fork()
    if not pid:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with log.open("wb") as output, open(os.devnull, "rb") as nothing:
            for number, file in enumerate((nothing, output, output)):
                os.dup2(file.fileno(), number)
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu) + 1, int(cpu) + 2))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        # The first run leaves the compiled files behind; a later one, which may be of a fault, must not.
        sys.dont_write_bytecode = names is None
        status = pytest.main(arguments)
        if names:
            names.write_text(json.dumps(libraries()), encoding="utf-8")
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
    names = log.with_suffix(".json")
    first = True
    for line in sys.stdin:
        cpu, arguments = json.loads(line)
        status, taken = in_a_fork(cpu, arguments, log, names if first else None)
        if first and names.exists():
            for name in json.loads(names.read_text(encoding="utf-8")):
                with contextlib.suppress(Exception):
                    importlib.import_module(name)
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        first = False
        print(json.dumps({"status": status, "cpu": taken}), flush=True)


if __name__ == "__main__":
    main()
