"""What a build sees: the manifest of its context, and the digest of everything that determines its result."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ..common.files import CHUNK, open_beneath, parents, stays_within
from ..common.text import listed, megabytes
from .errors import ContextError, changed, unreadable
from .ignore import IgnoreRules, literal

DOCKERFILE = "Dockerfile"
DOCKERIGNORE = ".dockerignore"
GENERATED = (DOCKERFILE, DOCKERIGNORE)
DIGEST_FORMAT = 1

FILE, DIRECTORY, LINK = "f", "d", "l"


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
        """The values by which two manifests are compared."""
        return [self.path, self.kind, self.executable, self.content]


class Filter(Protocol):
    """An object that leaves out more than the rules do. drops: whether a path is left out; holds_needed: whether something below an excluded directory is
    needed; thinned: the directories from which something was left out."""

    thinned: set[str]

    def drops(self, path: str, entry: os.DirEntry) -> bool: ...
    def holds_needed(self, directory: str) -> bool: ...


def walk(root: Path, rules: IgnoreRules | None = None, leftovers: Filter | None = None) -> Iterator[tuple[str, os.DirEntry]]:
    """Yield (relative path, entry) of everything the rules let through, in no particular order; leftovers: what is left out all the same."""
    pending = [("", str(root))]
    while pending:
        prefix, directory = pending.pop()
        try:
            with os.scandir(directory) as found:
                entries = list(found)
        except OSError as error:
            raise unreadable(directory, error) from error
        for entry in entries:
            path = prefix + entry.name
            ignored = rules is not None and rules.ignored(path)
            dropped = not ignored and leftovers is not None and leftovers.drops(path, entry)
            if not ignored and not dropped:
                yield path, entry
            if entry.is_dir(follow_symlinks=False):
                pruned = ignored and rules is not None and rules.prunes(path)
                if not pruned and not (dropped and leftovers is not None and not leftovers.holds_needed(path)):
                    pending.append((path + "/", entry.path))


def _with_content(root: str, entry: Entry) -> Entry:
    """Return the entry of a file with its digest; raise ContextError if its size has changed since it was found."""
    digest, size = hashlib.sha256(), 0
    try:
        with open_beneath(root, entry.path) as stream:
            # This also stops at a file that grows for ever.
            while size <= entry.size and (chunk := stream.read(CHUNK)):
                size += len(chunk)
                digest.update(chunk)
    except OSError as error:
        raise unreadable(os.path.join(root, entry.path), error) from error
    if size != entry.size:
        raise changed(os.path.join(root, entry.path))
    return replace(entry, content=digest.hexdigest())


def leaves(path: str, target: str) -> bool:
    """Say whether a link at `path` (relative to the root) points outside of the root."""
    if os.path.isabs(target):
        return True
    resolved = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return resolved == ".." or resolved.startswith("../")


def read_manifest(
    root: Path,
    rules: IgnoreRules | None = None,
    skip: Sequence[str] = (),
    limit_mb: float | None = None,
    leftovers: Filter | None = None,
    *,
    needed: Container[str] | None = None,
) -> list[Entry]:
    """Return the manifest of a tree, sorted by path. `skip` names paths that are not looked at; limit_mb, needed: see `check_size`; leftovers: see `walk`.

    All names, links and sizes are judged before the first file is opened.

    Raises ContextError for a link that leaves the tree, a file that cannot be read or a name that is not UTF-8. Sockets,
    pipes and devices are passed over, as a builder does.
    """
    entries = []
    for path, found in walk(root, rules, leftovers):
        if path in skip:
            continue
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise ContextError(
                f"the name of {path!r} is not valid UTF-8", "Rename the file, or exclude it with go_service_dockerignore."
            ) from error
        try:
            if found.is_symlink():
                target = os.readlink(found.path)
                # Where a link leads through another link can only be seen on the file system.
                if leaves(path, target) or not stays_within(root, found.path):
                    raise ContextError(
                        f"the symbolic link {path} points to {target}, which is outside of the source {root}",
                        "Copy the target of the link into the source, or exclude the link with go_service_dockerignore.",
                    )
                entries.append(Entry(path, LINK, False, target, 0))
            elif found.is_dir(follow_symlinks=False):
                entries.append(Entry(path, DIRECTORY, False, "", 0))
            elif found.is_file(follow_symlinks=False):
                status = found.stat(follow_symlinks=False)
                entries.append(Entry(path, FILE, bool(status.st_mode & stat.S_IXUSR), "", status.st_size))
        except OSError as error:
            raise unreadable(found.path, error) from error
    if leftovers:
        entries = _without_emptied(entries, leftovers.thinned)
    # For a file that a `!` rule includes again, the directories above it are included as well.
    known = {entry.path for entry in entries}
    above = {parent for path in known for parent in parents(path)}
    entries.extend(Entry(path, DIRECTORY, False, "", 0) for path in above - known)
    entries.sort(key=lambda entry: entry.path)
    if limit_mb is not None:
        check_size(entries, limit_mb, root, needed)
    real_root = os.path.realpath(root)
    return [_with_content(real_root, entry) if entry.kind == FILE else entry for entry in entries]


def _without_emptied(entries: list[Entry], thinned: set[str]) -> list[Entry]:
    """Return the entries without directories that are empty because everything in them was left out."""
    holding: set[str] = set()
    kept = []
    # What is in a directory comes before it.
    for entry in sorted(entries, key=lambda entry: entry.path, reverse=True):
        if entry.kind != DIRECTORY or entry.path in holding or entry.path not in thinned:
            kept.append(entry)
            holding.update(parents(entry.path))
    return kept


def manifest_digest(entries: Iterable[Entry]) -> str:
    """Return the SHA-256 (hex) of a sorted manifest."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(json.dumps(entry.identity, ensure_ascii=True).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def content_digest(manifest: str, dockerfile: str, dockerignore: str, values: str, bases: dict[str, str]) -> str:
    """Return the digest (64 hex digits) of everything that determines the result of a build.

    manifest: digest of the context's manifest; dockerfile: without secret values; values: their fingerprint; bases: reference -> image id of the base images.
    """
    document = {
        "format": DIGEST_FORMAT,
        "manifest": manifest,
        "dockerfile": dockerfile,
        "dockerignore": dockerignore,
        # With the key from the time when it held the values themselves, so that the digest of an image without values does not change.
        "build_args": values or {},
        "bases": bases,
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def check_size(entries: Sequence[Entry], limit_mb: float, root: Path, needed: Container[str] | None = None) -> int:
    """Return the bytes of a context; raise ContextError above the limit, naming what is largest (MB = 1,000,000 bytes).

    needed: the top-level names of the source that the build needs, None if they are not known.
    """
    total = sum(entry.size for entry in entries)
    if total <= limit_mb * 1_000_000:
        return total
    sizes: Counter[str] = Counter()
    for entry in entries:
        head, slash, _rest = entry.path.partition("/")
        sizes[head + slash] += entry.size
    largest = sizes.most_common(5)
    shown = ", ".join(f"{name} {megabytes(size)}" for name, size in largest)
    idle = [] if needed is None else [name for name, _size in largest if name.rstrip("/") not in needed]
    patterns = json.dumps([f"/{literal(name.rstrip('/'))}" for name in idle], ensure_ascii=False)
    remedy = (
        f"The build does not seem to need {listed(idle)}: exclude it, go_service_dockerignore: {patterns}. Or"
        if idle
        else ("Exclude what the build does not need with go_service_dockerignore, or")
    )
    raise ContextError(
        f"the build context of {root} is {megabytes(total)} in {len(entries)} entries, over the limit of {limit_mb} MB; largest: {shown}",
        f"{remedy} raise go_service_context_limit_mb.",
    )


def difference(wanted: Sequence[Entry], present: Sequence[Sequence]) -> tuple[list[Entry], list[str]]:
    """Return (entries to send, paths to delete) that turn the present identities into the wanted manifest."""
    have = {identity[0]: list(identity) for identity in present}
    send = [entry for entry in wanted if have.get(entry.path) != entry.identity]
    wanted_paths = {entry.path for entry in wanted}
    return send, sorted(path for path in have if path not in wanted_paths)
