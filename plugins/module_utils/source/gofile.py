"""A Go file's head: package, imports, embed patterns."""

from __future__ import annotations

import codecs
import os
import re
from dataclasses import dataclass

from ..common.files import Irregular, open_source_file, read_rest
from ..common.literals import unquote
from .constraints import BuildContext, excluded_by_header, excluded_by_name

_CHUNK = 8192


@dataclass(frozen=True)
class _Head:
    """A Go file up to the end of its imports: the package's name or "", the imports, the text before `package`."""

    package: str
    imports: tuple[str, ...]
    header: bytes


@dataclass(frozen=True)
class GoFile:
    """A Go file as one build sees it.

    excluded: why it is left out of the build, "" if it is part of it.
    cgo: it is left out for `import "C"` alone.
    irregular: it is left out unread, as it is no regular file of the source.
    patterns: of its //go:embed directives.
    """

    name: str
    package: str = ""
    imports: tuple[str, ...] = ()
    excluded: str = ""
    cgo: bool = False
    irregular: bool = False
    patterns: tuple[str, ...] = ()


_IDENTIFIER = rb"[A-Za-z0-9_\x80-\xff]"
_SPACE = re.compile(rb"(?:[ \t\r\n\f;]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_PACKAGE = re.compile(rb"package(?!" + _IDENTIFIER + rb")")
_IMPORT = re.compile(rb"import(?!" + _IDENTIFIER + rb")")
_NAME = re.compile(_IDENTIFIER + rb"+")
_ALIAS = re.compile(rb"\.|" + _IDENTIFIER + rb"+")
_STRING = re.compile(rb'"(?:[^"\\\n]|\\.)*"|`[^`]*`', re.DOTALL)
# What may hold text that looks like a comment, and comments: https://go.dev/ref/spec#Lexical_elements
# What does not end is taken to the end, or each of many beginnings would be tried to the end of the file.
LITERAL = re.compile(rb"//[^\n]*|/\*.*?(?:\*/|\Z)|`[^`]*`?|\"(?:[^\"\\\n]|\\.)*\"?|'(?:[^'\\\n]|\\.)*'?", re.DOTALL)
_EMBED = re.compile(r"//go:embed(?:\s+(.*))?", re.DOTALL)
_EMBED_ARGUMENT = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*"|`[^`]*`)(?=\s|\Z)|([^\s"`]\S*))')
_VALID_IMPORT = re.compile(r"[^\x00-\x20\x7f\s!\"#$%&'()*,:;<=>?\[\\\]^{|}`\ufffd]+")


def _skip_space(data: bytes, position: int) -> int:
    """Return where blanks and comments from a position on end."""
    match = _SPACE.match(data, position)
    return match.end() if match else position


def _scan_head(data: bytes) -> tuple[_Head, int]:
    """Read the package clause and the imports, as go/build readGoInfo does; return also how far they reach.

    The second value is the length of data where data ends too early or is broken: who gave the first part of a file
    tries again with all of it.
    """
    start = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    position = _skip_space(data, start)
    keyword = _PACKAGE.match(data, position)
    if not keyword:
        return _Head("", (), data[start:]), len(data)
    header = data[start : keyword.end()]
    name = _NAME.match(data, _skip_space(data, keyword.end()))
    if not name:
        return _Head("", (), header), len(data)

    literals: list[bytes] = []

    def specification(position: int) -> int:
        alias = _ALIAS.match(data, position)
        if alias:
            position = _skip_space(data, alias.end())
        literal = _STRING.match(data, position)
        if not literal:
            return len(data)
        literals.append(literal[0])
        return _skip_space(data, literal.end())

    position = _skip_space(data, name.end())
    while True:
        keyword = _IMPORT.match(data, position)
        if not keyword:
            break
        position = _skip_space(data, keyword.end())
        if data[position : position + 1] != b"(":
            position = specification(position)
            continue
        position = _skip_space(data, position + 1)
        while position < len(data) and data[position : position + 1] != b")":
            position = specification(position)
        position = _skip_space(data, min(position + 1, len(data)))
    if data[position : position + 1] == b"/":
        position = len(data)

    imports = []
    for literal in literals:
        try:
            path = unquote(literal)
        except ValueError:
            continue
        if _VALID_IMPORT.fullmatch(path):
            imports.append(path)
    return _Head(name[0].decode(errors="replace"), tuple(imports), header), position


def read_head(path: str, root: str | None = None) -> tuple[_Head, bytes]:
    """Read the head of a Go file; return also the bytes read if the file embeds something, all of it then.

    root: of the source, which a link may not leave; None: the file's own directory.
    """
    with open_source_file(root or os.path.dirname(path), path) as file:
        data = file.read(_CHUNK)
        complete = len(data) < _CHUNK
        head, end = _scan_head(data)
        # The longest token that could go on behind the part that was read is the keyword `import`.
        if not complete and end + len("import") >= len(data):
            data += read_rest(file, path, len(data))
            complete = True
            head, end = _scan_head(data)
        if "embed" not in head.imports:
            return head, b""
        return head, data if complete else data + read_rest(file, path, len(data))


def _embed_patterns(data: bytes) -> list[str]:
    """Return the patterns of the //go:embed directives of a Go file; a malformed directive counts for nothing."""
    if b"//go:embed" not in data:
        return []
    patterns: list[str] = []
    for literal in LITERAL.finditer(data):
        comment = literal[0]
        if not comment.startswith(b"//go:embed"):
            continue
        match = _EMBED.fullmatch(comment.decode(errors="replace").rstrip())
        if not match:
            continue
        text, position, found = match[1] or "", 0, []
        while position < len(text):
            argument = _EMBED_ARGUMENT.match(text, position)
            if not argument:
                break
            try:
                found.append(argument[2] or unquote(argument[1].encode()))
            except ValueError:
                break
            position = argument.end()
        else:
            patterns += found
    return patterns


def read_go_file(directory: str, name: str, context: BuildContext, root: str | None = None) -> GoFile:
    """Read a Go file as a build with CGO_ENABLED=0 sees it: go/build matchFile. root: of the source; None: the directory.

    What is no regular file of the source is left out, as in go/build; for a link that leaves it the build context is refused, unless
    .dockerignore keeps it out.
    """
    by_name = excluded_by_name(name, context)
    if by_name:
        return GoFile(name, excluded=by_name)
    try:
        head, data = read_head(os.path.join(directory, name), root)
    except Irregular as error:
        return GoFile(name, excluded=str(error.strerror), irregular=True)
    excluded = excluded_by_header(head.header, context)
    if not head.package:
        excluded = "it has no package clause"
    elif head.package == "documentation":
        excluded = "package documentation"
    cgo = not excluded and "C" in head.imports
    if cgo:
        excluded = 'import "C", and CGO_ENABLED is 0'
    return GoFile(name, head.package, head.imports, excluded, cgo, patterns=() if excluded else tuple(_embed_patterns(data)))
