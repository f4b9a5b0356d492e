"""A bundle that is not as it was written is refused, whatever was done to it, and nothing of it is left."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.plugin_utils.bundle import archive

FILES = {
    "base-images/a.tar": b"an image" * 9000,
    "packages/trixie.tar": b"packages",
    "modules/api.tar": b"modules",
    "services/api.json": b"{}",
}
CONTENTS: dict[str, Any] = {
    "machine": "x86_64",
    "releases": ["trixie"],
    "base_images": ["alpine:3.24"],
    "services": {"api": {"tag": "1"}},
    "modules": {"api": "modules/api.tar"},
}
Members = list[tuple[tarfile.TarInfo, bytes]]


def unsigned(_sums: bytes, _signature: bytes | None) -> bool:
    return False


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Return a bundle."""
    for name, content in FILES.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    archive.write(tmp_path / "tree", tmp_path / "bundle.tar", CONTENTS, None)
    return tmp_path / "bundle.tar"


def left(tmp_path: Path) -> list[str]:
    """Return what is unpacked, or was begun to be."""
    return sorted(path.name for path in (tmp_path / "cache").glob("*")) if (tmp_path / "cache").exists() else []


def members(path: Path) -> Members:
    with tarfile.open(path) as opened:
        return [(info, opened.extractfile(info).read()) for info in opened]  # type: ignore[union-attr]


def rewritten(path: Path, changed: Members) -> None:
    with tarfile.open(path, "w") as target:
        for info, content in changed:
            target.addfile(info, io.BytesIO(content))


def test_what_was_written_is_unpacked_once(bundle: Path, tmp_path: Path) -> None:
    opened = archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    assert opened.fresh and not opened.signed and opened.contents == {**CONTENTS, "format": archive.FORMAT}
    assert {name: (opened.directory / name).read_bytes() for name in FILES} == FILES
    before = (opened.directory / "services/api.json").stat().st_ino
    again = archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    assert not again.fresh and again.directory == opened.directory
    assert (again.directory / "services/api.json").stat().st_ino == before and len(left(tmp_path)) == 1


def overwritten(directory: Path) -> None:
    (directory / "packages/trixie.tar").write_bytes(b"PACKAGES")


def removed(directory: Path) -> None:
    (directory / "base-images/a.tar").unlink()


def added(directory: Path) -> None:
    (directory / "base-images/b.tar").write_bytes(b"another image")


def linked(directory: Path) -> None:
    (directory / "services").rename(directory.parent / "elsewhere")
    (directory / "services").symlink_to(directory.parent / "elsewhere")


def a_directory_in_its_place(directory: Path) -> None:
    (directory / "services/api.json").unlink()
    (directory / "services/api.json").mkdir()


def a_file_in_place_of_all(directory: Path) -> None:
    shutil.rmtree(directory)
    directory.write_text("")


@pytest.mark.parametrize("harm", [overwritten, removed, added, linked, a_directory_in_its_place, a_file_in_place_of_all])
def test_what_changed_where_it_was_unpacked_is_unpacked_anew(bundle: Path, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    harm(archive.open_bundle(bundle, tmp_path / "cache", unsigned).directory)
    opened = archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    assert opened.fresh
    assert {name: (opened.directory / name).read_bytes() for name in FILES} == FILES
    assert set(archive.files_of(opened.directory)) == {*FILES, archive.CONTENTS}
    assert set(left(tmp_path)) - {"elsewhere"} == {opened.directory.name}
    assert not archive.open_bundle(bundle, tmp_path / "cache", unsigned).fresh


def test_what_another_run_has_unpacked_meanwhile_is_left_to_it(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held, nodes = archive._held, []

    def meanwhile(*given: Any) -> dict[str, Any]:
        found = held(*given)
        if not nodes:
            nodes.append(0)
            other = archive.open_bundle(bundle, tmp_path / "cache", unsigned).directory
            nodes.append((other / "services/api.json").stat().st_ino)
        return found

    monkeypatch.setattr(archive, "_held", meanwhile)
    opened = archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    assert (opened.directory / "services/api.json").stat().st_ino == nodes[-1]
    assert left(tmp_path) == [opened.directory.name]


def test_the_checksum_that_is_told_is_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    told = archive.write(tmp_path / "tree", tmp_path / "b.tar", CONTENTS, None)
    assert told == hashlib.sha256((tmp_path / "b.tar").read_bytes()).hexdigest()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.tar", "tree"]


def test_where_it_cannot_be_signed_nothing_is_written(bundle: Path, tmp_path: Path) -> None:
    before = bundle.read_bytes()

    def refuse(_sums: bytes) -> bytes:
        raise archive.BundleError("no key")

    with pytest.raises(archive.BundleError):
        archive.write(tmp_path / "tree", bundle, CONTENTS, refuse)
    assert bundle.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle.tar", "tree"]


@pytest.mark.parametrize("there_already", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.6, 0.9, 0.97])
def test_a_truncated_one_is_refused(bundle: Path, tmp_path: Path, share: float, there_already: bool) -> None:
    if there_already:
        archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    # What stands behind the last file is the end of the archive and its padding.
    last = members(bundle)[-1][0]
    end = last.offset_data + last.size
    bundle.write_bytes(bundle.read_bytes()[: int(end * share)])
    with pytest.raises(archive.BundleError):
        archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    assert len(left(tmp_path)) == there_already


@pytest.mark.parametrize("number", range(len(FILES) + 2))
def test_one_that_ends_between_two_files_is_refused(bundle: Path, tmp_path: Path, number: int) -> None:
    rewritten(bundle, members(bundle)[:number])
    with pytest.raises(archive.BundleError):
        archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    assert left(tmp_path) == []


@pytest.mark.parametrize("number", range(len(FILES) + 2))
def test_a_byte_that_changed_anywhere_is_refused(bundle: Path, tmp_path: Path, number: int) -> None:
    info, content = members(bundle)[number]
    whole = bytearray(bundle.read_bytes())
    whole[info.offset_data + len(content) // 2] ^= 1
    bundle.write_bytes(whole)
    with pytest.raises(archive.BundleError):
        archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    assert left(tmp_path) == []


@pytest.mark.parametrize("number", range(1, len(FILES) + 2))
def test_a_header_that_changed_is_refused(bundle: Path, tmp_path: Path, number: int) -> None:
    whole = bytearray(bundle.read_bytes())
    whole[members(bundle)[number][0].offset] ^= 1
    bundle.write_bytes(whole)
    with pytest.raises(archive.BundleError):
        archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    assert left(tmp_path) == []


def named(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Callable[[Members], Members]:
    """Return what adds a member that is listed with its right checksum."""

    def add(found: Members) -> Members:
        info = tarfile.TarInfo(name)
        content = b"" if link or kind != tarfile.REGTYPE else b"evil"
        info.type, info.linkname, info.size = kind, link, len(content)
        sums = found[0][1] + f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()
        first = tarfile.TarInfo(archive.SUMS)
        first.size = len(sums)
        return [(first, sums), *found[1:], (info, content)]

    return add


FORGED: dict[str, Callable[[Members], Members]] = {
    "a way out": named("../evil"),
    "a way out on the way": named("services/../../evil"),
    "an absolute path": named("/tmp/evil"),
    "a link": named("services/link", tarfile.SYMTYPE, "/etc"),
    "a hard link": named("services/link", tarfile.LNKTYPE, "services/api.json"),
    "a device": named("services/device", tarfile.CHRTYPE),
    "a directory": named("services/more", tarfile.DIRTYPE),
    "a file twice": lambda found: [*found, found[-1]],
    "a file that is not listed": lambda found: [*found, *named("services/evil")(found)[-1:]],
    "the list not first": lambda found: [*found[1:], found[0]],
    "no list": lambda found: found[1:],
    "no contents": lambda found: [found[0], *found[2:]],
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_one_is_refused(bundle: Path, tmp_path: Path, how: str) -> None:
    rewritten(bundle, FORGED[how](members(bundle)))
    with pytest.raises(archive.BundleError):
        archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    assert left(tmp_path) == []
    assert not (tmp_path / "evil").exists() and not Path("/tmp/evil").exists()


def test_the_error_of_a_damaged_one_says_which_file_and_what_to_do(bundle: Path, tmp_path: Path) -> None:
    found = members(bundle)
    found[-1] = (found[-1][0], b"[]")
    rewritten(bundle, found)
    with pytest.raises(
        archive.BundleError, match=r"bundle\.tar is damaged: services/api\.json has the checksum \w{12} instead of \w{12}"
    ) as error:
        archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    assert "Copy it here once more" in error.value.remedy


def test_one_that_is_not_there_and_one_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(archive.BundleError, match="there is no bundle") as error:
        archive.open_bundle(tmp_path / "b.tar", tmp_path / "cache", unsigned)
    assert "bundle_archive" in error.value.remedy
    (tmp_path / "b.tar").write_text("a text")
    with pytest.raises(archive.BundleError, match="damaged, truncated, or not a bundle"):
        archive.open_bundle(tmp_path / "b.tar", tmp_path / "cache", unsigned)


def test_a_directory_in_place_of_a_bundle_and_a_file_in_place_of_the_cache_are_told_by_their_variables(
    bundle: Path, tmp_path: Path
) -> None:
    with pytest.raises(archive.BundleError, match="is a directory on the controller") as error:
        archive.open_bundle(tmp_path, tmp_path / "cache", unsigned)
    assert "bundle_archive" in error.value.remedy
    (tmp_path / "file").touch()
    for cache in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(archive.BundleError, match=f"cannot be unpacked in {cache} on the controller") as error:
            archive.open_bundle(bundle, cache, unsigned)
        assert "bundle_cache_dir" in error.value.remedy


def test_a_full_disk_is_told_as_the_controllers_and_nothing_is_left(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: Any) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(archive, "_copied", full)
    with pytest.raises(archive.BundleError, match=f"in {tmp_path}/cache on the controller: No space left on device") as error:
        archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    assert f"df {tmp_path}/cache" in error.value.remedy and "bundle_cache_dir" in error.value.remedy
    assert left(tmp_path) == []


def test_one_of_another_format_names_the_version_to_use(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "FORMAT", archive.FORMAT + 1)
    with pytest.raises(archive.BundleError, match="has the format 1, but this version of the project reads 2"):
        archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    assert left(tmp_path) == []


def told(path: Path, document: bytes) -> None:
    """Let a bundle say something else of itself, with right checksums."""
    found = [(info, document if info.name == archive.CONTENTS else content) for info, content in members(path)[1:]]
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {info.name}\n" for info, content in found).encode()
    for info, content in found:
        info.size = len(content)
    first = tarfile.TarInfo(archive.SUMS)
    first.size = len(sums)
    rewritten(path, [(first, sums), *found])


def but(**changed: Any) -> bytes:
    return json.dumps({"format": archive.FORMAT, **CONTENTS, **changed}).encode()


ODD = {
    "no JSON": (b"<html>", "is no JSON"),
    "nothing": (b"", "is no JSON"),
    "no text": (b"\xff", "is no JSON"),
    "too deep": (b"[" * 200_000, "is no JSON"),
    "a number that is too long": (b'{"format": ' + b"1" * 5000 + b"}", "is no JSON"),
    "a list": (b"[]", "is no JSON object"),
    "null": (b"null", "is no JSON object"),
    "no keys": (b'{"format": 1}', "has no machine, or one that is not a text"),
    "a machine that is a list": (but(machine=["x86_64"]), "has no machine, or one that is not a text"),
    "a machine with escapes": (but(machine="\x1b[2J"), "has no machine, or one that is not a text"),
    "half a character": (but(base_images=["\ud800"]), "has no base_images, or one that is not a list of names"),
    "releases that are a text": (but(releases="trixie"), "has no releases, or one that is not a list of names"),
    "base images that are none": (but(base_images=[{}]), "has no base_images, or one that is not a list of names"),
    "services that are a list": (but(services=["api"]), "has no services, or one that is not a mapping of names"),
    "modules that are none": (but(modules=None), "has no modules, or one that is not a mapping of names"),
    "a module that is a number": (but(modules={"api": 1}), "names 1, which is no file of the bundle"),
    "a module that is a list": (but(modules={"api": []}), r"names \[\], which is no file of the bundle"),
    "a module elsewhere": (but(modules={"api": "/etc/shadow"}), "names '/etc/shadow', which is no file of the bundle"),
    "a module on the way out": (but(modules={"api": "modules/../../x"}), "names 'modules/../../x', which is no file of the bundle"),
    "a service that is not there": (but(services={"../../x": {}}), "names 'services/../../x.json', which is no file of the bundle"),
    "a release that is not there": (but(releases=["bookworm"]), "names 'packages/bookworm.tar', which is no file of the bundle"),
}


@pytest.mark.parametrize("how", ODD)
def test_one_that_says_odd_things_of_itself_is_refused(bundle: Path, tmp_path: Path, how: str) -> None:
    document, words = ODD[how]
    told(bundle, document)
    with pytest.raises(archive.BundleError, match=rf"bundle\.tar is damaged or forged: its bundle\.json {words}") as error:
        archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    assert "write it anew" in error.value.remedy and "\x1b" not in str(error.value)
    assert left(tmp_path) == []


@pytest.mark.parametrize("form", [{}, {"format": [[1]]}, {"format": "\x1b[2J" * 99}])
def test_one_of_an_odd_format_is_refused_as_one_of_another(bundle: Path, tmp_path: Path, form: dict[str, Any]) -> None:
    told(bundle, json.dumps(form).encode())
    with pytest.raises(archive.BundleError, match=r"has the format .* but this version of the project reads 1") as error:
        archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    assert "\x1b" not in str(error.value) and len(str(error.value)) < 400


def test_what_it_says_in_the_right_form_is_taken(bundle: Path, tmp_path: Path) -> None:
    told(bundle, but(project="1.0", more=[None]))
    assert archive.open_bundle(bundle, tmp_path / "cache", unsigned).contents["modules"] == CONTENTS["modules"]


def test_a_header_with_a_number_that_is_none_is_refused(bundle: Path, tmp_path: Path) -> None:
    info = tarfile.TarInfo("services/more.json")
    info.pax_headers = {"GNU.sparse.map": "x,y"}
    with tarfile.open(bundle, "a", format=tarfile.PAX_FORMAT) as opened:
        opened.addfile(info)
    with pytest.raises(archive.BundleError, match="damaged, truncated, or not a bundle"):
        archive.open_bundle(bundle, tmp_path / "cache", unsigned)
    assert left(tmp_path) == []


def test_what_is_not_to_be_trusted_is_not_unpacked(bundle: Path, tmp_path: Path) -> None:
    def refuse(_sums: bytes, _signature: bytes | None) -> bool:
        raise archive.BundleError("wrong key")

    with pytest.raises(archive.BundleError, match="wrong key"):
        archive.open_bundle(bundle, tmp_path / "cache", refuse)
    assert left(tmp_path) == []
