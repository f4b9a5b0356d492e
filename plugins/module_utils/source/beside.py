"""Files and directories of a source that its image has beside the binary (go_service_files)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..common.settings import Settings
from ..common.text import did_you_mean
from .errors import SourceError

VARIABLE = "go_service_files"
FILE, DIRECTORY = "file", "directory"


def read_files(root: Path, settings: Settings) -> list[dict[str, str]]:
    """Return what go_service_files asks for: {"src", "dest": absolute, "owner", "kind", and "mode" if one is given}; raise SourceError if the source does not have it."""
    found = []
    for asked in settings.files:
        kind = _kind(root, asked.src)
        dest = settings.in_image(asked.dest)
        if kind == FILE and dest in (settings.workdir, *map(settings.in_image, settings.directories)):
            raise SourceError(
                f"go_service_files puts the file {asked.src} at {asked.dest}, which is a directory of the image",
                f'Give it a name there: "dest: {os.path.join(asked.dest, os.path.basename(asked.src))}".',
            )
        mode = {"mode": asked.mode} if asked.mode else {}
        found.append({"src": asked.src, "dest": dest, "owner": asked.owner, "kind": kind, **mode})
    return found


def _kind(root: Path, src: str) -> str:
    """Say what a path of the source is; raise SourceError if it cannot be put into the image."""
    parts = src.split("/")
    for depth in range(1, len(parts) + 1):
        part = "/".join(parts[:depth])
        path = root / part
        if path.is_symlink():
            raise SourceError(f"{part} is a symbolic link to {os.readlink(path)}", "Name the path to which it leads.", VARIABLE)
        if not os.path.lexists(path):
            raise SourceError(
                f"the source {root} has no {src}{did_you_mean(parts[depth - 1], _names(path.parent), _prefix(parts[: depth - 1]))}",
                "Correct the path, which is relative to the top of the source, or make the file before the run.",
                VARIABLE,
            )
    if path.is_dir():
        return DIRECTORY
    if path.is_file():
        return FILE
    raise SourceError(f"{src} is neither a file nor a directory", "Name one.", VARIABLE)


def _prefix(parts: Iterable[str]) -> str:
    return "".join(f"{part}/" for part in parts)


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []
