"""An archive of images for `docker load`, written in one pass. The same layers and texts give the same image ids on every host."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import time as clock
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import IO, Any

_BLOCK = 512
# The Engine's names of the machines that `uname -m` names, with the variant if there is one.
PLATFORMS = {"x86_64": {"architecture": "amd64"}, "aarch64": {"architecture": "arm64", "variant": "v8"}}


@dataclass(frozen=True)
class Layer:
    """A layer that was written. name: in the archive. digest: of its tar. made_by: a sentence for the history."""

    name: str
    digest: str
    made_by: str


@dataclass(frozen=True)
class Image:
    """An image that is written. name: repository and tag. config: what a container of it has, as the Engine's configuration spells it."""

    name: str
    layers: tuple[Layer, ...]
    config: dict[str, Any] = field(default_factory=dict)


class _Digesting(io.RawIOBase):
    """Writes to a file, and keeps the size and the SHA-256 of what was written."""

    def __init__(self, target: IO[bytes]) -> None:
        super().__init__()
        self._target = target
        self.size = 0
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._target.write(data)
        self.sha256.update(data)
        self.size += len(data)
        return len(data)

    def tell(self) -> int:
        return self.size


class Writer:
    """Writes an archive.

    target: a seekable file. time: the time of creation in its images, in seconds since 1970. machine: as `uname -m` names it.
    """

    def __init__(self, target: IO[bytes], time: int, machine: str) -> None:
        self._target = target
        self._time = time
        self._machine = machine

    def layer(self, write: Callable[[IO[bytes]], None], made_by: str) -> Layer:
        """Write a layer with a function that writes its tar to a given file."""
        start = self._target.tell()
        self._target.write(bytes(_BLOCK))
        digesting = _Digesting(self._target)
        write(digesting)  # type: ignore[arg-type]
        digest = digesting.sha256.hexdigest()
        layer = Layer(f"{digest}.tar", f"sha256:{digest}", made_by)
        self._pad(digesting.size)
        end = self._target.tell()
        # The layer's name and size are known only now.
        self._target.seek(start)
        self._target.write(self._header(layer.name, digesting.size))
        self._target.seek(end)
        return layer

    def finish(self, images: Iterable[Image]) -> dict[str, str]:
        """Write the descriptions of the images, and the end of the archive; return name -> image id."""
        ids, manifest = {}, []
        created = clock.strftime("%Y-%m-%dT%H:%M:%SZ", clock.gmtime(self._time))
        for image in images:
            document = {
                **PLATFORMS[self._machine],
                "config": image.config,
                "created": created,
                "history": [{"created": created, "created_by": layer.made_by} for layer in image.layers],
                "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in image.layers]},
            }
            content = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
            digest = hashlib.sha256(content).hexdigest()
            self._add(f"{digest}.json", content)
            manifest.append({"Config": f"{digest}.json", "RepoTags": [image.name], "Layers": [layer.name for layer in image.layers]})
            ids[image.name] = f"sha256:{digest}"
        self._add("manifest.json", json.dumps(manifest).encode())
        self._target.write(bytes(2 * _BLOCK))
        return ids

    def _add(self, name: str, content: bytes) -> None:
        self._target.write(self._header(name, len(content)))
        self._target.write(content)
        self._pad(len(content))

    def _pad(self, size: int) -> None:
        self._target.write(bytes(-size % _BLOCK))

    def _header(self, name: str, size: int) -> bytes:
        member = tarfile.TarInfo(name)
        member.size, member.mtime = size, self._time
        return member.tobuf(tarfile.USTAR_FORMAT)
