"""What an executable says about itself: its ELF header, and the build information that Go's linker leaves in it.

Pure readers of a seekable binary stream; nothing is executed and nothing outside the standard library is needed.

Sources of the rules:
- the ELF layout: System V ABI, chapters 4 and 5 (also elf(5)),
- the build information: Go's ``debug/buildinfo`` (the blob, with the strings inline since Go 1.18) and
  ``runtime/debug.ParseBuildInfo`` (the text in it), as of Go 1.27.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

# e_machine -> the name that Go (GOARCH) and container images (architecture) use. A tuple tells little from big endian.
_MACHINES: dict[int, str | tuple[str, str]] = {
    3: "386",
    8: ("mips64le", "mips64"),
    21: ("ppc64le", "ppc64"),
    22: ("s390x", "s390x"),
    40: "arm",
    62: "amd64",
    183: "arm64",
    243: "riscv64",
    258: "loong64",
}
_TYPES = {1: "relocatable", 2: "executable", 3: "position independent", 4: "core"}

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_STRSZ = 1, 5, 10
_SHT_NOBITS = 8

# A header that names more than this is damaged, or made to exhaust memory.
_MAX_TABLE_BYTES = 4 * 1024 * 1024
_MAX_BUILD_INFO_BYTES = 16 * 1024 * 1024

_BUILD_INFO_MAGIC = b"\xff Go buildinf:"
_BUILD_INFO_ALIGN = 16
_BUILD_INFO_HEADER = 32
_FLAGS_OFFSET = 15
_FLAG_INLINE_STRINGS = 0x2
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"', "'": "'"}


class ElfError(ValueError):
    """The stream is no ELF file, or a damaged one."""


class BuildInfoError(ValueError):
    """The ELF file carries no Go build information that can be read."""


@dataclass(frozen=True)
class ElfInfo:
    """What the ELF header, the program headers and the section names tell.

    ``architecture`` is the name Go and container images use (``amd64``, ``arm64``, ...), or ``machine <number>``.
    """

    architecture: str
    bits: int
    type: str
    interpreter: str = ""
    needed: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()

    @property
    def static(self) -> bool:
        """True when nothing has to be loaded beside the file itself: no PT_INTERP and no DT_NEEDED."""
        return not self.interpreter and not self.needed

    @property
    def symbol_sections(self) -> tuple[str, ...]:
        """Sections that ``-ldflags="-w -s"`` (or strip) would have removed; empty in a stripped file."""
        return tuple(name for name in self.sections if name == ".symtab" or name.startswith((".debug_", ".zdebug_")))


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


@dataclass(frozen=True)
class _Segment:
    type: int
    offset: int
    address: int
    file_size: int


@dataclass(frozen=True)
class _Section:
    name: str
    type: int
    address: int
    offset: int
    size: int


def _read(stream: BinaryIO, offset: int, size: int) -> bytes:
    """What the file has there, which is nothing for a place that no file can have."""
    try:
        stream.seek(offset)
    except (OverflowError, OSError, ValueError):
        return b""
    return stream.read(size)


class _ElfFile:
    """The tables of an ELF file that the two readers below need."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        ident = _read(stream, 0, 16)
        if len(ident) < 16 or ident[:4] != b"\x7fELF" or ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise ElfError("not an ELF file")
        self.bits = 32 if ident[4] == 1 else 64
        self.little = ident[5] == 1
        self.order = "<" if self.little else ">"
        word = "I" if self.bits == 32 else "Q"
        header = struct.Struct(f"{self.order}HHI{word}{word}{word}IHHHHHH")
        fields = self._unpack(header, 16)
        self.type, self.machine = fields[0], fields[1]
        self._program_headers = (fields[4], fields[8], fields[9])
        self._section_headers = (fields[5], fields[10], fields[11])
        self._names_index = fields[12]
        self.segments = tuple(self._read_segments())
        self.sections = tuple(self._read_sections())

    def _unpack(self, layout: struct.Struct, offset: int) -> tuple[int, ...]:
        data = _read(self.stream, offset, layout.size)
        if len(data) < layout.size:
            raise ElfError("the ELF file ends within its headers")
        return layout.unpack(data)

    def _table(self, location: tuple[int, int, int], layout: struct.Struct) -> list[tuple[int, ...]]:
        offset, entry_size, count = location
        if not count:
            return []
        if entry_size < layout.size or entry_size * count > _MAX_TABLE_BYTES:
            raise ElfError("the ELF file has a damaged table")
        data = _read(self.stream, offset, entry_size * count)
        if len(data) < entry_size * count:
            raise ElfError("the ELF file ends within its headers")
        return [layout.unpack_from(data, index * entry_size) for index in range(count)]

    def _read_segments(self) -> list[_Segment]:
        if self.bits == 64:  # p_type p_flags p_offset p_vaddr p_paddr p_filesz p_memsz p_align
            rows = self._table(self._program_headers, struct.Struct(f"{self.order}IIQQQQQQ"))
            return [_Segment(row[0], row[2], row[3], row[5]) for row in rows]
        # p_type p_offset p_vaddr p_paddr p_filesz p_memsz p_flags p_align
        rows = self._table(self._program_headers, struct.Struct(f"{self.order}IIIIIIII"))
        return [_Segment(row[0], row[1], row[2], row[4]) for row in rows]

    def _read_sections(self) -> list[_Section]:
        word = "I" if self.bits == 32 else "Q"
        # sh_name sh_type sh_flags sh_addr sh_offset sh_size sh_link sh_info sh_addralign sh_entsize
        layout = struct.Struct(f"{self.order}II{word}{word}{word}{word}II{word}{word}")
        rows = self._table(self._section_headers, layout)
        if not rows:
            return []
        if self._names_index >= len(rows):
            raise ElfError("the ELF file has a damaged table")
        names_offset, names_size = rows[self._names_index][4], rows[self._names_index][5]
        names = _read(self.stream, names_offset, min(names_size, _MAX_TABLE_BYTES))
        return [_Section(_string_at(names, row[0]), row[1], row[3], row[4], row[5]) for row in rows]

    def offset_of(self, address: int) -> int | None:
        """The place in the file of what is loaded at ``address``, or None where nothing of the file is."""
        for segment in self.segments:
            if segment.type == _PT_LOAD and segment.address <= address < segment.address + segment.file_size:
                return segment.offset + address - segment.address
        return None


def _string_at(table: bytes, start: int) -> str:
    end = table.find(b"\0", start)
    return table[start : end if end >= 0 else len(table)].decode("utf-8", "replace")


def read_elf(stream: BinaryIO) -> ElfInfo:
    """Read the facts of an ELF file.

    :param stream: seekable binary stream of the whole file.
    :raises ElfError: not an ELF file, or a damaged one.
    """
    elf = _ElfFile(stream)
    machine = _MACHINES.get(elf.machine, f"machine {elf.machine}")
    if isinstance(machine, tuple):
        machine = machine[0 if elf.little else 1]
    interpreter = ""
    needed: tuple[str, ...] = ()
    for segment in elf.segments:
        if segment.type == _PT_INTERP:
            data = _read(stream, segment.offset, min(segment.file_size, 4096))
            interpreter = data.rstrip(b"\0").decode("utf-8", "replace")
        elif segment.type == _PT_DYNAMIC:
            needed = _needed_libraries(elf, segment)
    return ElfInfo(
        architecture=machine,
        bits=elf.bits,
        type=_TYPES.get(elf.type, f"type {elf.type}"),
        interpreter=interpreter,
        needed=needed,
        sections=tuple(section.name for section in elf.sections if section.name),
    )


def _needed_libraries(elf: _ElfFile, dynamic: _Segment) -> tuple[str, ...]:
    """The DT_NEEDED names of the dynamic segment."""
    layout = struct.Struct(f"{elf.order}{'II' if elf.bits == 32 else 'QQ'}")
    data = _read(elf.stream, dynamic.offset, min(dynamic.file_size, _MAX_TABLE_BYTES))
    usable = len(data) - len(data) % layout.size
    entries = list(layout.iter_unpack(data[:usable]))
    tags = dict(entries)
    offset = elf.offset_of(tags.get(_DT_STRTAB, 0))
    names = b"" if offset is None else _read(elf.stream, offset, min(tags.get(_DT_STRSZ, 0), _MAX_TABLE_BYTES))
    return tuple(_string_at(names, value) or f"offset {value}" for tag, value in entries if tag == _DT_NEEDED)


def read_build_info(stream: BinaryIO) -> GoBuildInfo:
    """Read the build information that Go's linker embeds, as ``go version -m`` prints it.

    :param stream: seekable binary stream of the whole file.
    :raises ElfError: not an ELF file, or a damaged one.
    :raises BuildInfoError: no Go binary, one built before Go 1.18, or one whose build information is damaged.
    """
    elf = _ElfFile(stream)
    section = next((item for item in elf.sections if item.name == ".go.buildinfo"), None)
    if section is None or section.type == _SHT_NOBITS:
        raise BuildInfoError("no .go.buildinfo section: not built by Go's linker")
    if section.size > _MAX_BUILD_INFO_BYTES:
        raise BuildInfoError("the .go.buildinfo section is implausibly large")
    blob = _aligned_blob(_read(stream, section.offset, section.size), section.address)
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
    return GoModule(*columns)


def _setting(text: str) -> tuple[str, str]:
    """One ``key=value``; both may be quoted the Go way (double quotes or backquotes)."""
    key, rest = _quoted_or_plain(text, until="=")
    if not rest.startswith("=") or not key:
        raise BuildInfoError(f"a build line without '=': {text!r}")
    value, _rest = _quoted_or_plain(rest[1:], until="")
    return key, value


def _quoted_or_plain(text: str, *, until: str) -> tuple[str, str]:
    if text[:1] == "`":
        end = text.find("`", 1)
        if end < 0:
            raise BuildInfoError(f"an unterminated string: {text!r}")
        return text[1:end], text[end + 1 :]
    if text[:1] == '"':
        return _unquote(text)
    if until and until in text:
        at = text.index(until)
        return text[:at], text[at:]
    return text, ""


def _unquote(text: str) -> tuple[str, str]:
    """A Go string literal in double quotes at the start of ``text``, and what follows it."""
    pieces: list[str] = []
    position = 1
    while position < len(text):
        char = text[position]
        if char == '"':
            return "".join(pieces), text[position + 1 :]
        if char != "\\":
            pieces.append(char)
            position += 1
            continue
        escape = text[position + 1 : position + 2]
        width = {"x": 2, "u": 4, "U": 8}.get(escape, 0)
        digits = text[position + 2 : position + 2 + width]
        try:
            pieces.append(chr(int(digits, 16)) if width else _simple_escape(escape))
        except (ValueError, OverflowError) as exc:
            raise BuildInfoError(f"a damaged string: {text!r}") from exc
        position += 2 + width
    raise BuildInfoError(f"an unterminated string: {text!r}")


def _simple_escape(char: str) -> str:
    """What a backslash and one character stand for (strconv.Quote of Go)."""
    if char not in _ESCAPES:
        raise ValueError(char)
    return _ESCAPES[char]
