"""The part of a source that a build sees: its manifest, and the matching .dockerignore file."""

from __future__ import annotations

import os.path
import posixpath
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..common.credentials import is_named_so
from ..common.settings import Settings
from .errors import ContextError
from .ignore import ClassicRules, IgnoreRules, check_embedded, let_back, literal
from .leftovers import BY_PATTERN, Leftovers
from .manifest import DIRECTORY, LINK, Entry, leaves, read_manifest, walk

_DENIED = "\n# credentials that this source has\n"
_KEPT = "\n# let back in: docker_image matches without regard to case\n"


def credentials(entries: Sequence[Entry], let_in: Sequence[str]) -> list[str]:
    """Return the paths of a context that look like credentials, in upper or lower case; let_in: the user's own patterns, which may include some."""
    user = IgnoreRules(["**", *let_in])
    found: list[str] = []
    for entry in entries:
        name = entry.path.rpartition("/")[2]
        is_directory = entry.kind == DIRECTORY
        if (
            is_named_so(name, directory=is_directory)
            and user.ignored(entry.path)
            and not (found and entry.path.startswith(found[-1] + "/"))
        ):
            found.append(entry.path)
    return found


def check_seen(entries: Sequence[Entry], project: Mapping[str, Any], dockerignore: str) -> None:
    """Raise ContextError if go.mod, the main package or an embedded file is excluded from the build."""
    module = os.path.normpath(os.path.join(project["module_dir"], "go.mod"))
    main = os.path.normpath(os.path.join(project["module_dir"], project["main_package"], "*.go"))
    files = [entry.path for entry in entries if entry.kind != DIRECTORY]
    seen = {*files, *(os.path.join(os.path.dirname(path), "*.go") for path in files if path.endswith(".go"))}
    missing = {what: path for what, path in {module: module, f"the main package ({main})": main}.items() if path not in seen}
    missing.update({f"the embedded {path}": path for path in let_back(project, dockerignore)})
    if missing:
        patterns = ", ".join(f'"!{path}"' for path in missing.values())
        raise ContextError(
            f".dockerignore excludes files that the build needs: {', '.join(missing)}",
            f"Correct the patterns of go_service_dockerignore, or add at their end: {patterns}.",
        )


def check_files(root: Path, entries: Sequence[Entry], project: Mapping[str, Any], leftovers: Leftovers) -> None:
    """Raise ContextError if the build does not see what go_service_files asks for, or if that cannot be copied; record which parts of it a pattern
    excludes."""
    seen = {entry.path for entry in entries}
    for asked in project.get("files", ()):
        src = asked["src"]
        if src not in seen:
            raise ContextError(
                f".dockerignore excludes {src} from the build, but go_service_files asks for it",
                f'Correct the patterns of go_service_dockerignore, or add at their end: "!{src}".',
            )
        below = [f"{src}/{path}" for path, _entry in walk(root / src)] if asked["kind"] == "directory" else [src]
        secret = next((path for path in below if path not in seen and is_named_so(posixpath.basename(path))), "")
        if secret or is_named_so(posixpath.basename(src)):
            raise ContextError(
                f"go_service_files would put {secret or src} into the image, which has a name like a file of credentials",
                "Remove it from that variable, and give it to the service at run time; if it is not a credential, rename it.",
            )
        for path in below:
            if path not in seen:
                leftovers.note(BY_PATTERN, path)
        for entry in entries:
            if entry.kind == LINK and entry.path.startswith(f"{src}/") and leaves(os.path.relpath(entry.path, src), entry.content):
                raise ContextError(
                    f"go_service_files puts {src} into the image, but the symbolic link {entry.path} in it leads out of it, to {entry.content}",
                    f"Copy the target of the link into {src}, or exclude the link with go_service_dockerignore.",
                )


def needed_at_top(root: Path, settings: Settings, project: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the top-level names of a source that a build needs; None if that is not known, for instance with tests, which may read anything."""
    if settings.run_tests or "packages" not in project:
        return None
    paths = [*project["packages"], *project["embedded_files"], *project["local_modules"], project["module_dir"], project["work_dir"] or ""]
    paths += [asked["src"] for asked in project.get("files", ())]
    paths += [os.path.join(place, "vendor") for place in (project["module_dir"], project["work_dir"] or "") if project["vendored"]]
    beside_code = [name for name in os.listdir(root) if not os.path.isdir(root / name) and re.fullmatch(r"go\.\w+|.*\.(?:go|s|syso)", name)]
    return frozenset(posixpath.normpath(path).partition("/")[0] for path in [*filter(None, paths), *beside_code])


def read_context(
    root: Path, dockerignore: str, settings: Settings, project: Mapping[str, Any], leftovers: Leftovers | None = None
) -> tuple[list[Entry], str]:
    """Return the manifest of a source, and the .dockerignore file with which every builder sees exactly that; leftovers: of the source.

    If names in the source need more patterns than the rendered file has, these are added at its end, so that for a source without such
    names the file, and with it the digest, does not change. Raises ContextError, SourceError.
    """
    leftovers = leftovers or Leftovers(root, settings, project)
    needed = needed_at_top(root, settings, project)
    entries = read_manifest(
        root, IgnoreRules(dockerignore.splitlines()), limit_mb=settings.context_limit_mb, leftovers=leftovers, needed=needed
    )
    denied = credentials(entries, settings.dockerignore)
    if denied:
        dockerignore += _DENIED + "".join(f"{literal(path)}\n" for path in denied)
        check_embedded(project, dockerignore)
        entries = read_manifest(root, IgnoreRules(dockerignore.splitlines()), limit_mb=settings.context_limit_mb, leftovers=leftovers)
    if project.get("main_package"):
        check_seen(entries, project, dockerignore)
    check_files(root, entries, project, leftovers)
    rules = ClassicRules(dockerignore.splitlines())
    # A directory is included through its files. A pattern for the directory itself would also include what is excluded below it.
    kept = [entry.path for entry in entries if entry.kind != DIRECTORY and rules.drops(entry.path)]
    if kept:
        dockerignore += _KEPT + "".join(f"!{literal(path)}\n" for path in kept)
        rules = ClassicRules(dockerignore.splitlines())
        lost = [path for path in kept if not path.isprintable() or rules.drops(path)]
        if lost:
            raise ContextError(
                f"docker_image leaves {lost[0]!r} out, and no pattern can include it again",
                "Rename it, or exclude it with go_service_dockerignore.",
            )
    return entries, dockerignore
