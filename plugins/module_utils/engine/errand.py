"""A container that does one job before a build and is then removed: with files in memory, which are never in a layer, a volume or on the Engine's disk."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from ..common.archives import packed
from .client import POLL, Engine, EngineError

# How long the container waits for its input, in seconds. If nothing arrives, because its run was killed, it ends by itself.
_PATIENCE = 60
_LINES = 200
# Written after the input, so that the container never reads only half of it.
_READY = "ready"


@dataclass(frozen=True)
class Errand:
    """The job of a container.

    image: the image; environment: its variables; network: of its HostConfig; directory: where it works; files: what is there, by absolute path, in the container's own
    file system; memory: a directory of a file system in memory; program: what is put there as a file `access` when the container runs; command: of the
    shell, run by `sh <memory>/access` then; seconds: for how long it may work.
    """

    image: str
    environment: Mapping[str, str]
    network: str
    directory: str
    files: Mapping[str, bytes]
    memory: str
    program: str
    command: str
    seconds: float
    labels: Mapping[str, str]

    @property
    def body(self) -> dict[str, Any]:
        """The create body for the Engine."""
        given = f"{self.memory}/access"
        waits = f"n=0; until test -e {self.memory}/{_READY}; do test $n -lt {_PATIENCE * 10} || exit 1; n=$((n + 1)); sleep 0.1; done"
        memory = {
            "Type": "volume",
            "Target": self.memory,
            "VolumeOptions": {
                "NoCopy": True,
                # Mounted only while the container runs: afterwards its contents are gone.
                "DriverConfig": {"Name": "local", "Options": {"type": "tmpfs", "device": "tmpfs", "o": "size=4m,mode=0700"}},
            },
        }
        return {
            "Image": self.image,
            "Entrypoint": ["/bin/sh", "-c", f"{waits}; exec sh {given} {self.command} 2>&1"],
            "Cmd": [],
            "User": "0:0",
            "WorkingDir": self.directory,
            "Env": [f"{name}={value}" for name, value in self.environment.items()],
            "Labels": dict(self.labels),
            "HostConfig": {
                "NetworkMode": self.network,
                "Mounts": [memory],
                # Whatever the Engine's log driver is: these logs can be read, and are removed with the container.
                "LogConfig": {"Type": "json-file", "Config": {}},
            },
        }


def run(engine: Engine, name: str, errand: Errand, directory: str, keep: Callable[[IO[bytes]], None]) -> tuple[int, list[str]]:
    """Run a container and return its exit code and the last lines that it printed; where it ended well, `keep` is given the archive of one of its
    directories. Raise EngineError if the Engine refuses, or where it takes too long.
    """
    with short_lived(engine, name, errand.body) as made:
        engine.write_path(made, "/", packed({**errand.files, f"{directory}/": b""}))
        engine.start(made)
        given = {"access": errand.program.encode("utf-8", "surrogateescape"), _READY: b""}
        engine.write_path(made, errand.memory, packed(given))
        code = wait(engine, made, errand.seconds)
        if code is None:
            raise EngineError(f"no end within {errand.seconds:g} s")
        if code == 0:
            engine.read_path(made, directory, keep)
        return code, engine.logs(made, _LINES)


@contextlib.contextmanager
def short_lived(engine: Engine, name: str, body: Mapping[str, Any]) -> Iterator[str]:
    """Make a container, give its id, and remove it, by its name, since its id is not known where the Engine's answer was lost; raise EngineError if
    the Engine does not remove it, asked twice.
    """
    engine.remove(name)
    try:
        yield engine.create(name, body)
    finally:
        try:
            engine.remove(name)
        except EngineError:
            engine.remove(name)


def wait(engine: Engine, container: str, seconds: float) -> int | None:
    """Wait for the end of a container that was started, and return its exit code: -1 for one that is gone, None if it still runs."""
    deadline = time.monotonic() + seconds
    while True:
        state = (engine.container(container) or {}).get("State") or {}
        if not state.get("Running"):
            return int(state.get("ExitCode", -1))
        if time.monotonic() > deadline:
            return None
        time.sleep(POLL)
