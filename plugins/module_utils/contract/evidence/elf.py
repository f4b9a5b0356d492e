"""ELF files: what an executable is and what it needs."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import IO

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
SHT_NOBITS = 8

# A header that names more than this is damaged, or made to exhaust memory.
_MAX_TABLE_BYTES = 4 * 1024 * 1024


class ElfError(ValueError):
    """The stream is no ELF file, or a damaged one."""


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


def read(stream: IO[bytes], offset: int, size: int) -> bytes:
    """What the file has there, which is nothing for a place that no file can have."""
    try:
        stream.seek(offset)
    except (OverflowError, OSError, ValueError):
        return b""
    return stream.read(size)


class ElfFile:
    """The tables of an ELF file that the two readers below need."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        ident = read(stream, 0, 16)
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
        data = read(self.stream, offset, layout.size)
        if len(data) < layout.size:
            raise ElfError("the ELF file ends within its headers")
        return layout.unpack(data)

    def _table(self, location: tuple[int, int, int], layout: struct.Struct) -> list[tuple[int, ...]]:
        offset, entry_size, count = location
        if not count:
            return []
        if entry_size < layout.size or entry_size * count > _MAX_TABLE_BYTES:
            raise ElfError("the ELF file has a damaged table")
        data = read(self.stream, offset, entry_size * count)
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
        names = read(self.stream, names_offset, min(names_size, _MAX_TABLE_BYTES))
        return [_Section(_string_at(names, row[0]), row[1], row[3], row[4], row[5]) for row in rows]

    def offset_of(self, address: int) -> int | None:
        """The place in the file of what is loaded at ``address``, or None if nothing of the file is."""
        for segment in self.segments:
            if segment.type == _PT_LOAD and segment.address <= address < segment.address + segment.file_size:
                return segment.offset + address - segment.address
        return None


def _string_at(table: bytes, start: int) -> str:
    end = table.find(b"\0", start)
    return table[start : end if end >= 0 else len(table)].decode("utf-8", "replace")


def read_elf(stream: IO[bytes]) -> ElfInfo:
    """Read the facts of an ELF file.

    :param stream: seekable binary stream of the whole file.
    :raises ElfError: not an ELF file, or a damaged one.
    """
    elf = ElfFile(stream)
    machine = _MACHINES.get(elf.machine, f"machine {elf.machine}")
    if isinstance(machine, tuple):
        machine = machine[0 if elf.little else 1]
    interpreter = ""
    needed: tuple[str, ...] = ()
    for segment in elf.segments:
        if segment.type == _PT_INTERP:
            data = read(stream, segment.offset, min(segment.file_size, 4096))
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


def _needed_libraries(elf: ElfFile, dynamic: _Segment) -> tuple[str, ...]:
    """The DT_NEEDED names of the dynamic segment."""
    layout = struct.Struct(f"{elf.order}{'II' if elf.bits == 32 else 'QQ'}")
    data = read(elf.stream, dynamic.offset, min(dynamic.file_size, _MAX_TABLE_BYTES))
    usable = len(data) - len(data) % layout.size
    entries = list(layout.iter_unpack(data[:usable]))
    tags = dict(entries)
    offset = elf.offset_of(tags.get(_DT_STRTAB, 0))
    names = b"" if offset is None else read(elf.stream, offset, min(tags.get(_DT_STRSZ, 0), _MAX_TABLE_BYTES))
    return tuple(_string_at(names, value) or f"offset {value}" for tag, value in entries if tag == _DT_NEEDED)
