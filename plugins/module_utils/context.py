"""The build context: which files of a source tree the builder sees, and a digest of them.

A context is described by its manifest, a list of entries (path, kind, mode, content). The manifest of the source and the
manifest of what lies staged on the target are made by the same code, so that comparing two digests says whether they agree,
and comparing two manifests says which files have to travel.

Only what a builder can see counts: the content, the kind and the executable bit. Times and owners do not, and permissions
are brought to 0644/0755 as git does, so that one source has one digest on every machine, whatever its umask.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

DOCKERFILE = "Dockerfile"
DOCKERIGNORE = ".dockerignore"
GENERATED = (DOCKERFILE, DOCKERIGNORE)
DIGEST_FORMAT = 1
TAG_LENGTH = 12

FILE, DIRECTORY, LINK = "f", "d", "l"
_CHUNK = 1 << 20


class ContextError(Exception):
    """The source cannot become a build context; `remedy` says what to change."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


@dataclass(frozen=True)
class Entry:
    """One path of a context.

    path: relative to the root, with slashes.
    kind: "f" file, "d" directory, "l" symbolic link.
    executable: the owner's execute bit of a file; False for the other kinds.
    content: SHA-256 of a file in hex, the target of a link, "" for a directory.
    size: bytes of a file, else 0.
    """

    path: str
    kind: str
    executable: bool
    content: str
    size: int

    @property
    def identity(self) -> list:
        """What two manifests are compared by."""
        return [self.path, self.kind, self.executable, self.content]


def _pattern_regex(pattern: str) -> str:
    """Translate one cleaned .dockerignore pattern as moby/patternmatcher does: `**` any directories, `*` and `?` within one name."""
    out = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if pattern.startswith("**", position):
            position += 3 if pattern.startswith("**/", position) else 2
            out.append("(?:.*/)?" if position < len(pattern) else ".*")
        elif char == "*":
            out.append("[^/]*")
            position += 1
        elif char == "?":
            out.append("[^/]")
            position += 1
        elif char == "[" and "]" in pattern[position:]:
            end = pattern.index("]", position)
            body = re.sub(r"(?<!\\)\[", r"\\[", pattern[position + 1 : end])
            out.append(f"[{'^' + body[1:] if body.startswith('^') else body}]")
            position = end + 1
        elif char == "\\" and position + 1 < len(pattern):
            out.append(re.escape(pattern[position + 1]))
            position += 2
        else:
            out.append(re.escape(char))
            position += 1
    return "".join(out)


class IgnoreRules:
    """The rules of a .dockerignore file: the last rule that matches a path, or a directory above it, decides.

    Source of the rules: https://docs.docker.com/build/concepts/context/#dockerignore-files. A directory that is left out is
    not looked into again unless a later `!` rule begins with its path; community.docker's own matcher does the same.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        groups: list[tuple[bool, list[str]]] = []
        self._let_back: list[str] = []
        for line in lines:
            pattern = line.strip()
            if not pattern or pattern.startswith("#"):
                continue
            keep = pattern.startswith("!")
            cleaned = os.path.normpath(pattern[keep:].strip()).strip("/")
            if cleaned in ("", "."):
                continue
            if keep:
                self._let_back.append(cleaned)
            if not groups or groups[-1][0] != keep:
                groups.append((keep, []))
            regex = _pattern_regex(cleaned)
            try:
                re.compile(regex)
            except re.error as error:
                raise ContextError(
                    f"the .dockerignore pattern {line!r} is not valid: {error}", "Correct it in go_service_dockerignore."
                ) from error
            groups[-1][1].append(regex)
        self._groups = [(keep, re.compile(f"(?:{'|'.join(regexes)})(?:/.*)?\\Z", re.S)) for keep, regexes in groups]

    def ignored(self, path: str) -> bool:
        """Say whether the builder does not see this path."""
        ignored = False
        for keep, regex in self._groups:
            if ignored == keep and regex.match(path):
                ignored = not keep
        return ignored

    def prunes(self, directory: str) -> bool:
        """Say whether nothing below an ignored directory can come back."""
        return not any(kept.startswith(directory + "/") or kept == directory for kept in self._let_back)


def _unreadable(path: str | Path, error: OSError) -> ContextError:
    if isinstance(error, FileNotFoundError):
        return ContextError(f"{path} vanished while the source was read", "Run again when nothing writes to the source.")
    return ContextError(
        f"{path} cannot be read: {error.strerror or error}",
        "Make it readable for the user that runs this, or keep it out with go_service_dockerignore.",
    )


def walk(root: Path, rules: IgnoreRules | None = None) -> Iterator[tuple[str, os.DirEntry]]:
    """Yield (relative path, entry) of everything the rules let through, in no particular order."""
    pending = [("", str(root))]
    while pending:
        prefix, directory = pending.pop()
        try:
            with os.scandir(directory) as found:
                entries = list(found)
        except OSError as error:
            raise _unreadable(directory, error) from error
        for entry in entries:
            path = prefix + entry.name
            ignored = rules is not None and rules.ignored(path)
            if not ignored:
                yield path, entry
            if entry.is_dir(follow_symlinks=False) and not (ignored and rules is not None and rules.prunes(path)):
                pending.append((path + "/", entry.path))


def _file_sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _leaves(path: str, target: str) -> bool:
    """Say whether a link at `path` (relative to the root) points outside of the root."""
    if os.path.isabs(target):
        return True
    resolved = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return resolved == ".." or resolved.startswith("../")


def scan(root: Path, rules: IgnoreRules | None = None, skip: Sequence[str] = ()) -> list[Entry]:
    """Return the manifest of a tree, sorted by path. `skip` names paths that are not looked at.

    Raises ContextError for a link that leaves the tree, a file that cannot be read or a name that is not UTF-8. Sockets,
    pipes and devices are passed over, as a builder does.
    """
    entries = []
    for path, found in walk(root, rules):
        if path in skip:
            continue
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise ContextError(
                f"the name of {path!r} is not valid UTF-8", "Rename the file, or keep it out with go_service_dockerignore."
            ) from error
        try:
            if found.is_symlink():
                target = os.readlink(found.path)
                if _leaves(path, target):
                    raise ContextError(
                        f"the symbolic link {path} points to {target}, which is outside of the source {root}",
                        "Copy what it points to into the source, or keep the link out with go_service_dockerignore.",
                    )
                entries.append(Entry(path, LINK, False, target, 0))
            elif found.is_dir():
                entries.append(Entry(path, DIRECTORY, False, "", 0))
            elif found.is_file():
                status = found.stat()
                entries.append(Entry(path, FILE, bool(status.st_mode & stat.S_IXUSR), _file_sha256(found.path), status.st_size))
        except OSError as error:
            raise _unreadable(found.path, error) from error
    # A file that a `!` rule lets back brings the directories above it along.
    known = {entry.path for entry in entries}
    above = {parent for path in known for parent in _parents(path)}
    entries.extend(Entry(path, DIRECTORY, False, "", 0) for path in above - known)
    entries.sort(key=lambda entry: entry.path)
    return entries


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def manifest_digest(entries: Iterable[Entry]) -> str:
    """Return the SHA-256 (hex) of a sorted manifest."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(json.dumps(entry.identity, ensure_ascii=True).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def content_digest(manifest: str, dockerfile: str, dockerignore: str, build_args: dict[str, str], bases: dict[str, str]) -> str:
    """Return the digest (64 hex digits) of all that decides what a build makes.

    manifest: digest of the context's manifest; bases: reference -> image id of the base images.
    """
    document = {
        "format": DIGEST_FORMAT,
        "manifest": manifest,
        "dockerfile": dockerfile,
        "dockerignore": dockerignore,
        "build_args": build_args,
        "bases": bases,
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def check_size(entries: Sequence[Entry], limit_mb: float, root: Path) -> int:
    """Return the bytes of a context; raise ContextError above the limit, naming what is largest (MB = 1,000,000 bytes)."""
    total = sum(entry.size for entry in entries)
    if total <= limit_mb * 1_000_000:
        return total
    sizes: dict[str, int] = {}
    for entry in entries:
        head, slash, _rest = entry.path.partition("/")
        sizes[head + slash] = sizes.get(head + slash, 0) + entry.size
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:5]
    shown = ", ".join(f"{name} {size / 1_000_000:.1f} MB" for name, size in largest)
    raise ContextError(
        f"the build context of {root} is {total / 1_000_000:.1f} MB in {len(entries)} entries, over the limit of {limit_mb} MB; largest: {shown}",
        "Keep what the build does not need out with go_service_dockerignore, or raise go_service_context_limit_mb.",
    )


def difference(wanted: Sequence[Entry], present: Sequence[Sequence]) -> tuple[list[Entry], list[str]]:
    """Return (entries to send, paths to delete) that turn the present identities into the wanted manifest."""
    have = {identity[0]: list(identity) for identity in present}
    send = [entry for entry in wanted if have.get(entry.path) != entry.identity]
    wanted_paths = {entry.path for entry in wanted}
    return send, sorted(path for path in have if path not in wanted_paths)


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
                    stream = open(root / entry.path, "rb")  # noqa: SIM115
                except OSError as error:
                    raise _unreadable(root / entry.path, error) from error
                with stream:
                    if os.fstat(stream.fileno()).st_size != entry.size:
                        raise ContextError(
                            f"{root / entry.path} changed while the source was read", "Run again when nothing writes to the source."
                        )
                    archive.addfile(info, stream)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


def apply_archive(root: Path, archive: Path, delete: Iterable[str]) -> None:
    """Delete paths from a staged context and unpack an archive of `write_archive` into it.

    Every name must lie within `root`, or ContextError is raised: the archive travelled.
    """
    for path in sorted(delete, reverse=True):
        if _leaves("", path):
            raise ContextError(f"refusing to delete {path!r} outside of {root}", "Run again.")
        _remove(root / path)
    directories = {"": True}
    with tarfile.open(archive, mode="r|gz") as stream:
        for member in stream:
            parent = os.path.dirname(member.name)
            if parent not in directories:
                # A link on the way would lead elsewhere, whatever the name says.
                directories[parent] = not any((root / above).is_symlink() for above in (parent, *_parents(parent)))
            if _leaves("", member.name) or (member.issym() and _leaves(member.name, member.linkname)) or not directories[parent]:
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
                write_file(target, stream.extractfile(member), member.mode)
            else:
                raise ContextError(f"refusing to unpack {member.name!r}, which is no file, directory or symbolic link", "Run again.")


def write_file(target: Path, content: io.BufferedIOBase, mode: int) -> None:
    """Write a file by way of a temporary one beside it, so that the name never shows half a file."""
    descriptor, name = tempfile.mkstemp(prefix=".staging-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as out:
            shutil.copyfileobj(content, out, _CHUNK)
        os.chmod(name, mode)
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def write_text(target: Path, text: str) -> None:
    """Write a text file of mode 0644."""
    write_file(target, io.BytesIO(text.encode()), 0o644)
