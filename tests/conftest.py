"""What all tests share: the builder image, and the go command that it lends."""

from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest
from plays import BUILDER, RUNTIME

# The real ones where they are on this machine, otherwise their stand-ins: builder -> runtime.
BASES = {"golang:1.27-alpine3.24": "alpine:3.24", BUILDER: RUNTIME}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs this machine's Engine, or runs plays on it: `make unit` runs those below tests/unit one after the other, the others beside them, and then the rest.

    First of all: pytest selects by marks when the same hook comes to it.
    """
    unit = Path(__file__).parent / "unit"
    for item in items:
        needs = item.get_closest_marker("engine") or {"engine", "builder_image"}.intersection(getattr(item, "fixturenames", ()))
        if needs or unit not in item.path.parents or unit / "runs" in item.path.parents:
            item.add_marker(pytest.mark.host)


@pytest.fixture(scope="session")
def builder_image() -> str:
    """Return the builder image of this machine."""
    if subprocess.run(["docker", "version"], capture_output=True, check=False).returncode:
        pytest.skip("no Docker Engine answers on this machine (ansible-playbook tests/machine.yml starts one)")
    for image in BASES:
        if subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0:
            return image
    pytest.fail(f"none of {', '.join(BASES)} is on this machine; ansible-playbook tests/machine.yml assembles one")


@pytest.fixture(scope="session")
def runtime_image(builder_image: str) -> str:
    """Return the runtime image of this machine that goes with the builder."""
    return BASES[builder_image]


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


def debian_13_package(name: str, directory: Path) -> None:
    """Unpack a package of Debian 13 from the mirror that this machine's apt uses."""
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Component: main", "Origin: Debian"]
    mirror = os.environ.get("GO_SERVICE_TEST_MIRROR") or subprocess.check_output(targets, text=True).split()[0]
    architecture = subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()
    with urllib.request.urlopen(f"{mirror.rstrip('/')}/dists/trixie/main/binary-{architecture}/Packages.xz", timeout=60) as packed:
        index = lzma.decompress(packed.read()).decode()
    path = re.search(rf"^Package: {name}$.*?^Filename: (\S+)$", index, re.M | re.S)[1]
    archive, _headers = urllib.request.urlretrieve(f"{mirror.rstrip('/')}/{path}", directory / "package.deb")
    subprocess.run(["dpkg-deb", "--extract", archive, directory], check=True)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the program that runs programs for arm64 here: this machine's, or that of Debian 13. It needs no other file."""
    own = shutil.which("qemu-aarch64-static")
    if own:
        return Path(own)
    directory = tmp_path_factory.mktemp("emulator")
    try:
        debian_13_package("qemu-user", directory)
    except (OSError, subprocess.CalledProcessError, IndexError, TypeError) as error:
        pytest.skip(f"no qemu-aarch64-static is on this machine, and that of Debian 13 cannot be had: {error}")
    return directory / "usr/bin/qemu-aarch64"


@pytest.fixture(scope="session")
def buildx(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment in which this machine's Docker client has buildx: its own, or that of Debian 13, since Debian 12 has none."""
    directory = tmp_path_factory.mktemp("buildx")
    environment = {"DOCKER_CONFIG": str(directory / "config")}
    own = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "cli-plugins"
    if (own / "docker-buildx").exists():
        # The tests have a configuration of their own.
        shutil.copytree(own, directory / "config/cli-plugins")
        return environment
    if subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode == 0:
        return {}
    try:
        debian_13_package("docker-buildx", directory)
        shutil.copytree(directory / "usr/libexec/docker/cli-plugins", directory / "config/cli-plugins")
        subprocess.run(["docker", "buildx", "version"], env={**os.environ, **environment}, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError, IndexError, TypeError) as error:
        pytest.skip(f"the Docker client has no plugin buildx, and that of Debian 13 cannot be had: {error}")
    return environment
