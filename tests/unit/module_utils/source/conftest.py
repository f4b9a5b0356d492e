"""What the tests of reading a source share: the go command, and a module with one requirement."""

from __future__ import annotations

from pathlib import Path

import pytest
from go_trees import SERVER, Go


@pytest.fixture(scope="session")
def go(go_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Go:
    return Go(str(go_binary), tmp_path_factory.mktemp("go"))


@pytest.fixture
def go_module(tmp_path: Path) -> Path:
    """Return a Go module with one requirement."""
    (tmp_path / "go.mod").write_text("module example.com/api\n\ngo 1.22\n\nrequire example.org/lib v1.0.0\n")
    (tmp_path / "main.go").write_text(SERVER)
    (tmp_path / "main_test.go").write_text('package main\n\nimport "testing/iotest"\n\nvar _ = iotest.ErrTimeout\n')
    return tmp_path
