"""The grammar of go.mod and go.work."""

from __future__ import annotations

import codecs
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..common.files import read_source_file
from ..common.literals import unquote
from .errors import SourceError


@dataclass(frozen=True)
class ModFile:
    """The directives of a go.mod or go.work that matter here."""

    module: str
    go: str
    requires: tuple[str, ...]
    replaces: tuple[tuple[str, str], ...]  # module, directory; "" as directory where another module takes its place
    ignores: tuple[str, ...]
    uses: tuple[str, ...]


_MOD_TOKEN = re.compile(r'[ \t\r\f\v]*(?:(//.*)|("(?:[^"\\]|\\.)*"|`[^`]*`|[()\[\]{},]|(?:(?!//)[^\s()\[\]{},])+)|\Z)')
_GO_VERSION = re.compile(r"[1-9][0-9]{0,8}\.(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8}))?([a-z]+[0-9]{1,9})?", re.ASCII)
_TOOLCHAIN = re.compile(r"default|go1(\..*)?", re.ASCII)


class _ModSyntaxError(Exception):
    """A line of a go.mod that cannot be read."""


def _mod_tokens(line: str) -> list[str]:
    """Split a line of a go.mod: words, quoted strings with their quotes, punctuation; comments dropped."""
    tokens = []
    position = 0
    while position < len(line):
        match = _MOD_TOKEN.match(line, position)
        if not match or match.end() == position:
            raise _ModSyntaxError(f"unexpected {line[position]!r}")
        token = match[2]
        if token:
            if token[0] in '"`' and (len(token) < 2 or token[-1] != token[0]):
                raise _ModSyntaxError("a quoted string does not end on its line")
            if token[0] not in '"`' and "/*" in token:
                raise _ModSyntaxError("comments must be written with //, not /* */")
            tokens.append(token)
        position = match.end()
    return tokens


def _mod_string(token: str) -> str:
    if token[0] not in '"`':
        return token
    try:
        return unquote(token.encode())
    except ValueError:
        raise _ModSyntaxError(f"invalid quoted string {token}") from None


def _mod_statements(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield line number, directive and arguments, a block's line by line; raise _ModSyntaxError(problem, line)."""
    block, opened = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        try:
            tokens = _mod_tokens(line)
        except _ModSyntaxError as error:
            raise _ModSyntaxError(str(error), number) from None
        if not tokens:
            continue
        if block:
            if tokens == [")"]:
                block = ""
            elif tokens[0] == ")":
                raise _ModSyntaxError("expected the end of the line after )", number)
            else:
                yield number, block, tokens
        elif tokens[-1] == "(" and len(tokens) == 2:
            block, opened = tokens[0], number
        elif tokens[1:] != ["(", ")"]:
            yield number, tokens[0], tokens[1:]
    if block:
        raise _ModSyntaxError(f"the block {block} ( is not closed", opened)


def _mod_replace(arguments: list[str]) -> tuple[str, str]:
    """Return the replaced module and its directory, "" if the target is a module: https://go.dev/ref/mod#go-mod-file-replace."""
    arrow = 1 if arguments[1:2] == ["=>"] else 2
    targets = arguments[arrow + 1 :]
    if arguments[arrow : arrow + 1] != ["=>"] or len(targets) not in (1, 2):
        raise _ModSyntaxError("usage: replace module/path [v1.2.3] => other/module v1.4.0, or => ../local/directory")
    module, target = _mod_string(arguments[0]), _mod_string(targets[0])
    is_directory = target in (".", "..") or target.startswith(("./", "../", "/"))
    if is_directory == (len(targets) == 2):
        problem = "is a directory and cannot have a version" if is_directory else "is no directory (./x, ../x, /x) and has no version"
        raise _ModSyntaxError(f"the target {target} of a replace {problem}")
    return module, target if is_directory else ""


def _parse_mod(data: bytes, where: str, *, workspace: bool = False) -> ModFile:
    """Parse a go.mod, or a go.work: https://go.dev/ref/mod#go-mod-file, #workspaces.

    Directives this module does not need are passed over, and those it does not know (a newer Go may have more) if they
    look like directives. where: the name of the file in errors. Raises SourceError.
    """
    single: dict[str, str] = {}
    several: dict[str, list[str]] = {"ignore": [], "require": [], "use": []}
    replaces: list[tuple[str, str]] = []
    line = 1
    try:
        if data.startswith(codecs.BOM_UTF8):
            raise _ModSyntaxError("the file begins with a byte order mark, which cmd/go refuses")
        for number, verb, arguments in _mod_statements(data.decode()):
            line = number
            if not re.fullmatch(r"[a-z]+", verb):
                raise _ModSyntaxError(f"unknown directive {verb}")
            if verb in ("module", "go", "toolchain", "ignore", "use") and len(arguments) != 1:
                raise _ModSyntaxError(f"{verb} takes exactly one argument")
            if verb == "require" and len(arguments) != 2:
                raise _ModSyntaxError("usage: require module/path v1.2.3")
            if verb in ("module", "go", "toolchain"):
                if verb in single:
                    raise _ModSyntaxError(f"{verb} is given twice")
                single[verb] = _mod_string(arguments[0])
            elif verb in several:
                several[verb].append(_mod_string(arguments[0]))
            elif verb == "replace":
                replaces.append(_mod_replace(arguments))
            if verb == "go" and not _GO_VERSION.fullmatch(single["go"]):
                raise _ModSyntaxError(f"invalid Go version {single['go']}, it must look like 1.23.0")
            if verb == "toolchain" and not _TOOLCHAIN.fullmatch(single["toolchain"]):
                raise _ModSyntaxError(f"invalid toolchain {single['toolchain']}, it must look like go1.23.0")
        if not workspace and not single.get("module"):
            raise _ModSyntaxError("there is no module directive", 1)
    except _ModSyntaxError as error:
        raise SourceError(
            f"{where}:{error.args[1] if len(error.args) > 1 else line}: {error.args[0]}",
            "Correct the line; `go mod edit -json` checks the file.",
        ) from None
    except UnicodeDecodeError:
        raise SourceError(f"{where} is not UTF-8", "Save the file as UTF-8.") from None
    return ModFile(
        module=single.get("module", ""),
        go=single.get("go", ""),
        requires=tuple(several["require"]),
        replaces=tuple(replaces),
        ignores=tuple(several["ignore"]),
        uses=tuple(several["use"]),
    )


def read_mod(root: str, directory: str, name: str) -> ModFile:
    file = posixpath.join(directory, name)
    return _parse_mod(read_source_file(root, posixpath.join(root, file)), file, workspace=name == "go.work")
