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
    """Stands for an Engine that runs a health check in a container. timeouts: of the tests that it ran."""

    def __init__(self, code: int, said: str = "") -> None:
        self.code, self.said = code, said
        self.timeouts: list[float] = []

    def run_in(self, name: str, command: list[str], timeout: float) -> tuple[int, str]:
        """Return how the test went."""
        self.timeouts.append(timeout)
        return self.code, self.said


class Shelf:
    """Stands for an Engine that has some containers by their names, and some images by their ids and names."""

    def __init__(self, containers: dict[str, Any] | None = None, images: dict[str, Any] | None = None) -> None:
        self._containers, self._images = containers or {}, images or {}

    def container(self, name: str) -> dict[str, Any] | None:
        """Return one of them."""
        return self._containers.get(name)

    def image(self, reference: str) -> dict[str, Any] | None:
        """Return one of them."""
        return self._images.get(reference)


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


NOW = 1_800_000_000.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time stand still."""
    monkeypatch.setattr(time, "time", lambda: NOW)


def since(seconds: float) -> str:
    """Return the time so many seconds ago as the Engine writes it."""
    return datetime.fromtimestamp(NOW - seconds, timezone.utc).isoformat().replace("+00:00", "Z")


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("check", "longest"), [({"Interval": 2_000_000_000, "Timeout": 1_000_000_000}, 10), ({}, 95)], ids=["own", "usual"]
)
def test_a_health_test_may_be_late_by_so_much_and_no_more(check: dict[str, int], longest: float) -> None:
    def container(seconds: float) -> dict[str, Any]:
        return {"State": {"StartedAt": since(seconds)}, "Config": {"Healthcheck": check}}

    assert judgement.is_watched(container(longest))
    assert not judgement.is_watched(container(longest + 0.001))


OURS = {common_names.LABEL_NAME: "web", common_names.LABEL_KIND: "service"}
COMMIT = {"Config": {"Labels": OURS}}


@pytest.mark.parametrize(
    ("labels", "container_name", "image", "ours"),
    [
        pytest.param(OURS, "web", {"Config": {"Labels": {common_names.LABEL_KIND: "image"}}}, True, id="the service"),
        pytest.param({**OURS, common_names.LABEL_KIND: "candidate"}, "web-candidate", {}, True, id="the candidate"),
        pytest.param(OURS, "web-set-aside", None, True, id="its image is gone"),
        pytest.param(OURS, "web", {"Config": {"Labels": None}}, True, id="its image has no labels"),
        pytest.param(OURS, "web", {"Config": None}, True, id="its image has no configuration"),
        pytest.param({**OURS, common_names.LABEL_NAME: "other"}, "web", None, False, id="of another service"),
        pytest.param({**OURS, common_names.LABEL_KIND: "image"}, "web", None, False, id="run from the image by hand"),
        pytest.param(OURS, "web-2", None, False, id="of another name"),
        pytest.param(None, "web", None, False, id="without labels"),
        pytest.param(OURS, "web", COMMIT, False, id="run from a commit of ours"),
    ],
)
def test_a_container_is_ours_by_labels_and_name_of_its_own(
    labels: dict[str, str] | None, container_name: str, image: dict[str, Any] | None, ours: bool
) -> None:
    """Inspected as well as listed; the image is asked for by its id, since its name may be another one's by now."""
    engine = Shelf(images={"sha256:1": image, "web:1": None if not ours else COMMIT})
    inspected = {"Name": f"/{container_name}", "Image": "sha256:1", "Config": {"Labels": labels, "Image": "web:1"}}
    listed = {"Names": ["/alias/x", f"/{container_name}"], "ImageID": "sha256:1", "Image": "web:1", "Labels": labels}
    assert [judgement.is_ours(engine, found, "web") for found in (inspected, listed)] == [ours, ours]


@pytest.mark.parametrize("name", ["web", "web-candidate", "web-next", "web-set-aside", "web-failed"])
def test_no_name_of_a_service_is_taken_from_a_foreign_container(name: str) -> None:
    foreign = {
        "Id": "0123456789abcdef",
        "Name": f"/{name}",
        "Image": "sha256:1",
        "Config": {"Labels": {}, "Image": "nginx:1"},
        "State": {"Status": "exited"},
    }
    with pytest.raises(Failure) as caught:
        judgement.refuse_foreign(Shelf({name: foreign}), "web")
    assert caught.value.message == (
        f"the name {name} is held by a container that this role did not make: image nginx:1, id 0123456789ab, exited"
    )
    ours = {**foreign, "Config": {"Labels": OURS, "Image": "web:1"}}
    assert judgement.refuse_foreign(Shelf({name: ours}), "web") == (ours if name == "web" else None)
    assert judgement.refuse_foreign(Shelf(), "web") is None


def made(body: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a running container that was made by a create body, as it is inspected."""
    return {
        "Id": "x",
        "Image": "sha256:1",
        "State": {"Running": True, "Status": "running"},
        "Config": {"Labels": body["Labels"], "Image": "web:1"},
        "HostConfig": {"PortBindings": {}, **body["HostConfig"]},
        **changes,
    }


def test_each_way_in_which_a_container_is_not_as_it_should_be_is_told(settings: Settings) -> None:
    body = containers.create_body(settings(), "web:2", (1, 44))
    other = containers.create_body(settings(memory="128m"), "web:2", (1, 44))
    exited = {"Running": False, "Status": "exited"}
    by_hand = {"HostConfig": {**made(body)["HostConfig"], "PidsLimit": 7}}
    instead = [f"the container was changed by hand: PidsLimit 7 instead of {body['HostConfig']['PidsLimit']}"]

    def told(container: dict[str, Any], image_id: str = "sha256:1") -> list[str]:
        return judgement.shortcomings(HealthTester(1), container, body, image_id)

    assert told(made(body)) == []
    assert told(made(body), "sha256:2") == ["it runs web:1 instead of web:2"]
    assert told(made(other)) == ["the container's settings changed"]
    assert told(made(body, **by_hand)) == instead
    assert told(made(body, State=exited)) == ["the container is exited"]
    assert told(made(body, State=exited, **by_hand)) == [*instead, "the container is exited"]


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("state", "restarts", "ends"),
    [
        ({"Running": False, "Restarting": True}, 1, True),
        ({"Running": True, "StartedAt": since(9.999)}, 1, True),
        ({"Running": True, "StartedAt": since(10)}, 1, False),
        ({"Running": True, "StartedAt": since(1)}, 0, False),
        ({"Running": False, "StartedAt": since(1)}, 1, False),
        ({"Running": True, "StartedAt": since(3600)}, 0, False),
    ],
)
def test_a_container_that_the_engine_starts_again_and_again(state: dict[str, Any], restarts: int, ends: bool) -> None:
    assert judgement.ends_again_and_again({"State": state, "RestartCount": restarts}) is ends


@pytest.mark.parametrize(
    ("status", "test", "code", "told", "timeouts"),
    [
        ("starting", ["CMD", "x"], 1, "the container is starting, and does not pass its health check yet", [1.5]),
        ("starting", ["CMD", "x"], 0, "", [1.5]),
        ("healthy", ["CMD", "x"], 1, "", []),
        ("starting", ["NONE"], 1, "", []),
    ],
)
def test_a_container_that_is_starting_is_tested(status: str, test: list[str], code: int, told: str, timeouts: list[float]) -> None:
    for said in ("", "words"):
        engine = HealthTester(code, said)
        container = {
            "Id": "x",
            "State": {"Health": {"Status": status}},
            "Config": {"Healthcheck": {"Test": test, "Timeout": 1_500_000_000}},
        }
        assert judgement.unproven(engine, container, {}) == told
        assert engine.timeouts == timeouts


def test_a_health_test_without_a_timeout_has_the_engines_own() -> None:
    engine = HealthTester(0)
    judgement.unproven(
        engine, {"Id": "x", "State": {"Health": {"Status": "starting"}}, "Config": {"Healthcheck": {"Test": ["CMD", "x"]}}}, {}
    )
    assert engine.timeouts == [30.0]


def test_a_container_whose_restarts_are_not_known_was_not_restarted() -> None:
    assert judgement.restarted({"Id": "x"}, {}) == ""
    assert judgement.restarted({"Id": "x"}, PROVEN) == ""


@pytest.mark.engine
@pytest.mark.parametrize(
    ("suffix", "labels"),
    [
        *((suffix, {}) for suffix in ("", "-candidate", "-next", "-set-aside", "-failed", "-modules")),
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
