"""Ways to an Engine."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

Module = Callable[..., dict[str, Any]]


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the docker command with the settings of the test."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
