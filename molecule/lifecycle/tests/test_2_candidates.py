"""A candidate that does not prove itself: the run tells why, soon, and the service was never touched."""

from __future__ import annotations

import pytest
from lifecycle_tools import DEPLOY, ROLLBACK, RUNTIME, SERVICE, SLACK, Case

# Mode of the service, the variables of the role for it, and what the run must say: what ends by itself is noticed at once, what may yet
# become healthy is waited for, for go_service_start_timeout.
FAULTS = [
    pytest.param("exit", {}, ("exited with code 3", "log: no database answers"), id="exits at once"),
    pytest.param(
        "hang",
        {"start_timeout": 3},
        ("did not become healthy within 3 s", "log: waiting for a queue", "it never listened on any port"),
        id="hangs",
    ),
    pytest.param(
        "error",
        {"start_timeout": 3},
        ("did not become healthy within 3 s", "500", "go_service_health_path"),
        marks=pytest.mark.core,
        id="answers 500",
    ),
    pytest.param("memory", {"memory": "32m"}, ("killed by its memory limit of 32 MiB", "go_service_memory"), id="memory"),
    pytest.param("write", {}, ("read-only file system", "go_service_tmpfs"), id="writes"),
    pytest.param("loopback", {}, ("refuses connections from outside", "loopback", "0.0.0.0:port"), id="listens inside only"),
]


@pytest.mark.parametrize(("mode", "variables", "words"), FAULTS)
def test_candidate(case: Case, mode: str, variables: dict, words: tuple[str, ...]) -> None:
    """The candidate fails in its own way."""
    tags = [case.vm.image_id(f"{SERVICE}:{tag}") for tag in ("latest", "previous")]
    since = case.vm.now()
    message = case.failed(case.play(version=case.other, env={"STATE": "/state", "MODE": mode}, **variables))
    for word in (*words, "Nothing that ran before was touched"):
        assert word in message
    case.untouched()
    case.lifetime = case.vm.lifetime(since, f"{SERVICE}-candidate")
    assert case.lifetime < variables.get("start_timeout", 0) + SLACK
    assert [case.vm.image_id(f"{SERVICE}:{tag}") for tag in ("latest", "previous")] == tags, "the tags moved"


def test_image_of_somebody_else(case: Case) -> None:
    """An image that somebody built from the service's own is not run under its name."""
    case.vm.sh(f"printf 'FROM {SERVICE}:latest\\nHEALTHCHECK NONE\\n' | DOCKER_BUILDKIT=0 docker build --quiet --tag {SERVICE}:unproven -")
    try:
        message = case.failed(case.play(ROLLBACK, image_tag="unproven"))
        assert f"the name {SERVICE}:unproven is held by an image that this role did not make" in message
        case.untouched()
    finally:
        case.vm.docker("rmi", f"{SERVICE}:unproven")


def test_host_port_taken(case: Case) -> None:
    """Another process listens where the service shall be published: the run names it."""
    listener = case.vm.listen(18099)
    try:
        message = case.failed(case.play(publish="0.0.0.0:18099"))
        assert f"the host port 0.0.0.0:18099 is taken by the process python3 (pid {listener})" in message
        assert "go_service_publish" in message
        case.untouched()
    finally:
        case.vm.sh(f"kill {listener}")


@pytest.mark.parametrize("name", ["shop", f"{SERVICE}-candidate", f"{SERVICE}-failed"])
def test_foreign_container(case: Case, name: str) -> None:
    """A container that the role did not make holds a name that a run needs: it is named, and stays as it is."""
    case.vm.docker("run", "--detach", "--name", name, RUNTIME, "sleep", "600")
    try:
        before = case.vm.inspect(name)
        service = {"name": name, "publish": "127.0.0.1:18098"} if name == "shop" else {"labels": {"new": "label"}}
        message = case.failed(case.play(**service))
        assert f"the name {name} is held by a container that this role did not make: image {RUNTIME}" in message
        assert f"docker rename {name}" in message
        after = case.vm.inspect(name)
        assert before is not None
        assert after is not None
        assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
        case.untouched(beside=(name,))
    finally:
        case.vm.docker("rm", "--force", name)


@pytest.mark.core
def test_broken_after_the_swap(case: Case) -> None:
    """Healthy as a candidate, but ending in the service's place: the very same old container comes back."""
    case.vm.script(case.other, "ok", "exit")
    message = case.failed(case.play(version=case.other))
    assert "failed in the service's place: it exited with code 3 and was restarted" in message
    assert "log: no database answers" in message
    assert f"The very same earlier container {case.before.id[:12]} runs again and is healthy" in message
    case.came_back()
    case.missed_little()


def test_unhealthy_after_the_swap(case: Case) -> None:
    """Healthy as a candidate, but answering 500 in the service's place, which is waited for: the very same old container comes back."""
    case.vm.script(case.other, "ok", "error")
    message = case.failed(case.play(version=case.other, start_timeout=3))
    assert "did not pass its health check within 3 s" in message
    assert f"The very same earlier container {case.before.id[:12]} runs again and is healthy" in message
    case.came_back()
    case.missed_little(3)


def test_neither_comes_back(case: Case) -> None:
    """The new container fails, and the old one too: both are kept, the message has the commands, and the next run makes it whole."""
    vm = case.vm
    vm.script(case.other, "ok", "exit")
    vm.script(case.version, "exit")
    message = case.failed(case.play(version=case.other))
    assert "could not be brought back either" in message
    assert "The service does not run" in message
    assert f"docker rename {case.before.id[:12]} {SERVICE}" in message
    assert vm.names() == {SERVICE, f"{SERVICE}-failed"}
    kept = vm.inspect(case.before.id)
    assert kept is not None, "the old container is gone"
    vm.forget()
    case.play(DEPLOY, version=case.other).must_succeed()
    assert vm.version() == case.other
    case.nothing_left()


def test_slow_stop(case: Case) -> None:
    """A service that takes its time to stop gets it, and answers meanwhile: the client misses no more than at any swap."""
    case.vm.stop_delay("2s")
    since = case.vm.now()
    case.play(version=case.other).must_succeed()
    case.swapped()
    ends = case.vm.events(since, "die", id=case.before.id)
    assert [event["Actor"]["Attributes"]["exitCode"] for event in ends] == ["0"]
