"""The way of a source to the target: what arrives, what is sent, what is refused."""

from __future__ import annotations

import gzip
import io
import os
import random
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.image import dockerfile, manifest, transfer
from ansible_collections.proven.go_service.plugins.module_utils.image.errors import ContextError
from ansible_collections.proven.go_service.plugins.module_utils.image.ignore import IgnoreRules
from ansible_collections.proven.go_service.plugins.module_utils.source import facts
from fuzzing import EXAMPLES, FILE_NAME, MAIN_FILE, MOD_FILE, TREES, make_tree, only_below
from hypothesis import example, given
from hypothesis import strategies as st
from trees import CHANGES, grow


@EXAMPLES
@given(tree=TREES, names=st.lists(FILE_NAME, min_size=2, max_size=2))
def test_any_names_are_packed_or_refused(wanted: Settings, tree: list[list[str]], names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "source")
        make_tree(root, [*tree, ["go.mod"], ["cmd", names[0], "main.go"]])
        with suppress(OSError):
            (root / "go.mod").write_bytes(MOD_FILE)
            (root / "cmd" / names[0] / "main.go").write_bytes(MAIN_FILE)
            (root / names[1]).symlink_to("/etc/passwd")
        with only_below(root):
            found = facts.project_facts(root, wanted)
            made = dockerfile.dockerfile_facts(found, wanted)
            assert all("\n" not in line for line in (made["module_subdir"], made["main_package"], *dockerfile.module_files(found)))
            entries = manifest.read_manifest(root)
            transfer.write_archive(root, entries, root / "archive")


def bring_in_line(source: Path, staged: Path) -> tuple[list[str], list[str]]:
    """Stage a source as a run does; return (paths sent, paths deleted)."""
    staged.mkdir(exist_ok=True)
    wanted = manifest.read_manifest(source)
    send, delete = manifest.difference(wanted, [entry.identity for entry in manifest.read_manifest(staged)])
    archive = staged.with_suffix(".tar.gz")
    transfer.write_archive(source, send, archive)
    transfer.apply_archive(staged, archive, delete)
    assert manifest.read_manifest(staged) == wanted
    return [entry.path for entry in send], delete


def test_a_tree_arrives_as_it_is(root: Path, tmp_path: Path) -> None:
    (root / "main.go").chmod(0o600)
    (root / "a").chmod(0o700)
    before = os.umask(0o077)
    try:
        bring_in_line(root, tmp_path / "staged")
    finally:
        os.umask(before)
    modes = {path.name: path.lstat().st_mode & 0o777 for path in (tmp_path / "staged").rglob("*") if not path.is_symlink()}
    assert modes == {
        "a": 0o755,
        "b": 0o755,
        "c": 0o755,
        "empty": 0o755,
        "run.sh": 0o755,
        "deep.go": 0o644,
        "go.mod": 0o644,
        "main.go": 0o644,
    }
    assert not [path for path in (tmp_path / "staged").rglob(".staging-*")]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_only_what_changed_travels(root: Path, tmp_path: Path, change: Callable[[Path], object]) -> None:
    bring_in_line(root, tmp_path / "staged")
    change(root)
    sent, deleted = bring_in_line(root, tmp_path / "staged")
    assert len(sent) + len(deleted) in (1, 2)
    assert bring_in_line(root, tmp_path / "staged") == ([], [])


KINDS: dict[str, Callable[[Path], object]] = {
    "file": lambda path: path.write_text("x"),
    "directory": lambda path: ((path / "d").mkdir(parents=True), (path / "d/f").touch()),
    "link": lambda path: path.symlink_to("main.go"),
    "link to a directory": lambda path: path.symlink_to("a"),
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "nothing": lambda path: None,
}


@pytest.mark.parametrize("after", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("before", KINDS.values(), ids=KINDS)
def test_a_path_changes_its_kind(root: Path, tmp_path: Path, before: Callable[[Path], object], after: Callable[[Path], object]) -> None:
    before(root / "thing")
    bring_in_line(root, tmp_path / "staged")
    if (root / "thing").is_dir() and not (root / "thing").is_symlink():
        shutil.rmtree(root / "thing")
    else:
        (root / "thing").unlink(missing_ok=True)
    after(root / "thing")
    bring_in_line(root, tmp_path / "staged")
    assert (tmp_path / "staged/a/b/c/deep.go").read_text() == "package c"
    assert (tmp_path / "staged/main.go").read_text() == "package main"


@pytest.mark.parametrize("seed", range(3))
def test_any_tree_becomes_any_other(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    for number in range(3):
        grow(tmp_path / f"tree{number}", dice)
        bring_in_line(tmp_path / f"tree{number}", tmp_path / "staged")


def test_an_archive_has_neither_times_nor_owners(root: Path, tmp_path: Path) -> None:
    written = []
    for number in (1, 2):
        os.utime(root / "main.go", (number, number))
        transfer.write_archive(root, manifest.read_manifest(root), tmp_path / "archive")
        written.append((tmp_path / "archive").read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.unlink(), "vanished while the source was read"),
        (lambda path: path.write_text("longer than before"), "changed while the source was read"),
        (lambda path: path.write_text(""), "changed while the source was read"),
    ],
)
def test_a_file_that_changes_before_it_is_packed_is_named(root: Path, tmp_path: Path, change: Callable[[Path], object], words: str) -> None:
    entries = manifest.read_manifest(root)
    change(root / "main.go")
    with pytest.raises(ContextError, match=f"/main.go {words}"):
        transfer.write_archive(root, entries, tmp_path / "archive")


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    """Return an archive's member, of one byte where it is a file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, int(kind == tarfile.REGTYPE)
    return info


@pytest.mark.parametrize(
    "members",
    [
        pytest.param([member("../out")], id="up"),
        pytest.param([member("a/../../out")], id="up on the way"),
        pytest.param([member("/tmp/utest-out")], id="absolute"),
        pytest.param([member("l", tarfile.SYMTYPE, "/etc")], id="link to an absolute path"),
        pytest.param([member("a/l", tarfile.SYMTYPE, "../../x")], id="link to above"),
        pytest.param([member("l", tarfile.SYMTYPE, "a"), member("l/f")], id="through a link"),
        pytest.param([member("a/f"), member("a", tarfile.SYMTYPE, "b"), member("a/g")], id="through a link that was a directory"),
        pytest.param([member("l", tarfile.SYMTYPE, "."), member("l/a/m", tarfile.SYMTYPE, "../..")], id="link by way of a link"),
        pytest.param([member("h", tarfile.LNKTYPE, "../out")], id="hard link"),
        pytest.param([member("p", tarfile.FIFOTYPE)], id="pipe"),
        pytest.param([member("c", tarfile.CHRTYPE)], id="device"),
    ],
)
def test_an_archive_that_leads_out_is_refused(tmp_path: Path, members: list[tarfile.TarInfo]) -> None:
    (tmp_path / "staged/a").mkdir(parents=True)
    (tmp_path / "staged/b").mkdir()
    (tmp_path / "out").write_text("untouched")
    with tarfile.open(tmp_path / "archive", "w:gz") as archive:
        for info in members:
            archive.addfile(info, io.BytesIO(b"x"))
    with pytest.raises(ContextError, match="refusing to unpack"):
        transfer.apply_archive(tmp_path / "staged", tmp_path / "archive", [])
    assert (tmp_path / "out").read_text() == "untouched"
    assert not Path("/tmp/utest-out").exists()


@pytest.mark.parametrize("path", ["../out", "/etc/hostname", "a/../../out"])
def test_nothing_outside_is_deleted(tmp_path: Path, path: str) -> None:
    (tmp_path / "out").touch()
    transfer.write_archive(tmp_path, [], tmp_path / "archive")
    (tmp_path / "staged").mkdir()
    with pytest.raises(ContextError, match="refusing to delete"):
        transfer.apply_archive(tmp_path / "staged", tmp_path / "archive", [path])
    assert (tmp_path / "out").exists()


def test_nothing_is_deleted_by_way_of_a_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").touch()
    (tmp_path / "staged").mkdir()
    (tmp_path / "staged/a").symlink_to("../outside")
    transfer.write_archive(tmp_path, [], tmp_path / "archive")
    with pytest.raises(ContextError, match="refusing to delete"):
        transfer.apply_archive(tmp_path / "staged", tmp_path / "archive", ["a/precious"])
    assert (tmp_path / "outside/precious").exists()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a tree of 4,500 files and 60 MB, one file of 40 MB among them."""
    tree = tmp_path_factory.mktemp("large")
    for number in range(4500):
        directory = tree / f"vendor/example.org/m{number % 50}/p{number % 9}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"file{number}.go").write_bytes(b"package p\n" * 444)
    (tree / "big.bin").write_bytes(bytes(40_000_000))
    yield tree
    shutil.rmtree(tree)


def memory(field: str) -> int:
    """Return the bytes of a field of /proc/self/status."""
    (kilobytes,) = re.findall(rf"^{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.M)
    return int(kilobytes) * 1024


def test_memory_does_not_grow_with_the_size_of_the_source(large: Path, tmp_path: Path) -> None:
    """The entries of 4,500 files take about 5 MB; a whole file, or a whole archive, in memory would break the bound."""
    (tmp_path / "staged").mkdir()
    Path("/proc/self/clear_refs").write_text("5")  # begins the peak anew: https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html
    before = memory("VmRSS")
    entries = manifest.read_manifest(large, IgnoreRules(["**/*.pem"]))
    manifest.manifest_digest(entries)
    transfer.write_archive(large, entries, tmp_path / "archive")
    transfer.apply_archive(tmp_path / "staged", tmp_path / "archive", [])
    peak = memory("VmHWM")
    assert len(entries) > 4500
    assert peak - before < 20_000_000


PART = st.sampled_from(["a", "b", "..", ".", "", "link", "é", "x\n", "-", "*"])


MEMBER_PATH = st.one_of(
    st.lists(PART, min_size=1, max_size=4).map("/".join), st.sampled_from(["/etc/x", "../outside/kept", "a/../../outside/kept"])
)


MEMBER_KINDS = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, b"Z")


MEMBER = st.tuples(MEMBER_PATH, st.sampled_from(MEMBER_KINDS), MEMBER_PATH)


# What a person is told as the archive's own fault, or as that of the file system.
TOLD = (ContextError, OSError, tarfile.TarError, EOFError, zlib.error)


def state_of(directory: Path) -> dict[str, object]:
    """Return what is in a directory, byte for byte."""
    return {
        str(path.relative_to(directory)): (
            path.lstat().st_mode,
            os.readlink(path) if path.is_symlink() else path.is_file() and path.read_bytes(),
        )
        for path in sorted(directory.rglob("*"))
    }


def packed(members: list[tuple[str, bytes, str]]) -> bytes:
    """Return a compressed tar file."""
    written = io.BytesIO()
    with gzip.GzipFile(fileobj=written, mode="wb", mtime=0) as compressed, tarfile.open(fileobj=compressed, mode="w|") as tar:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = kind, target, 0o4777
            info.size = 3 if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(b"new"))
    return written.getvalue()


@EXAMPLES
@given(
    members=st.lists(MEMBER, max_size=6),
    delete=st.lists(MEMBER_PATH, max_size=2),
    damage=st.none() | st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=4)),
)
@example(members=[("link", tarfile.SYMTYPE, "../outside"), ("link/kept", tarfile.REGTYPE, "")], delete=[], damage=None)
@example(members=[("out/kept", tarfile.REGTYPE, "")], delete=[], damage=None)
@example(members=[("hard", tarfile.LNKTYPE, "../outside/kept"), ("hard", tarfile.REGTYPE, "")], delete=[], damage=None)
@example(members=[], delete=["out/kept", "out"], damage=None)
@example(members=[("a", tarfile.SYMTYPE, "b"), ("b", tarfile.SYMTYPE, "."), ("a/x", tarfile.REGTYPE, "")], delete=[], damage=None)
def test_no_archive_reaches_outside(members: list[tuple[str, bytes, str]], delete: list[str], damage: tuple[int, bytes] | None) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root, outside = Path(directory, "root"), Path(directory, "outside")
        for place in (root, outside):
            place.mkdir()
        (outside / "kept").write_text("kept")
        # As somebody else may have put it there.
        (root / "out").symlink_to("../outside")
        before = state_of(outside)
        content = bytearray(packed(members))
        if damage:
            content[damage[0] : damage[0] + len(damage[1])] = damage[1]
        (outside.parent / "archive").write_bytes(content)
        with suppress(*TOLD):
            transfer.apply_archive(root, Path(directory, "archive"), delete)
        assert state_of(outside) == before
        assert sorted(path.name for path in Path(directory).iterdir()) == ["archive", "outside", "root"]
        for path in root.rglob("*"):
            if path.is_symlink() and path.name != "out":
                assert not os.path.relpath(os.path.join(path.parent.relative_to(root), os.readlink(path))).startswith(".."), path
            elif path.is_file():
                assert path.lstat().st_mode & 0o7000 == 0 and path.lstat().st_nlink == 1


def test_what_is_told_of_an_archive_is_no_error_of_the_roles_own() -> None:
    for error in (ContextError("x", "y"), OSError(1, "x"), tarfile.ReadError("x"), EOFError("x"), zlib.error("x")):
        assert not Failure.of(error, "stage", "").message.startswith("unexpected")
