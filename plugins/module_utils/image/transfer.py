"""How a build context gets to the target: as one archive of what is missing there."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

from ..common.files import open_beneath, parents, write_file
from .errors import ContextError, changed, unreadable
from .manifest import DIRECTORY, LINK, Entry, leaves


def write_archive(root: Path, entries: Iterable[Entry], destination: Path) -> None:
    """Write the entries as a gzip-compressed tar file, one file at a time, with normal modes and no times or owners."""
    with gzip.GzipFile(destination, "wb", compresslevel=1, mtime=0) as packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.path)
            if entry.kind == DIRECTORY:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            elif entry.kind == LINK:
                info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, entry.content
                archive.addfile(info)
            else:
                info.mode, info.size = (0o755 if entry.executable else 0o644), entry.size
                try:
                    stream = open_beneath(root, entry.path)
                except OSError as error:
                    raise unreadable(root / entry.path, error) from error
                with stream:
                    if os.fstat(stream.fileno()).st_size != entry.size:
                        raise changed(root / entry.path)
                    archive.addfile(info, stream)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def _leaves_or_is_root(path: str) -> bool:
    return leaves("", path) or os.path.normpath(path) == "."


def apply_archive(root: Path, archive: Path, delete: Iterable[str]) -> None:
    """Delete paths from a staged context and unpack an archive of `write_archive` into it.

    Every name must lie within `root`, or ContextError is raised: the archive travelled.
    """
    for path in sorted(delete, reverse=True):
        if _leaves_or_is_root(path) or any((root / above).is_symlink() for above in parents(path)):
            raise ContextError(f"refusing to delete {path!r} outside of {root}", "Run again.")
        _remove(root / path)
    directories = {"": True}
    # Unpacked by gzip: of a damaged stream tarfile itself ends in an AttributeError, in Python 3.11 of Debian 12.
    with gzip.open(archive, "rb") as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as stream:
        for member in stream:
            parent = os.path.dirname(member.name)
            if parent not in directories:
                # A link on the way would lead elsewhere, whatever the name says.
                directories[parent] = not any((root / above).is_symlink() for above in (parent, *parents(parent)))
            if _leaves_or_is_root(member.name) or (member.issym() and leaves(member.name, member.linkname)) or not directories[parent]:
                raise ContextError(f"refusing to unpack {member.name!r} outside of {root}", "Run again.")
            target = root / member.name
            if member.isdir():
                if target.is_symlink() or (target.exists() and not target.is_dir()):
                    _remove(target)
                target.mkdir(mode=0o755, exist_ok=True)
                target.chmod(0o755)
            elif member.issym():
                _remove(target)
                target.symlink_to(member.linkname)
                directories = {"": True}
            elif member.isreg():
                if target.is_dir() and not target.is_symlink():
                    _remove(target)
                content = stream.extractfile(member)
                if content is None:
                    raise ContextError(f"refusing to unpack {member.name!r}, which has no content", "Run again.")
                write_file(target, content, 0o755 if member.mode & 0o100 else 0o644)
            else:
                raise ContextError(f"refusing to unpack {member.name!r}, which is no file, directory or symbolic link", "Run again.")
