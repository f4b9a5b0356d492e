"""A build that fails, or must not begin: the run tells why, and neither the service nor its image was touched."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lifecycle_tools import BUILD, DEPLOY, SERVICE, SOURCE, Case, Vm, unbuilt

SECRET = "PLANTED-SECRET-IN"
SECRETS = [".env", ".git/config", "id_rsa", "certs/server.pem", "deploy/.env.production", "internal/key/tls.key"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the service's source, to plant a fault in."""
    return Path(shutil.copytree(SOURCE, tmp_path / "source"))


@pytest.mark.core
def test_compile_error(case: Case, source: Path) -> None:
    """The compiler's words are told, with the line."""
    with (source / "main.go").open("a") as program:
        program.write("\nfunc broken() { return undefinedName }\n")
    line = (source / "main.go").read_text().count("\n")
    message = case.failed(case.play(source=str(source)))
    assert "the build failed at: RUN go build" in message
    assert f"./main.go:{line}:" in message
    assert "undefinedName" in message
    assert "Correct the source at the lines named" in message
    case.untouched()


def test_failing_test(case: Case, source: Path) -> None:
    """With the tests in the build, one that fails fails the build."""
    (source / "broken_test.go").write_text(
        'package main\n\nimport "testing"\n\nfunc TestQueue(t *testing.T) { t.Fatal("the queue is full") }\n'
    )
    message = case.failed(case.play(source=str(source), run_tests=True))
    assert "the build failed at: RUN go test" in message
    assert "--- FAIL: TestQueue" in message
    assert "the queue is full" in message
    case.untouched()


def test_base_image_missing(case: Case) -> None:
    """A base image that is not on the host and that no registry gives is named, before anything is built."""
    message = case.failed(case.play(builder_image="golang:1.27.9-alpine3.24"))
    assert "golang:1.27.9-alpine3.24 is not on the host" in message
    case.untouched()


def test_base_image_cannot_be_pulled(case: Case) -> None:
    """The same in the whole playbook: the registry that does not answer is told."""
    wanted = "127.0.0.1:9/golang:1.27.9"
    run = case.play(BUILD, base_images_builder=wanted, builder_image=wanted, base_images_source="pull", base_images_fallback="none")
    run.must_fail()
    case.message = run.message
    assert wanted in run.message
    case.untouched()


def test_disk_full(case: Case) -> None:
    """The Engine's disk is full in the middle of the build."""
    vm = case.vm
    version = unbuilt("C")
    vm.docker("image", "prune", "--force", "--filter", "label=never=seen")
    free = int(vm.sh("df --output=avail --block-size=1M /var/lib/docker | tail -1"))
    # Enough for the source to arrive, too little for the linker.
    vm.sh(f"fallocate --length {free - 3}MiB /var/lib/docker/filler")
    try:
        message = case.failed(case.play(version=version))
        assert "no space left on device" in message
        assert "docker system df" in message
        case.untouched()
    finally:
        vm.sh("rm -f /var/lib/docker/filler")
    case.play(version=version).must_succeed()
    assert vm.version() == version


def test_huge_context(case: Case, source: Path) -> None:
    """A context over the limit is told with its size and what is largest in it."""
    (source / "assets").mkdir()
    (source / "assets/film.bin").write_bytes(bytes(2_500_000))
    (source / "dump.sql").write_bytes(bytes(1_200_000))
    message = case.failed(case.play(source=str(source), context_limit_mb=3))
    assert "is 3.7 MB" in message
    assert "over the limit of 3" in message
    assert "largest: assets/ 2.5 MB, dump.sql 1.2 MB" in message
    assert "go_service_dockerignore" in message
    case.untouched()


def test_link_out_of_the_context(case: Case, source: Path) -> None:
    """A symbolic link that leaves the source is named, with where it points to."""
    (source / "passwords").symlink_to("../../etc/passwd")
    message = case.failed(case.play(source=str(source)))
    assert "the symbolic link passwords points to ../../etc/passwd, which is outside of the source" in message
    case.untouched()


def occurrences(vm: Vm, text: str) -> int:
    """How often a text is in the layers of all images of the service, builder stages and steps between, and what is recorded with them."""
    images = f"docker images --all --quiet --no-trunc --filter label=go-service.name={SERVICE} | sort -u"
    return int(vm.sh(f"docker save $({images}) | grep -acF {text} || true"))


@pytest.fixture
def secrets(source: Path) -> Iterator[Path]:
    """A source with secrets in it, and a file that is none, by which the search is proven."""
    for path in [*SECRETS, "plain.txt"]:
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(f"{SECRET}-{path}\n" if path in SECRETS else "PLAIN-TEXT\n")
    yield source


def test_secrets_stay_out(case: Case, secrets: Path) -> None:
    """No secret beside the source gets into any layer of any stage, nor to the host."""
    version = unbuilt("D")
    case.play(DEPLOY, source=str(secrets), version=version).must_succeed()
    assert case.vm.version() == version
    assert occurrences(case.vm, "PLAIN-TEXT") > 0, "the search finds nothing"
    assert occurrences(case.vm, SECRET) == 0
    assert case.vm.sh(f"grep -rlF {SECRET} /root/.local /root/.ansible || true") == ""
    case.nothing_left()
