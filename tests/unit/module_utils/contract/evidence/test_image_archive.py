"""An image's layers, in every form that they come in."""

from __future__ import annotations

import io
import json
import stat
import tarfile

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.common.text import visible
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import (
    image_archive,
)
from fuzzing import ANY_JSON, EXAMPLES, SOUP
from hypothesis import example, given
from hypothesis import strategies as st


@pytest.mark.parametrize("form", ["docker", "oci", "gzip"])
def test_image_in_every_form(form):
    """Engines before 25, from 25 and with the containerd store give the same layers."""
    tars = samples.good_tars()
    stream = io.BytesIO(samples.save(tars, form=form, twins=True))
    found = image_archive.read_image(stream, [samples.diff_id(tar) for tar in tars], [samples.BINARY])
    assert found.complete
    assert found.diff_ids == tuple(samples.diff_id(tar) for tar in tars)
    assert [index for index, layer in enumerate(found.layers) if samples.BINARY in layer.entries] == [2]
    assert found.layers[2].contents[samples.BINARY].tell() == len(samples.GOOD_BINARY)
    assert {entry.layer for entry in found.layers[2].entries.values()} == {2}
    assert found.layers[2].size == len(samples.GOOD_BINARY)


def test_stream_is_read_forwards_only():
    """The archive is never held or sought in: what the Engine sends is a pipe."""

    class Pipe(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self._data = io.BytesIO(data)

        def read(self, size: int = -1) -> bytes:
            return self._data.read(min(size, 999))  # short reads, as a network gives

    tars = samples.good_tars()
    found = image_archive.read_image(Pipe(samples.save(tars)), [samples.diff_id(tar) for tar in tars])
    assert found.complete


def test_identical_layers_are_links_before_engine_25():
    """The same layer twice is written once, with a link in the second place."""
    tar = samples.Layer().add("/a", "x").tar()
    found = image_archive.read_image(io.BytesIO(samples.save([tar, tar])), [samples.diff_id(tar)] * 2)
    assert found.complete
    assert [list(layer.entries) for layer in found.layers] == [["/a"], ["/a"]]


def test_empty_layer():
    """A layer without any change is a tar of zeros."""
    tar = samples.Layer().tar()
    found = image_archive.read_image(io.BytesIO(samples.save([tar])), [samples.diff_id(tar)])
    assert found.complete
    assert found.layers[0].entries == {}


def test_unreadable_compression_leaves_a_gap():
    """zstd is said to be unreadable, not taken for an empty layer (Python before 3.14 has no zstd)."""
    pytest.importorskip("sys")
    try:
        import compression.zstd  # noqa: F401, PLC0415
    except ImportError:
        tars = samples.good_tars()
        found = image_archive.read_image(io.BytesIO(samples.save(tars, form="zstd")), [samples.diff_id(tar) for tar in tars])
        assert not found.complete
        assert found.layers == (None, None, None)


def test_another_image_is_refused():
    """An archive that does not hold the image is an error, not an image without layers."""
    with pytest.raises(image_archive.ArchiveError, match="does not hold the image"):
        image_archive.read_image(io.BytesIO(samples.save(samples.good_tars())), ["sha256:0"])


def test_archive_without_manifest():
    """An archive without manifest.json is said to be one."""
    buffer = io.BytesIO()
    tarfile.TarFile(fileobj=buffer, mode="w").close()
    buffer.seek(0)
    with pytest.raises(image_archive.ArchiveError, match=r"no manifest\.json"):
        image_archive.read_image(buffer, [])


def test_entries():
    """Types, mode bits, owners, link targets, sizes and file capabilities."""
    layer = samples.Layer().directory("/d", 0o1777).add("/d/f", "hello", mode=0o4755, uid=7, gid=8)
    layer.link("/l", "d/f").add("/h", type=tarfile.LNKTYPE, target="d/f", mode=0o4755)
    layer.add("/cap", "x", xattrs={"security.capability": "v"}).add("/fifo", type=tarfile.FIFOTYPE)
    (found,) = samples.read_layers(layer)
    assert found.entries["/d"].type == image_archive.DIRECTORY
    assert found.entries["/d"].mode == 0o1777
    entry = found.entries["/d/f"]
    assert (entry.type, entry.mode & stat.S_ISUID, entry.uid, entry.gid, entry.size) == (image_archive.FILE, 0o4000, 7, 8, 5)
    assert entry.sha256 == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert (found.entries["/l"].type, found.entries["/l"].target, found.entries["/l"].size) == (image_archive.SYMLINK, "d/f", 3)
    assert (found.entries["/h"].type, found.entries["/h"].target) == (image_archive.HARDLINK, "/d/f")
    assert found.entries["/cap"].capabilities
    assert not entry.capabilities
    assert found.entries["/fifo"].type == image_archive.OTHER


def test_merge():
    """Later layers win, remove, empty and replace."""
    lower = samples.Layer().directory("/a").add("/a/1", "1").add("/a/2", "2").directory("/b").add("/b/1", "1")
    lower.directory("/c").add("/c/1", "1").add("/gone", "x").directory("/d").add("/d/deep/1", "x")
    upper = samples.Layer().add("/a/1", "new").add("/.wh.gone").add("/b/.wh..wh..opq").add("/b/2", "2")
    upper.add("/c", "now a file").add("/.wh.d")
    files = image_archive.merge(samples.read_layers(lower, upper))
    assert sorted(files) == ["/a", "/a/1", "/a/2", "/b", "/b/2", "/c"]
    assert files["/a/1"].size == 3
    assert files["/c"].type == image_archive.FILE


@pytest.mark.parametrize(
    ("created_by", "shown"),
    [
        ("/bin/sh -c #(nop)  USER app", "USER app"),
        ("/bin/sh -c adduser -D app", "RUN adduser -D app"),
        ("RUN /bin/sh -c adduser -D app # buildkit", "RUN adduser -D app"),
        ("|2 A=1 B=2 /bin/sh -c go build", "RUN go build"),
        ("/bin/sh -c #(nop) COPY file:" + "a" * 64 + " in /x ", "COPY /x"),
        ("/bin/sh -c #(nop) COPY --chown=app:appfile:" + "a" * 64 + " in /x ", "COPY --chown=app:app /x"),
        ("COPY --chown=app:app /out/x /x # buildkit", "COPY --chown=app:app /out/x /x"),
        ("", ""),
    ],
)
def test_instructions(created_by, shown):
    """The history of both builders reads as the Dockerfile did."""
    assert image_archive.instruction(created_by) == shown


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
    manifest=st.one_of(ANY_JSON.map(json.dumps), SOUP),
    config=st.one_of(ANY_JSON.map(json.dumps), SOUP),
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
