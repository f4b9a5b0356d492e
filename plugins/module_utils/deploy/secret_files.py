"""Secrets as files: kept in the service's directory on the host, mounted where only the service's user can read them.

`<directory>/secrets/<tag of the image>-<fingerprint>/<name>` has mode 0400 and belongs to the user that the image runs as; the directories have
0700. Another value is another directory, so that the container is replaced, and the one before it keeps what it was started with.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..common.failure import UNTOUCHED, Failure
from ..common.names import KIND_CANDIDATE, LABEL_KIND, LABEL_NAME, candidate_name, service_directory
from ..common.places import SECRETS
from ..common.secrets import fingerprint
from ..common.settings import Settings
from ..common.stages import CANDIDATE
from ..engine.client import Engine
from . import ownership

TREE = "secrets"
_PATIENCE = 30.0
_POLL = 0.05


def binds(settings: Settings, image: str) -> list[str]:
    """Return how the files are mounted into a container of an image. On a host with SELinux both containers of a deploy may read them."""
    place = _place(settings, image)
    return [f"{place / name}:{posixpath.join(SECRETS, name)}:ro,z" for name in settings.secret_files]


def _place(settings: Settings, image: str) -> Path:
    values = {"files": dict(settings.secret_files), "user": [settings.user, settings.uid]}
    return service_directory(settings) / TREE / f"{image.rpartition(':')[2]}-{fingerprint(values, settings.name)[:12]}"


def gone(settings: Settings, image: str) -> str:
    """Return why the files have to be written again although nothing else strayed, "" for no reason: without them the Engine would mount empty
    directories at the next start."""
    place = _place(settings, image)
    missing = [name for name in settings.secret_files if not (place / name).is_file()]
    return f"{', '.join(missing)} of go_service_secret_files is gone from the host" if missing else ""


def write(engine: Engine, settings: Settings, image: str) -> None:
    """Write the files for the containers of an image; what is there already stays. Raise Failure where they cannot be given to its user."""
    place = _place(settings, image)
    if not settings.secret_files or not gone(settings, image):
        return
    shutil.rmtree(place, ignore_errors=True)
    ownership.claim(service_directory(settings), settings.name, TREE)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    unfinished = place.parent / ".unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    for name, content in settings.secret_files.items():
        descriptor = os.open(unfinished / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o400)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content.encode("utf-8", "surrogateescape"))
    _give_away(engine, settings, image, unfinished)
    os.replace(unfinished, place)


def _give_away(engine: Engine, settings: Settings, image: str, directory: Path) -> None:
    """Have the files belong to the user of an image, by its own account file and numbers, whoever runs this."""
    user = ((engine.image(image) or {}).get("Config") or {}).get("User") or "0"
    name = candidate_name(settings.name)
    body = {
        "Image": image,
        "User": "0",
        "Entrypoint": ["chown"],
        "Cmd": [user.partition(":")[0], *(f"/given/{file}" for file in settings.secret_files)],
        "Labels": {LABEL_NAME: settings.name, LABEL_KIND: KIND_CANDIDATE},
        "Healthcheck": {"Test": ["NONE"]},
        "NetworkDisabled": True,
        "HostConfig": {
            "Binds": [f"{directory}:/given:z"],
            "NetworkMode": "none",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "CapAdd": ["CHOWN", "DAC_OVERRIDE"],
            "SecurityOpt": ["no-new-privileges"],
        },
    }
    engine.remove(name)
    made = engine.create(name, body)
    try:
        engine.start(made)
        state = _ended(engine, made)
        if state.get("Running") or state.get("ExitCode"):
            raise Failure(
                CANDIDATE,
                f"the files of go_service_secret_files cannot be given to {user}, the user of {image}: chown ended with {state.get('ExitCode')}",
                "See that the Engine may mount go_service_work_dir, and that the runtime image has chown.",
                UNTOUCHED,
                engine.logs(made, 5),
            )
    finally:
        engine.remove(made)


def _ended(engine: Engine, container_id: str) -> Mapping[str, Any]:
    """Return the state of a container that has ended, or of one that does not."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        state = (engine.container(container_id) or {}).get("State") or {}
        if not state.get("Running") or time.monotonic() > deadline:
            return state
        time.sleep(_POLL)


def prune(engine: Engine, settings: Settings) -> None:
    """Remove the files that no container of the service mounts any more."""
    tree = service_directory(settings) / TREE
    if not tree.is_dir() or tree.is_symlink():
        return
    containers = [engine.container(listed["Id"]) or {} for listed in engine.containers(name=settings.name)]
    used = {Path(mount.get("Source") or "").parent.name for container in containers for mount in container.get("Mounts") or ()}
    for place in tree.iterdir():
        if place.name not in used:
            shutil.rmtree(place, ignore_errors=True)
    if not settings.secret_files and not any(tree.iterdir()):
        tree.rmdir()
