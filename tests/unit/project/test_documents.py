"""Generated documents are what the code says."""

from __future__ import annotations

import subprocess
import sys

from plays import PROJECT


def test_documentation_is_fresh():
    """docs/checks.md is what the code says."""
    done = subprocess.run(
        [sys.executable, str(PROJECT / "scripts/generate_docs.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
