"""What a build printed, read: its steps, whether it had a cache, why it failed and what to do."""

from __future__ import annotations

import contextlib
import itertools
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.engine.builder import choose
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from ansible_collections.proven.go_service.plugins.plugin_utils import build_log
from ansible_collections.proven.go_service.plugins.plugin_utils.builders import buildx, docker_image

CLASSIC = """Step 1/4 : FROM golang:1.27-alpine3.24 AS build
 ---> 9bb7d82aa6a9
Step 2/4 : LABEL go-service.kind="builder"
 ---> Using cache
 ---> 5f0c2b6f7a51
Step 3/4 : RUN go build fmt
{cached} ---> 1c2d3e4f5a6b
Step 4/4 : COPY . /src/
 ---> 7a6b5c4d3e2f
Successfully built 7a6b5c4d3e2f
"""
BUILDKIT = """#5 [build 1/4] FROM docker.io/library/golang:1.27-alpine3.24
#5 DONE 0.0s
#6 [build 2/4] RUN go build fmt
{cached}
#7 [build 3/4] RUN go build -ldflags="-w -s" -o /out/cat-server .
#7 0.512 # example.com/cat-server
#7 0.513 ./main.go:12:2: undefined: foo
#7 ERROR: process "/bin/sh -c go build -ldflags=\\"-w -s\\" -o /out/cat-server ." did not complete successfully: exit code: 1
------
 > [build 3/4] RUN go build -ldflags="-w -s" -o /out/cat-server .:
0.513 ./main.go:12:2: undefined: foo
------
ERROR: failed to solve: process "/bin/sh -c go build" did not complete successfully: exit code: 1
"""


def failed(*lines: str) -> str:
    """Return the message of docker_image for a step that printed lines."""
    log = [
        "Step 1/2 : FROM golang:1.27",
        "",
        " ---> 9bb7d82aa6a9",
        "Step 2/2 : RUN go build .",
        "",
        " ---> Running in 0c1d2e3f4a5b",
        *lines,
    ]
    return f"Error building api - code: 1, message: The command '/bin/sh -c go build .' returned a non-zero code: 1, logs: {log!r}"


def classic(message: str) -> Failure:
    """Return the failure of a build by docker_image that ended with a message."""
    return docker_image.failure({"failed": True, "msg": message})


def test_steps() -> None:
    steps = build_log.steps(CLASSIC.format(cached=" ---> Using cache\n"))
    assert [step["cached"] for step in steps] == [False, True, True, False]
    assert steps[1]["instruction"] == 'LABEL go-service.kind="builder"'
    assert build_log.steps("") == []


@pytest.mark.parametrize(
    ("builder", "output", "cached"),
    [
        (docker_image, CLASSIC.format(cached=" ---> Using cache\n"), True),
        (docker_image, CLASSIC.format(cached=" ---> Running in 0c1d2e3f4a5b\n"), False),
        (docker_image, "", False),
        (buildx, BUILDKIT.format(cached="#6 CACHED"), True),
        (buildx, BUILDKIT.format(cached="#6 DONE 20.1s"), False),
        (buildx, "", False),
    ],
    ids=itertools.count(),
)
def test_a_build_had_a_cache_where_go_did_not_run_anew(builder: ModuleType, output: str, cached: bool) -> None:
    assert builder.was_cached(output) is cached


# What Go, apk, adduser and the Engine print -> a word of what to do.
REMEDIES = {
    "write /root/.cache/go-build/x: no space left on device": "Free space on the host",
    "--- FAIL: TestHealth (0.00s)": "go_service_run_tests",
    "FAIL\texample.com/api\t0.004s": "go_service_run_tests",
    "go: go.mod requires go >= 1.30 (running go 1.27.3; GOTOOLCHAIN=local)": "go_service_builder_image",
    "go: github.com/x/y@v1.2.3: Get https://proxy.example.com/x: dial tcp: lookup proxy.example.com: i/o timeout": "GOPROXY",
    "go: x/y@v1.0.0: reading http://p/x: 403 Forbidden": "GOPROXY",
    "main.go:4:2: missing go.sum entry for module providing package github.com/x/y": "go mod tidy",
    "go: inconsistent vendoring in /src:": "go mod vendor",
    "main.go:9:2: cannot find module providing package example.org/x: import lookup disabled by -mod=vendor": "go mod vendor",
    "main.go:9:2: no required module provides package example.org/x; to add it:": "go mod tidy",
    "go: example.org/dep@v1.2.3 requires go >= 1.30 (running go 1.27.3; GOTOOLCHAIN=local)": "example.org/dep@v1.2.3, on which the source depends, needs Go 1.30",
    "go: module example.org/dep@v1.2.3 requires go >= 1.30rc1 (running go 1.27.3)": "needs Go 1.30rc1",
    'go: example.org/p@v1: git init: exec: "git": executable file not found in $PATH': "has no git",
    "fatal: could not read Username for 'https://git.example.org': terminal prompts disabled": "A module is private",
    "WARNING: Ignoring https://mirror.example.org/main: DNS: name does not exist\nERROR: unable to select packages:\n  tzdata (no such package):": (
        "apk does not reach the address"
    ),
    "ERROR: https://mirror.example.org/main: temporary error (try again later)\nERROR: unable to select packages:": "apk does not reach the address",
    "pull access denied for api-base, repository does not exist": "base image in a registry",
    "#1 [internal] booting buildkit": "docker buildx use default",
    "package example.com/app\n\timports example.com/app/db: build constraints exclude all Go files in /src/db": "No file of /src/db",
    "/go/pkg/mod/example.org/hsm@v1.1.1/slot.go:8:2: undefined: C_Initialize": "comes from another module",
    "./main.go:4:18: undefined: pkcs11.SessionHandle": "If the package pkcs11 has that name",
    "net/http: /usr/local/go/pkg/tool/linux_amd64/compile: signal: killed": "GOMAXPROCS",
    "main.go:7:12: pattern static/*: no matching files found": "go:embed",
    "package example.com/x: C source files not allowed when not using cgo or SWIG: x.c": "cgo",
    "/bin/sh: apk: not found": "go_service_packages",
    "ERROR: unable to select packages:\n  nosuch (no such package)": "go_service_packages",
    "adduser: user 'nobody' in use": "go_service_user",
    "adduser: uid '0' in use": "go_service_uid",
    "./main.go:12:2: undefined: foo": "Correct the source at the lines named",
    "internal/api/api.go:3: syntax error": "Correct the source at the lines named",
    "Segmentation fault": "Read the lines above",
}


@pytest.mark.parametrize(("printed", "remedy"), REMEDIES.items())
def test_a_failed_build_says_what_to_do(printed: str, remedy: str) -> None:
    failure = classic(failed(*printed.splitlines()))
    assert remedy in failure.remedy
    assert failure.message == "the build failed at: RUN go build ."
    assert failure.evidence == printed.splitlines()
    assert (failure.stage, failure.still_runs) == ("build", "Nothing that ran before was touched.")


APP = {"module_path": "example.com/app", "cgo_files": ["db/native.go"]}


@pytest.mark.parametrize(
    ("printed", "remedy"),
    [
        (
            "main.go:3:8: no required module provides package example.com/app/internal/gen; to add it:",
            "The package example.com/app/internal/gen belongs",
        ),
        (
            "main.go:3:8: package example.com/app/gen is not in std (/usr/local/go/src/example.com/app/gen)",
            "The package example.com/app/gen belongs",
        ),
        ("main.go:3:8: no required module provides package example.com/application; to add it:", "go mod tidy"),
        ("./main.go:4:18: undefined: db.Open", "db/native.go of the source is left out"),
        (
            "package example.com/app\n\timports example.com/app/db: build constraints exclude all Go files in /src/db",
            "db/native.go of the source",
        ),
        ("main.go:9: syntax error", "Correct the source at the lines named, then"),
    ],
)
def test_a_failure_of_the_sources_own_module_names_what_is_missing(printed: str, remedy: str) -> None:
    failure = docker_image.failure({"failed": True, "msg": failed(*printed.splitlines())}, APP)
    assert remedy in failure.remedy


def test_an_image_that_went_to_another_store_than_the_engines() -> None:
    failure = buildx.failure({"image": {}, "stderr": "WARNING: No output specified with docker-container driver."})
    assert "docker buildx use default" in failure.remedy


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


def test_the_last_lines_of_a_long_log_are_shown_without_colours() -> None:
    failure = classic(failed(*(f"\x1b[91mline {number}\x1b[0m" for number in range(100)), "Removing intermediate container 0c1d"))
    assert failure.evidence == [f"line {number}" for number in range(70, 100)]


def test_lines_of_an_earlier_step_do_not_count() -> None:
    log = ["Step 1/2 : RUN go test ./...", "ok\texample.com/x", "no test files", "Step 2/2 : RUN go build .", "./a.go:1:1: oops"]
    failure = classic(f"Error building api - code: 1, message: returned a non-zero code: 1, logs: {log!r}")
    assert failure.evidence == ["./a.go:1:1: oops"]
    assert "Correct the source" in failure.remedy


def test_a_failed_build_of_buildkit() -> None:
    failure = buildx.failure({"failed": True, "msg": "Building api:latest failed", "stderr": BUILDKIT.format(cached="#6 CACHED")})
    assert failure.message == 'the build failed at: RUN go build -ldflags="-w -s" -o /out/cat-server .'
    assert failure.evidence == ["# example.com/cat-server", "./main.go:12:2: undefined: foo"]
    assert "Correct the source" in failure.remedy


@pytest.mark.parametrize(
    ("builder", "message", "output", "words"),
    [
        (docker_image, "Error building api - message: pull access denied for golang", "", "pull access denied for golang"),
        (docker_image, "Error building api - code: 1, message: x, logs: [not a list", "", "the build failed: x"),
        (buildx, "Building failed", "ERROR: failed to connect to the builder", "failed to connect to the builder"),
    ],
)
def test_a_build_that_fails_before_its_first_step(builder: ModuleType, message: str, output: str, words: str) -> None:
    failure = builder.failure({"failed": True, "msg": message, "stderr": output})
    assert words in "\n".join([failure.message, *failure.evidence])
    assert failure.remedy


@pytest.mark.engine
def test_a_real_failed_build(engine: Engine, tmp_path: Path) -> None:
    """The message of community.docker's own module, whose form is nowhere promised."""
    (tmp_path / "Dockerfile").write_text('FROM stand-in/runtime:1.37.0\nRUN printf "it\'s\\n ./x.go:1:2: \\"broken\\"" >&2; exit 3\n')
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
    assert failure.message == "the build broke off at: COPY . /src/"
    assert "docker info" in failure.remedy
    assert docker_image.failure({"image": {}}).message == "the build broke off"
