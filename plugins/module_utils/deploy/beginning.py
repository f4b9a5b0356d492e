"""How a run begins its work on a service of a host: with the service's lock, and after what a killed run left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..common import stages
from ..common.failure import UNTOUCHED, Progress
from ..common.interruption import whole
from ..common.names import containers_command
from ..common.settings import Settings
from ..engine.client import Engine, EngineError
from . import ownership
from .history import History
from .images import refuse_foreign_images, remember
from .judgement import refuse_foreign
from .lock import Lock, working
from .recovery import recover


@dataclass
class Begun:
    """past: what earlier runs of the service did; done: what was done about a killed run, as sentences; held: the lock stays with the run afterwards."""

    past: History
    done: list[str] = field(default_factory=list)
    held: bool = False


@contextlib.contextmanager
def begun(
    engine: Engine, settings: Settings, directory: Path, identity: Mapping[str, Any], progress: Progress, *tags: str
) -> Iterator[Begun]:
    """Do the block's work with the service's lock, in a directory that is the service's own; an error gives the lock back.

    directory: the service's on this host. identity: of the run that takes the lock, from the controller. tags: of images that the block needs besides those
    that move. Raise Locked if another run has the lock, Failure if something of others is in the way.
    """
    lock, name = Lock(engine, settings.name, directory), settings.name
    with working(name):
        stale = lock.take(**identity)
        try:
            refuse_foreign(engine, name)
            state = Begun(remember(engine, name, directory))
            if stale:
                state.done.append(f"Took over the lock of an ended run ({stale}).")
            ownership.claim(directory, name)
            # Left by a run that was killed during its build.
            with contextlib.suppress(FileNotFoundError):
                (directory / ownership.ACCESS).unlink()
            refuse_foreign_images(engine, name, state.past, *tags)
            progress.at(stages.RECOVERY, f"See {containers_command(name)}; the next run goes on with it.")
            with whole():
                state.done += recover(engine, settings, [known["id"] for known in (state.past.images or {}).values() if known.get("alone")])
            progress.at(stages.STAGE, " ".join([*state.done, UNTOUCHED.replace("Nothing", "Nothing else")]) if state.done else UNTOUCHED)
            yield state
        except BaseException:
            with contextlib.suppress(EngineError):
                lock.release(identity["token"])
            raise
        if not state.held:
            lock.release(identity["token"])
