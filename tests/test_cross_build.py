"""An image for another platform is built where nothing of that platform can be run, and runs there: by an emulator that the build does not have."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plays import EXAMPLES, changed, free_port, get, left_on_engine, play, service_variables

pytestmark = pytest.mark.long
SERVICE = "cross-cat"
FOR_ARM = {"go_service_platform": "linux/arm64"}
ONLY_BUILD = {"go_services_entry_point": "build"}
# ELF's number of the machine (https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html).
AARCH64 = 183


def docker(*arguments: str) -> bytes:
    """Run the docker command and return what it prints."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True).stdout


def files(image: str) -> dict[str, tarfile.TarInfo]:
    """Return what is in an image, by path."""
    made = docker("create", image).decode().strip()
    try:
        with tarfile.open(fileobj=io.BytesIO(docker("export", made))) as archive:
            return {member.name: member for member in archive}
    finally:
        docker("rm", made)


def added(image: str, base: str) -> dict[str, tuple[int, int, int]]:
    """Return mode, user and group of what a service's image has that its base has not, or has otherwise, by path."""

    def identity(found: tarfile.TarInfo) -> tuple[int, ...]:
        # When something was put into a directory depends on the order of what is done.
        return found.mode, found.uid, found.gid, *((found.size, int(found.mtime)) if found.isfile() else ())

    below = files(base)
    return {
        path: (found.mode, found.uid, found.gid)
        for path, found in files(image).items()
        if path not in below or identity(below[path]) != identity(found)
        # What the Engine adds to each container, and what adduser keeps of the files before it changed them.
        if not path.startswith((".dockerenv", "dev", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", "proc", "sys"))
        and path[-1] != "-"
    }


@pytest.fixture
def variables(builder_image: str, runtime_image: str, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Return the variables of a service with directories and files of its own, of which nothing is left afterwards."""
    shutil.copytree(EXAMPLES / "cat-server", tmp_path / "source")
    (tmp_path / "source/seed.sh").write_text("#!/bin/sh\n")
    made = {
        **service_variables(SERVICE, tmp_path / "source", tmp_path),
        "go_service_builder_image": builder_image,
        "go_service_runtime_image": runtime_image,
        "go_service_directories": [".", "files/new", "/var/lib/cross"],
        "go_service_files": [{"src": "seed.sh", "owner": "app", "mode": "0700"}],
        # The stand-in of the runtime has a name of its own, which is asked for here as if it were an official image's.
        "base_images_source": "assemble",
    }
    yield made
    play("remove", made)
    assert left_on_engine(SERVICE) == []


@pytest.mark.parametrize("builder", ["docker_image", "buildx"])
def test_it_is_the_same_image_but_for_the_platform(
    builder: str, buildx: dict[str, str], emulator: Path, variables: dict[str, Any], tmp_path: Path
) -> None:
    """Users, owners and modes are those of the host's own image; it serves; the host's own image and the base under its own name are not touched."""
    asked = {**variables, "go_service_builder": builder}
    play("build", {**asked, **ONLY_BUILD}, env=buildx)
    own = json.loads(docker("image", "inspect", *docker("images", "--quiet", SERVICE).decode().split()))[0]
    told = play("build", {**asked, **FOR_ARM, **ONLY_BUILD}, env=buildx)
    assert "is for hosts of the platform linux/arm64, and meets the contract" in " ".join(told.split())
    found = json.loads(docker("image", "inspect", f"{SERVICE}:latest-arm64"))[0]
    assert (found["Os"], found["Architecture"], own["Architecture"]) == ("linux", "arm64", "amd64")
    config = {key: value for key, value in found["Config"].items() if key not in ("Image", "Labels")}
    assert config == {key: value for key, value in own["Config"].items() if key not in ("Image", "Labels")}
    base = str(own["Config"]["Labels"]["org.opencontainers.image.base.name"])
    assert found["Config"]["Labels"]["org.opencontainers.image.base.name"] == base
    assert added(found["Id"], f"{base}-linux-arm64") == added(own["Id"], base)

    binary = tmp_path / "binary"
    made = docker("create", found["Id"]).decode().strip()
    docker("cp", f"{made}:/usr/local/bin/{SERVICE}", str(binary))
    docker("rm", made)
    assert int.from_bytes(binary.read_bytes()[18:20], "little") == AARCH64
    port = free_port()
    how = ["--publish", f"127.0.0.1:{port}:8080", "--volume", f"{emulator}:/emulator:ro", "--entrypoint", "/emulator"]
    running = (
        docker("run", "--detach", "--rm", "--read-only", "--cap-drop", "ALL", *how, found["Id"], f"/usr/local/bin/{SERVICE}")
        .decode()
        .strip()
    )
    try:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                answer = get(port, "/health")
                break
            except OSError:
                time.sleep(0.2)
        assert answer[0] == 200 and json.loads(answer[1])["status"] == "ok"
    finally:
        docker("rm", "--force", running)
    assert changed(play("build", {**asked, **FOR_ARM, **ONLY_BUILD}, env=buildx)) == 0
    assert changed(play("build", {**asked, **ONLY_BUILD}, env=buildx)) == 0


def test_a_host_that_cannot_run_it_is_not_asked_to(variables: dict[str, Any]) -> None:
    said = " ".join(play("build", {**variables, **FOR_ARM}, succeeds=False).split())
    assert "but this host is linux/amd64, and cannot run such an image" in said and "(-e go_services_entry_point=build)" in said


def test_what_cannot_be_made_without_emulation_is_told_before_anything_starts(variables: dict[str, Any]) -> None:
    said = " ".join(play("build", {**variables, **FOR_ARM, **ONLY_BUILD, "go_service_packages": ["tzdata"]}, succeeds=False).split())
    assert "a package's programs for another platform cannot be run in the build" in said
