"""The example service's own checks, run with the builder image's Go: nothing of Go is needed on this machine."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import pytest
from plays import EXAMPLES

SOURCE = EXAMPLES / "cat-server"
# Go's build cache, kept from run to run.
CACHE = "go-service-test-cache"


def docker(*arguments: str) -> subprocess.CompletedProcess:
    """Run the Docker client and return what came of it."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def go(builder_image: str) -> Callable[..., subprocess.CompletedProcess]:
    """Return what runs the go command on the example's source, which it cannot change."""
    docker("volume", "create", "--label", "go-service-test=cache", CACHE)

    def run(*command: str) -> subprocess.CompletedProcess:
        options = ["--rm", "--network=none", f"--volume={EXAMPLES}:/src:ro", f"--volume={CACHE}:/cache", "--workdir=/src/cat-server"]
        environment = ["--env=CGO_ENABLED=0", "--env=GOCACHE=/cache", "--env=GOFLAGS=-mod=readonly", "--env=GOPROXY=off"]
        return docker("run", *options, *environment, builder_image, *command)

    return run


@pytest.mark.parametrize(
    "command",
    [
        ["go", "vet", "./..."],
        ["go", "test", "-count=1", "./..."],
    ],
    ids=" ".join,
)
def test_the_example_passes(go: Callable[..., subprocess.CompletedProcess], command: list[str]) -> None:
    done = go(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no test files" not in done.stdout


def test_the_examples_are_formatted(go: Callable[..., subprocess.CompletedProcess]) -> None:
    done = go("gofmt", "-l", "/src")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_the_example_needs_the_standard_library_alone() -> None:
    assert sorted(os.listdir(SOURCE)) == sorted(set(os.listdir(SOURCE)) - {"vendor", "go.sum"})
    assert "require" not in (SOURCE / "go.mod").read_text()
