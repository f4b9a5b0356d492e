"""Tags that move, and images that go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common.names import KIND_BUILDER, KIND_IMAGE
from ..engine.client import Engine


def promote(engine: Engine, name: str, image_id: str) -> bool:
    """Move `latest` to an image and `previous` to the one that was latest; return whether a tag moved."""
    latest = engine.image(f"{name}:latest")
    if latest and latest["Id"] == image_id:
        return False
    if latest:
        engine.tag(latest["Id"], name, "previous")
    engine.tag(image_id, name, "latest")
    return True


def _newest_first(image: Mapping[str, Any]) -> tuple[int, str]:
    # By id within one second, so that the next run finds the same order.
    return -image["Created"], image["Id"]


def prune(engine: Engine, name: str, keep: int, in_use: str) -> list[str]:
    """Remove the service's images beyond the newest `keep`, those without a name, and all builder stages but the newest, by label alone.

    What `latest` and `previous` name and what a container runs stays. Returns the references removed.
    """
    removed = []
    protected = {in_use}
    for tag in ("latest", "previous"):
        image = engine.image(f"{name}:{tag}")
        if image:
            protected.add(image["Id"])
    images = sorted(engine.images(dangling=False, name=name, kind=KIND_IMAGE), key=_newest_first)
    kept = 0
    for image in images:
        if image["Id"] in protected or kept + len(protected) < keep:
            kept += image["Id"] not in protected
            continue
        references = [tag for tag in image.get("RepoTags") or [] if tag.rpartition(":")[0] == name]
        removed += [reference for reference in references if engine.remove_image(reference)]
    # The newest builder stage holds the compiled packages that make the next build fast.
    stages = sorted(engine.images(dangling=True, name=name, kind=KIND_BUILDER), key=_newest_first)
    # An image loses its name when somebody takes it away by hand, or when the same content is built again under another id.
    nameless = [image for image in engine.images(dangling=True, name=name, kind=KIND_IMAGE) if image["Id"] not in protected]
    removed += [image["Id"][7:19] for image in [*stages[1:], *nameless] if engine.remove_image(image["Id"])]
    return removed
