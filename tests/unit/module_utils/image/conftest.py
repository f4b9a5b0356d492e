"""What the tests of the build context share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a small source tree."""
    tree = tmp_path / "source"
    for path, content in {"go.mod": "module x", "main.go": "package main", "a/b/c/deep.go": "package c", "run.sh": "#!/bin/sh"}.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(content)
    (tree / "run.sh").chmod(0o755)
    (tree / "link").symlink_to("a/b/c/deep.go")
    (tree / "empty").mkdir()
    return tree
