"""What a container has to be replaced or proven again for."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import names as common_names
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import container as containers
from ansible_collections.proven.go_service.plugins.module_utils.deploy import history, judgement
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from ansible_collections.proven.go_service.plugins.modules import deploy
from plays import RUNTIME
from samples import Settings


class HealthTester:
    """Stands for an Engine that runs a health test in a container."""

    def __init__(self, code: int) -> None:
        self.code = code

    def run_in(self, name: str, command: list[str], timeout: float) -> tuple[int, str]:
        """Return how the test went."""
        return self.code, ""


def watched_container(status: str, seconds_ago: float, **state: Any) -> dict[str, Any]:
    """Return a running container that the Engine tests every two seconds, and has tested last so many seconds ago."""
    ended = datetime.fromtimestamp(time.time() - seconds_ago, timezone.utc).isoformat().replace("+00:00", "Z")
    record = {"Running": True, "Status": "running", "StartedAt": "2026-01-01T00:00:00.5Z", **state}
    record["Health"] = {"Status": status, "Log": [{"End": ended, "ExitCode": 0, "Output": ""}]}
    check = {"Test": ["CMD", "test"], "Interval": 2_000_000_000, "Timeout": 1_000_000_000}
    return {"Id": "x", "State": record, "Config": {"Healthcheck": check}}


@pytest.mark.parametrize(
    ("status", "seconds_ago", "state", "code", "words"),
    [
        ("healthy", 1, {}, 1, ""),
        ("starting", 1, {}, 1, ""),
        ("unhealthy", 1, {}, 0, "unhealthy"),
        ("healthy", 60, {}, 0, ""),
        ("healthy", 60, {}, 1, "unhealthy, which the Engine does not notice any more"),
        ("healthy", 1, {"Running": False, "Status": "exited"}, 0, "exited"),
        ("healthy", 1, {"Paused": True, "Status": "paused"}, 0, "paused"),
        ("healthy", 1, {"Restarting": True, "Status": "restarting"}, 0, "restarting"),
    ],
)
def test_what_a_container_has_to_be_replaced_for(status: str, seconds_ago: float, state: dict[str, Any], code: int, words: str) -> None:
    assert judgement.reason_to_replace(HealthTester(code), watched_container(status, seconds_ago, **state)) == words


PROVEN = {"id": "x", "restarts": 2}


@pytest.mark.parametrize(
    ("restarts", "proven", "again"),
    [
        (0, {}, False),
        (1, {}, True),
        (2, PROVEN, False),
        (3, PROVEN, True),
        (0, PROVEN, False),
        (1, PROVEN, True),
        (2, {"id": "y", "restarts": 2}, True),
    ],
    ids=["never", "never proven", "no more", "once more", "started by hand", "by hand, then by the Engine", "another container"],
)
def test_a_restart_since_the_last_proof_is_a_reason_to_prove_again(restarts: int, proven: dict[str, Any], again: bool) -> None:
    assert bool(judgement.restarted({"Id": "x", "RestartCount": restarts}, proven)) == again


def test_the_engine_tests_each_interval_or_not_at_all() -> None:
    """Two intervals, one test of the longest kind, and five seconds for a busy machine."""
    assert judgement.is_watched(watched_container("healthy", 9.5))
    assert not judgement.is_watched(watched_container("healthy", 10.5))


@pytest.mark.engine
@pytest.mark.parametrize(
    ("suffix", "labels"),
    [
        *((suffix, {}) for suffix in ("", "-candidate", "-next", "-set-aside", "-failed")),
        pytest.param("", {common_names.LABEL_NAME: "utest-other", common_names.LABEL_KIND: "service"}, id="another service's"),
        pytest.param("", {common_names.LABEL_NAME: "utest-web", common_names.LABEL_KIND: "image"}, id="run from the image by hand"),
    ],
)
def test_a_foreign_container_is_left_alone(clean: Engine, suffix: str, labels: dict[str, str]) -> None:
    made = clean.create(f"utest-web{suffix}", {"Image": RUNTIME, "Labels": labels})
    try:
        with pytest.raises(Failure) as caught:
            judgement.refuse_foreign(clean, "utest-web")
        for word in (f"the name utest-web{suffix} is held", RUNTIME, made[:12], "created"):
            assert word in caught.value.message
        assert f"docker rename utest-web{suffix}" in caught.value.remedy
        assert clean.container(made)["Name"] == f"/utest-web{suffix}"
    finally:
        clean.remove(made)


@pytest.mark.engine
def test_a_container_that_exits_every_second_is_not_as_it_should_be(clean: Engine, web: str, service: Settings) -> None:
    """Healthy for a moment each time, and made as it should be: only the count of its restarts tells while it runs."""
    wanted = service("httpd -p 8080 -h /srv; sleep 1; exit 1", stable_seconds=1.5)
    body = containers.create_body(wanted, web, clean.api_version)
    clean.start(clean.create("utest-web", body))
    image_id = clean.image(web)["Id"]
    seen = set()
    deadline = time.monotonic() + 30
    while len(seen) < 2 and time.monotonic() < deadline:
        found = clean.container("utest-web")
        if found["RestartCount"]:
            reasons = judgement.shortcomings(clean, found, body, image_id)
            seen.add(bool(reasons))
            assert reasons in ([], ["the container is restarting"], ["the container is exited"])
            assert "has restarted the container since it was proven" in judgement.restarted(found, {})
    assert seen == {True, False}, "seen while it runs, and between two runs"
    past = history.History("utest-web")
    assert deploy.leave_in_place(clean, wanted, body, image_id, past) is None
    assert past.container == {}
