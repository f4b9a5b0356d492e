"""Runs of ansible-playbook, timed from outside and, by the events that the callback ansible.posix.jsonl prints, task by task."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

# How often a running play's memory is looked at, in seconds: rarely enough not to be felt in its time.
LOOK_EVERY = 0.1

ROOT = Path(__file__).resolve().parents[1]


class BenchError(Exception):
    """The benchmark cannot go on; the text says why and what to do."""


@dataclass(frozen=True)
class Task:
    """A task of a play. path: file and line it is written in; began, ended: seconds since 1970, ended when the next one begins."""

    name: str
    path: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it took, with what Ansible did until the next one."""
        return self.ended - self.began


@dataclass(frozen=True)
class Play:
    """A run of ansible-playbook.

    seconds: wall clock of the whole command; ansible_peak: resident memory of the largest of Ansible's own processes, in bytes; peak: of the
    largest process of all, such as a module on this machine or a linter; changed: what the recap counts as changed on all hosts.
    """

    began: float
    ended: float
    peak: int
    ansible_peak: int = 0
    tasks: list[Task] = field(default_factory=list)
    changed: int = 0

    @property
    def seconds(self) -> float:
        """Wall clock of the whole command."""
        return self.ended - self.began

    def of(self, file: str) -> list[Task]:
        """Return the tasks that are written in a file, by the end of its path.

        Raises:
            BenchError: there is none, so what was to be measured did not happen.
        """
        found = [task for task in self.tasks if task.path.rpartition(":")[0].endswith(file)]
        if not found:
            raise BenchError(
                f"The play ran no task of {file}. If the role was changed, tell the benchmark (bench/contestants.py) its new place."
            )
        return found

    def seconds_of(self, file: str) -> float:
        """Return how long the tasks of a file took together."""
        return sum(task.seconds for task in self.of(file))

    def profile(self) -> list[tuple[str, float]]:
        """Return what the command spent its time on, in order: Ansible's start, each task, its end."""
        if not self.tasks:
            return [(STARTING, self.seconds)]
        steps = [(STARTING, self.tasks[0].began - self.began)]
        steps += [(task.name, task.seconds) for task in self.tasks]
        return [*steps, (ENDING, self.ended - self.tasks[-1].ended)]


STARTING = "Ansible starts, reads the inventory and the playbook"
ENDING = "Ansible ends"


def moment(text: str) -> float:
    """Return the seconds since 1970 of a time as the callback writes it, UTC with a Z."""
    return datetime.fromisoformat(text.rstrip("Z")).replace(tzinfo=timezone.utc).timestamp()


def events(output: str) -> list[dict[str, Any]]:
    """Return the events in what a run printed. Other lines, such as what an action plugin displays, are passed over."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def tasks(found: Iterable[Mapping[str, Any]]) -> list[Task]:
    """Return the tasks of a run from its events; each ends where the next one begins, or the recap does."""
    starts = [event for event in found if event["_event"] in ("v2_playbook_on_task_start", "v2_playbook_on_handler_task_start")]
    recap = [moment(event["_timestamp"]) for event in found if event["_event"] == "v2_playbook_on_stats"]
    began = [moment(event["_timestamp"]) for event in starts]
    ends = [*began[1:], *recap]
    return [Task(event["task"]["name"], event["task"]["path"], start, end) for event, start, end in zip(starts, began, ends)]


def failure(found: Iterable[Mapping[str, Any]]) -> str:
    """Return what the last failed task of a run said, "" where none did."""
    said = ""
    for event in found:
        if event["_event"] in ("v2_runner_on_failed", "v2_runner_on_unreachable"):
            for host, result in event["hosts"].items():
                said = f"{host}: {event['task']['name']}: {result.get('msg') or 'no message'}"
    return said


def is_ansible(pid: int) -> bool:
    """Say whether a process is ansible-playbook or a worker of it, and not one that those have started."""
    try:
        return b"/ansible-playbook\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]
    except OSError:
        return []


def high_water(pid: int) -> int:
    """Return the most resident memory that a process has had so far, in bytes; 0 where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), 0)


class Watch(threading.Thread):
    """Reads, while a play runs, how much memory Ansible's own processes have had. The kernel keeps their highest mark, so a look now and then will do."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.peak = 0
        self._over = threading.Event()

    def run(self) -> None:
        """Look until told to stop."""
        while not self._over.wait(LOOK_EVERY):
            found = [pid for pid in (self.pid, *children(self.pid)) if is_ansible(pid)]
            self.peak = max([self.peak, *map(high_water, found)])

    def stop(self) -> None:
        """Stop looking."""
        self._over.set()
        self.join()


def run(
    playbook: str,
    log: Path,
    variables: Mapping[str, Any] | None = None,
    *,
    inventory: Path | None = None,
    limit: str = "",
    forks: int = 5,
    checkout: Path = ROOT,
) -> Play:
    """Run a playbook of a checkout of the project and return how that went; what it printed is kept in `log` and beside it.

    Raises:
        BenchError: it failed.
    """
    command = ["ansible-playbook", playbook, "--forks", str(forks)]
    command += ["--inventory", str(inventory)] if inventory else []
    command += ["--limit", limit] if limit else []
    command += ["--extra-vars", json.dumps(variables)] if variables else []
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(checkout / "ansible.cfg"),
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_FORCE_COLOR": "0",
    }
    with open(log, "w", encoding="utf-8") as output, open(log.with_suffix(".err"), "w", encoding="utf-8") as errors:
        began = time.time()
        process = subprocess.Popen(
            command, cwd=checkout, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, close_fds=False
        )
        watch = Watch(process.pid)
        watch.start()
        # wait4 tells the most memory that this very command, or one of the processes that it waited for, has had.
        _pid, status, usage = os.wait4(process.pid, 0)
        ended = time.time()
        watch.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
    found = events(log.read_text(encoding="utf-8"))
    if process.returncode:
        said = failure(found) or log.with_suffix(".err").read_text(encoding="utf-8").strip()[-2000:]
        raise BenchError(f"{' '.join(command[1:2])} failed: {said}\nAll that it said is in {log}.")
    recap = next((event["stats"] for event in reversed(found) if event["_event"] == "v2_playbook_on_stats"), {})
    changed = sum(counts["changed"] for counts in recap.values())
    return Play(began, ended, usage.ru_maxrss * 1024, watch.peak, tasks(found), changed)
