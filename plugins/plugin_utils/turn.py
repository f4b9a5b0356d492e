"""Who this run is, and how it waits for its turn where another run works on the same service of a host."""

from __future__ import annotations

import getpass
import multiprocessing
import os
import random
import secrets
import socket
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..module_utils.common.failure import UNTOUCHED, Failure
from ..module_utils.common.stages import LOCK

LOCK_POLL = 1.0


def process_start(pid: int) -> str:
    """Return when a process of this machine started, as its kernel counts it; "" where there is no such process, or it has ended.

    One that has ended stays in the list where nobody asks for its end, as in a container whose first process is no init (proc(5), state Z).
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except (OSError, IndexError):
        pass
    try:
        os.kill(pid, 0)
    except OSError:
        return ""
    return "alive"


def machine() -> str:
    """Return an id of this machine that survives the process, but not a restart of the machine."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()}/{uuid.getnode():x}/{boot}"


def controller() -> tuple[int, str]:
    """Return the number of the ansible-playbook process that this worker belongs to, and when it started; raise Failure where it has ended.

    A worker is a session of its own, which outlives an ansible-playbook that is killed. The process that it is a child of from then on, mostly the first one
    of the machine, lives on: what is held in its name would be held for ever.
    """
    parent = multiprocessing.parent_process()
    pid = os.getppid() if parent is None or parent.pid is None else parent.pid
    start = process_start(pid)
    if os.getppid() != pid:
        raise Failure(LOCK, "the run that this task belongs to has ended", "Run again.", UNTOUCHED)
    return pid, start


def controller_identity() -> str:
    """Return "machine|pid|start" of the ansible-playbook process that this worker belongs to."""
    return _named(*controller())


def _named(pid: int, start: str) -> str:
    return f"{machine()}|{pid}|{start}"


def is_dead(controller: str) -> bool:
    """Say whether a run that was controlled from this very machine is gone. A run of another machine is not judged."""
    try:
        where, pid, start = controller.split("|")
        return where == machine() and process_start(int(pid)) != start
    except ValueError:
        return False


def identity(host: str) -> dict[str, Any]:
    """Return what a lock says of this run; host: the inventory's name of the host."""
    pid, start = controller()
    return {
        "token": secrets.token_hex(8),
        "owner": f"{getpass.getuser()}@{socket.gethostname()}, process {pid}",
        "controller": _named(pid, start),
        "host": host,
    }


def wait_for(
    work: Callable[[dict[str, Any]], dict[str, Any]], lock: dict[str, Any], name: str, timeout: float, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Run a module that takes a service's lock until it has it, and return its result; raise Failure where the lock did not come free in time.

    work: runs the module for an identity; its result has the holder under `locked` where another run has the lock.
    """
    deadline = time.monotonic() + timeout
    announced = ""
    while True:
        controller()
        result = work(lock)
        held = result.get("locked")
        if not held:
            return result
        if held["controller"] == lock["controller"] and held["host"] not in ("", lock["host"]):
            message = f"{held['host']} and {lock['host']} of the inventory are one machine, and this very run works on {name} there as {held['host']}"
            raise Failure(LOCK, message, "Name the machine once, or give each its own go_service_name.", UNTOUCHED)
        # Of this very run and host only what an earlier, failed part of it did not give back.
        if is_dead(held["controller"]) or held["controller"] == lock["controller"]:
            lock["dead"] = [*lock.get("dead", []), held["token"]]
            continue
        if time.monotonic() > deadline:
            waited = f"this run waited for {timeout} s (go_service_lock_timeout)"
            message = f"another run works on {name} on this host: {held['owner']}, {held['since']}; {waited}"
            remedy = f"Wait for it, raise go_service_lock_timeout, or, if it is surely gone, free the lock on the host: {held['by_hand']}."
            raise Failure(LOCK, message, remedy, UNTOUCHED)
        if announced != held["token"]:
            announced = held["token"]
            tell(f"Waiting for another run on this host: {held['owner']}, {held['since']} already.")
        # Not in step with another run that waits as well: of two that come at one moment both step back.
        time.sleep(LOCK_POLL * random.uniform(0.5, 1.5))
