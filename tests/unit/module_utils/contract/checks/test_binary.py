"""The binary: static, stripped, for the right processor, once."""

from __future__ import annotations

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract import judge
from ansible_collections.proven.go_service.plugins.module_utils.contract.checks import binary
from violations import Violation, assert_all_provoked, assert_caught, with_verdict

DYNAMIC = samples.elf(info=samples.build_info(), interpreter="/lib/ld-musl-x86_64.so.1", needed=["libc.musl-x86_64.so.1"])
UNSTRIPPED = samples.elf(info=samples.build_info(), sections=[".text", ".symtab", ".debug_info"])

VIOLATIONS: dict[str, Violation] = {
    "no binary": (lambda: samples.good_evidence(replace_binary=samples.Layer()), {}, {"binary-elf"}, "nothing at"),
    "script instead": (
        lambda: samples.good_evidence(replace_binary=samples.binary_layer(b"#!/bin/sh\n")),
        {},
        {"binary-elf"},
        "not an ELF file",
    ),
    "archive instead": (
        lambda: samples.good_evidence(replace_binary=samples.binary_layer(samples.elf(kind=1, info=samples.build_info()))),
        {},
        {"binary-elf"},
        "cannot be run",
    ),
    "not executable": (
        lambda: samples.good_evidence(replace_binary=samples.binary_layer(mode=0o744)),
        {},
        {"binary-elf"},
        "not everybody",
    ),
    "dynamic binary": (
        lambda: samples.good_evidence(replace_binary=samples.binary_layer(DYNAMIC)),
        {},
        {"binary-static"},
        "libc.musl-x86_64.so.1",
    ),
    "symbols": (
        lambda: samples.good_evidence(replace_binary=samples.binary_layer(UNSTRIPPED)),
        {},
        {"binary-stripped"},
        ".symtab, .debug_info",
    ),
    "other processor": (
        lambda: samples.good_evidence(replace_binary=samples.binary_layer(samples.elf(machine=183, info=samples.build_info()))),
        {},
        {"binary-architecture"},
        "arm64 binary in an image for amd64",
    ),
    "chown in a layer of its own": (
        lambda: samples.good_evidence(samples.binary_layer(uid=1000), replace_binary=samples.binary_layer(uid=0, gid=0)),
        {},
        {"binary-single-copy"},
        "layer 3",
    ),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(name: str) -> None:
    assert_caught(VIOLATIONS[name])


def test_every_check_is_provoked() -> None:
    assert_all_provoked(binary.GROUP, VIOLATIONS, "binary-build-info")


def test_build_info_missing():
    """A binary without build information is a warning: the SBOM has a hole."""
    found = samples.good_evidence(replace_binary=samples.binary_layer(samples.elf()))
    assert with_verdict("warn", found) == {"binary-build-info"}
    assert judge.verdict(judge.evaluate(found, samples.expected(), {})) == "warn"
