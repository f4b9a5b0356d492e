"""Which image is used for which wanted base image.

Comparing image references (default registry, default tag, digests) is a program, not a template.
"""

from __future__ import annotations

import json
from typing import Any

from ..module_utils.common.references import canonical, for_platform
from ..module_utils.common.settings import MACHINES


def image_id_of(images: list[dict[str, Any]], reference: str) -> str:
    """Return the id of the image that carries a reference.

    Args:
        images: What `docker image inspect` says of the host's images.
        reference: The reference looked for, in any spelling.

    Returns:
        The image id (`sha256:...`), or "" if no image carries the reference.
    """
    wanted = canonical(reference)
    for image in images:
        names = (image.get("RepoTags") or []) + (image.get("RepoDigests") or [])
        if wanted in (canonical(name) for name in names):
            return str(image["Id"])
    return ""


def resolve(
    images: list[dict[str, Any]],
    wanted: dict[str, str],
    source: str,
    fallback: str,
) -> dict[str, dict[str, Any]]:
    """Decide for each wanted reference which image of the host is used for it.

    A stand-in is used only where the user said `assemble`: as the source (then always), or as the fallback (then
    where the real image is not there).

    Args:
        images: What `docker image inspect` says of the host's images.
        wanted: Wanted reference -> name of its stand-in.
        source: `pull`, `load` or `assemble`.
        fallback: `none` or `assemble`.

    Returns:
        Wanted reference -> `{"image": reference to use, "id": image id or "", "stand_in": bool}`. The id is "" if
        neither image is on the host yet; `image` then says which one is to be obtained.
    """
    resolved: dict[str, dict[str, Any]] = {}
    for reference, stand_in in wanted.items():
        real = {"image": canonical(reference), "id": image_id_of(images, reference), "stand_in": False}
        other = {"image": stand_in, "id": image_id_of(images, stand_in), "stand_in": True}
        instead = fallback == "assemble" and other["id"] and not real["id"]
        resolved[reference] = other if source == "assemble" or instead else real
    return resolved


def elsewhere(platforms: list[str], runtime: str, stand_in: str) -> dict[str, dict[str, str]]:
    """Return the runtime's base images for other platforms than the host's.

    Args:
        platforms: Such as `linux/arm64`.
        runtime: The reference of the runtime's base image.
        stand_in: The name of its stand-in.

    Returns:
        Name on the host -> `{"platform", "machine": what `uname -m` calls it, "stand_in": name of the stand-in there}`.
    """
    machines = {f"linux/{architecture}": machine for machine, architecture in MACHINES.items()}
    return {
        for_platform(runtime, platform): {
            "platform": platform,
            "machine": machines.get(platform, platform),
            "stand_in": for_platform(stand_in, platform),
        }
        for platform in platforms
    }


def names_for(reference: str, wanted: dict[str, str], fallback: str) -> list[str]:
    """Return the names of images that may be used for a reference.

    Args:
        reference: A wanted reference.
        wanted: Wanted reference -> name of its stand-in.
        fallback: `none` or `assemble`.

    Returns:
        The names as the engine lists them, the best first.
    """
    names = [canonical(reference)]
    return [*names, wanted[reference]] if fallback == "assemble" else names


def manifest_names(manifest: str) -> list[str]:
    """Return the names of the images in an archive of `docker save`.

    Args:
        manifest: The text of the archive's manifest.json.

    Returns:
        The names as the engine lists them; none if the text is not such a manifest.
    """
    try:
        entries = json.loads(manifest)
        return [canonical(name) for entry in entries for name in entry.get("RepoTags") or []]
    except (ValueError, TypeError, AttributeError):
        return []


def choose_archives(archives: dict[str, list[str]], wanted: list[list[str]]) -> list[str]:
    """Return the archives to load.

    Args:
        archives: Path of each archive -> names of the images in it.
        wanted: For each image that is missing the names that may be used for it, the best first.

    Returns:
        Paths, each once. For each image the first archive, by path, that holds the best name that any archive holds.
    """
    chosen: list[str] = []
    for names in wanted:
        for name in names:
            holders = sorted(path for path, held in archives.items() if name in held)
            if holders:
                chosen += [holders[0]] if holders[0] not in chosen else []
                break
    return chosen
