"""The lock of one service on one host: one run at a time stages, builds and deploys.

Two things, since a run is many processes: a lock file that lasts over the tasks of a run and names its owner, and a kernel lock
(flock) that each module holds while it works. The second ends with its process, whatever becomes of it; the first is stale when

- the host was started anew since (another boot id),
- nothing has refreshed it for `STALE_AFTER` seconds, longer than any build may take (go_service_build_timeout), or
- the controller that took it says that its process is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ..common.failure import Problem
from ..common.stages import LOCK

STALE_AFTER = 90_000.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return the id of this boot of the host, "" where the kernel tells none."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


@dataclass
class Holder:
    """Who holds a lock.

    token: unique to one run; owner: for people, like "alice@laptop, process 4711"; controller: id of the controlling machine and
    its process, by which that same machine can tell whether the run still lives; boot: boot id of the host; taken: seconds since 1970.
    """

    token: str
    owner: str
    controller: str
    boot: str
    taken: float


def since(age: float) -> str:
    """Say for how long a lock is held: "for 12 s", unless the clock was set back meanwhile."""
    return f"for {age:.0f} s" if age >= 0 else "since a time that the host's clock has not reached (it was set back)"


class Locked(Problem):
    """Another run holds the lock."""

    stage = LOCK

    def __init__(self, holder: Holder, age: float, path: Path) -> None:
        super().__init__(f"{holder.owner} holds the lock {path} {since(age)}")
        self.holder = holder
        self.age = age
        self.path = path


class Lost(Problem):
    """This run no longer holds the lock it took."""

    stage = LOCK


class Lock:
    """The lock of one service; `directory` is the service's directory on the host."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.path = directory / "lock"

    def holder(self) -> Holder | None:
        """Return who holds the lock, None where nobody does or what is there is stale or unreadable."""
        try:
            holder = Holder(**json.loads(self.path.read_text()))
            refreshed = self.path.stat().st_mtime
        except (OSError, ValueError, TypeError):
            return None
        if holder.boot != boot_id() or time.time() - refreshed > STALE_AFTER:
            return None
        return holder

    def take(self, token: str, owner: str, controller: str, dead: str = "") -> str:
        """Take the lock, or refresh it where this run has it already; raise Locked where another run holds it.

        dead: token of a run that the caller knows to be gone. Returns the owner of a stale lock that was replaced, else "".
        """
        holder = self.holder()
        if holder and holder.token not in (token, dead):
            raise Locked(holder, time.time() - holder.taken, self.path)
        stale = ""
        if self.path.exists() and not (holder and holder.token == token):
            with contextlib.suppress(OSError, ValueError, TypeError):
                stale = Holder(**json.loads(self.path.read_text())).owner
        if holder and holder.token == token:
            os.utime(self.path)
            return ""
        written = self.path.with_name("lock.new")
        written.write_text(json.dumps(asdict(Holder(token, owner, controller, boot_id(), time.time()))))
        os.replace(written, self.path)
        return stale

    def keep(self, token: str) -> None:
        """Refresh the lock of this run; raise Lost where it is another's or gone."""
        holder = self.holder()
        if not holder or holder.token != token:
            raise Lost(f"the lock {self.path} is {'held by ' + holder.owner if holder else 'gone'}; another run took over")
        os.utime(self.path)

    def release(self, token: str) -> bool:
        """Give the lock back; return False where this run did not hold it."""
        holder = self.holder()
        if not holder or holder.token != token:
            return False
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        return True

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Hold the kernel lock while a module works: a module that outlived its run is waited for."""
        descriptor = os.open(self._directory / "working", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
