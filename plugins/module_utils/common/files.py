"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
from pathlib import Path

CHUNK = 1 << 20


def write_file(target: Path, content: io.BufferedIOBase, mode: int) -> None:
    """Write a file by way of a temporary one beside it, so that the name never shows half a file."""
    descriptor, name = tempfile.mkstemp(prefix=".staging-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as out:
            shutil.copyfileobj(content, out, CHUNK)
        os.chmod(name, mode)
        os.replace(name, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def write_text(target: Path, text: str) -> None:
    """Write a text file of mode 0644."""
    write_file(target, io.BytesIO(text.encode()), 0o644)
