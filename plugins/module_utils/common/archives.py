"""Archives that are made in memory, for the files that the Engine puts into a container."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping


def packed(files: Mapping[str, bytes], mode: int = 0o600, uid: int = 0, gid: int = 0) -> bytes:
    """Return a tar archive of files by their paths; a path that ends with a slash is a directory, of mode 0755."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path.strip("/"))
            entry.size, entry.mode, entry.uid, entry.gid = len(content), mode, uid, gid
            if path.endswith("/"):
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry, io.BytesIO(content))
    return written.getvalue()
