"""What is kept on the host so that the next build of a service is fast: its builder stage, or what BuildKit's cache mounts hold."""

from __future__ import annotations

import itertools

from ..common.names import caches_directory
from ..engine.client import Engine
from ..engine.records import mounted_at
from .images import builder_stage, instruction, labels_builder


def kept_for_speed(engine: Engine, name: str, builder_image: str) -> dict[str, int]:
    """Return the bytes on the disk of the host: `bytes`, all of them, and `shared_bytes`, those of them that serve other services as well.

    builder_image: reference of the image that the service is built on, which counts for nothing here.
    """
    own, shared = _of_builder_stage(engine, name, builder_image)
    for cache in engine.build_caches():
        size = max(cache.get("Size") or 0, 0)
        if mounted_at(cache, caches_directory(name)):
            own += size
        elif mounted_at(cache, caches_directory()):
            shared += size
    return {"bytes": own + shared, "shared_bytes": shared}


def _of_builder_stage(engine: Engine, name: str, builder_image: str) -> tuple[int, int]:
    """Return the bytes above the builder image: of the service alone, and of the layers below its label, on which other services are built too."""
    stage, base = builder_stage(engine, name), engine.image(builder_image)
    if not stage or not base:
        return 0, 0
    above = itertools.takewhile(lambda step: not labels_builder(instruction(step)), engine.history(stage["Id"]))
    own = sum(step.get("Size") or 0 for step in above)
    return own, max(stage["Size"] - base["Size"] - own, 0)
