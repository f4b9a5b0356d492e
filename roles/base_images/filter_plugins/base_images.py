"""Filters of the role base_images: which image stands for which wanted reference.

Kept out of the task files because comparing image references (default registry, default tag, digests) is a program,
not a template. The rules of references are those of https://github.com/distribution/reference.
"""

from __future__ import annotations

from typing import Any

# Spellings the engine itself drops from the names of Docker Hub's images (reference.FamiliarString).
_HUB_HOSTS = ("docker.io/", "index.docker.io/", "registry-1.docker.io/")
_HUB_LIBRARY = "library/"


def canonical_reference(reference: str) -> str:
    """Return an image reference as the engine lists it.

    Args:
        reference: `[registry/]name[:tag][@algorithm:digest]`, already checked by the role.

    Returns:
        The reference without Docker Hub's host and `library/`, with `:latest` where it names neither tag nor digest.
        Of `name:tag@digest` only `name@digest` is left: the engine looks at the digest alone, and its API refuses both.
    """
    for host in _HUB_HOSTS:
        if reference.startswith(host):
            reference = reference[len(host) :].removeprefix(_HUB_LIBRARY)
            break
    name, _, digest = reference.partition("@")
    path, colon, tag = name.rpartition(":")
    # A colon before the last slash belongs to the registry's port, not to a tag.
    if not colon or "/" in tag:
        path, tag = name, "latest"
    return f"{path}@{digest}" if digest else f"{path}:{tag}"


def image_id_of(images: list[dict[str, Any]], reference: str) -> str:
    """Return the id of the image that carries a reference.

    Args:
        images: What `docker image inspect` says of the host's images.
        reference: The reference looked for, in any spelling.

    Returns:
        The image id (`sha256:...`), or "" where no image carries the reference.
    """
    wanted = canonical_reference(reference)
    for image in images:
        names = (image.get("RepoTags") or []) + (image.get("RepoDigests") or [])
        if wanted in (canonical_reference(name) for name in names):
            return str(image["Id"])
    return ""


def base_images_resolve(
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
        Wanted reference -> `{"image": reference to use, "id": image id or "", "stand_in": bool}`. The id is "" where
        neither image is on the host yet; `image` then says which one is to be obtained.
    """
    resolved: dict[str, dict[str, Any]] = {}
    for reference, stand_in in wanted.items():
        real = {"image": canonical_reference(reference), "id": image_id_of(images, reference), "stand_in": False}
        other = {"image": stand_in, "id": image_id_of(images, stand_in), "stand_in": True}
        if source == "assemble":
            resolved[reference] = other
        elif not real["id"] and other["id"] and fallback == "assemble":
            resolved[reference] = other
        else:
            resolved[reference] = real
    return resolved


class FilterModule:
    """Ansible's entry to the filters of this role."""

    def filters(self) -> dict[str, Any]:
        """Return filter name -> function."""
        return {
            "base_images_canonical": canonical_reference,
            "base_images_resolve": base_images_resolve,
        }
