"""The files of a system, and the sources from which they are read: a disk image of a virtual machine, or a layer of an image."""

from __future__ import annotations

import io
import posixpath
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from ..common.failure import Problem

FILE, DIRECTORY, SYMLINK = "file", "directory", "symlink"
# The kinds by the upper bits of an inode's mode.
_KINDS = {0o100000: FILE, 0o040000: DIRECTORY, 0o120000: SYMLINK}


@dataclass(frozen=True)
class Node:
    """A path of a system. mode: permission bits with setuid, setgid and sticky. time: of the last change, in seconds since 1970. content: of a file.
    target: of a symbolic link."""

    kind: str
    mode: int
    uid: int = 0
    gid: int = 0
    time: int = 0
    content: bytes = b""
    target: str = ""

    @property
    def text(self) -> str:
        """The content as text; bytes that are not UTF-8 become escapes."""
        return self.content.decode("utf-8", "surrogateescape")


class Disk(Protocol):
    """A source of files."""

    def read(self, path: str) -> Node | None:
        """Return what an absolute path is, None if there is nothing; a symbolic link is not followed."""


class Unreadable(Problem):
    """A disk image cannot be read."""


class QcowDisk:
    """An ext4 file system without partitions in a qcow2 image, read by dissect.hypervisor and dissect.extfs: no mount, no privileges.

    image: the qcow2 image. libraries: a directory with both libraries and what they need.
    """

    def __init__(self, image: IO[bytes], libraries: Path) -> None:
        sys.path.insert(0, str(libraries))
        # Fetched only for this purpose: neither the controller nor the target keeps them.
        from dissect.extfs import ExtFS  # noqa: PLC0415
        from dissect.hypervisor.disk.qcow2 import QCow2  # noqa: PLC0415

        try:
            self._root: Any = ExtFS(QCow2(image).open())
        except Exception as error:  # each library raises its own errors for unknown formats
            raise Unreadable(
                f"the disk image cannot be read as ext4 in qcow2: {error}",
                "Use the version of the wheel and the checksums that the role comes with, or pull or load the images (base_images_source).",
            ) from error

    def read(self, path: str) -> Node | None:
        """Return what an absolute path is, None if there is nothing; a symbolic link is not followed."""
        folder, name = posixpath.split(path)
        found = self._root.root
        for part in [part for part in (*folder.split("/"), name) if part]:
            entries = found.listdir() if _KINDS.get(found.inode.i_mode & 0o170000) == DIRECTORY else {}
            if part not in entries:
                return None
            found = entries[part]
        inode = found.inode
        kind = _KINDS.get(inode.i_mode & 0o170000, "")
        if not kind:
            return None
        return Node(
            kind=kind,
            mode=inode.i_mode & 0o7777,
            uid=inode.i_uid,
            gid=inode.i_gid,
            time=inode.i_mtime,
            content=found.open().read() if kind == FILE else b"",
            target=found.link if kind == SYMLINK else "",
        )


def write_layer(nodes: Mapping[str, Node], target: IO[bytes]) -> None:
    """Write a system as a tar, each directory before its contents. The same nodes give the same bytes."""
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(nodes):
            node = nodes[path]
            member = tarfile.TarInfo(path.lstrip("/"))
            member.mode, member.uid, member.gid, member.mtime = node.mode, node.uid, node.gid, node.time
            if node.kind == DIRECTORY:
                member.type = tarfile.DIRTYPE
            elif node.kind == SYMLINK:
                member.type, member.linkname = tarfile.SYMTYPE, node.target
            member.size = len(node.content)
            tar.addfile(member, io.BytesIO(node.content))


def read_layer(source: IO[bytes]) -> dict[str, Node]:
    """Return the system in a tar, by absolute path; devices and hard links are left out."""
    nodes = {}
    with tarfile.open(fileobj=source, mode="r|") as tar:
        for member in tar:
            kind = FILE if member.isfile() else DIRECTORY if member.isdir() else SYMLINK if member.issym() else ""
            path = posixpath.normpath("/" + member.name.lstrip("/"))
            if kind and path != "/":
                stream = tar.extractfile(member) if kind == FILE else None
                content = stream.read() if stream else b""
                target = member.linkname if kind == SYMLINK else ""
                nodes[path] = Node(kind, member.mode & 0o7777, member.uid, member.gid, int(member.mtime), content, target)
    return nodes
