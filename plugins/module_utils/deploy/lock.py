"""The lock of one service on one Engine: one run at a time stages, builds, deploys and removes.

The lock has two parts, since a run consists of many processes. One part lasts for all tasks of a run: an empty volume of the Engine, whose labels name
the holder. All users of the Engine see it, and nobody else can touch it. It is stale if

- the host was restarted since (it has another boot id),
- it is older than `STALE_AFTER` seconds, longer than any build may take (go_service_build_timeout), or
- the controller that took it says that its process is gone.

The other part is held by each module while it works: a name in the kernel, which is released when the process ends in any way.
"""

from __future__ import annotations

import contextlib
import errno
import json
import pwd
import socket
import struct
import time
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ..common.failure import UNTOUCHED, Failure, Problem
from ..common.files import read_own
from ..common.names import LABEL_HOLDER, LABEL_LOCK
from ..common.stages import LOCK
from ..engine.client import Engine

STALE_AFTER = 90_000.0
POLL = 0.1
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """Return the id of this boot of the host, "" if the kernel does not tell it."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


@dataclass
class Holder:
    """Who holds a lock.

    token: unique to one run; owner: for people, like "alice@laptop, process 4711"; controller: id of the controlling machine and
    its process, by which that same machine can tell whether the run still lives; boot: boot id of the host; taken: seconds since 1970;
    host: the name of this host in that run's inventory.
    """

    token: str
    owner: str
    controller: str
    boot: str
    taken: float
    host: str = ""


@dataclass
class _Found:
    """A lock that somebody took: its holder, whether it is stale, and the volume (or the file of an earlier version) that represents it."""

    holder: Holder
    stale: bool
    place: str | Path


def since(age: float) -> str:
    """Say how long a lock has been held: "for 12 s", unless the clock was set back meanwhile."""
    return f"for {age:.0f} s" if age >= 0 else "since a time that the host's clock has not reached (it was set back)"


class Locked(Problem):
    """Another run holds the lock. by_hand: the command that frees it."""

    stage = LOCK

    def __init__(self, holder: Holder, by_hand: str) -> None:
        self.age = time.time() - holder.taken
        super().__init__(
            f"another run works on the service: {holder.owner} holds the lock {since(self.age)}",
            f"Wait for it; or, if that run is certainly gone, free the lock on the host: {by_hand}.",
        )
        self.holder = holder
        self.by_hand = by_hand

    def as_dict(self) -> dict[str, object]:
        """Return what a module tells its action about the lock."""
        return {**asdict(self.holder), "since": since(self.age), "by_hand": self.by_hand}


PRUNED = "Run again, and not while somebody runs docker volume prune: before Engine 23 that removes all volumes that no container uses, this one too."


class LockLost(Problem):
    """This run no longer holds the lock it took."""

    stage = LOCK


class Lock:
    """The lock of one service; directory: the service's directory, where earlier versions kept a lock file."""

    def __init__(self, engine: Engine, name: str, directory: Path) -> None:
        self._engine = engine
        self._name = name
        self._file = directory / "lock"

    def _all(self) -> list[_Found]:
        """Return all locks that were taken, stale ones too. A volume whose labels cannot be read is not a lock, and is left alone."""
        found = []
        for volume in self._engine.volumes(LABEL_LOCK, self._name):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                holder = Holder(**json.loads(volume["Labels"][LABEL_HOLDER]))
                found.append(_Found(holder, self._outdated(holder, holder.taken), volume["Name"]))
        with contextlib.suppress(OSError, ValueError, TypeError):
            holder = Holder(**json.loads(read_own(self._file)))
            found.append(_Found(holder, self._outdated(holder, self._file.lstat().st_mtime), self._file))
        return found

    @staticmethod
    def _outdated(holder: Holder, refreshed: float) -> bool:
        return holder.boot != boot_id() or time.time() - refreshed > STALE_AFTER

    def _discard(self, lock: _Found) -> None:
        if isinstance(lock.place, Path):
            with contextlib.suppress(FileNotFoundError):
                lock.place.unlink()
        else:
            self._engine.remove_volume(lock.place)

    def holder(self) -> Holder | None:
        """Return who holds the lock, None if nobody does, or if the lock is stale or unreadable."""
        return next((lock.holder for lock in self._all() if not lock.stale), None)

    def _refuse(self, token: str, dead: Collection[str]) -> list[_Found]:
        """Raise Locked if another run holds the lock; return the locks that ended runs have left behind."""
        others = [lock for lock in self._all() if lock.holder.token != token]
        for lock in others:
            if not lock.stale and lock.holder.token not in dead:
                raise Locked(lock.holder, f"rm {lock.place}" if isinstance(lock.place, Path) else f"docker volume rm {lock.place}")
        return others

    def take(self, token: str, owner: str, controller: str, dead: Collection[str] = (), host: str = "") -> str:
        """Take the lock, which this run may have already; raise Locked if another run holds it.

        dead: tokens of runs that the caller knows to be gone. Returns the owner of a stale lock that was replaced, else "".
        """
        self._refuse(token, dead)
        volume = f"{self._name}-lock-{token}"
        holder = Holder(token, owner, controller, boot_id(), time.time(), host)
        self._engine.create_volume(volume, {LABEL_LOCK: self._name, LABEL_HOLDER: json.dumps(asdict(holder))})
        try:
            # If two runs start at the same moment, each makes its volume before it looks for others: so at least one sees the other, and withdraws.
            left = self._refuse(token, dead)
        except Locked:
            self._engine.remove_volume(volume)
            raise
        for lock in left:
            self._discard(lock)
        return left[0].holder.owner if left else ""

    def ensure_held(self, token: str) -> None:
        """Raise LockLost if another run holds the lock, or if the lock of this run is gone."""
        held = [lock for lock in self._all() if not lock.stale]
        if token not in [lock.holder.token for lock in held]:
            if held:
                raise LockLost(f"the lock of {self._name} is held by {held[0].holder.owner}; another run took over")
            raise LockLost(f"the lock of {self._name} is gone, and no other run has it: its volume was removed, or it is stale", PRUNED)

    def release(self, token: str) -> bool:
        """Give the lock back; return False if this run did not hold it."""
        mine = [lock for lock in self._all() if lock.holder.token == token]
        for lock in mine:
            self._discard(lock)
        return any(not lock.stale for lock in mine)


@contextlib.contextmanager
def working(name: str, patience: float = 600.0) -> Iterator[None]:
    """Hold the name which says that a module works on the service; wait first for a module that still works although its run has ended.

    It is the abstract name of a socket, without a file: each exists once on a host, and is gone when its process ends (unix(7)).
    """
    deadline = time.monotonic() + patience
    address = f"\0go-service/{name}"
    with socket.socket(socket.AF_UNIX) as held:
        while True:
            try:
                held.bind(address)
                held.listen()
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                if time.monotonic() > deadline:
                    raise Failure(
                        LOCK,
                        f"{_worker(address)} on this host has worked on {name} for more than {patience:.0f} s",
                        "Wait until it ends, or end it.",
                        UNTOUCHED,
                    ) from error
                time.sleep(POLL)
        yield


def _worker(address: str) -> str:
    """Return which process holds the name of a socket, as a text for people."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asking:
        asking.setblocking(False)
        asking.connect(address)
        pid, user, _group = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        with contextlib.suppress(KeyError):
            return f"the process {pid} of {pwd.getpwuid(user).pw_name}"
        return f"the process {pid} of the user with the id {user}"
    return "another process"
