"""Which parts of a service's directory on the host the role made, and how it knows that: by a record that it wrote there itself.

A directory's name proves nothing. The record names the directory trees that the role made there (`context`, `source`); it is written
before the first of them. A directory that an earlier version of the role left without a record is adopted if its content proves its
origin. What the role did on the Engine is recorded elsewhere (deploy/history.py).
"""

from __future__ import annotations

import json
import os
import pwd
import re
import stat
from dataclasses import asdict, dataclass
from pathlib import Path

from ..common.failure import UNTOUCHED, Failure
from ..common.files import read_own, write_text
from ..common.stages import DIRECTORY

RECORD = "record.json"
TREES = ("context", "changes", "source", "secrets")
# How a build reads private modules, as long as BuildKit builds; the modules that were downloaded for the classic builder; what identifies the sources of builds.
ACCESS, MODULES, SOURCES = "access", "modules.tar", "sources.json"
FILES = (RECORD, "report.json", ACCESS, MODULES, SOURCES, "lock", "lock.new", "working")


@dataclass
class Record:
    """What the role made in a service's directory. trees: which of `TREES`."""

    service: str
    trees: list[str]

    def save(self, directory: Path) -> None:
        """Write the record."""
        write_text(directory / RECORD, json.dumps(asdict(self)), 0o600)


def examine(directory: Path, name: str) -> Record:
    """Return the record of a service's directory, an empty one where there is none yet; raise Failure if the role did not make it."""
    _refuse_unsafe(directory.parent, may_be_roots=True)
    if not os.path.lexists(directory):
        return Record(name, [])
    _refuse_unsafe(directory)
    present = sorted(os.listdir(directory))
    record = _read(directory, name)
    if record is None:
        record = _adopted(directory, name, present)
    for entry in present:
        path = directory / entry
        mode = path.lstat().st_mode
        if entry in TREES and not stat.S_ISDIR(mode):
            raise _foreign(path, "is no directory" if not stat.S_ISLNK(mode) else f"is a symbolic link to {os.readlink(path)}")
        mounted = _mounts_in(path) if entry in TREES else []
        if mounted:
            raise Failure(
                DIRECTORY,
                f"{mounted[0]} is a mount point: its content does not belong to this role, and it is in a tree in which the role adds and removes files",
                f"Unmount it (umount {mounted[0]}), or choose another go_service_work_dir. It was not touched.",
                UNTOUCHED,
            )
        if entry in TREES and entry not in record.trees:
            raise _foreign(path, "exists already, and this role did not make it")
        if entry in FILES and not stat.S_ISREG(mode):
            raise _foreign(path, "is no file" if not stat.S_ISLNK(mode) else f"is a symbolic link to {os.readlink(path)}")
    return record


def _mounts_in(tree: Path) -> list[str]:
    """Return where something is mounted at a tree or below it, also another directory of the same file system; none if the system does not tell."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    top = os.path.realpath(tree)
    # Of a blank and the like the kernel writes the number: https://man7.org/linux/man-pages/man5/proc_pid_mountinfo.5.html
    places = [re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), line.split(" ")[4]) for line in lines]
    return [place for place in places if place == top or place.startswith(f"{top}/")]


def has_our_names(directory: Path) -> bool:
    """Say whether anything in a directory, or the directory's place, is called as what the role makes there."""
    try:
        return bool({*TREES, *FILES}.intersection(os.listdir(directory)))
    except FileNotFoundError:
        return False
    except OSError:
        return True


def claim(directory: Path, name: str, tree: str = "") -> Record:
    """Make a service's directory where it is missing, and note that the role makes a tree in it; raise Failure if it is foreign."""
    known = examine(directory, name)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Once more, as it is now: somebody else may have been first.
    _refuse_unsafe(directory)
    directory.chmod(0o700)
    if {tree} - {"", *known.trees} or not (directory / RECORD).exists():
        known.trees = sorted({tree, *known.trees} - {""})
        known.save(directory)
    return known


def _read(directory: Path, name: str) -> Record | None:
    """Return the record that lies in a directory, None if there is none that can be read, or it is another service's."""
    try:
        found = json.loads(read_own(directory / RECORD))
        record = Record(found["service"], found["trees"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return record if isinstance(record.trees, list) and record.service == name else None


def _adopted(directory: Path, name: str, present: list[str]) -> Record:
    """Return the record of a directory that an earlier version made, or of an empty one; raise Failure if neither can be shown."""
    if not present:
        return Record(name, [])
    context = directory / "context"
    if "context" in present and not context.is_symlink():
        try:
            written = read_own(context / "Dockerfile")
        except (OSError, UnicodeError):
            written = ""
        if written.startswith(f"# Dockerfile of {name}, written by the Ansible role go_service:"):
            checkout = (directory / "source/.git").is_dir() and not (directory / "source").is_symlink()
            return Record(name, ["context", *(["source"] if checkout else [])])
    if "working" in present and set(present) <= set(FILES):
        return Record(name, [])
    foreign = [entry for entry in present if entry not in FILES] or present
    raise _foreign(directory, f"exists already, and this role did not make it: {', '.join(foreign[:5])}")


def _foreign(path: Path, how: str) -> Failure:
    return Failure(
        DIRECTORY,
        f"{path} {how}",
        "Move it away, or choose another go_service_work_dir. It was not touched.",
        UNTOUCHED,
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"the user with the id {number}"


def _refuse_unsafe(path: Path, may_be_roots: bool = False) -> None:
    """Raise Failure if somebody else could replace the role's files by links; path: the service's directory, or the one above it.

    The directory above may be a link, which is the user's own choice, and everybody may write to it if it has the sticky bit, like /tmp.
    """
    try:
        found = path.stat() if may_be_roots else path.lstat()
    except FileNotFoundError:
        return
    own = os.geteuid()
    if stat.S_ISLNK(found.st_mode):
        raise _foreign(path, f"is a symbolic link to {os.readlink(path)}")
    if not stat.S_ISDIR(found.st_mode):
        raise _foreign(path, "is no directory")
    if found.st_uid != own and not (may_be_roots and found.st_uid == 0):
        raise Failure(
            DIRECTORY,
            f"{path} belongs to {_user(found.st_uid)}, while this run works as {_user(own)}",
            f"Run as {_user(found.st_uid)} (become_user), change the owner of the directory (chown -R {_user(own)} {path}), "
            "or choose another go_service_work_dir. It was not touched.",
            UNTOUCHED,
        )
    # The group of the user's own may write: many systems make it so.
    others = found.st_mode & (0o002 if may_be_roots or found.st_gid == os.getegid() else 0o022)
    if others and not (may_be_roots and found.st_mode & stat.S_ISVTX):
        raise Failure(
            DIRECTORY,
            f"{path} can be written to by others (mode {stat.S_IMODE(found.st_mode):04o})",
            f"Check its content, then take that right away (chmod go-w {path}), or choose another go_service_work_dir. It was not touched.",
            UNTOUCHED,
        )
