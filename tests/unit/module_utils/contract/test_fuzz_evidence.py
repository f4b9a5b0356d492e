"""Images that nobody thought of: what is read of them ends by an answer or by the reader's own error, and soon."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from contextlib import suppress
from typing import Any

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.common.text import visible
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import (
    build_info,
    collect,
    databases,
    image_archive,
    process,
    scanners,
)
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

EXAMPLES = settings(
    max_examples=200,
    deadline=2000,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
NUMBER = st.one_of(st.integers(0, 300), st.sampled_from([2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1]))
SOUP = st.text(st.one_of(st.sampled_from(":\n\t=> \"`'\\0x9²٣PVFR{}[]"), st.characters()), max_size=120)
LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "root:x:0:0:root:/root:/bin/sh",
                "app:x:1000:1000::/:/sbin/nologin",
                "a:x:²:9:::",
                f"b:x:{'9' * 5000}:0:::",
                "g:x:٣:a",
                f"h:x:{'9' * 5000}:a",
                "path\texample.com/app",
                "mod\texample.com/app\t(devel)\t",
                "dep\texample.com/lib\tv1\th1:x=",
                "=>\t./lib\t\t",
                'build\t"-ldf\\xlags"="\\U99999999"',
                "P:tzdata",
                "V:1",
                "",
                f"Uid:\t{'9' * 5000}\t0",
            ]
        ),
        SOUP,
    ),
    max_size=12,
).map("\n".join)


def read_all(content: bytes) -> None:
    """Read an executable as the contract does; insist on an answer that is a fact or a problem."""
    entry = image_archive.FileEntry("/usr/local/bin/app", image_archive.FILE, 0o755, 0, 0)
    facts = collect.read_binary(entry, io.BytesIO(content))
    assert facts.elf or facts.problem


@EXAMPLES
@given(fields=st.lists(NUMBER, min_size=13, max_size=13), wide=st.booleans(), order=st.sampled_from("<>"), rest=st.binary(max_size=600))
def test_any_elf_header_is_read_or_refused(fields: list[int], wide: bool, order: str, rest: bytes) -> None:
    words = "HHI" + ("QQQ" if wide else "III") + "IHHHHHH"
    limits = {"H": 0xFFFF, "I": 0xFFFFFFFF, "Q": 2**64 - 1}
    header = struct.pack(order + words, *(min(value, limits[word]) for word, value in zip(words, fields)))
    read_all(bytes([127, 69, 76, 70, 2 if wide else 1, 1 if order == "<" else 2]) + bytes(10) + header + rest)


@EXAMPLES
@given(content=st.binary(max_size=300))
def test_any_bytes_are_no_executable(content: bytes) -> None:
    read_all(content)
    read_all(b"\x7fELF\x02\x01" + content)


@EXAMPLES
@given(changes=st.lists(st.tuples(st.integers(0, 4000), st.binary(min_size=1, max_size=8)), max_size=6), end=st.integers(0, 4000))
def test_a_damaged_go_binary_is_read_or_refused(changes: list[tuple[int, bytes]], end: int) -> None:
    damaged = bytearray(samples.GOOD_BINARY)
    for place, change in changes:
        damaged[place : place + len(change)] = change
    read_all(bytes(damaged))
    read_all(bytes(damaged[:end]))


@EXAMPLES
@given(version=SOUP, text=LINES)
def test_any_build_information_is_read_or_refused(version: str, text: str) -> None:
    try:
        build_info.parse_build_info(version, text)
    except build_info.BuildInfoError as error:
        assert visible(str(error))


@EXAMPLES
@given(text=LINES, other=LINES)
def test_any_database_of_an_image_is_read(text: str, other: str) -> None:
    databases.parse_accounts(text, other)
    databases.parse_groups(text)
    databases.parse_apk_database(text)
    databases.parse_os_release(text)
    process.parse_process_status(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Config", "Layers", "rootfs", "diff_ids", "Results", "Vulnerabilities", "matches", "SchemaVersion", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


def archive(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """Return a tar file."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return written.getvalue()


PATH = st.text(st.one_of(st.sampled_from("./\\-\n.wh"), st.characters(exclude_characters="\0")), max_size=20)


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    """Return a tar file of any members, perhaps damaged."""
    members = []
    for name in draw(st.lists(PATH, max_size=6)):
        info = tarfile.TarInfo(name or "x")
        info.type = draw(st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, b"Z"]))
        info.linkname = draw(PATH)
        content = draw(st.binary(max_size=20)) if info.type == tarfile.REGTYPE else b""
        members.append((info, content))
    try:
        made = bytearray(archive(members))
    except UnicodeError:
        made = bytearray(archive([]))
    for place, change in draw(st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=12)), max_size=4)):
        made[place : place + len(change)] = change
    return bytes(made[: draw(st.sampled_from([None, 600, 1100]))])


# What is told as a damaged archive.
DAMAGED = (tarfile.TarError, EOFError, image_archive.ArchiveError)


@EXAMPLES
@given(content=tars())
def test_any_layer_is_read_or_refused(content: bytes) -> None:
    try:
        found = image_archive.read_layer(io.BytesIO(content), frozenset({"/x"}))
    except DAMAGED:
        return
    files = image_archive.merge([found])
    # What is found goes into a report.
    json.dumps(visible(list(files))).encode()


def test_names_and_targets_that_are_no_text_are_read() -> None:
    info = tarfile.TarInfo("caf\udce9")
    info.type, info.linkname = tarfile.SYMTYPE, "\udce9"
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(info)
    found = image_archive.read_layer(io.BytesIO(written.getvalue()))
    (entry,) = found.entries.values()
    assert (entry.type, entry.size) == (image_archive.SYMLINK, 1)


@EXAMPLES
@given(
    manifest=st.one_of(JSON.map(json.dumps), SOUP),
    config=st.one_of(JSON.map(json.dumps), SOUP),
    layer=tars(),
    diff_ids=st.lists(SOUP, max_size=2),
)
@example(manifest='[{"Config": "c.json", "Layers": ["l"]}]', config='{"rootfs": []}', layer=b"", diff_ids=["sha256:x"])
@example(manifest='{"a": 1}', config="{}", layer=b"", diff_ids=[])
@example(manifest="[" * 100_000, config="{}", layer=b"", diff_ids=[])
def test_any_image_is_read_or_refused(manifest: str, config: str, layer: bytes, diff_ids: list[str]) -> None:
    texts = {"manifest.json": manifest, "c.json": config}
    members = [(tarfile.TarInfo(name), text.encode("utf-8", "replace")) for name, text in texts.items()]
    packed = archive([*members, (tarfile.TarInfo("l"), layer)])
    try:
        image_archive.read_image(io.BytesIO(packed), diff_ids)
    except DAMAGED:
        return


@EXAMPLES
@given(document=JSON)
def test_any_answer_of_a_scanner_is_read_or_refused(document: Any) -> None:
    for parse in (scanners.parse_trivy, scanners.parse_grype):
        # What `scan` tells as an answer that cannot be read.
        with suppress(ValueError, KeyError, TypeError, AttributeError, scanners.ScanError):
            parse(document)


@pytest.mark.parametrize("document", [{"SchemaVersion": 2, "Results": ["x"]}, {"matches": [{"vulnerability": 1}]}, {"matches": ["x"]}])
def test_an_answer_of_another_form_is_a_problem_of_the_scanner(document: Any, tmp_path: Any) -> None:
    for name in ("trivy", "grype"):
        (tmp_path / name).write_text(f"#!/bin/sh\ncat <<'END'\n{json.dumps(document)}\nEND\n")
        (tmp_path / name).chmod(0o755)
        found = scanners.scan("image", str(tmp_path / name))
        assert found and found.problem
