"""What is in an image: one pass over the stream of `docker save`, layer by layer, without unpacking it anywhere.

The stream comes in three shapes, which are told apart by content and not by name:
- Engine up to 24: ``<id>/layer.tar`` with identical layers as symbolic links, ``<config>.json``, ``manifest.json``,
- Engine from 25: an OCI layout, ``blobs/sha256/<digest>``, with uncompressed layers, and ``manifest.json`` beside it,
- the containerd image store: the same with layers as they were pulled, gzip or zstd.

Layer changes follow the OCI image specification (layer.md): ``.wh.<name>`` removes a path of the layers below, and
``.wh..wh..opq`` hides what the layers below have in a directory.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import posixpath
import re
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import IO, Any

from ...common.failure import Problem

FILE, DIRECTORY, SYMLINK, HARDLINK, OTHER = "file", "directory", "symlink", "hardlink", "other"

_CHUNK = 1 << 18
_IN_MEMORY = 16 << 20
_LARGEST_DOCUMENT = 16 << 20
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
# What the classic builder writes instead of the sources of a COPY: "file:<sha256> in ".
_CONTENT_HASH = re.compile(r" ?(?:file|dir|multi):[0-9a-f]{64} (?:in )?")
_FILE_CAPABILITIES = "SCHILY.xattr.security.capability"


class ArchiveError(Problem):
    """The stream is no image archive, or holds another image than the one asked for."""


@dataclass(frozen=True)
class FileEntry:
    """One path of a layer or of the file system that the layers make up.

    path: absolute. mode: permission bits with setuid, setgid and sticky. target: of a symbolic or hard link. size: of a
    file, and of a symbolic link's target, as file systems count it.
    sha256: of a regular file's content, in hex. layer: index of the layer it comes from, the lowest being 0.
    """

    path: str
    type: str
    mode: int
    uid: int
    gid: int
    size: int = 0
    target: str = ""
    sha256: str = ""
    capabilities: bool = False
    layer: int = 0

    def same_as(self, other: FileEntry) -> bool:
        """Say whether nothing but the layer and the times differ."""
        return self._identity() == other._identity()

    def _identity(self) -> tuple[object, ...]:
        return (self.type, self.mode, self.uid, self.gid, self.size, self.target, self.sha256, self.capabilities)


@dataclass
class LayerFiles:
    """The changes that one layer makes. contents: streams of the files that were asked for."""

    entries: dict[str, FileEntry] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    emptied: list[str] = field(default_factory=list)
    contents: dict[str, IO[bytes]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the files in it, uncompressed: what overlay2 counts, whichever image store is used."""
        return sum(entry.size for entry in self.entries.values())


@dataclass(frozen=True)
class ImageArchive:
    """An image's configuration and its layers, the lowest first; a layer that cannot be read here is None."""

    config: dict[str, Any]
    layers: tuple[LayerFiles | None, ...]

    @property
    def diff_ids(self) -> tuple[str, ...]:
        """Digests of the uncompressed layers, the lowest first."""
        return tuple((self.config.get("rootfs") or {}).get("diff_ids") or ())

    @property
    def complete(self) -> bool:
        """Say whether every layer could be read."""
        return None not in self.layers


class _Peeked:
    """A stream of which the beginning has been looked at."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self.head = stream.read(size)
        self._unread = self.head

    def read(self, size: int = -1) -> bytes:
        if not self._unread:
            return self._stream.read(size)
        if size < 0:
            taken, self._unread = self._unread, b""
            return taken + self._stream.read()
        taken, self._unread = self._unread[:size], self._unread[size:]
        return taken


def _absolute(name: str) -> str:
    return posixpath.normpath("/" + name.lstrip("/"))


def _decompressed(stream: _Peeked) -> IO[bytes] | _Peeked | None:
    """The tar stream behind a blob; None for what is no tar, or compressed in a way this Python cannot read."""
    head = stream.head
    if head[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=stream)  # type: ignore[call-overload]
    if head[:4] == b"\x28\xb5\x2f\xfd":
        try:
            from compression.zstd import ZstdFile  # noqa: PLC0415 - of the standard library since Python 3.14
        except ImportError:
            return None
        return ZstdFile(stream)
    return stream


def _is_tar(head: bytes) -> bool:
    # A layer without any change is a tar of zero blocks only.
    return head[257:262] == b"ustar" or (len(head) == 512 and not any(head))


def read_layer(stream: IO[bytes] | _Peeked, wanted: frozenset[str] = frozenset()) -> LayerFiles:
    """Read a layer, or any other tar of a file system.

    :param stream: uncompressed tar; only read forwards.
    :param wanted: absolute paths whose content is kept.
    :raises tarfile.TarError: a damaged tar.
    """
    found = LayerFiles()
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK) as tar:  # type: ignore[call-overload]
        for member in tar:
            path = _absolute(member.name)
            folder, name = posixpath.split(path)
            if name == _OPAQUE:
                found.emptied.append(folder)
            elif name.startswith(_WHITEOUT):
                found.removed.append(posixpath.join(folder, name[len(_WHITEOUT) :]))
            elif path != "/":
                found.entries[path] = _entry(tar, member, path, found.contents, wanted)
    return found


def _entry(
    tar: tarfile.TarFile,
    member: tarfile.TarInfo,
    path: str,
    contents: dict[str, IO[bytes]],
    wanted: frozenset[str],
) -> FileEntry:
    kind, target, digest, size = OTHER, "", "", 0
    if member.isdir():
        kind = DIRECTORY
    elif member.issym():
        kind, target, size = SYMLINK, member.linkname, len(member.linkname.encode("utf-8", "surrogateescape"))
    elif member.islnk():
        kind, target = HARDLINK, _absolute(member.linkname)
    elif member.isfile():
        kind, size = FILE, member.size
        copy = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) if path in wanted else None  # noqa: SIM115 - kept
        digest = _digest(tar.extractfile(member), copy)
        if copy is not None:
            contents[path] = copy
    return FileEntry(
        path=path,
        type=kind,
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        size=size,
        target=target,
        sha256=digest,
        capabilities=_FILE_CAPABILITIES in member.pax_headers,
    )


def _digest(stream: IO[bytes] | None, copy: Any) -> str:
    digest = hashlib.sha256()
    while stream is not None and (chunk := stream.read(_CHUNK)):
        digest.update(chunk)
        if copy is not None:
            copy.write(chunk)
    return digest.hexdigest()


def read_image(stream: IO[bytes], diff_ids: Iterable[str], wanted: Iterable[str] = ()) -> ImageArchive:
    """Read one image out of the stream of `docker save`.

    :param stream: the tar stream; only read forwards.
    :param diff_ids: the image's RootFS.Layers, by which it is told from others in the stream.
    :param wanted: absolute paths whose content is kept, in whichever layer they are.
    :raises ArchiveError: no such image in the stream.
    :raises tarfile.TarError: a damaged stream.
    """
    scans: dict[str, LayerFiles | None] = {}
    documents: dict[str, bytes] = {}
    links: dict[str, str] = {}
    keep = frozenset(wanted)
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK) as outer:
        for member in outer:
            name = posixpath.normpath(member.name)
            if member.issym():
                links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
            elif member.islnk():
                links[name] = posixpath.normpath(member.linkname)
            elif member.isfile():
                blob = _Peeked(outer.extractfile(member), 512)  # type: ignore[arg-type]
                if blob.head[:1] in (b"{", b"[") and member.size <= _LARGEST_DOCUMENT:
                    documents[name] = blob.read()
                else:
                    scans[name] = _scan_blob(blob, keep)
    config, layers = _pick(documents, tuple(diff_ids))
    return ImageArchive(config, tuple(_with_layer(scans.get(links.get(name, name)), at) for at, name in enumerate(layers)))


def _scan_blob(blob: _Peeked, wanted: frozenset[str]) -> LayerFiles | None:
    tar = _decompressed(blob)
    if tar is None:
        return None
    if tar is not blob:
        tar = _Peeked(tar, 512)  # type: ignore[arg-type]
    return read_layer(tar, wanted) if _is_tar(tar.head) else None


def _with_layer(files: LayerFiles | None, layer: int) -> LayerFiles | None:
    if files is None:
        return None
    entries = {path: replace(entry, layer=layer) for path, entry in files.entries.items()}
    return replace(files, entries=entries)


def _pick(documents: dict[str, bytes], diff_ids: tuple[str, ...]) -> tuple[dict[str, Any], list[str]]:
    """The configuration and the names of the layers of the image with these layers."""
    if "manifest.json" not in documents:
        raise ArchiveError("the Engine's image archive has no manifest.json")
    try:
        for record in json.loads(documents["manifest.json"]):
            config = json.loads(documents.get(posixpath.normpath(record["Config"]), b"{}"))
            found = tuple((config.get("rootfs") or {}).get("diff_ids") or ())
            if found == diff_ids and len(record.get("Layers") or ()) == len(found):
                return config, [posixpath.normpath(name) for name in record["Layers"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArchiveError(f"the Engine's image archive has a manifest that cannot be read: {error}") from error
    raise ArchiveError("the Engine's image archive does not hold the image that was asked for")


def merge(layers: Iterable[LayerFiles]) -> dict[str, FileEntry]:
    """Lay layers over each other, the lowest first, and return the file system they make up, by path."""
    files: dict[str, FileEntry] = {}
    for layer in layers:
        for folder in layer.emptied:
            _drop_below(files, folder)
        for path in layer.removed:
            files.pop(path, None)
            _drop_below(files, path)
        for path, entry in layer.entries.items():
            old = files.get(path)
            if old is not None and old.type == DIRECTORY and entry.type != DIRECTORY:
                _drop_below(files, path)
            files[path] = entry
    return files


def _drop_below(files: dict[str, FileEntry], folder: str) -> None:
    prefix = folder.rstrip("/") + "/"
    for path in [path for path in files if path.startswith(prefix)]:
        del files[path]


def instructions(config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (what made it, when) for each layer of a configuration, the lowest first; empty steps are left out."""
    for step in config.get("history") or ():
        if not step.get("empty_layer"):
            yield instruction(step.get("created_by") or ""), step.get("created") or ""


def instruction(created_by: str) -> str:
    """Bring the history's words back to the Dockerfile's: without the shell, the builder's marks and the file
    hashes."""
    text = created_by.strip()
    for prefix, replacement in (("/bin/sh -c #(nop)", ""), ("/bin/sh -c ", "RUN "), ("RUN /bin/sh -c ", "RUN ")):
        if text.startswith(prefix):
            text = replacement + text[len(prefix) :].strip()
            break
    if text.startswith("|"):  # "|2 A=1 B=2 /bin/sh -c go build": a RUN with build arguments
        text = "RUN " + text.partition("/bin/sh -c ")[2]
    text = text.removesuffix("# buildkit").strip()
    return _CONTENT_HASH.sub(" ", text) if text.startswith(("COPY", "ADD")) else text
