"""The rules of .dockerignore."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ..common.credentials import is_named_so
from ..source.errors import SourceError
from .errors import ContextError

_MOST_WILDCARDS = 5


# The parts of a pattern, in the reading of moby/patternmatcher: `**` for any directories, `*` and `?` within one name.
_PART = re.compile(r"(?P<deep>\*\*/?)|(?P<many>\*)|(?P<one>\?)|\[(?P<set>[^\]]*)\]|\\(?P<escaped>.)|(?P<plain>.)", re.S)
# In the reading of docker_image: a class has at least one character, which may be a bracket, and a backslash stands for itself.
_CLASSIC_PART = re.compile(r"(?P<deep>\*\*/?)|(?P<many>\*)|(?P<one>\?)|\[(?P<set>(?:!|(?!!)).[^\]]*)\]|(?P<plain>.)", re.S)
_MEMBER = re.compile(r"(\\.|.)(?:-(\\.|.))?", re.S)
_WITHIN_A_NAME = {"many": "[^/]*", "one": "[^/]"}


def _translated(pattern: str, part: re.Pattern[str], as_class: Callable[[str], str]) -> str:
    """Translate a cleaned pattern into a regular expression. part: matches its parts; as_class: translates the inside of brackets into Python's form."""

    def translate(found: re.Match[str]) -> str:
        kind = str(found.lastgroup)
        if kind == "deep":
            return "(?:.*/)?" if found.end() < len(pattern) else ".*"
        if kind == "set":
            return f"[{as_class(found[kind])}]"
        return _WITHIN_A_NAME.get(kind) or re.escape(found[kind])

    return part.sub(translate, pattern)


def _members(text: str) -> str:
    """Return the members of a class, escaped so that Python takes each as one character or a range, also if its syntax for classes is extended some day."""
    return _MEMBER.sub(lambda found: "-".join(re.sub(r"\A[\[&~|-]\Z", r"\\\g<0>", end) for end in found.groups() if end), text)


def _class(text: str) -> str:
    return f"^{_members(text[1:])}" if text.startswith("^") else _members(text)


def _classic_class(text: str) -> str:
    literal_text = text.replace("\\", "\\\\")
    if text.startswith("!"):
        return f"^{_members(literal_text[1:])}"
    return _members(f"\\{literal_text}" if text.startswith("^") else literal_text)


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
                # Each further one multiplies the time that a match may take, here and in docker_image.
                raise ContextError(
                    f"the .dockerignore pattern {line!r} has more than {_MOST_WILDCARDS} wildcards",
                    "Use a simpler pattern in go_service_dockerignore.",
                )
            if keep:
                self._let_back.append(cleaned)
            if not groups or groups[-1][0] != keep:
                groups.append((keep, []))
            regex = _translated(cleaned, _PART, _class)
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
        """Say whether no rule can include anything below an ignored directory again."""
        return not any(kept.startswith(directory + "/") or kept == directory for kept in self._let_back)


def literal(path: str) -> str:
    """Return a pattern that matches this path for every matcher; a character that does not print, or would end the line, is replaced by a wildcard."""
    pattern = "".join((char if char.isprintable() else "?") if char not in "[*?\\" else _LITERAL[char] for char in path)
    for edge, blank in ((r"\A ", "[ ]"), (r" \Z", "[ ]"), (r"\A(?=[#!])", "/")):
        pattern = re.sub(edge, blank, pattern)
    return pattern


_LITERAL = {"[": "[[]", "*": "[*]", "?": "[?]", "\\": "[\\\\]"}


class ClassicRules:
    """The rules of a .dockerignore file in the way that community.docker's docker_image applies them: case-insensitive, among other differences.

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
            regex = _translated("/".join(parts).lower(), _CLASSIC_PART, _classic_class)
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
        # Most paths match no rule at all, and neither do the directories above them.
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
    """Raise SourceError if the .dockerignore leaves out a file that looks like a credential, but that the build needs."""
    missing = [path for path in let_back(project, dockerignore) if any(map(is_named_so, path.split("/")))]
    if missing:
        raise SourceError(
            f"the service embeds {', '.join(missing[:3])}, which looks like a credential and is excluded from the build",
            f'If it is not a credential, include it: go_service_dockerignore: ["!{missing[0]}"].',
            "go_service_dockerignore",
        )
