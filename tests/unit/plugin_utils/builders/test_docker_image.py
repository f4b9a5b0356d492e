"""Why a build by the classic builder failed, from its log."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from ansible_collections.proven.go_service.plugins.plugin_utils.builders import docker_image
from build_logs import CLASSIC, classic, failed
from plays import PROJECT, RUNTIME, ansible_playbook, environment


def test_the_last_lines_of_a_long_log_are_shown_without_colours() -> None:
    failure = classic(failed(*(f"\x1b[91mline {number}\x1b[0m" for number in range(100)), "Removing intermediate container 0c1d"))
    assert failure.evidence == [f"line {number}" for number in range(70, 100)]


def test_lines_of_an_earlier_step_do_not_count() -> None:
    log = ["Step 1/2 : RUN go test ./...", "ok\texample.com/x", "no test files", "Step 2/2 : RUN go build .", "./a.go:1:1: oops"]
    failure = classic(f"Error building api - code: 1, message: returned a non-zero code: 1, logs: {log!r}")
    assert failure.evidence == ["./a.go:1:1: oops"]
    assert "Correct the source" in failure.remedy


@pytest.mark.engine
def test_a_real_failed_build(engine: Engine, tmp_path: Path) -> None:
    """The message of community.docker's own module, whose form is nowhere promised."""
    (tmp_path / "Dockerfile").write_text(f'FROM {RUNTIME}\nRUN printf "it\'s\\n ./x.go:1:2: \\"broken\\"" >&2; exit 3\n')
    arguments = {"name": "utest-fail", "source": "build", "build": {"path": str(tmp_path)}}
    (tmp_path / "arguments.json").write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    module = "ansible_collections.community.docker.plugins.modules.docker_image"
    command = [sys.executable, "-m", module, str(tmp_path / "arguments.json")]
    done = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    failure = classic(done["msg"])
    assert failure.message.startswith("the build failed at: RUN printf ")
    assert failure.evidence[0] == "it's"
    assert failure.evidence[1].strip() == './x.go:1:2: "broken"'


def test_a_build_that_the_engine_left_says_so() -> None:
    failure = docker_image.failure({"stdout": CLASSIC.format(cached="")})
    assert failure.message == "the build was interrupted at: COPY . /src/"
    assert "docker info" in failure.remedy
    assert docker_image.failure({"image": {}}).message == "the build was interrupted"


def test_what_an_exception_of_the_module_says_is_told() -> None:
    """As an action gets the result of a module that did not catch it: without a message."""
    event = SimpleNamespace(msg="UnixHTTPConnectionPool(host='localhost', port=None): Read timed out.", chain=None)
    failure = docker_image.failure({"failed": True, "exception": SimpleNamespace(event=event)})
    assert failure and "Read timed out" in failure.message and "go_service_build_timeout" in failure.remedy


@pytest.mark.engine
@pytest.mark.usefixtures("engine")
def test_a_real_build_that_says_nothing_for_too_long(settings: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Dockerfile").write_text(f"FROM {RUNTIME}\nRUN sleep 30 && echo {tmp_path}\n")
    asked = {
        "builder": "docker_image",
        "tag": "silent",
        "context": str(tmp_path / "context"),
        "settings": settings(name="utest-silent", build_timeout=3).as_json(),
        "builder_image": RUNTIME,
    }
    play = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": sys.executable},
            "tasks": [{"proven.go_service.build": asked}],
        }
    ]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play))
    ran = ansible_playbook("-i", "localhost,", "-c", "local", tmp_path / "play.yml", cwd=PROJECT, env=environment())
    assert ran.returncode == 2 and "Read timed out" in ran.stdout and "go_service_build_timeout" in ran.stdout, ran.stdout
