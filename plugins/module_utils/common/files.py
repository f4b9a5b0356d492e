"""Files that appear whole or not at all, and files of a source, which are opened with care."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

CHUNK = 1 << 20
# The largest file that is read completely: cmd/go accepts no larger go.mod.
LARGEST_TEXT = 16 << 20
_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a symbolic link",
}
# Without O_PATH (not Linux) a directory has to be readable to be passed through.
_THROUGH = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Refused(OSError):
    """A file of a source must not be read."""


class Irregular(Refused):
    """It is not a regular file, or a symbolic link leads out of the source."""


def stays_within(root: str | Path, path: str | Path) -> bool:
    """Say whether a path leads to a place below root, or to root itself, once all links are followed."""
    real_root = os.path.realpath(root)
    return os.path.join(os.path.realpath(path), "").startswith(os.path.join(real_root, ""))


def _insist_on_regular(mode: int, path: str) -> None:
    if not stat.S_ISREG(mode):
        raise Irregular(errno.EINVAL, f"it is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a regular file", path)


def open_beneath(root: str | Path, relative: str) -> BinaryIO:
    """Open a regular file below root without following any link on the way; raise OSError.

    Nothing else is opened: opening a pipe could wait for ever, and opening a device may have an effect. Every directory is opened relative to the one
    before, so that nobody can replace it by a link between the check and the opening.
    """
    path = os.path.join(root, relative)
    *above, name = relative.split("/")
    if {"", ".", ".."} & {*above, name}:
        raise Irregular(errno.EXDEV, "it is no path within the source", path)
    try:
        directory = os.open(root, _THROUGH & ~os.O_NOFOLLOW)
        try:
            for part in above:
                inner = os.open(part, _THROUGH, dir_fd=directory)
                os.close(directory)
                directory = inner
            _insist_on_regular(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode, path)
            descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC, dir_fd=directory)
        finally:
            os.close(directory)
        stream = os.fdopen(descriptor, "rb", buffering=0)
        try:
            _insist_on_regular(os.fstat(descriptor).st_mode, path)
        except BaseException:
            stream.close()
            raise
        return stream
    except OSError as error:
        error.filename = path
        raise


def open_source_file(root: str | Path, path: str | Path) -> BinaryIO:
    """Open a regular file of the source in root, through links as long as they stay in the source; raise OSError.

    Where the path leads is checked before anything is opened.
    """
    if not stays_within(root, path):
        raise Irregular(errno.EXDEV, "it is a symbolic link that leads out of the source", os.fspath(path))
    real_root = os.path.realpath(root)
    try:
        return open_beneath(real_root, os.path.relpath(os.path.realpath(path), real_root))
    except OSError as error:
        error.filename = os.fspath(path)
        raise


def read_rest(stream: BinaryIO, path: str | Path, have: int = 0) -> bytes:
    """Read an open file of a source to its end; raise Refused if it has more than LARGEST_TEXT bytes. have: bytes read before."""
    parts = []
    while part := stream.read(CHUNK):
        have += len(part)
        if have > LARGEST_TEXT:
            raise Refused(errno.EFBIG, f"it is larger than {LARGEST_TEXT >> 20} MiB", os.fspath(path))
        parts.append(part)
    return b"".join(parts)


def read_source_file(root: str | Path, path: str | Path) -> bytes:
    """Return the content of a regular file of the source in root; raise OSError."""
    with open_source_file(root, path) as stream:
        return read_rest(stream, path)


def write_file(target: Path, content: IO[bytes], mode: int) -> None:
    """Write a file through a temporary one beside it, so that its name never refers to half a file."""
    descriptor, name = tempfile.mkstemp(prefix=".staging-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as out:
            shutil.copyfileobj(content, out, CHUNK)
            os.fchmod(out.fileno(), mode)
        os.replace(name, target)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        if isinstance(error, OSError) and error.errno and not error.filename:
            # If the disk is full, the system's error has no file name, from which a person could see which disk it is.
            error.filename = str(target)
        raise


def write_text(target: Path, text: str, mode: int = 0o644) -> None:
    """Write a text file."""
    write_file(target, io.BytesIO(text.encode()), mode)


def open_own(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file and return its descriptor; raise OSError for a link or anything else, which is not touched."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "it is not a regular file", str(path))
    return descriptor


def read_own(path: Path) -> str:
    """Return the text of a regular file; raise OSError for a link and whatever else is no file, UnicodeError where it is no text."""
    with os.fdopen(open_own(path), encoding="utf-8") as stream:
        return stream.read()


def parents(path: str) -> Iterator[str]:
    """Yield the directories above a relative path, the nearest first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
