"""Where a source comes from: its revision, date and address.

A repository is a part of the source, and its configuration names programs that git runs: hooks, filters, monitors, pagers, signature and
credential helpers. So git never works in that repository. It only reads objects, in a separate repository that borrows them; everything else is
read here: HEAD, references, the address in the configuration. Digests of the files that are computed here tell whether the source was edited.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ..common.files import CHUNK, LARGEST_TEXT, open_beneath, read_rest, read_source_file, stays_within
from .address import shown_address

_UNKNOWN = {"revision": "", "date": "", "url": ""}
_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_COMMITTER = re.compile(rb"^committer .*> (\d{1,12}) ([+-])(\d\d)(\d\d)$", re.M)
_SECONDS = 10  # for one answer of git, which could wait for ever if a file turns out not to be a regular one


class _Unknown(Exception):
    """The repository does not have the wanted information."""


@dataclass(frozen=True)
class _Repository:
    """top: the directory that is under version control; directory: the one with HEAD; common: the one with references and objects."""

    top: str
    directory: str
    common: str

    def text(self, *names: str) -> str:
        """Return the content of a small file of the repository, the first of these that exists."""
        for base in dict.fromkeys((self.directory, self.common)):
            for name in names:
                with contextlib.suppress(OSError):
                    return read_source_file(base, os.path.join(base, name)).decode(errors="replace")
        return ""


def _find(root: Path) -> _Repository:
    """Return the repository that a directory is in, its own or one above it."""
    for top in (Path(os.path.realpath(root)), *Path(os.path.realpath(root)).parents):
        dot_git = top / ".git"
        try:
            mode = os.lstat(dot_git).st_mode
        except OSError:
            continue
        if stat.S_ISDIR(mode):
            return _Repository(str(top), str(dot_git), str(dot_git))
        if stat.S_ISREG(mode):
            return _worktree(top, dot_git)
        break
    raise _Unknown


def _worktree(top: Path, dot_git: Path) -> _Repository:
    """Return the repository of a further working tree (git worktree), if it also names this tree: a .git file by itself may point anywhere."""
    try:
        directory = os.path.realpath(top / read_source_file(top, dot_git).decode().partition("gitdir: ")[2].strip())
        back = read_source_file(directory, os.path.join(directory, "gitdir")).decode().strip()
        common = read_source_file(directory, os.path.join(directory, "commondir")).decode().strip()
    except (OSError, ValueError):
        raise _Unknown from None
    if os.path.realpath(back) != str(dot_git):
        raise _Unknown
    return _Repository(str(top), directory, os.path.realpath(os.path.join(directory, common)))


def _head(repository: _Repository) -> str:
    """Return the hash of the commit that is checked out."""
    name = "HEAD"
    for _step in range(5):
        found = repository.text(name).strip()
        if not found and name != "HEAD":
            packed = re.search(rf"^([0-9a-f]+) {re.escape(name)}$", repository.text("packed-refs"), re.M)
            found = packed[1] if packed else ""
        if _HASH.fullmatch(found):
            return found
        name = found.partition("ref: ")[2]
        if not name.startswith("refs/"):
            break
    raise _Unknown


def _plain(directory: str) -> bool:
    """Say whether a directory is one, and has nothing but regular files in it."""
    if os.path.islink(directory):
        return False
    try:
        with os.scandir(directory) as entries:
            return all(entry.is_file(follow_symlinks=False) for entry in entries)
    except OSError:
        return False


class _Git:
    """git in an empty, separate repository, with the objects of another one.

    The borrowed parts are linked one by one, so that a list of further object stores (alternates) is not borrowed.
    """

    def __init__(self, temporary: str, repository: _Repository, size: int) -> None:
        self.directory = temporary
        for name in ("objects", "refs"):
            os.mkdir(os.path.join(temporary, name))
        Path(temporary, "HEAD").write_text("ref: refs/heads/none\n")
        config = "[core]\n\trepositoryformatversion = 1\n\tbare = true\n"
        Path(temporary, "config").write_text(config + ("[extensions]\n\tobjectformat = sha256\n" if size == 64 else ""))
        objects = os.path.join(repository.common, "objects")
        if os.path.islink(objects):
            raise _Unknown
        for name in ("pack", *(f"{number:02x}" for number in range(256))):
            if _plain(os.path.join(objects, name)):
                os.symlink(os.path.join(objects, name), os.path.join(temporary, "objects", name))

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Return what a command prints; raise _Unknown where it fails."""
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": self.directory,
            "LC_ALL": "C",
            "GIT_DIR": self.directory,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }
        command = ["git", "--no-pager", *arguments]
        try:
            done = subprocess.run(
                command, input=stdin, capture_output=True, check=True, timeout=_SECONDS, cwd=self.directory, env=environment
            )
        except (OSError, subprocess.SubprocessError):
            raise _Unknown from None
        return done.stdout

    def settings(self, config: str) -> dict[str, str]:
        """Return the settings in a configuration's text, without what it includes."""
        try:
            listed = self.run("config", "--null", "--no-includes", "--file", "-", "--list", stdin=config.encode()).decode(errors="replace")
        except _Unknown:
            return {}
        pairs = [item.partition("\n") for item in listed.split("\0") if item]
        return {name: value if newline else "true" for name, newline, value in reversed(pairs)}


def _date(commit: bytes) -> str:
    """Return the date of a commit by RFC 3339, "" if it has none."""
    found = _COMMITTER.search(commit.partition(b"\n\n")[0])
    if not found:
        return ""
    offset = timedelta(hours=int(found[3]), minutes=int(found[4])) * (-1 if found[2] == b"-" else 1)
    try:
        return datetime.fromtimestamp(int(found[1]), timezone(offset)).isoformat()
    except (ValueError, OverflowError, OSError):
        return ""


def _blob(algorithm: str, content: bytes) -> str:
    return hashlib.new(algorithm, b"blob %d\0" % len(content) + content).hexdigest()


def _is_blob(root: str, path: str, blob: str) -> bool:
    """Say whether a file equals the one in a commit: exactly, except for line ends, or by a pointer to large content (git lfs)."""
    algorithm = "sha256" if len(blob) == 64 else "sha1"
    with open_beneath(root, path) as stream:
        size = os.fstat(stream.fileno()).st_size
        digest, content = hashlib.new(algorithm, b"blob %d\0" % size), hashlib.sha256()
        done = 0
        while done <= size and (chunk := stream.read(CHUNK)):
            done += len(chunk)
            digest.update(chunk)
            content.update(chunk)
        if digest.hexdigest() == blob:
            return True
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{content.hexdigest()}\nsize {size}\n"
        if _blob(algorithm, pointer.encode()) == blob:
            return True
        if size > LARGEST_TEXT:
            return False
        stream.seek(0)
        return _blob(algorithm, read_rest(stream, path).replace(b"\r\n", b"\n")) == blob


def _tracked(git: _Git, tree: str) -> Iterator[tuple[str, str, str]]:
    """Yield mode, hash and path of everything in a tree; submodules are left out."""
    for line in git.run("ls-tree", "-r", "-z", "--full-tree", tree).split(b"\0"):
        head, tab, path = line.partition(b"\t")
        if tab and not head.startswith(b"160000"):
            mode, _kind, blob = head.decode().split()
            yield mode, blob, os.fsdecode(path)


def _edited(root: str, mode: str, blob: str, path: str, settings: dict[str, str]) -> bool:
    """Say whether a path of the source differs from the commit."""
    place = os.path.join(root, path)
    try:
        found = os.lstat(place).st_mode
        if mode == "120000" and stat.S_ISLNK(found) and stays_within(root, os.path.dirname(place)):
            return _blob("sha256" if len(blob) == 64 else "sha1", os.fsencode(os.readlink(place))) != blob
        modes = settings.get("core.filemode") != "false" and mode != "120000"
        return (modes and bool(found & stat.S_IXUSR) != (mode == "100755")) or not _is_blob(root, path, blob)
    except (FileNotFoundError, NotADirectoryError):
        # A sparse checkout has only some of the files, on purpose.
        return settings.get("core.sparsecheckout") != "true"
    except OSError:
        return True


def read_origin(root: Path) -> dict[str, str]:
    """Return where a source comes from, as far as its repository tells: revision (with "-dirty" appended if there are uncommitted changes), date, url.

    Returns empty values if the source is in no git repository, or if git is not installed. Neither git's configuration nor the environment has an effect.
    An address is shown without user, password and query.
    """
    try:
        repository = _find(root)
        head = _head(repository)
        with tempfile.TemporaryDirectory(prefix="go-service-") as temporary:
            git = _Git(temporary, repository, len(head))
            commit = git.run("cat-file", "commit", head)
            settings = git.settings(repository.text("config"))
            prefix = os.path.relpath(os.path.realpath(root), repository.top)
            tracked = list(_tracked(git, head if prefix == "." else f"{head}:{prefix}"))
    except (_Unknown, OSError, ValueError):
        return dict(_UNKNOWN)
    real_root = os.path.realpath(root)
    dirty = any(_edited(real_root, mode, blob, path, settings) for mode, blob, path in tracked)
    url = shown_address(settings.get("remote.origin.url", ""))
    return {"revision": head + ("-dirty" if dirty else ""), "date": _date(commit), "url": url}
