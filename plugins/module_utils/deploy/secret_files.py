"""Secrets as files: kept in a volume of the Engine, mounted where only the service's user can read them.

The volume `<name>-secrets-<tag of the image>-<fingerprint>` holds each file with mode 0400, owned by the user that the image runs as. Another value gives
another volume, so the container is replaced, and the container before keeps the values with which it was started. The Engine itself writes the files: so
all users of the Engine share the volume, and an Engine that maps users (userns-remap, rootless) sets the right owner.
"""

from __future__ import annotations

import contextlib
import shutil
import tarfile
from pathlib import Path
from typing import IO

from ..common.archives import packed
from ..common.failure import UNTOUCHED, Failure
from ..common.names import (
    KIND_CANDIDATE,
    LABEL_KIND,
    LABEL_NAME,
    LABEL_SECRETS,
    candidate_name,
    secrets_volume_name,
    service_directory,
)
from ..common.places import SECRETS
from ..common.secrets import fingerprint
from ..common.settings import Settings
from ..common.stages import CANDIDATE
from ..engine import errand
from ..engine.client import Engine, EngineError, Missing

# Where an earlier version of the role kept the files, in the service's directory on the host.
TREE = "secrets"
_MODE = 0o400
_PASSWD = "/etc/passwd"


def volume_name(settings: Settings, image: str) -> str:
    """Return the name of the volume for the containers of an image."""
    values = {"files": dict(settings.secret_files), "user": [settings.user, settings.uid]}
    return secrets_volume_name(settings.name, f"{image.rpartition(':')[2]}-{fingerprint(values, settings.name)[:12]}")


def binds(settings: Settings, image: str) -> list[str]:
    """Return the mount of the files into a container of an image. On a host with SELinux, both containers of a deploy may read them."""
    return [f"{volume_name(settings, image)}:{SECRETS}:ro,z,nocopy"] if settings.secret_files else []


def write(engine: Engine, settings: Settings, image: str) -> None:
    """Write the files for the containers of an image; existing ones stay. Raise Failure if their owner cannot be set to the image's user."""
    if not settings.secret_files:
        return
    volume, helper = volume_name(settings, image), candidate_name(settings.name)
    engine.create_volume(volume, {LABEL_SECRETS: settings.name})
    # It is never started: it only makes the Engine mount the volume.
    body = {
        "Image": image,
        "Labels": {LABEL_NAME: settings.name, LABEL_KIND: KIND_CANDIDATE},
        "NetworkDisabled": True,
        "HostConfig": {"Binds": [f"{volume}:{SECRETS}:z,nocopy"], "NetworkMode": "none"},
    }
    with errand.short_lived(engine, helper, body) as made:
        wanted = {name: content.encode("utf-8", "surrogateescape") for name, content in settings.secret_files.items()}
        if engine.read_path(made, SECRETS, _files) != {name: (_MODE, content) for name, content in wanted.items()}:
            engine.write_path(made, SECRETS, packed(wanted, _MODE, *_owner(engine, made, image)))


def _files(stream: IO[bytes]) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of each file in an archive, by its base name."""
    found = {}
    with tarfile.open(fileobj=stream, mode="r|*") as opened:
        for entry in opened:
            content = opened.extractfile(entry) if entry.isfile() else None
            if content:
                found[entry.name.rpartition("/")[2]] = (entry.mode & 0o7777, content.read())
    return found


def _owner(engine: Engine, container_id: str, image: str) -> tuple[int, int]:
    """Return the user and group id of the user that an image runs as, from its own /etc/passwd; raise Failure if it has no such account."""
    asked = ((engine.image(image) or {}).get("Config") or {}).get("User") or "0"
    user, _colon, _group = asked.partition(":")
    text = b""
    with contextlib.suppress(Missing):
        text = engine.read_path(container_id, _PASSWD, _files).get("passwd", (0, b""))[1]
    for line in text.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if len(fields) >= 4 and user in (fields[0], fields[2]) and fields[2].isdigit() and fields[3].isdigit():
            return int(fields[2]), int(fields[3])
    if user.isdigit():
        return int(user), 0
    raise Failure(
        CANDIDATE,
        f"the files of go_service_secret_files cannot be given to {user}, the user of {image}: its {_PASSWD} has no such account",
        "Choose a go_service_runtime_image in which accounts can be made, or set go_service_numeric_user: true and go_service_uid.",
        UNTOUCHED,
    )


def prune(engine: Engine, settings: Settings) -> None:
    """Remove the files that no container of the service mounts any more, those of an earlier version too."""
    containers = [engine.container(listed["Id"]) or {} for listed in engine.containers(name=settings.name)]
    mounts = [mount for container in containers for mount in container.get("Mounts") or ()]
    used = {mount.get("Name") for mount in mounts}
    for volume in volumes(engine, settings.name):
        # The Engine refuses to remove a volume that another container mounts.
        if volume not in used:
            with contextlib.suppress(EngineError):
                engine.remove_volume(volume)
    tree = service_directory(settings) / TREE
    if not tree.is_dir() or tree.is_symlink():
        return
    places = {Path(mount.get("Source") or "").parent.name for mount in mounts}
    for place in tree.iterdir():
        if place.name not in places:
            shutil.rmtree(place, ignore_errors=True)
    if not any(tree.iterdir()):
        tree.rmdir()


def volumes(engine: Engine, name: str) -> list[str]:
    """Return the names of the volumes that hold secret files of a service."""
    return [volume["Name"] for volume in engine.volumes(LABEL_SECRETS, name)]
