"""What the Go linker writes into an executable about its build."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import IO

from ...common.literals import unquote
from .elf import SHT_NOBITS, ElfFile, read

_MAX_BUILD_INFO_BYTES = 16 * 1024 * 1024

_BUILD_INFO_MAGIC = b"\xff Go buildinf:"
_BUILD_INFO_ALIGN = 16
_BUILD_INFO_HEADER = 32
_FLAGS_OFFSET = 15
_FLAG_INLINE_STRINGS = 0x2
_LITERAL = re.compile(r'`[^`]*`|"(?:[^"\\]|\\.)*"', re.S)


class BuildInfoError(ValueError):
    """The ELF file carries no Go build information that can be read."""


@dataclass(frozen=True)
class GoModule:
    """One module: its path, its version (``(devel)`` for an unreleased main module) and its go.sum hash or ""."""

    path: str
    version: str
    sum: str = ""
    replaced_by: GoModule | None = None

    @property
    def effective(self) -> GoModule:
        """The module whose code is in the binary: the replacement, where there is one."""
        return self.replaced_by or self


@dataclass(frozen=True)
class GoBuildInfo:
    """What ``go version -m`` prints for a binary."""

    go_version: str
    path: str = ""
    main: GoModule | None = None
    deps: tuple[GoModule, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)


def read_build_info(stream: IO[bytes]) -> GoBuildInfo:
    """Read the build information that Go's linker embeds, as ``go version -m`` prints it.

    :param stream: seekable binary stream of the whole file.
    :raises ElfError: not an ELF file, or a damaged one.
    :raises BuildInfoError: no Go binary, one built before Go 1.18, or one whose build information is damaged.
    """
    elf = ElfFile(stream)
    section = next((item for item in elf.sections if item.name == ".go.buildinfo"), None)
    if section is None or section.type == SHT_NOBITS:
        raise BuildInfoError("no .go.buildinfo section: not built by Go's linker")
    if section.size > _MAX_BUILD_INFO_BYTES:
        raise BuildInfoError("the .go.buildinfo section is implausibly large")
    blob = _aligned_blob(read(stream, section.offset, section.size), section.address)
    if not blob[_FLAGS_OFFSET] & _FLAG_INLINE_STRINGS:
        raise BuildInfoError("built by a Go older than 1.18, whose build information is kept in another way")
    version, position = _inline_string(blob, _BUILD_INFO_HEADER)
    module_info, _position = _inline_string(blob, position)
    if not version:
        raise BuildInfoError("the Go version is empty")
    return parse_build_info(version.decode("utf-8", "replace"), _unframed(module_info))


def _aligned_blob(data: bytes, address: int) -> bytes:
    """The build information from its magic on; the magic is 16-byte aligned in memory."""
    start = data.find(_BUILD_INFO_MAGIC)
    while start >= 0 and (address + start) % _BUILD_INFO_ALIGN:
        start = data.find(_BUILD_INFO_MAGIC, start + 1)
    if start < 0 or len(data) - start < _BUILD_INFO_HEADER:
        raise BuildInfoError("the .go.buildinfo section holds no build information")
    return data[start:]


def _inline_string(blob: bytes, position: int) -> tuple[bytes, int]:
    """A string with its length before it, as a varint; and the position after it."""
    length = shift = 0
    while True:
        if position >= len(blob) or shift > 63:
            raise BuildInfoError("the build information ends within a string")
        byte = blob[position]
        position += 1
        length |= (byte & 0x7F) << shift
        if not byte & 0x80:
            break
        shift += 7
    if position + length > len(blob):
        raise BuildInfoError("the build information ends within a string")
    return blob[position : position + length], position + length


def _unframed(module_info: bytes) -> str:
    """The module text without the two 16-byte sentinels around it; "" for a binary built without modules."""
    if len(module_info) >= 33 and module_info[-17:-16] == b"\n":
        return module_info[16:-16].decode("utf-8", "replace")
    return ""


def parse_build_info(go_version: str, text: str) -> GoBuildInfo:
    """Parse the lines ``path``, ``mod``, ``dep``, ``=>`` and ``build`` of the embedded text.

    :param go_version: as embedded, e.g. ``go1.27.3``.
    :param text: the module text without its frame; may be empty.
    :raises BuildInfoError: a line is not of the documented form.
    """
    path = ""
    main: GoModule | None = None
    deps: list[GoModule] = []
    settings: dict[str, str] = {}
    replaced: str | None = None  # which module a "=>" line would replace: "mod" or "dep"
    for line in text.splitlines():
        kind, _tab, rest = line.partition("\t")
        if kind == "path":
            path = rest
        elif kind in ("mod", "dep"):
            module = _module(rest)
            replaced = kind
            if kind == "mod":
                main = module
            else:
                deps.append(module)
        elif kind == "=>":
            replacement = _module(rest)
            if replaced == "mod" and main is not None:
                main = GoModule(main.path, main.version, main.sum, replacement)
            elif replaced == "dep":
                old = deps[-1]
                deps[-1] = GoModule(old.path, old.version, old.sum, replacement)
            else:
                raise BuildInfoError(f"a replacement without a module before it: {line!r}")
            replaced = None
        elif kind == "build":
            key, value = _setting(rest)
            settings[key] = value
    return GoBuildInfo(go_version=go_version, path=path, main=main, deps=tuple(deps), settings=settings)


def _module(text: str) -> GoModule:
    columns = text.split("\t")
    if len(columns) not in (2, 3):
        raise BuildInfoError(f"a module line with {len(columns)} columns: {text!r}")
    return GoModule(columns[0], columns[1], columns[2] if len(columns) == 3 else "")


def _setting(text: str) -> tuple[str, str]:
    """One ``key=value``; both may be quoted the Go way (double quotes or backquotes)."""
    key, rest = _quoted_or_plain(text, until="=")
    if not rest.startswith("=") or not key:
        raise BuildInfoError(f"a build line without '=': {text!r}")
    value, _rest = _quoted_or_plain(rest[1:], until="")
    return key, value


def _quoted_or_plain(text: str, *, until: str) -> tuple[str, str]:
    """A string at the start of ``text``, in quotes or up to a character, and what follows it."""
    if text[:1] in ("`", '"'):
        match = _LITERAL.match(text)
        if not match:
            raise BuildInfoError(f"an unterminated string: {text!r}")
        try:
            return unquote(match[0].encode(), "replace"), text[match.end() :]
        except ValueError as error:
            raise BuildInfoError(f"a damaged string: {text!r}") from error
    if until and until in text:
        at = text.index(until)
        return text[:at], text[at:]
    return text, ""
