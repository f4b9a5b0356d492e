"""Whatever ends a run becomes one failure, told whole and without a secret value."""

from __future__ import annotations

import errno
import itertools
import json
import tarfile
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import secrets
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure, Problem, Progress, failed, folded
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence.image_archive import ArchiveError
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import EngineError, EngineUnreachable
from ansible_collections.proven.go_service.plugins.plugin_utils import build_log
from ansible_collections.proven.go_service.plugins.plugin_utils.builders import docker_image
from samples import Settings

ERRORS = [
    (Failure("port", "m", "r", "s", ["e"]), "port", "m", "r"),
    (Problem("m", "r"), "look", "m", "r"),
    (EngineUnreachable("gone"), "engine", "gone", "Start the Engine"),
    (EngineError("x: write: no space left on device"), "look", "x", "Free space"),
    (ArchiveError("no manifest"), "look", "no manifest", "Run again."),
    (OSError(errno.ENOSPC, "No space left on device", "/x"), "look", "/x: No space left on device", "Free space"),
    (OSError(errno.EACCES, "Permission denied", "/x"), "look", "/x: Permission denied", "become"),
    (OSError(errno.EROFS, "Read-only file system", "/x"), "look", "/x: Read-only", "go_service_work_dir"),
    (tarfile.ReadError("bad checksum"), "look", "an archive cannot be read: bad checksum", "Run again"),
    (KeyError("Id"), "look", "unexpected: KeyError: 'Id'", "-vvv"),
]


@pytest.mark.parametrize(("error", "stage", "message", "remedy"), ERRORS, ids=[type(case[0]).__name__ for case in ERRORS])
def test_whatever_is_raised_becomes_one_failure(error: Exception, stage: str, message: str, remedy: str) -> None:
    failure = Failure.of(error, "look", "The old one.")
    assert failure.stage == stage and message in failure.message and remedy in failure.remedy
    assert failure.still_runs == ("s" if isinstance(error, Failure) else "The old one.")
    again = Failure.from_dict(json.loads(json.dumps(failure.as_dict())))
    assert (again.as_dict(), again.text("api")) == (failure.as_dict(), failure.text("api"))


@pytest.mark.parametrize("verbosity", [0, 2, 3])
def test_only_an_unexpected_error_shows_its_traceback_and_only_at_vvv(verbosity: int) -> None:
    try:
        {}["Id"]
    except KeyError as error:
        told = failed(error, "api", Progress("swap", "The old one."), verbosity)
    assert ("test_failure.py" in str(told.get("traceback"))) == (verbosity == 3)
    assert told["msg"].startswith("api: unexpected: KeyError: 'Id'\nWhat still runs: The old one.\nWhat to do: ")
    assert "traceback" not in failed(Problem("m"), "api", Progress("swap", "x"), verbosity)


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (["boom"] * 20, ["boom (20 times)"]),
        (["a", "b", "b", "a"], ["a", "b (2 times)", "a"]),
        (["2026/11/25 15:16:43 listen: no", "2026/11/25 15:16:44 listen: no"], ["2026/11/25 15:16:44 listen: no (2 times)"]),
        (["log: 2026-11-25T15:16:43.123Z no", "log: 2026-11-25T15:16:44.5+01:00 no"], ["log: 2026-11-25T15:16:44.5+01:00 no (2 times)"]),
        (["try 1", "try 2"], ["try 1", "try 2"]),
        (["main.go:12:2: no", "main.go:13:2: no"], ["main.go:12:2: no", "main.go:13:2: no"]),
        (['msg="404 4.0ms" duration_ms=4.007671', 'msg="404 0.1ms" duration_ms=0.08'], ['msg="404 0.1ms" duration_ms=0.08 (2 times)']),
        (
            ['{"ts":1764399276.1,"latency":"3e-05"}', '{"ts":1764399277.2,"latency":"0.1"}'],
            ['{"ts":1764399277.2,"latency":"0.1"} (2 times)'],
        ),
        (
            ["GET /health 12.1\u00b5s from 127.0.0.1:5012", "GET /health 1ms from 127.0.0.1:5013"],
            ["GET /health 1ms from 127.0.0.1:5013 (2 times)"],
        ),
        (
            ["id=0f8fad5b-d9cb-469f-a165-70867728950e", "id=7c9e6679-7425-40de-944b-e07fc1f90ae7"],
            ["id=7c9e6679-7425-40de-944b-e07fc1f90ae7 (2 times)"],
        ),
        (["listen on 10.0.0.5:5432", "listen on 10.0.0.5:5433"], ["listen on 10.0.0.5:5432", "listen on 10.0.0.5:5433"]),
        (["status=404", "status=500"], ["status=404", "status=500"]),
        (["\x1b[31mred\x1b[0m", "red"], ["red (2 times)"]),
        (["a\x07"], ["a\\x07"]),
        (["FAIL\tx"], ["FAIL\tx"]),
    ],
    ids=itertools.count(),
)
def test_lines_that_say_the_same_are_one_with_their_number(lines: list[str], shown: list[str]) -> None:
    assert Failure("candidate", "m", "r", "s", lines).evidence == Problem("m", evidence=lines).evidence == folded(lines) == shown
    assert folded(shown) == shown


def test_a_failed_build_is_told_without_the_values_that_its_log_quotes(settings: Settings) -> None:
    value = 'it\'s a "key" of $mine\\'
    log = [
        "Step 1/3 : FROM a",
        f'Step 2/3 : ENV B="{secrets.escaped(value)}"',
        "Step 3/3 : RUN go test ./...",
        f"--- FAIL: got {value}\x1b[2J",
    ]
    message = f"Error building api - code: 1, message: The command failed, logs: {log!r}"
    hidden = secrets.secret_values(vars(settings(build_env={"B": value})))

    def told_of(message: str) -> dict[str, Any]:
        failure = docker_image.failure({"failed": True, "msg": message})
        return failed(failure, "api", Progress("build", "Nothing."), 0, hidden)["failure"]

    told = told_of(message)
    assert told["evidence"] == ["--- FAIL: got ***\\x1b[2J"]
    at_env = told_of(f"Error building api - code: 1, message: no, logs: {log[:2]!r}")
    assert at_env["message"] == 'the build failed at: ENV B="***"'
    assert [step["instruction"] for step in build_log.steps("\n".join(log))] == ["FROM a", 'ENV B="***"', "RUN go test ./..."]
