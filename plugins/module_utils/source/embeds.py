"""Files that a package embeds (//go:embed)."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator

from ..common.files import parents

_BAD_EMBED_NAMES = frozenset({".bzr", ".hg", ".git", ".svn"})
# golang.org/x/mod/module.CheckFilePath: what a module may hold.
_BAD_FILE_NAME = re.compile(r"(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?:\..*)?|.*\.", re.IGNORECASE | re.DOTALL)
_FILE_NAME_CHARACTERS = frozenset("!#$%&()+,-.=@[]^_{}~ 0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


_STAR = "*"  # in the list of what a pattern is made of; a literal star is escaped there


def _embeddable_name(name: str) -> bool:
    """Whether a file or directory of that name may be embedded: cmd/go/internal/load isBadEmbedName."""
    if name in _BAD_EMBED_NAMES or _BAD_FILE_NAME.fullmatch(name):
        return False
    return all(char in _FILE_NAME_CHARACTERS or (ord(char) > 127 and char.isalpha()) for char in name)


def _glob_regex(pattern: str) -> re.Pattern[str]:
    """Translate one element of a path.Match pattern; raise ValueError if it is malformed: https://pkg.go.dev/path#Match."""
    out, position = [], 0

    def character() -> str:
        nonlocal position
        if pattern[position : position + 1] == "\\":
            position += 1
        char = pattern[position : position + 1]
        if not char:
            raise ValueError("malformed pattern")
        position += 1
        return char

    while position < len(pattern):
        char = pattern[position]
        if char in "*?":
            position += 1
            out.append(_STAR if char == "*" else "[^/]")
        elif char == "[":
            position += 1
            negated = pattern[position : position + 1] == "^"
            position += negated
            ranges: list[str] = []
            while pattern[position : position + 1] != "]" or not ranges:
                if pattern[position : position + 1] in ("-", "]"):
                    raise ValueError("malformed pattern")
                low = high = character()
                if pattern[position : position + 1] == "-":
                    position += 1
                    if pattern[position : position + 1] in ("-", "]"):
                        raise ValueError("malformed pattern")
                    high = character()
                if low <= high:
                    ranges.append(f"{re.escape(low)}-{re.escape(high)}")
                else:
                    ranges.append("")
            position += 1
            members = "".join(ranges)
            if members:
                out.append(f"[{'^' if negated else ''}{members}]")
            else:
                out.append("." if negated else r"(?!)")
        else:
            out.append(re.escape(character()))
    # Of several stars each but the last takes as little as it can, once and for all; tried again, they would take for ever. A lookahead is
    # not gone back into.
    joined = [""]
    for item in out:
        if item == _STAR:
            joined.append("")
        else:
            joined[-1] += item
    first, *parts = joined
    if not parts:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?=(?P<g{number}>[^/]*?{part}))(?P=g{number})" for number, part in enumerate(parts[:-1]))
    return re.compile(f"{first}{middle}[^/]*{parts[-1]}", re.DOTALL)


def _glob(directory: str, elements: list[str]) -> list[str]:
    """Return the paths below directory that match a pattern's elements, as filepath.Glob does: `*` takes dot files."""
    found = [""]
    for element in elements:
        magic = any(char in element for char in "*?[\\")
        regex = _glob_regex(element) if magic else None
        matched = []
        for parent in found:
            if regex is None:
                names = [element] if os.path.lexists(os.path.join(directory, parent, element)) else []
            else:
                # What is embedded is never reached by a link, so none is followed to look.
                way = [os.path.join(directory, path) for path in (parent, *parents(parent)) if path]
                try:
                    names = [] if any(map(os.path.islink, way)) else os.listdir(os.path.join(directory, parent))
                except (FileNotFoundError, NotADirectoryError):
                    names = []
                names = [name for name in names if regex.fullmatch(name)]
            matched += [posixpath.join(parent, name) for name in names]
        found = matched
    return found


def _embed_directory(directory: str, start: str, hidden: bool) -> Iterator[str]:
    """Yield the regular files below a directory that embedding it takes, stopping at other modules."""
    with os.scandir(os.path.join(directory, start)) as entries:
        for entry in entries:
            if not _embeddable_name(entry.name) or (entry.name[0] in "._" and not hidden):
                continue
            path = posixpath.join(start, entry.name)
            if entry.is_dir(follow_symlinks=False):
                if not os.path.exists(os.path.join(directory, path, "go.mod")):
                    yield from _embed_directory(directory, path, hidden)
            elif entry.is_file(follow_symlinks=False):
                yield path


def resolve_embed(directory: str, pattern: str) -> list[str]:
    """Return the files that a //go:embed pattern in a package directory embeds, relative to it, sorted.

    A pattern is matched element by element; a directory it matches is taken with all that is below it but names that
    begin with "." or "_" (taken too under `all:`). Symbolic links, other modules and version control directories never
    are: https://pkg.go.dev/embed#hdr-Directives. An invalid pattern embeds nothing.
    """
    glob = pattern.removeprefix("all:")
    elements = glob.split("/")
    if any(element in ("", ".", "..") for element in elements):
        return []
    try:
        matches = _glob(directory, elements)
    except ValueError:
        return []
    files: set[str] = set()
    for match in matches:
        above = list(parents(match))
        if not all(_embeddable_name(part) for part in match.split("/")):
            continue
        if any(os.path.islink(os.path.join(directory, path)) for path in [*above, match]):
            continue
        if any(os.path.exists(os.path.join(directory, path, "go.mod")) for path in [*above, match]):
            continue
        path = os.path.join(directory, match)
        if os.path.isdir(path):
            files.update(_embed_directory(directory, match, pattern.startswith("all:")))
        elif os.path.isfile(path):
            files.add(match)
    return sorted(files)
