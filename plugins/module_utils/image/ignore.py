"""The rules of .dockerignore."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..source.errors import SourceError
from .errors import ContextError


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


# What the value of a Dockerfile instruction escapes within double quotes.
SPECIAL = re.compile(r'[\\"$]')


def escape(found: re.Match) -> str:
    return "\\" + found[0]


def let_back(project: Mapping[str, Any], dockerignore: str) -> list[str]:
    """Return the embedded files that a .dockerignore leaves out although the build needs them."""
    rules = IgnoreRules(dockerignore.splitlines())
    return [path for path in project["embedded_files"] if rules.ignored(path)]


def check_embedded(project: Mapping[str, Any], dockerignore: str) -> None:
    """Raise SourceError where the build needs a file that the .dockerignore leaves out after all."""
    missing = let_back(project, dockerignore)
    if missing:
        raise SourceError(
            f"the service embeds {', '.join(missing[:3])}, which looks like a credential and is kept out of the build",
            f'If it is none, let it in: go_service_dockerignore: ["!{missing[0]}"].',
            "go_service_dockerignore",
        )
