"""The ELF and build information reader: against files made for it, and against `go version -m` where there is a Go
toolchain."""

from __future__ import annotations

import contextlib
import io
import struct

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import (
    build_info,
    elf,
)
from fuzzing import EXAMPLES, read_all
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("machine", "bits", "order", "name"),
    [
        (62, 64, "<", "amd64"),
        (183, 64, "<", "arm64"),
        (40, 32, "<", "arm"),
        (3, 32, "<", "386"),
        (243, 64, "<", "riscv64"),
        (21, 64, "<", "ppc64le"),
        (21, 64, ">", "ppc64"),
        (22, 64, ">", "s390x"),
        (999, 64, "<", "machine 999"),
    ],
)
def test_architecture(machine, bits, order, name):
    """Both word sizes and byte orders are read, and machines have the names that images use."""
    found = elf.read_elf(io.BytesIO(samples.elf(machine=machine, bits=bits, order=order)))
    assert (found.architecture, found.bits, found.type) == (name, bits, "executable")
    assert found.static


@pytest.mark.parametrize(("bits", "order"), [(64, "<"), (32, "<"), (64, ">")])
def test_dynamic(bits, order):
    """An interpreter and needed libraries are found by name."""
    data = samples.elf(bits=bits, order=order, interpreter="/lib/ld-musl.so.1", needed=["libc.so", "libresolv.so.2"], kind=3)
    found = elf.read_elf(io.BytesIO(data))
    assert not found.static
    assert found.interpreter == "/lib/ld-musl.so.1"
    assert found.needed == ("libc.so", "libresolv.so.2")
    assert found.type == "position independent"


@pytest.mark.parametrize("part", [{"interpreter": "/lib/ld.so"}, {"needed": ["libc.so.6"]}])
def test_either_makes_it_dynamic(part):
    """One of the two is enough."""
    assert not elf.read_elf(io.BytesIO(samples.elf(**part))).static


def test_symbol_sections():
    """What -w -s removes is told from what stays."""
    data = samples.elf(sections=[".text", ".symtab", ".debug_info", ".zdebug_line", ".gosymtab", ".gopclntab", ".strtab"])
    assert elf.read_elf(io.BytesIO(data)).symbol_sections == (".symtab", ".debug_info", ".zdebug_line")


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\nexit 0\n" * 10, b"\x7fELF", b"\x7fELF\x09\x09" + b"\0" * 200])
def test_not_elf(data):
    """Anything else is refused as what it is."""
    with pytest.raises(elf.ElfError, match="not an ELF file"):
        elf.read_elf(io.BytesIO(data))


@pytest.mark.parametrize("length", [30, 64, 100, 700])
def test_cut_off(length):
    """A file that ends early is an ElfError, never another exception."""
    data = samples.elf(info=samples.build_info())
    assert len(data) > length
    with pytest.raises(elf.ElfError):
        elf.read_elf(io.BytesIO(data[:length]))


def test_every_single_damaged_byte_is_handled():
    """No damaged header makes the readers raise anything but their own errors."""
    good = samples.elf(info=samples.build_info(), interpreter="/lib/ld.so", needed=["libc.so"])
    for position in range(len(good)):
        damaged = bytearray(good)
        damaged[position] ^= 0xFF
        for read in (elf.read_elf, build_info.read_build_info):
            with contextlib.suppress(elf.ElfError, build_info.BuildInfoError):
                read(io.BytesIO(bytes(damaged)))


NUMBER = st.one_of(st.integers(0, 300), st.sampled_from([2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]))


@EXAMPLES
@given(fields=st.lists(NUMBER, min_size=13, max_size=13), wide=st.booleans(), order=st.sampled_from("<>"), rest=st.binary(max_size=600))
def test_any_elf_header_is_read_or_refused(fields: list[int], wide: bool, order: str, rest: bytes) -> None:
    words = "HHI" + ("QQQ" if wide else "III") + "IHHHHHH"
    limits = {"H": 0xFFFF, "I": 0xFFFFFFFF, "Q": 2**64 - 1}
    header = struct.pack(order + words, *(min(value, limits[word]) for word, value in zip(words, fields)))
    read_all(bytes([127, 69, 76, 70, 2 if wide else 1, 1 if order == "<" else 2]) + bytes(10) + header + rest)
