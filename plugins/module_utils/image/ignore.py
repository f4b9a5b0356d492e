"""The rules of .dockerignore."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..common.credentials import is_named_so
from ..source.errors import SourceError
from .errors import ContextError

_MOST_WILDCARDS = 5


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
            if len(re.findall(r"\*+", re.sub(r"\\.|\[[^\]]*\]", "", cleaned))) > _MOST_WILDCARDS:
                # Each more multiplies the time that a match may take, in docker_image as here.
                raise ContextError(
                    f"the .dockerignore pattern {line!r} has more than {_MOST_WILDCARDS} wildcards",
                    "Write it simpler in go_service_dockerignore.",
                )
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


def literal(path: str) -> str:
    """Return a pattern that matches this path for every matcher; what does not print in it, and would end a line, matches any one character."""
    pattern = "".join((char if char.isprintable() else "?") if char not in "[*?\\" else _LITERAL[char] for char in path)
    for edge, blank in ((r"\A ", "[ ]"), (r" \Z", "[ ]"), (r"\A(?=[#!])", "/")):
        pattern = re.sub(edge, blank, pattern)
    return pattern


_LITERAL = {"[": "[[]", "*": "[*]", "?": "[?]", "\\": "[\\\\]"}


def _classic_regex(pattern: str) -> str:
    """Translate a pattern as community.docker's docker_image does: in lower case, `!` negates a class, a backslash is itself."""
    out = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        end = pattern.find("]", position + 2 + pattern.startswith("[!", position))
        if pattern.startswith("**", position):
            position += 3 if pattern.startswith("**/", position) else 2
            out.append("(.*/)?" if position < len(pattern) else ".*")
            continue
        if char == "[" and end > 0:
            body = pattern[position + 1 : end].replace("\\", "\\\\")
            body = f"^{body[1:]}" if body.startswith("!") else f"\\{body}" if body.startswith("^") else body
            out.append(f"[{body}]")
            position = end
        else:
            out.append({"*": "[^/]*", "?": "[^/]"}.get(char, re.escape(char)))
        position += 1
    return "".join(out)


class ClassicRules:
    """The rules of a .dockerignore file as community.docker's docker_image obeys them: without regard to case, among other differences.

    `drops` says what that module would leave out of a staged context, whatever `IgnoreRules` and BuildKit say.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        patterns = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
        self._rules: list[tuple[bool, int, re.Pattern[str]]] = []
        self._let_back: list[str] = []
        denied = []
        for pattern in [*patterns, "!Dockerfile", "!.dockerignore"]:
            keep = pattern.startswith("!")
            parts = [part for part in pattern[keep:].strip().split("/") if part not in ("", ".")]
            if not parts:
                continue
            regex = _classic_regex("/".join(parts).lower())
            if keep:
                self._let_back.append("/".join(parts))
            else:
                denied.append(regex)
            try:
                self._rules.append((keep, len(parts), re.compile(f"^{regex}$")))
            except re.error as error:
                raise ContextError(
                    f"the .dockerignore pattern {pattern!r} is not valid for docker_image: {error}",
                    "Correct it in go_service_dockerignore.",
                ) from error
        # Most paths match no rule at all, nor does a directory above them.
        self._any = re.compile(f"(?:{'|'.join(denied) or '(?!)'})\n?(?:/.*)?\\Z", re.S)

    def _matches(self, path: str) -> bool:
        above = path.split("/")[:-1]
        path = path.lower()
        matched = False
        for keep, depth, regex in self._rules:
            if matched == keep and (regex.match(path) or (above and depth <= len(above) and regex.match("/".join(above[:depth]).lower()))):
                matched = not keep
        return matched

    def drops(self, path: str) -> bool:
        """Say whether docker_image leaves this path of a staged context out: by a rule, or with a directory that it does not look into."""
        if not self._any.match(path.lower()):
            return False
        parts = path.split("/")
        for depth in range(1, len(parts)):
            directory = "/".join(parts[:depth])
            if self._matches(directory) and not any(kept.startswith(directory) for kept in self._let_back):
                return True
        return self._matches(path)


def let_back(project: Mapping[str, Any], dockerignore: str) -> list[str]:
    """Return the embedded files that a .dockerignore leaves out although the build needs them."""
    rules = IgnoreRules(dockerignore.splitlines())
    return [path for path in project["embedded_files"] if rules.ignored(path)]


def check_embedded(project: Mapping[str, Any], dockerignore: str) -> None:
    """Raise SourceError where the .dockerignore leaves out what looks like a credential, and the build needs it."""
    missing = [path for path in let_back(project, dockerignore) if any(map(is_named_so, path.split("/")))]
    if missing:
        raise SourceError(
            f"the service embeds {', '.join(missing[:3])}, which looks like a credential and is kept out of the build",
            f'If it is none, let it in: go_service_dockerignore: ["!{missing[0]}"].',
            "go_service_dockerignore",
        )
