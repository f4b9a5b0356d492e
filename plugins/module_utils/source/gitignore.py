"""What git ignores in a checkout, read from its files: nothing of the repository, git itself included, is run.

Rules: https://git-scm.com/docs/gitignore. A path that git tracks is not ignored, whatever a pattern says; its index tells:
https://git-scm.com/docs/index-format.
"""

from __future__ import annotations

import itertools
import os
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..common.files import open_beneath, read_rest

IGNORE_FILE = ".gitignore"
_ENTRY = 62  # bytes of an entry of the index before its name
_EXTENDED = 0x4000
_CHECKSUM = 20
# Wildcards within a name and over whole directories; and the same where as little as possible is taken.
_STAR, _DEEP = "[^/]*", "(?:.*/)?"
_SHORTEST = {_STAR: "[^/]*?", _DEEP: "(?:.*?/)??"}
_BYTE_ORDER_MARK = "\ufeff".encode().decode("latin-1")
_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    # Git's own list.
    "space": " \\t\\n\\r",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}


class _Rule:
    """One pattern. keeps: it begins with "!"; directories: it ends with a slash; regex: of a path relative to the file's directory."""

    def __init__(self, pattern: str) -> None:
        self.keeps = pattern.startswith("!")
        pattern = pattern[self.keeps :]
        self.directories = pattern.endswith("/")
        pattern = pattern[:-1] if self.directories else pattern
        anchored = "/" in pattern
        pattern = pattern[1:] if pattern.startswith("/") else pattern
        self.regex = re.compile(("" if anchored else "(?:.*/)?") + _regex(pattern, anchored), re.S)


def _regex(pattern: str, anchored: bool) -> str:
    """Translate a pattern as git's wildmatch with WM_PATHNAME does; what is malformed matches nothing. anchored: it is of a path, not of a name."""
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "*":
            stars = len(pattern[at:]) - len(pattern[at:].lstrip("*"))
            # Git compares what stands before the first special character of a path by itself; what is left begins with the stars.
            begins = at == 0 or pattern[at - 1] == "/" or (anchored and not set(pattern[:at]) & set("*?[\\"))
            whole = stars > 1 and begins and pattern[at + stars : at + stars + 1] in ("", "/")
            if not whole:
                out.append(_STAR)
            elif at + stars < len(pattern):
                out.append(_DEEP)
                stars += 1
            else:
                out.append(".*")
            at += stars
        elif char == "?":
            out.append("[^/]")
            at += 1
        elif char == "[":
            found, at = _bracket(pattern, at + 1)
            out.append(found)
        elif char == "\\":
            if at + 1 == len(pattern):
                return r"(?!)"
            out.append(re.escape(pattern[at + 1]))
            at += 2
        else:
            out.append(re.escape(char))
            at += 1
    marks = itertools.count()
    return _joined(out, _DEEP, marks, lambda names: _joined(names, _STAR, marks, "".join))


def _joined(parts: Sequence[str], wildcard: str, marks: Iterator[int], join: Callable[[Sequence[str]], str]) -> str:
    """Return the expression of parts, in which of several equal wildcards each but the last takes the first fit and is not tried again.

    marks: numbers for what an expression refers to; join: makes an expression of what stands between two wildcards. The next wildcard takes whatever is between the first fit and a later one, so
    that the same paths match; tried again, each wildcard more would multiply the time, and a source could keep a run busy for hours.
    """
    between: list[list[str]] = [[]]
    for part in parts:
        if part == wildcard:
            between.append([])
        else:
            between[-1].append(part)
    first, *rest = map(join, between)
    # Python before 3.11 has no atomic groups: what was looked ahead to is taken as it is.
    fits = [f"(?=(?P<m{mark}>{_SHORTEST[wildcard]}{text}))(?P=m{mark})" for text, mark in zip(rest[:-1], marks)]
    return "".join([first, *fits, *(wildcard + text for text in rest[-1:])])


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    """Return the expression of a bracket that begins before `at`, and where it ends; one that is malformed matches nothing."""
    negated = pattern[at : at + 1] in ("!", "^")
    at += negated
    members: list[str] = []
    first, before = True, ""
    while True:
        char = pattern[at : at + 1]
        if not char:
            return r"(?!)", len(pattern)
        if char == "]" and not first:
            break
        first = False
        if char == "-" and before and pattern[at + 1 : at + 2] not in ("", "]"):
            at += 1
            high = pattern[at]
            if high == "\\":
                at += 1
                high = pattern[at : at + 1]
                if not high:
                    return r"(?!)", len(pattern)
            members.append(f"{re.escape(before)}-{re.escape(high)}" if before <= high else "")
            before = ""
        elif char == "[" and pattern[at + 1 : at + 2] == ":":
            end = pattern.find("]", at + 2)
            if end < 0:
                return r"(?!)", len(pattern)
            if pattern[end - 1] == ":" and end - 1 > at + 1:
                name = pattern[at + 2 : end - 1]
                if name not in _CLASSES:
                    return r"(?!)", len(pattern)
                members.append(_CLASSES[name])
                at, before = end, ""
            else:
                members.append(re.escape("["))
                before = "["
        else:
            if char == "\\":
                at += 1
                char = pattern[at : at + 1]
                if not char:
                    return r"(?!)", len(pattern)
            members.append(re.escape(char))
            before = char
        at += 1
    inside = "".join(members)
    if not inside:
        return ("[^/]" if negated else r"(?!)"), at + 1
    return f"(?!/)[{'^' if negated else ''}{inside}]", at + 1


def _rules(text: str) -> list[_Rule]:
    """Return the rules of a file, the last first."""
    found = []
    for line in re.split(r"\r?\n", text.removeprefix(_BYTE_ORDER_MARK)):
        # A blank at the end counts behind a backslash alone.
        stripped = re.sub(r"(?<!\\)((?:\\\\)*)[ ]+\Z", r"\1", line)
        if stripped.strip("/") and not stripped.startswith("#") and stripped != "!":
            found.append(_Rule(stripped))
    return found[::-1]


class Checkout:
    """The git checkout that a source is or lies in.

    top: its directory; prefix: of the source in it, with a slash at the end, "" if they are the same.
    """

    def __init__(self, top: Path, source: Path) -> None:
        self.top = top
        inside = os.path.relpath(source, top)
        self.prefix = "" if inside == "." else inside + "/"
        self._files: dict[str, list[_Rule]] = {}
        self._ignored: dict[str, bool] = {"": False}
        self.git = _git_directory(top)
        self._exclude = _rules(_read(_common_directory(self.git), "info/exclude"))
        self._tracked, self._above = _index(self.git)

    def ignores(self, path: str, directory: bool) -> bool:
        """Say whether git ignores a path of the source: by a rule, or with a directory above it. A path that it tracks it does not ignore."""
        return self._is_ignored(self.prefix + path, directory)

    def tracks(self, path: str) -> bool:
        """Say whether git tracks a path of the source, or something below it."""
        return self.prefix + path in self._tracked or self.prefix + path in self._above

    def _is_ignored(self, path: str, directory: bool) -> bool:
        if path in self._tracked or path in self._above:
            return False
        known = self._ignored.get(path)
        if known is None:
            parent = path.rpartition("/")[0]
            known = self._untracked_parent(parent) or self._by_rule(path, directory)
            if directory:
                self._ignored[path] = known
        return known

    def _untracked_parent(self, parent: str) -> bool:
        """Say whether a directory is ignored by its rules: what is tracked in it does not bring the rest of it back."""
        if parent not in self._ignored:
            above = parent.rpartition("/")[0]
            self._ignored[parent] = self._untracked_parent(above) or self._by_rule(parent, True)
        return self._ignored[parent]

    def _by_rule(self, path: str, directory: bool) -> bool:
        for above in _directories(path):
            inside = _octets(path[len(above) + 1 :] if above else path)
            for rule in self._rules_of(above):
                if (directory or not rule.directories) and rule.regex.fullmatch(inside):
                    return not rule.keeps
        whole = _octets(path)
        return next(
            (not rule.keeps for rule in self._exclude if (directory or not rule.directories) and rule.regex.fullmatch(whole)), False
        )

    def _rules_of(self, directory: str) -> list[_Rule]:
        if directory not in self._files:
            self._files[directory] = _rules(_read(self.top, f"{directory}/{IGNORE_FILE}" if directory else IGNORE_FILE))
        return self._files[directory]


def find_checkout(source: Path) -> Checkout | None:
    """Return the checkout that a source is, or lies in; None if there is none. What git does not track at all is no part of one."""
    source = Path(os.path.realpath(source))
    for top in (source, *source.parents):
        if os.path.lexists(top / ".git"):
            try:
                found = Checkout(top, source)
            except (OSError, ValueError, struct.error, UnicodeError):
                return None
            return None if found.prefix and found.ignores("", True) else found
    return None


def _git_directory(top: Path) -> Path:
    """Return where a checkout has its index; raise ValueError if it has none."""
    place = top / ".git"
    if place.is_dir():
        return place
    told = _read(top, ".git")
    if not told.startswith("gitdir: "):
        raise ValueError("no git directory")
    return Path(os.path.normpath(top / _path(told[len("gitdir: ") :])))


def _common_directory(git: Path) -> Path:
    """Return the directory that a working tree shares with the others of its repository."""
    shared = _path(_read(git, "commondir"))
    return Path(os.path.normpath(git / shared)) if shared else git


def _path(octets: str) -> str:
    return os.fsdecode(octets.rstrip("\n").encode("latin-1"))


def _read(root: Path, relative: str) -> str:
    """Return the text of a file, a character for each byte; "" if there is no such regular file: git follows no links to its rules."""
    try:
        with open_beneath(root, relative) as stream:
            return read_rest(stream, relative).decode("latin-1")
    except OSError:
        return ""


def _octets(path: str) -> str:
    """Return a path with a character for each of its bytes: git matches these."""
    return os.fsencode(path).decode("latin-1")


def _directories(path: str) -> Iterator[str]:
    """Yield the directories above a path, the nearest first, "" last."""
    while path:
        path = path.rpartition("/")[0]
        yield path


def _index(git: Path) -> tuple[frozenset[str], frozenset[str]]:
    """Return the paths that git tracks, and the directories above them; raise ValueError if the index cannot be read."""
    try:
        with open_beneath(git, "index") as stream:
            parts = []
            while part := stream.read(1 << 20):
                parts.append(part)
    except FileNotFoundError:
        return frozenset(), frozenset()
    found = frozenset(_entries(b"".join(parts)))
    return found, frozenset(above for path in found for above in _directories(path) if above)


def _entries(data: bytes) -> list[str]:
    signature, version, count = struct.unpack_from(">4sII", data)
    if signature != b"DIRC" or version not in (2, 3, 4):
        raise ValueError("not an index that is read here")
    at, name, found = 12, b"", []
    for _number in range(count):
        begin = at
        (flags,) = struct.unpack_from(">H", data, at + 60)
        at += _ENTRY + (2 if version >= 3 and flags & _EXTENDED else 0)
        if version == 4:
            drop, at = _offset(data, at)
            end = data.index(b"\0", at)
            name = name[: len(name) - drop] + data[at:end]
            at = end + 1
        else:
            end = data.index(b"\0", at)
            name = data[at:end]
            at = begin + ((end - begin) // 8 + 1) * 8
        found.append(name.decode("utf-8", "surrogateescape"))
    # What follows has to end where the file does: a repository with other names of objects has another layout.
    while at < len(data) - _CHECKSUM:
        extension, size = struct.unpack_from(">4sI", data, at)
        if extension == b"link":
            raise ValueError("the entries are in another file")
        at += 8 + size
    if at != len(data) - _CHECKSUM:
        raise ValueError("not an index that is read here")
    return found


def _offset(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of git's variable width, and where it ends."""
    byte = data[at]
    value = byte & 0x7F
    while byte & 0x80:
        at += 1
        byte = data[at]
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, at + 1
