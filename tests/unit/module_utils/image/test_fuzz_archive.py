"""Archives that nobody packed: what is unpacked stays within the context, and whatever else is asked for is refused."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tempfile
import zlib
from contextlib import suppress
from pathlib import Path

from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.image import transfer
from ansible_collections.proven.go_service.plugins.module_utils.image.errors import ContextError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

EXAMPLES = settings(max_examples=200, deadline=2000, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
PART = st.sampled_from(["a", "b", "..", ".", "", "link", "é", "x\n", "-", "*"])
PATH = st.one_of(
    st.lists(PART, min_size=1, max_size=4).map("/".join), st.sampled_from(["/etc/x", "../outside/kept", "a/../../outside/kept"])
)
KINDS = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, b"Z")
MEMBER = st.tuples(PATH, st.sampled_from(KINDS), PATH)
# What a person is told as the archive's own fault, or as that of the file system.
TOLD = (ContextError, OSError, tarfile.TarError, EOFError, zlib.error)


def state(directory: Path) -> dict[str, object]:
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
    delete=st.lists(PATH, max_size=2),
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
        before = state(outside)
        content = bytearray(packed(members))
        if damage:
            content[damage[0] : damage[0] + len(damage[1])] = damage[1]
        (outside.parent / "archive").write_bytes(content)
        with suppress(*TOLD):
            transfer.apply_archive(root, Path(directory, "archive"), delete)
        assert state(outside) == before
        assert sorted(path.name for path in Path(directory).iterdir()) == ["archive", "outside", "root"]
        for path in root.rglob("*"):
            if path.is_symlink() and path.name != "out":
                assert not os.path.relpath(os.path.join(path.parent.relative_to(root), os.readlink(path))).startswith(".."), path
            elif path.is_file():
                assert path.lstat().st_mode & 0o7000 == 0 and path.lstat().st_nlink == 1


def test_what_is_told_of_an_archive_is_no_error_of_the_roles_own() -> None:
    for error in (ContextError("x", "y"), OSError(1, "x"), tarfile.ReadError("x"), EOFError("x"), zlib.error("x")):
        assert not Failure.of(error, "stage", "").message.startswith("unexpected")
