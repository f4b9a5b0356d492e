"""What the tests of the way to an Engine share."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from engines import docker

SETTINGS = ("HOST", "CONTEXT", "CONFIG", "TLS", "TLS_VERIFY", "TLS_HOSTNAME", "CERT_PATH")


@pytest.fixture(autouse=True)
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a directory for docker's configuration, empty, and forget what the tests were started with."""
    for name in SETTINGS:
        monkeypatch.delenv(f"DOCKER_{name}", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture
def context(config: Path) -> Callable[[str, str], None]:
    """Return what makes a docker context by the docker command."""
    if not shutil.which("docker"):
        pytest.skip("there is no docker command on this machine")

    def make(name: str, endpoint: str) -> None:
        made = docker("context", "create", name, "--docker", endpoint)
        assert made.returncode == 0, made.stderr

    return make
