"""What the runs of a service did on an Engine: which images they built and proved, which container, and what they measured of it.

It is stored where the images and the container are, in the labels of an empty volume of the Engine: so all users of the Engine share one
history, as they share one lock. A volume's labels cannot be changed, so each save makes a new volume
and removes the older ones. A history that an earlier version of the role left in the service's directory is taken over.

If somebody removes the volume (`docker volume prune` of an Engine before 23 does), only knowledge is lost: the role recognises its images
by the images' own history (deploy/images.py), and the next run proves the service anew.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..common.files import read_own
from ..common.names import LABEL_HISTORY, LABEL_IMAGES, LABEL_PROVEN, LABEL_REPORT, LABEL_RETURNING, LABEL_STAGE, LABEL_WRITTEN
from ..engine.client import Engine

# The names that an earlier version gave to the parts of a report.
_RENAMED = {"bill": "sbom", "terms": "demands"}
# The exceptions that reading anything but a history raises.
_UNREADABLE = (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError, zlib.error)


@dataclass
class History:
    """What was done for a service on an Engine.

    images: tag -> {"id", "proven"}, None until the images of an earlier version were looked for. An image's id is "" until it was built;
    only a proven one is kept to return to. Of one that was proven `with` has the settings that it was built with and `ran` those that its container ran with (deploy/earlier.py), `provenance`
    where it comes from, as the run that built it knew, and `turn` tells the order in which images were in service (deploy/images.py). `alone`: it was
    put in place without a candidate. `platform`: of one that was built here for hosts of another one, and `checked_for` the demands of the contract that it
    met as far as that can be judged without running it. `sbom`: of one that another host has built, its bill of materials there, until it is proven here. container: the service's container as it was proven last, {"id", "restarts": how often the
    Engine had restarted it}, empty before the first. report: what the last deploy measured, as the module deploy returns it under `verify`.
    returning: tag of the image that a run goes back to, until it has: the tag `previous` moves on the way, and a run that goes on with
    one that was killed would come back to where that began. "" if no such run is on its way.
    stage: the build stage of the last build, {"id", and what image/continued.py keeps about it}, empty if the next build cannot go on from it.
    """

    service: str
    images: dict[str, dict[str, Any]] | None = None
    container: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    returning: str = ""
    stage: dict[str, str] = field(default_factory=dict)

    def save(self, engine: Engine) -> None:
        """Write the history, and remove the volumes of earlier saves."""
        earlier = engine.volumes(LABEL_HISTORY, self.service)
        name = f"{self.service}-history-{secrets.token_hex(8)}"
        engine.create_volume(
            name,
            {
                LABEL_HISTORY: self.service,
                LABEL_IMAGES: json.dumps(self.images),
                LABEL_PROVEN: json.dumps(self.container),
                LABEL_REPORT: base64.b64encode(zlib.compress(json.dumps(self.report).encode())).decode(),
                LABEL_RETURNING: self.returning,
                LABEL_STAGE: json.dumps(self.stage),
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
        with contextlib.suppress(*_UNREADABLE):
            found.append((int(volume["Labels"][LABEL_WRITTEN]), _parse(name, volume["Labels"])))
    return max(found, key=lambda one: one[0])[1] if found else _of_an_earlier_version(name, directory)


def _parse(name: str, labels: Mapping[str, str]) -> History:
    report = zlib.decompress(base64.b64decode(labels[LABEL_REPORT]))
    images, container = json.loads(labels[LABEL_IMAGES]), json.loads(labels[LABEL_PROVEN])
    stage = json.loads(labels.get(LABEL_STAGE, "{}"))
    return _whole(History(name, images, container, _report(report), labels.get(LABEL_RETURNING, ""), stage))


def _whole(history: History) -> History:
    """Return a history if its parts have the right types; raise TypeError otherwise."""
    images = history.images if history.images is not None else {}
    if not all(isinstance(part, dict) for part in (images, history.container, history.stage)):
        raise TypeError("no history")
    if not all(isinstance(entry, dict) and isinstance(entry.get("id"), str) and "proven" in entry for entry in images.values()):
        raise TypeError("no history of images")
    return history


def _report(text: str | bytes) -> dict[str, Any]:
    return {_RENAMED.get(key, key): value for key, value in json.loads(text).items()}


def _of_an_earlier_version(name: str, directory: Path) -> History:
    history = History(name)
    with contextlib.suppress(*_UNREADABLE):
        record = json.loads(read_own(directory / "record.json"))
        if record.get("service") == name:
            history = _whole(replace(history, images=record.get("images"), container=record.get("container") or {}))
    with contextlib.suppress(*_UNREADABLE):
        history.report = _report(read_own(directory / "report.json"))
    return history
