"""Image references: their parts, and the form in which the Engine lists them. The grammar: https://github.com/distribution/reference."""

from __future__ import annotations

import re
from collections.abc import Iterable

# [domain[:port]/]path[:tag][@digest]
_IMAGE = re.compile(
    r"\A(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?\Z"
)
# Parts that the Engine itself drops from the names of Docker Hub's images (reference.FamiliarString).
_HUB_HOSTS = ("docker.io", "index.docker.io", "registry-1.docker.io")
_HUB_LIBRARY = "library/"


def is_image_reference(value: str) -> bool:
    """Say whether a string is a valid image reference."""
    return bool(_IMAGE.match(value))


def parts_of(reference: str) -> tuple[str, str, str]:
    """Return (repository, tag, digest) of an image reference, "" for what it does not name."""
    rest, _at, digest = reference.partition("@")
    # A colon before the last slash belongs to the registry's port, not to a tag.
    above, slash, last = rest.rpartition("/")
    name, _colon, tag = last.partition(":")
    return above + slash + name, tag, digest


def canonical(reference: str) -> str:
    """Return a valid image reference as the Engine lists it.

    That is without Docker Hub's host and `library/`, and with `:latest` where it names neither tag nor digest. Of `name:tag@digest` only
    `name@digest` is left: the digest alone decides, and the Engine's API takes only one.
    """
    repository, tag, digest = parts_of(reference)
    host, slash, path = repository.partition("/")
    if slash and host in _HUB_HOSTS:
        repository = path
    # The first part is a registry if it cannot be a user or an organisation of Docker Hub.
    if not slash or host in _HUB_HOSTS or not ("." in host or ":" in host or host == "localhost"):
        repository = repository[len(_HUB_LIBRARY) :] if repository.startswith(_HUB_LIBRARY) else repository
    return f"{repository}@{digest}" if digest else f"{repository}:{tag or 'latest'}"


def for_platform(reference: str, platform: str) -> str:
    """Return the name under which a host of another platform keeps the image of a reference for this one ("linux/arm64"): under one name, the Engine's
    classic store keeps an image for one platform."""
    repository, tag, digest = parts_of(canonical(reference))
    return f"{repository}:{tag or digest.replace(':', '-')}{_suffix(platform)}"


def without_platform(name: str, platform: str) -> str:
    """Return the reference of which `for_platform` made a name."""
    repository, tag, _digest = parts_of(name)
    kept = tag[: -len(_suffix(platform))]
    return f"{repository}@{kept.replace('-', ':')}" if kept.startswith("sha256-") else f"{repository}:{kept}"


def _suffix(platform: str) -> str:
    return f"-{platform.replace('/', '-')}"


def digest_of(repo_digests: Iterable[str] | None, image_id: str) -> str:
    """Return the digest of an image: the one in its registry if it came from one (its `RepoDigests`), otherwise its id on this host."""
    return next((parts_of(reference)[2] for reference in repo_digests or ()), image_id)
