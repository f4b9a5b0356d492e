"""Which run this is, and how it waits while another run works on the same service of a host."""

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
    """Return when a process of this machine started, as the kernel counts it; "" if there is no such process, or if it has ended.

    An ended process stays in the list (as a zombie) if nobody waits for it, as in a container whose first process is not an init (proc(5), state Z).
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
    """Return the id of the ansible-playbook process to which this worker belongs, and when it started; raise Failure if that process has ended.

    A worker has its own session, and keeps running if its ansible-playbook is killed. Its new parent process, mostly the first one of the machine, never
    ends: a lock that is held in the name of that process would be held for ever.
    """
    parent = multiprocessing.parent_process()
    pid = os.getppid() if parent is None or parent.pid is None else parent.pid
    start = process_start(pid)
    if os.getppid() != pid:
        raise Failure(LOCK, "the run that this task belongs to has ended", "Run again.", UNTOUCHED)
    return pid, start


def controller_identity() -> str:
    """Return "machine|pid|start" of the ansible-playbook process to which this worker belongs."""
    return _named(*controller())


def _named(pid: int, start: str) -> str:
    return f"{machine()}|{pid}|{start}"


def is_dead(controller: str) -> bool:
    """Say whether a run that this machine controlled has ended. For a run of another machine this is not known, and the answer is no."""
    try:
        where, pid, start = controller.split("|")
        return where == machine() and process_start(int(pid)) != start
    except ValueError:
        return False


def identity(host: str) -> dict[str, Any]:
    """Return what a lock records about this run; host: the inventory's name of the host."""
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
    """Run a module that needs a service's lock, again and again until it gets the lock; return its result; raise Failure if that takes too long.

    work: runs the module for an identity; its result has the holder under `locked` if another run has the lock.
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
        # The same run on the same host holds the lock only if an earlier, failed part of it did not give it back.
        if is_dead(held["controller"]) or held["controller"] == lock["controller"]:
            lock["dead"] = [*lock.get("dead", []), held["token"]]
            continue
        if time.monotonic() > deadline:
            waited = f"this run waited for {timeout} s (go_service_lock_timeout)"
            message = f"another run works on {name} on this host: {held['owner']}, {held['since']}; {waited}"
            remedy = f"Wait for it, raise go_service_lock_timeout, or, if that run is certainly gone, free the lock on the host: {held['by_hand']}."
            raise Failure(LOCK, message, remedy, UNTOUCHED)
        if announced != held["token"]:
            announced = held["token"]
            tell(f"Waiting for another run on this host: {held['owner']}, {held['since']} already.")
        # Random, since two runs that try at the same moment both withdraw.
        time.sleep(LOCK_POLL * random.uniform(0.5, 1.5))
