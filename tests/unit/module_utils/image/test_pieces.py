"""An image's archive in pieces: the whole is what was saved, a choice is what a host lacks, and nothing but one image is taken."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.image.pieces import Contents, NoImage, Sum, choose, present_layers, split

LAYERS = {"a/layer.tar": b"lowest" * 1000, "b/layer.tar": b"middle" * 3000, "c/layer.tar": b"uppermost"}


def saved(manifest: object = None, links: dict[str, str] | None = None, leave_out: Sequence[str] = ()) -> bytes:
    """Return an archive as `docker save` writes it."""
    described = [{"Config": "config.json", "RepoTags": None, "Layers": [*LAYERS, *(links or {})]}]
    files = {
        **LAYERS,
        "a/VERSION": b"1.0",
        "config.json": b'{"rootfs": {}}',
        "manifest.json": json.dumps(described if manifest is None else manifest).encode(),
    }
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        folder = tarfile.TarInfo("a")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            if name not in leave_out:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            archive.addfile(link)
    return written.getvalue()


def pieces(path: Path, archive: bytes) -> Contents:
    """Write an archive in pieces to a file."""
    with path.open("wb") as target:
        return split(io.BytesIO(archive), target)


def unpacked(path: Path) -> dict[str, bytes]:
    """Return the files of a compressed archive as any program reads it."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(path.read_bytes()))) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isreg()}


def test_the_whole_file_is_the_archive_that_was_saved(tmp_path: Path) -> None:
    contents = pieces(tmp_path / "pieces", saved())
    assert unpacked(tmp_path / "pieces") == unpacked_plain(saved())
    assert contents.whole == Sum.of(tmp_path / "pieces")
    assert Contents.from_json(json.loads(json.dumps(contents.as_json()))) == contents


def unpacked_plain(archive: bytes) -> dict[str, bytes]:
    """Return the files of an archive."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return {member.name: opened.extractfile(member).read() for member in opened if member.isreg()}


@pytest.mark.parametrize("present", range(4))
def test_a_choice_holds_what_is_missing_and_what_describes_it(tmp_path: Path, present: int) -> None:
    contents = pieces(tmp_path / "pieces", saved())
    sum_ = choose(tmp_path / "pieces", contents, present, tmp_path / "chosen")
    found = unpacked(tmp_path / "chosen")
    assert sorted(found) == sorted([*list(LAYERS)[present:], "config.json", "manifest.json"])
    assert [found[name] for name in list(LAYERS)[present:]] == list(LAYERS.values())[present:]
    assert sum_ == Sum(len((tmp_path / "chosen").read_bytes()), hashlib.sha256((tmp_path / "chosen").read_bytes()).hexdigest())


def test_a_layer_that_is_a_link_comes_with_what_it_leads_to(tmp_path: Path) -> None:
    """The Engine before 25 writes layers that are alike once."""
    contents = pieces(tmp_path / "pieces", saved(links={"d/layer.tar": "../b/layer.tar"}))
    choose(tmp_path / "pieces", contents, 3, tmp_path / "chosen")
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress((tmp_path / "chosen").read_bytes()))) as archive:
        assert archive.extractfile("d/layer.tar").read() == LAYERS["b/layer.tar"]


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (saved(leave_out=["manifest.json"]), "does not describe one image"),
        (saved(manifest=[]), "does not describe one image"),
        (saved(manifest=[{"Config": "config.json", "Layers": []}] * 2), "does not describe one image"),
        (saved(leave_out=["config.json"]), "has no config.json"),
        (saved(leave_out=["b/layer.tar"]), "lacks the layer b/layer.tar"),
        (saved(links={"d/layer.tar": "gone.tar"}), "lacks the layer d/layer.tar"),
    ],
)
def test_what_is_none_of_one_image_is_refused(tmp_path: Path, archive: bytes, words: str) -> None:
    with pytest.raises(NoImage, match=words):
        pieces(tmp_path / "pieces", archive)


def test_an_archive_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    with pytest.raises((tarfile.TarError, NoImage)):
        pieces(tmp_path / "pieces", saved()[:9000])
    contents = pieces(tmp_path / "pieces", saved())
    (tmp_path / "pieces").write_bytes((tmp_path / "pieces").read_bytes()[:100])
    with pytest.raises(NoImage, match="cut off"):
        choose(tmp_path / "pieces", contents, 0, tmp_path / "chosen")


@pytest.mark.parametrize(
    ("images", "present"),
    [([], 0), ([[]], 0), ([["x", "b"]], 0), ([["a"], ["a", "b", "x"], ["a", "x", "c"]], 2), ([["a", "b", "c", "d"]], 3), ([["b", "c"]], 0)],
)
def test_layers_are_there_by_the_chain_up_to_them(images: list[list[str]], present: int) -> None:
    assert present_layers(["a", "b", "c"], images) == present
