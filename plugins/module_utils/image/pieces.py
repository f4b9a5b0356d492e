"""The archive of an image from `docker save`, in pieces: a file in which each member of the archive is compressed separately.

Members of gzip may follow each other in one file (RFC 1952, 2.2). So `docker load` can read the whole file, and also any selection of its pieces followed
by the end of the archive: the pieces that a host lacks are copied out of the file without compressing anything again.

The Engine's classic image store looks for a layer by the chain of layers up to it before it opens the layer's file (moby, image/tarexport/load.go, the
same from 20.10 to 28.5), so layers that the target already has may be left out. If a layer is missing there after all, the Engine refuses the archive and
changes nothing. The containerd image store needs the complete archive.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

_BLOCK, _CHUNK = 512, 1 << 20
_GZIP = 16 + zlib.MAX_WBITS
# A file is compressed once and sent to many hosts.
_LEVEL = 6
_MANIFEST = "manifest.json"
_LARGEST_DOCUMENT = 8 << 20


class NoImage(ValueError):
    """An archive does not contain exactly one image."""


@dataclass(frozen=True)
class Sum:
    """The expected size and checksum of a file. size: in bytes; sha256: in hex digits."""

    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> Sum:
        """Return that of a file."""
        digest, size = hashlib.sha256(), 0
        with path.open("rb") as file:
            for block in iter(lambda: file.read(_CHUNK), b""):
                digest.update(block)
                size += len(block)
        return cls(size, digest.hexdigest())

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Contents:
    """The positions of the pieces in the file. Each part is (offset, length) in bytes.

    head: what each selection needs: the image's configuration, and the list of its layers. layers: the parts of each layer, the lowest
    first. end: the end of the archive. whole: size and checksum of the file.
    """

    head: tuple[tuple[int, int], ...]
    layers: tuple[tuple[tuple[int, int], ...], ...]
    end: tuple[int, int]
    whole: Sum

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Contents:
        """Return the contents that `as_json` wrote."""
        head = tuple((offset, length) for offset, length in data["head"])
        layers = tuple(tuple((offset, length) for offset, length in layer) for layer in data["layers"])
        offset, length = data["end"]
        return cls(head, layers, (offset, length), Sum(**data["whole"]))

    def as_json(self) -> dict[str, Any]:
        """Return them as plain data."""
        return asdict(self)


class _Writer:
    """Writes members, each compressed by itself."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._sha256 = hashlib.sha256()
        self._size = 0

    def write(self, blocks: Iterable[bytes]) -> tuple[int, int]:
        """Write one member, and return where it is."""
        began = self._size
        packing = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        for block in blocks:
            self._put(packing.compress(block))
        self._put(packing.flush())
        return began, self._size - began

    def _put(self, data: bytes) -> None:
        self._target.write(data)
        self._sha256.update(data)
        self._size += len(data)

    @property
    def sum(self) -> Sum:
        """What was written."""
        return Sum(self._size, self._sha256.hexdigest())


def split(stream: IO[bytes], target: IO[bytes]) -> Contents:
    """Write the archive from a stream in pieces, and return their positions; raise NoImage or an error of tarfile if it is not one of a single image."""
    writer = _Writer(target)
    parts: dict[str, tuple[int, int]] = {}
    links: dict[str, str] = {}
    documents: dict[str, bytes] = {}
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            if member.isdir():
                continue
            if member.issym() or member.islnk():
                beside = posixpath.dirname(member.name) if member.issym() else ""
                links[member.name] = posixpath.normpath(posixpath.join(beside, member.linkname))
            parts[member.name] = writer.write(_tar(archive, member, documents))
    manifest = _manifest(documents)
    if manifest["Config"] not in parts:
        raise NoImage(f"the archive has no {manifest['Config']}")
    layers = tuple(tuple(parts[name] for name in _with_target(layer, parts, links)) for layer in manifest["Layers"])
    end = writer.write([bytes(2 * _BLOCK)])
    return Contents((parts[manifest["Config"]], parts[_MANIFEST]), layers, end, writer.sum)


def _tar(archive: tarfile.TarFile, member: tarfile.TarInfo, documents: dict[str, bytes]) -> Iterator[bytes]:
    """Yield a member as an archive has it; what may be a description of the image is kept in `documents`."""
    yield member.tobuf(tarfile.GNU_FORMAT)
    content = archive.extractfile(member) if member.isreg() else None
    if content is None:
        return
    kept = bytearray() if member.name == _MANIFEST else None
    for block in iter(lambda: content.read(_CHUNK), b""):
        if kept is not None and len(kept) < _LARGEST_DOCUMENT:
            kept += block
        yield block
    yield bytes(-member.size % _BLOCK)
    if kept is not None:
        documents[member.name] = bytes(kept)


def _manifest(documents: dict[str, bytes]) -> dict[str, Any]:
    try:
        (manifest,) = json.loads(documents[_MANIFEST])
        return {"Config": str(manifest["Config"]), "Layers": list(map(str, manifest["Layers"]))}
    except (KeyError, ValueError, TypeError) as error:
        raise NoImage(f"{_MANIFEST} of the archive does not describe one image: {error!r}") from error


def _with_target(name: str, parts: dict[str, tuple[int, int]], links: dict[str, str]) -> list[str]:
    """Return the member of a layer, and the target if it is a link: an Engine before 25 writes identical layers only once."""
    found = [name]
    while found[-1] in links and links[found[-1]] not in found:
        found.append(links[found[-1]])
    if any(member not in parts for member in found):
        raise NoImage(f"the archive lacks the layer {name}")
    return found[::-1]


def choose(pieces: Path, contents: Contents, present: int, target: Path) -> Sum:
    """Write an archive without the lowest layers, which the target already has, and return its size and checksum; present: how many layers these are."""
    wanted = [*contents.head, *(part for layer in contents.layers[present:] for part in layer), contents.end]
    digest, size = hashlib.sha256(), 0
    with pieces.open("rb") as source, target.open("wb") as file:
        # Identical layers have the same members.
        for offset, length in dict.fromkeys(wanted):
            source.seek(offset)
            left = length
            while left:
                block = source.read(min(left, _CHUNK))
                if not block:
                    raise NoImage("the file of the image's pieces is cut off")
                file.write(block)
                digest.update(block)
                size += len(block)
                left -= len(block)
    return Sum(size, digest.hexdigest())


def present_layers(layers: Sequence[str], images: Iterable[Sequence[str]]) -> int:
    """Return how many of an image's layers, counted from the lowest one, a host has: those that it shares with an image on that host."""

    def shared(other: Sequence[str]) -> int:
        return next((number for number, (own, theirs) in enumerate(zip(layers, other)) if own != theirs), min(len(layers), len(other)))

    return max(map(shared, images), default=0)
