"""What builds an image: the classic builder where the Engine offers it, BuildKit where it does not, and the same binary by either.

No Engine that lacks the classic builder exists yet. A STAND-IN plays one: a proxy before this machine's Engine, which recommends BuildKit and
refuses to build without it. Its words are ours, made like those of moby for a builder that it gave up before.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from plays import SERVICES, changed, get, left_on_engine, play, service_variables
from relays import Handler, Relay

REFUSAL = "the classic builder is no longer supported, use builder version 2 (BuildKit) instead"
SERVICE = "builder-notes"


class _Handler(Handler):
    """Serves one request; each has a connection of its own, so that only its head has to be understood."""

    ping = False

    def handle(self) -> None:
        """Refuse to build without BuildKit, and hand everything else on."""
        client = self.request
        head = b""
        while b"\r\n\r\n" not in head:
            piece = client.recv(65536)
            if not piece:
                return
            head += piece
        request = head.partition(b"\r\n")[0].decode()
        if re.match(r"POST (/v[\d.]+)?/build[? ]", request) and "version=2" not in request:
            self.server.refused += 1
            body = json.dumps({"message": REFUSAL}).encode()
            client.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\n")
            client.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
            # What is still on its way is read, or the client would see a broken connection instead of the answer.
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
            return
        self.server.buildkit += bool(re.match(r"POST (/v[\d.]+)?/(build\?|session )", request))
        if b"\r\nupgrade:" not in head.lower():
            head = head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        self.ping = "/_ping " in request.replace("?", " ")
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self.server.engine)
            engine.sendall(head)
            self.copy_both_ways(engine)

    def passed_on(self, piece: bytes) -> bytes:
        """Recommend BuildKit in the answer to a ping; its request has no more to send."""
        if self.ping and piece:
            self.ping = False
            return piece.replace(b"\r\n", b"\r\nBuilder-Version: 2\r\n", 1)
        return piece


class BuildKitOnly(Relay):
    """The stand-in. refused: how often it refused to build; buildkit: how often a client began a build by BuildKit."""

    def __init__(self, path: Path) -> None:
        self.refused = self.buildkit = 0
        super().__init__(path, _Handler)


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[BuildKitOnly]:
    """Return the stand-in, which listens at tmp_path/engine.sock."""
    proxy = BuildKitOnly(tmp_path / "engine.sock")
    yield proxy
    proxy.end()


@pytest.fixture
def variables(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Return the variables of a service, which is gone after the test."""
    made = service_variables(SERVICE, shutil.copytree(SERVICES / "notes", tmp_path / "source"), tmp_path)
    yield made
    play("remove", made)


def report(tmp_path: Path) -> dict[str, Any]:
    """Return the last report of the service."""
    return json.loads((tmp_path / f"reports/localhost/{SERVICE}.json").read_text())


def binary(image: str, path: str) -> str:
    """Return the SHA-256 of a file in an image, taken out by the Docker client."""
    made = subprocess.check_output(["docker", "create", image], text=True).strip()
    try:
        packed = subprocess.run(["docker", "cp", f"{made}:{path}", "-"], check=True, capture_output=True).stdout
        content = subprocess.run(["tar", "-xO"], input=packed, check=True, capture_output=True).stdout
    finally:
        subprocess.run(["docker", "rm", made], check=True, capture_output=True)
    assert content.startswith(b"\x7fELF")
    return hashlib.sha256(content).hexdigest()


def mounted_caches() -> list[str]:
    """Return how the Engine describes the caches that BuildKit mounts into builds."""
    return [cache["Description"] for cache in docker.APIClient().df()["BuildCache"] or [] if cache["Type"] == "exec.cachemount"]


@pytest.mark.long
def test_buildkit_takes_over_and_makes_the_same_binary(
    buildx: dict[str, str], stand_in: BuildKitOnly, variables: dict[str, Any], tmp_path: Path
) -> None:
    """Said before the build, in the plan, in the report, on its page and in the summary; the classic builder makes the same of the source."""
    environment = {**buildx, "DOCKER_HOST": f"unix://{tmp_path}/engine.sock"}
    reason = f"this Engine does not offer the classic builder (build: {REFUSAL})"
    planned = play("build", variables, "--check", "--diff", env=environment)
    assert f"+builder: buildx: {reason}" in planned
    assert stand_in.buildkit == 0

    first = play("build", variables, env=environment)
    assert stand_in.refused and stand_in.buildkit
    said = first.index(f"BuildKit builds the image instead of docker_image: {reason}.")
    assert said < first.index("TASK [proven.go_service.go_service : Build the image")
    assert f"by buildx because {reason}" in " ".join(first.split())
    assert report(tmp_path)["builder"] == {"name": "buildx", "reason": reason}
    assert f"<dd>buildx, because {reason}</dd>" in (tmp_path / f"reports/localhost/{SERVICE}.html").read_text()
    assert get(int(variables["go_service_publish"].rpartition(":")[2]), "/health") == (200, "ok")

    spoken = stand_in.buildkit
    again = play("build", variables, env=environment)
    assert changed(again) == 0
    assert stand_in.buildkit == spoken
    assert report(tmp_path)["builder"]["name"] == "buildx"

    image, path = report(tmp_path)["image"]["reference"], report(tmp_path)["binary"]["path"]
    by_buildkit = binary(image, path)
    play("remove", variables)
    assert left_on_engine(SERVICE) == []
    assert "by docker_image, " in play("build", variables)
    assert report(tmp_path)["builder"] == {"name": "docker_image", "reason": ""}
    assert report(tmp_path)["image"]["reference"] == image
    assert binary(image, path) == by_buildkit


@pytest.mark.long
def test_the_caches_of_buildkit_are_not_seen_in_the_binary_and_go_with_the_service(
    buildx: dict[str, str], variables: dict[str, Any], tmp_path: Path
) -> None:
    """A service whose tests run in the build shares no caches. After edits its binary is that of the classic builder, which has none of them."""
    own = f"cached mount /var/cache/go-service-{SERVICE}/"
    asked = {**variables, "go_service_builder": "buildx", "go_service_run_tests": True}
    source = Path(variables["go_service_source"]) / "edited.go"
    for number in range(3):
        source.write_text(f"package main\n\nfunc init() {{ println({number}) }}\n")
        assert "by buildx, " in play("build", asked, env=buildx)
    assert sorted(description.removeprefix(own).split()[0] for description in mounted_caches() if description.startswith(own)) == [
        "build",
        "modules",
    ]
    image, path = report(tmp_path)["image"]["reference"], report(tmp_path)["binary"]["path"]
    by_buildkit = binary(image, path)

    assert f"{SERVICE}: removed the caches of its builds" in play("remove", asked, env=buildx)
    assert not [description for description in mounted_caches() if description.startswith(own)]
    assert "by docker_image, " in play("build", {**asked, "go_service_builder": "docker_image"})
    assert report(tmp_path)["image"]["reference"] == image
    assert binary(image, path) == by_buildkit


@pytest.mark.parametrize("builder", ["docker_image", "buildx"])
def test_without_any_builder_nothing_is_touched(builder: str, stand_in: BuildKitOnly, variables: dict[str, Any], tmp_path: Path) -> None:
    """The run ends with the cause and the remedy. A client without the plugin is played by a script before the real one."""
    client = tmp_path / "bin/docker"
    client.parent.mkdir()
    client.write_text(
        f'#!/bin/sh\n[ "$1" != buildx ] && exec {shutil.which("docker")} "$@"\necho "unknown command: docker buildx" >&2\nexit 1\n'
    )
    client.chmod(0o755)
    environment = {"DOCKER_HOST": f"unix://{tmp_path}/engine.sock", "PATH": f"{client.parent}:{os.environ['PATH']}"}
    failed = " ".join(play("build", {**variables, "go_service_builder": builder}, env=environment, succeeds=False).split())
    cause = (
        f"this Engine does not offer the classic builder (build: {REFUSAL})"
        if builder == "docker_image"
        else "go_service_builder is buildx"
    )
    assert f"{cause}, and the Docker client of this host lacks the plugin buildx" in failed
    assert "Install it on the host (the package docker-buildx" in failed
    assert "Nothing that ran before was touched." in failed
    assert stand_in.buildkit == 0
    assert left_on_engine(SERVICE) == []
    assert not (tmp_path / "work").exists()
