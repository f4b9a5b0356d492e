"""Which builder builds, and on which Engine."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.engine.builder import choose, file_of_stage
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from engines import Module, docker
from plays import PROJECT, RUNTIME, ansible_playbook, environment
from relays import Relay


@pytest.mark.engine
@pytest.mark.parametrize("chosen", ["DOCKER_CONTEXT", "currentContext"])
@pytest.mark.parametrize("builder", ["docker_image", "buildx"])
def test_the_image_is_built_on_the_engine_that_a_context_names(
    *,
    engine: Engine,
    module: Module,
    context: Callable[[str, str], None],
    config: Path,
    settings: Callable[..., Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    chosen: str,
    builder: str,
) -> None:
    """community.docker's modules know no contexts: the role hands them the address. The relay hears the build."""
    if builder == "buildx" and docker("buildx", "version").returncode:
        pytest.skip("this machine has no docker buildx")
    relay = Relay(tmp_path / "e")
    context("relay", f"host=unix://{tmp_path}/e")
    if chosen == "DOCKER_CONTEXT":
        monkeypatch.setenv("DOCKER_CONTEXT", "relay")
    else:
        (config / "config.json").write_text('{"currentContext": "relay"}')
    connection = module("engine_info", tmp_path)["connection"]
    assert connection["docker_host"] == f"unix://{tmp_path}/e"
    (tmp_path / "source").mkdir()
    (tmp_path / "source/Dockerfile").write_text(f"FROM {RUNTIME}\nLABEL a={tmp_path.name}\n")
    asked = settings(name="utest-built", build_timeout=60, builder=builder).as_json()
    plan = {
        "image": f"utest-built:{builder}-{chosen.lower()}",
        "context": str(tmp_path / "source"),
        "engine": {"connection": connection},
        "builder": {"name": builder},
        "bases": [RUNTIME, RUNTIME],
    }
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(PROJECT / "roles/go_service/vars/main.yml")],
        "vars": {"ansible_python_interpreter": sys.executable},
        "tasks": [
            {
                "ansible.builtin.include_tasks": str(PROJECT / "roles/go_service/tasks/stages/build.yml"),
                "vars": {"__go_service_record": {"settings": asked, "plan": plan}},
            }
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    relay.heard = b""
    ran = ansible_playbook("-i", "localhost,", "-c", "local", tmp_path / "play.yml", cwd=PROJECT, env=environment())
    relay.end()
    assert ran.returncode == 0, ran.stdout
    assert b"POST /v1" in relay.heard and b"/build?" in relay.heard
    assert engine.image(plan["image"])["Config"]["Labels"]["a"] == tmp_path.name


@pytest.mark.parametrize(("driver", "refused"), [("docker", False), ("docker-container", True), ("remote", True)])
def test_a_builder_with_a_store_of_its_own_is_refused_before_it_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str, refused: bool
) -> None:
    """By what `docker buildx inspect` prints of the builder in use."""
    client = tmp_path / "docker"
    client.write_text(f"#!/bin/sh\nprintf 'Name:          mine\\nDriver:        {driver}\\n\\nNodes:\\n'\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(Failure, match=f"has the driver {driver}") if refused else contextlib.nullcontext():
        assert choose(None, "buildx") == {"name": "buildx", "reason": ""}


@pytest.mark.engine
def test_a_file_of_a_stage_comes_out_of_buildkits_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buildx: dict[str, str]) -> None:
    """No image is made of it; what fails, or takes too long, gives nothing, and leaves no process behind."""
    for name, value in buildx.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "given").write_text("given")
    (tmp_path / ".dockerignore").write_text("Dockerfile\n")
    stage = f"FROM {RUNTIME} AS build\nLABEL utest={tmp_path.name}\nCOPY given /\nRUN cat /given >/told && id -u >>/told\n"
    assert file_of_stage(tmp_path, f"{stage}FROM scratch\nCOPY --from=build /told /\n", "told", "default", 60) == b"given0\n"
    assert file_of_stage(tmp_path, f"{stage}FROM scratch\nCOPY --from=build /told /\n", "other", "default", 60) == b""
    assert file_of_stage(tmp_path, f"{stage}RUN false\n", "told", "default", 60) == b""
    began = time.monotonic()
    assert file_of_stage(tmp_path, f"{stage}RUN sleep 100\nRUN echo {tmp_path}\n", "told", "none", 3) == b""
    assert time.monotonic() - began < 30
    assert docker("images", "--all", "--quiet", "--filter", f"label=utest={tmp_path.name}").stdout == ""
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in running if str(tmp_path).encode() in line]


def test_without_a_docker_client_no_file_comes_of_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert file_of_stage(tmp_path, "FROM scratch\n", "told", "default", 5) == b""
