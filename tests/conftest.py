"""What all tests share: the builder image, and the go command that it lends."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

# The real one where it is on this machine, otherwise its stand-in.
BUILDERS = ("golang:1.27-alpine3.24", "stand-in/go-builder:1.27.3")


@pytest.fixture(scope="session")
def builder_image() -> str:
    """Return the builder image of this machine."""
    if subprocess.run(["docker", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker Engine answers on this machine (ansible-playbook tests/machine.yml starts one)")
    for image in BUILDERS:
        if subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0:
            return image
    pytest.fail(f"none of {', '.join(BUILDERS)} is on this machine; ansible-playbook tests/machine.yml assembles one")


@pytest.fixture(scope="session")
def go_binary(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the go command of this machine (GO_BINARY, or in PATH), otherwise that of the builder image, which runs here as well."""
    present = os.environ.get("GO_BINARY") or shutil.which("go")
    if present:
        return Path(present)
    image = request.getfixturevalue("builder_image")
    directory = tmp_path_factory.mktemp("toolchain")
    made = subprocess.run(["docker", "create", image], check=True, capture_output=True, text=True).stdout.strip()
    try:
        subprocess.run(["docker", "cp", f"{made}:/usr/local/go", directory], check=True, capture_output=True)
    finally:
        subprocess.run(["docker", "rm", made], check=True, capture_output=True)
    return directory / "go/bin/go"
