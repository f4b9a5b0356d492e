"""A candidate is proven, measured and gone, whatever happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import candidate as candidates
from ansible_collections.proven.go_service.plugins.module_utils.deploy.candidate import prove_candidate
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from deploys import names
from plays import RUNTIME, SERVE
from samples import Settings


@pytest.mark.engine
def test_a_candidate_is_proven_and_measured(clean: Engine, web: str, service: Settings) -> None:
    """The Engine keeps five tests: the first success is remembered though the candidate is watched for longer than that."""
    looked = []

    def look(container_id: str) -> str:
        looked.append((names(clean), clean.container(container_id)))
        return "what was found"

    began = time.monotonic()
    proof, found = candidates.prove_candidate(clean, service(stable_seconds=2.6, publish="127.0.0.1:8080"), web, look)
    assert time.monotonic() - began > 2.6
    assert found == "what was found"
    ((present, candidate),) = looked
    assert present == ["utest-web-candidate"]
    assert candidate["Id"] == proof.container_id and candidate["State"]["Running"]
    assert not candidate["HostConfig"]["PortBindings"]
    assert 0 < proof.start_seconds < 2.6
    assert names(clean) == ["utest-web-candidate"]
    candidates.drop_candidate(clean, service())
    assert names(clean) == []


@pytest.mark.engine
def test_a_candidate_that_is_being_looked_at_may_still_fail(clean: Engine, web: str, service: Settings) -> None:
    """The look is part of the time for which a candidate has to stay healthy, and takes nothing from it."""
    with pytest.raises(Failure, match="exited with code 4"):
        candidates.prove_candidate(
            clean, service("httpd -f -p 8080 -h /srv & sleep 1.2; exit 4", stable_seconds=3), web, lambda _id: time.sleep(1)
        )
    assert names(clean) == []


@pytest.mark.engine
def test_a_look_that_fails_leaves_no_candidate(clean: Engine, web: str, service: Settings) -> None:
    """Whatever goes wrong."""

    def look(_container_id: str) -> None:
        raise ValueError("an archive that cannot be read")

    with pytest.raises(ValueError, match="cannot be read"):
        candidates.prove_candidate(clean, service(), web, look)
    assert names(clean) == []


# Command and settings of a candidate that fails -> what is said, and what to do.
FAILING = {
    "exits at once": ("echo boom >&2; exit 3", {}, ["exited with code 3", "log: boom"], "go_service_args"),
    "never healthy": (
        "sleep 60",
        {"start_timeout": 0.8},
        ["within 0.8 s (go_service_start_timeout): it never listened on any port", "health check: exit 1"],
        "go_service_start_timeout",
    ),
    "dies later": ("httpd -f -p 8080 -h /srv & sleep 1.2; exit 4", {"stable_seconds": 3}, ["exited with code 4"], "go_service_args"),
    "too little memory": (
        "exec tail /dev/zero",
        {"memory": "8m"},
        ["it was killed", "by its memory limit of 8 MiB (exit code 137)"],
        "go_service_memory",
    ),
    "writes to its own file system": ("touch /srv/x || exit 5", {}, ["exited with code 5", "Read-only file system"], "go_service_tmpfs"),
    "listens inside only": (
        "exec httpd -f -p 127.0.0.1:8080 -h /srv",
        {"publish": "127.0.0.1:8080", "health_host": "127.0.0.1"},
        ["refuses connections from outside on port 8080"],
        "0.0.0.0:port",
    ),
    "cannot be started": (SERVE, {"network": "utest-none"}, ["utest-none"], "go_service_"),
}


@pytest.mark.engine
@pytest.mark.parametrize("case", FAILING.values(), ids=FAILING)
def test_a_candidate_that_fails_says_how_and_is_gone(clean: Engine, web: str, service: Settings, case: tuple[Any, ...]) -> None:
    command, changes, words, remedy = case
    with pytest.raises(Failure) as caught:
        candidates.prove_candidate(clean, service(command, **changes), web, str)
    told = "\n".join([caught.value.message, *caught.value.evidence])
    assert [word for word in words if word not in told] == []
    assert remedy in caught.value.remedy
    assert (caught.value.stage, caught.value.still_runs) == ("candidate", "Nothing that ran before was touched.")
    assert names(clean) == []


@pytest.mark.engine
@pytest.mark.parametrize(("image", "words"), [(RUNTIME, "has no health check"), ("utest-web:none", "there is no image utest-web:none")])
def test_an_image_that_cannot_be_proven(clean: Engine, service: Settings, image: str, words: str) -> None:
    with pytest.raises(Failure, match=words):
        candidates.prove_candidate(clean, service(), image, str)
    assert names(clean) == []


@pytest.mark.engine
def test_what_a_service_said_before_it_repeated_itself_is_still_shown(engine: Engine, web: str, settings: Callable[..., Settings]) -> None:
    command = "echo cause; for i in $(seq 100); do echo again; done; exit 3"
    wanted = settings(name="utest-web", publish="", stable_seconds=0, args=[command])
    with pytest.raises(Failure) as caught:
        prove_candidate(engine, wanted, web, str)
    assert [line for line in caught.value.evidence if line.startswith("log: ")] == ["log: cause", "log: again (100 times)"]


def container(*mounts: dict[str, Any], running: bool = True) -> dict[str, Any]:
    """Return a record of an old container."""
    return {"State": {"Running": running}, "Mounts": list(mounts)}


DATA = {"Name": "data", "Source": "/var/lib/docker/volumes/data/_data", "RW": True}


@pytest.mark.parametrize(
    ("changes", "old", "may"),
    [
        ({}, None, False),
        ({}, container(running=False), False),
        ({}, container(), True),
        ({"network": "host", "publish": ""}, container(), False),
        ({"volumes": ["data:/data"]}, container(), False),
        ({"volumes": ["data:/data"]}, container(DATA), True),
        ({"volumes": ["data:/data"]}, container({**DATA, "RW": False}), False),
        ({"volumes": ["data:/data", "/srv/x:/x"]}, container(DATA), False),
        ({"volumes": ["data:/data", "/srv/x:/x:ro"]}, container(DATA), True),
    ],
)
def test_a_candidate_runs_on_beside_what_the_old_container_shared_with_it(
    settings: Callable[..., Settings], changes: dict[str, Any], old: dict[str, Any] | None, may: bool
) -> None:
    assert candidates.may_run_on(settings(**changes), old) is may


@pytest.mark.parametrize(
    ("volumes", "line", "told"),
    [
        (["data:/data"], "log: cannot lock database: resource temporarily unavailable", "had data open"),
        (["data:/data"], "log: panic", "as before"),
        (["data:/data:ro"], "log: the database is locked", "as before"),
    ],
)
def test_what_a_new_container_misses_may_be_what_its_candidate_has(
    settings: Callable[..., Settings], volumes: list[str], line: str, told: str
) -> None:
    failure = Failure("swap", "it ended", "as before", "", [line])
    assert told in candidates.remedy_beside(settings(volumes=volumes), failure)
