"""Whether a bundle has what a machine needs; this is checked before anything on the machine changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

# The states of an Engine, as the module engine_info names them, in which packages must be installed.
_NEEDS_PACKAGES = ("absent", "no_library")


def problems(contents: Mapping[str, Any], target: Mapping[str, Any]) -> list[str]:
    """Return why a bundle does not fit a machine, one sentence for each reason.

    contents: what bundle.json says; target: about the machine: `machine` (uname -m), `release` (the codename of its Debian), `name` (of its distribution),
    `status` (of its Engine, from engine_info), `images` (for each base image that it lacks, the names that can be used).
    """
    found = []
    if target["machine"] != contents["machine"]:
        found.append(f"it is for {contents['machine']}, but the machine is {target['machine']}")
    needs_packages = target["status"] in _NEEDS_PACKAGES
    if needs_packages and target["release"] not in contents["releases"]:
        there = ", ".join(contents["releases"]) or "none"
        found.append(
            f"it has packages for {there}, but the machine, which lacks an Engine or the Docker SDK, is {target['name']} ({target['release']})"
        )
    found += [
        f"it does not have the base image {' or '.join(names)}, only {', '.join(contents['base_images']) or 'none'}"
        for names in target["images"]
        if not set(names) & set(contents["base_images"])
    ]
    return found


def packages_for(contents: Mapping[str, Any], release: str) -> str:
    """Return the name of the archive of packages for a release, "" if there is none."""
    return f"packages/{release}.tar" if release in contents["releases"] else ""


def service_names(contents: Mapping[str, Any]) -> Sequence[str]:
    """Return the names of the services whose proven images are in a bundle."""
    return sorted(contents["services"])
