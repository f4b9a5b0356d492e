"""What the runs of a service did on an Engine: which images they built and proved, which container, and what they measured of it.

It lies where the images and the container do, in the labels of an empty volume of the Engine: all who use the Engine have the same
history, whichever user they are, as they have the same lock. A volume's labels cannot be changed, so that each save makes a new volume
and takes the older ones away. What an earlier version of the role left in the service's directory is taken over.

Where somebody removes the volume (`docker volume prune` of an Engine before 23 does), nothing is lost but knowledge: images are
recognised by their own history (deploy/images.py), and the next run proves the service anew.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..common.files import read_own
from ..common.names import LABEL_HISTORY, LABEL_IMAGES, LABEL_PROVEN, LABEL_REPORT, LABEL_WRITTEN
from ..engine.client import Engine


@dataclass
class History:
    """What was done for a service on an Engine.

    images: tag -> {"id", "proven"}, None until the images of an earlier version were looked for. An image's id is "" until it was built;
    only a proven one is kept to return to. container: the service's container as it was proven last, {"id", "restarts": how often the
    Engine had restarted it}, empty before the first. report: what the last deploy measured, as the module deploy returns it under `verify`.
    """

    service: str
    images: dict[str, dict[str, Any]] | None = None
    container: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)

    def save(self, engine: Engine) -> None:
        """Write the history, and remove what an earlier save wrote."""
        earlier = engine.volumes(LABEL_HISTORY, self.service)
        name = f"{self.service}-history-{secrets.token_hex(8)}"
        engine.create_volume(
            name,
            {
                LABEL_HISTORY: self.service,
                LABEL_IMAGES: json.dumps(self.images),
                LABEL_PROVEN: json.dumps(self.container),
                LABEL_REPORT: base64.b64encode(zlib.compress(json.dumps(self.report).encode())).decode(),
                LABEL_WRITTEN: str(time.time_ns()),
            },
        )
        for volume in earlier:
            engine.remove_volume(volume["Name"])


def volumes(engine: Engine, name: str) -> list[str]:
    """Return the names of the volumes that hold the history of a service."""
    return [volume["Name"] for volume in engine.volumes(LABEL_HISTORY, name)]


def read(engine: Engine, name: str, directory: Path) -> History:
    """Return the history of a service on an Engine, an empty one where there is none; directory: where earlier versions kept it."""
    found = []
    for volume in engine.volumes(LABEL_HISTORY, name):
        with contextlib.suppress(ValueError, KeyError, zlib.error):
            found.append((int(volume["Labels"][LABEL_WRITTEN]), _parse(name, volume["Labels"])))
    return max(found, key=lambda one: one[0])[1] if found else _of_an_earlier_version(name, directory)


def _parse(name: str, labels: Mapping[str, str]) -> History:
    report = json.loads(zlib.decompress(base64.b64decode(labels[LABEL_REPORT])))
    return History(name, json.loads(labels[LABEL_IMAGES]), json.loads(labels[LABEL_PROVEN]), report)


def _of_an_earlier_version(name: str, directory: Path) -> History:
    history = History(name)
    with contextlib.suppress(OSError, ValueError, AttributeError):
        record = json.loads(read_own(directory / "record.json"))
        if record.get("service") == name:
            history.images, history.container = record.get("images"), record.get("container") or {}
    with contextlib.suppress(OSError, ValueError):
        history.report = json.loads(read_own(directory / "report.json"))
    return history
