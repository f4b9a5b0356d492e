"""What one run keeps on the controller for all hosts of a fleet: the image that the build host offers, and its archive.

It is in the run's own temporary directory, which Ansible removes at the end. The worker processes of a run, one for each host, share it: what one of
them has fetched, the others need not fetch again. If a run was killed, the next one removes its directory.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .turn import controller_identity, is_dead

_PLACE, _OWNER = "go-service-fleet", "owner"


def archive_of(offer: Mapping[str, Any]) -> str:
    """Return the kind by which the archive of an offered image is kept: hosts of different architectures get different ones."""
    return f"archive-{offer['architecture']}"


class Depot:
    """The directory of a run; local_tmp: Ansible's temporary directory of this run (DEFAULT_LOCAL_TMP)."""

    def __init__(self, local_tmp: str) -> None:
        self._tmp = Path(local_tmp)
        self._path = self._tmp / _PLACE

    def _begin(self) -> None:
        """Make the directory, and remove those that killed runs have left."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = self._path / _OWNER
        if not owner.exists():
            owner.write_text(controller_identity(), encoding="utf-8")
            for other in self._tmp.parent.glob(f"*/{_PLACE}/{_OWNER}"):
                with contextlib.suppress(OSError):
                    if is_dead(other.read_text(encoding="utf-8")):
                        shutil.rmtree(other.parent)
                        other.parent.parent.rmdir()

    @contextlib.contextmanager
    def _turn(self, name: str) -> Iterator[None]:
        """Hold a name among the workers of this run."""
        with (self._path / f"{name}.lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield

    def once(self, kind: str, service: str, make: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        """Return the result of `make` for the first host of the run that asked; make: takes a path at which it may write a file."""
        self._begin()
        name = f"{service}.{kind}"
        kept = self._path / f"{name}.json"
        with self._turn(name):
            if not kept.exists():
                found = make(self.file(kind, service))
                kept.write_text(json.dumps(found), encoding="utf-8")
            return dict(json.loads(kept.read_text(encoding="utf-8")))

    def file(self, kind: str, service: str) -> Path:
        """Return the path of the file for a name."""
        return self._path / f"{service}.{kind}.file"
