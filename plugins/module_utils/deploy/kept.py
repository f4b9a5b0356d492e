"""What is kept on the host so that the next build of a service is fast: its build stage, or the contents of BuildKit's cache mounts."""

from __future__ import annotations

import itertools

from ..common.names import caches_directory
from ..engine.client import Engine
from ..engine.records import mounted_at
from .builds import instruction
from .images import builder_stage, labels_builder


def kept_for_speed(engine: Engine, name: str, builder_image: str, *, buildkit: bool) -> dict[str, int]:
    """Return the bytes on the disk of the host: `bytes`, all of them, and `shared_bytes`, those that other services use as well.

    builder_image: reference of the image in which the service is built, whose own size is not counted. buildkit: whether BuildKit builds the service; only
    then its caches are asked for, since an Engine before 23 reads all files of all volumes of the machine to answer that.
    """
    own, shared = _of_builder_stage(engine, name, builder_image)
    for cache in engine.build_caches() if buildkit else ():
        size = max(cache.get("Size") or 0, 0)
        if mounted_at(cache, caches_directory(name)):
            own += size
        elif mounted_at(cache, caches_directory()):
            shared += size
    return {"bytes": own + shared, "shared_bytes": shared}


def _of_builder_stage(engine: Engine, name: str, builder_image: str) -> tuple[int, int]:
    """Return the bytes of the layers on top of the builder image: those of this service only, and those before its label, which other services share."""
    stage, base = builder_stage(engine, name), engine.image(builder_image)
    if not stage or not base:
        return 0, 0
    above = itertools.takewhile(lambda step: not labels_builder(instruction(step)), engine.history(stage["Id"]))
    own = sum(step.get("Size") or 0 for step in above)
    return own, max(stage["Size"] - base["Size"] - own, 0)
