"""Systems as they are written to a layer and read again, and what of a disk cannot be read."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from alpines import disk
from ansible_collections.proven.go_service.plugins.module_utils.alpine import nodes, system


def test_a_layer_holds_what_was_written() -> None:
    found = system.system(disk())
    written = io.BytesIO()
    nodes.write_layer(found, written)
    assert nodes.read_layer(io.BytesIO(written.getvalue())) == found
    again = io.BytesIO()
    nodes.write_layer(dict(reversed(found.items())), again)
    assert again.getvalue() == written.getvalue(), "the order in which the system was read shows"


class Inode:
    """What dissect.extfs returns for a path."""

    def __init__(self, mode: int, *, content: bytes = b"", link: str = "", entries: dict[str, object] | None = None) -> None:
        self.inode = SimpleNamespace(i_mode=mode, i_uid=1, i_gid=2, i_mtime=3)
        self.link = link
        self._content, self._entries = content, entries or {}

    def listdir(self) -> dict[str, object]:
        return self._entries

    def open(self) -> io.BytesIO:
        return io.BytesIO(self._content)


@pytest.fixture
def libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where libraries are that know one disk image, whose content is `good`."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    files = Inode(0o100644, content=b"content"), Inode(0o120777, link="/bin/busybox"), Inode(0o060600)
    inside = Inode(0o040755, entries=dict(zip(("file", "link", "device"), files)))
    root = Inode(0o040755, entries={"bin": inside, "file": files[0]})

    class QCow2:
        def __init__(self, image: io.BytesIO) -> None:
            if image.read() != b"good":
                raise ValueError("not a qcow2")

        def open(self) -> None:
            return None

    modules = {
        "dissect": SimpleNamespace(),
        "dissect.extfs": SimpleNamespace(ExtFS=lambda _image: SimpleNamespace(root=root)),
        "dissect.hypervisor": SimpleNamespace(),
        "dissect.hypervisor.disk": SimpleNamespace(),
        "dissect.hypervisor.disk.qcow2": SimpleNamespace(QCow2=QCow2),
    }
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return tmp_path


def test_a_disk_is_read_without_following_links(libraries: Path) -> None:
    found = nodes.QcowDisk(io.BytesIO(b"good"), libraries)
    assert found.read("/bin/file") == nodes.Node(nodes.FILE, 0o644, 1, 2, 3, b"content")
    assert found.read("/bin/link") == nodes.Node(nodes.SYMLINK, 0o777, 1, 2, 3, target="/bin/busybox")
    assert found.read("/bin") == nodes.Node(nodes.DIRECTORY, 0o755, 1, 2, 3)
    for path in ("/bin/none", "/none/file", "/bin/file/below", "/bin/link/busybox", "/bin/device"):
        assert found.read(path) is None, path


def test_what_is_no_disk_image_is_told(libraries: Path) -> None:
    with pytest.raises(nodes.Unreadable, match="cannot be read as ext4 in qcow2: not a qcow2") as caught:
        nodes.QcowDisk(io.BytesIO(b"bad"), libraries)
    assert "base_images_source" in caught.value.remedy
