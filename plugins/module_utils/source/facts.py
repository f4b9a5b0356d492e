"""A source as the role sees it: read, and brought into plain data."""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

from ..common.files import parents
from ..common.settings import Settings
from .beside import read_files
from .errors import SourceError
from .model import Embed, GoProject
from .origin import read_origin
from .project import read_project
from .versions import builder_version, check_go_version, numbers

# What a test binary is linked with beside the packages its tests import.
_TEST_PACKAGES = ("testing", "testing/internal/testdeps")


def project_facts(root: Path, settings: Settings) -> dict[str, Any]:
    """Return the Go facts that the generated files and the checks need, as plain data; raise SourceError."""
    version = builder_version(settings.builder_image)
    project = read_project(
        root,
        name=settings.name,
        main_package=settings.main_package,
        module_dir=settings.module_dir,
        build_tags=settings.build_tags,
        go_version=numbers(version),
        with_tests=settings.run_tests,
        # Which architecture the host has itself is not known yet.
        goarch=settings.goarch or "amd64",
    )
    if version:
        check_go_version(project, version, settings.builder_image)
    _check_local_modules(project, root)
    for embed in project.embeds:
        _check_embed(embed, root)
    return {
        "module_path": project.module_path,
        "module_dir": project.module_dir,
        "go_directive": project.go_directive,
        "go_minimum": project.go_minimum,
        "main_package": project.main_package,
        "vendored": project.vendored,
        "work_dir": project.work_dir,
        "has_requirements": project.has_requirements,
        "local_modules": sorted({module.directory or "." for module in project.local_modules if module.has_go_mod}),
        # A profile beside the main package changes how every package is compiled: https://go.dev/doc/pgo
        "profiled": (root / project.module_dir / project.main_package / "default.pgo").is_file(),
        "packages": ["" if path == "." else path for path in project.packages],
        "std_packages": sorted({*project.std_imports, *(_TEST_PACKAGES if settings.run_tests else ())}),
        "module_packages": list(project.third_party_imports),
        "cgo_files": list(project.cgo_files),
        "tagged_files": [list(file) for file in project.tagged_files],
        "embedded_files": list(project.embedded_files),
        "placeholders": [f"{embed.file} embeds {embed.pattern}" for embed in project.embeds if _only_placeholders(embed)],
        "files": read_files(root, settings),
        "origin": read_origin(root),
    }


def _check_local_modules(project: GoProject, root: Path) -> None:
    """Raise SourceError if the build will not find a module that it takes from a directory."""
    for module in project.local_modules:
        if project.vendored and not module.used:
            continue
        if module.leaves_root:
            raise SourceError(
                f"{module.said}, which is outside of the source {root}",
                "Make go_service_source the directory that holds both, with go_service_module_dir naming the module in it"
                + ("." if module.used else ", or vendor the module (go mod vendor)."),
                "go_service_source",
            )
        if not module.has_go_mod:
            raise SourceError(
                f"{module.said}, where no go.mod is",
                "Bring the module there (a submodule that is not checked out, a directory that git does not have?), or take the line away.",
                "go_service_source",
            )


def _check_embed(embed: Embed, root: Path) -> None:
    """Raise SourceError if a pattern embeds nothing: Go refuses it, but only when all dependencies are downloaded and compiled."""
    if embed.files:
        return
    directory = posixpath.dirname(embed.file)
    # What stands before the first character that means more than itself; of "dist/*" the directory has to be there.
    plain = re.split(r"[*?\[\\]", embed.pattern.removeprefix("all:"), maxsplit=1)[0]
    place = posixpath.normpath(
        posixpath.join(directory, plain if plain == embed.pattern.removeprefix("all:") else posixpath.dirname(plain))
    )
    link = _link(root, place)
    if link:
        raise SourceError(
            f"{embed.file} embeds {embed.pattern} (//go:embed), and {link} is a symbolic link, which Go does not embed",
            "Put the file itself in its place.",
        )
    there = os.path.lexists(root / place)
    page = _package_json(root, directory)
    raise SourceError(
        f"{embed.file} embeds {embed.pattern} (//go:embed), and "
        + (f"nothing in {place} can be embedded by it" if there else f"there is no {place} in the source"),
        "It is generated, as a rule: generate it before the run"
        + (f" ({page} says how, most often by npm run build), " if page else ", ")
        + "and give the directory that has it as go_service_source; a repository that git fetches has only what was committed."
        + (" Links, and what belongs to another module, are not embedded." if there else ""),
    )


def _link(root: Path, place: str) -> str:
    """Return the symbolic link by which a path of the source leads, or the first one below it, "" if there is none."""
    way = [*reversed(list(parents(place))), place]
    below = (
        posixpath.relpath(os.path.join(directory, name), root)
        for directory, names, files in os.walk(root / place)
        for name in sorted([*names, *files])
        if os.path.islink(os.path.join(directory, name))
    )
    return next((path for path in way if os.path.islink(root / path)), "") or next(below, "")


def _package_json(root: Path, directory: str) -> str:
    """Return the nearest package.json, in a directory of the source or above it, by which a web page is made; "" if there is none."""
    while True:
        path = posixpath.join(directory, "package.json")
        if (root / path).is_file():
            return path
        if not directory:
            return ""
        directory = posixpath.dirname(directory)


def _only_placeholders(embed: Embed) -> bool:
    """Whether all that a pattern for several files embeds is hidden, as a .gitkeep that keeps the place of what is generated."""
    named = posixpath.basename(embed.pattern)
    return bool(embed.files) and all(name.startswith(".") and name != named for name in map(posixpath.basename, embed.files))
