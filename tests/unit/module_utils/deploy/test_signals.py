"""Who ended a container by a signal."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.deploy import signals
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine

OURS = "c" * 64
KILLED = "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),{scope},task_memcg=/docker/{whom},task=x"
LIMIT, HOST = f"oom_memcg=/docker/{OURS}", "global_oom"


class Happened:
    """An Engine that knows what happened to a container."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self.events = list(events)

    def happenings(self, container: dict[str, Any], *kinds: str) -> list[dict[str, Any]]:
        """Return it."""
        assert kinds == ("oom", "kill")
        return self.events


def said(monkeypatch: pytest.MonkeyPatch, code: int, *events: dict[str, Any], log: list[str] | None = None, **state: Any) -> str:
    """Return what is said of a container that ended, and what to do, as one text."""
    monkeypatch.setattr(signals, "kernel_log", lambda: log or [])
    container = {"Id": OURS, "State": state, "HostConfig": {"Memory": 64 << 20}}
    return " / ".join(signals.who_ended(Happened(*events), container, code))


@pytest.mark.parametrize(
    ("events", "log", "state"),
    [
        ([], [], {"OOMKilled": True}),
        ([{"Action": "oom"}], [], {}),
        ([], [KILLED.format(scope=LIMIT, whom=OURS)], {}),
    ],
    ids=["by the Engine's record", "by an event", "by the kernel's log"],
)
def test_a_container_that_met_its_limit_is_told_so(
    monkeypatch: pytest.MonkeyPatch, events: list[dict[str, Any]], log: list[str], state: dict[str, Any]
) -> None:
    told = said(monkeypatch, 137, *events, log=log, **state)
    assert "its memory limit of 64 MiB (exit code 137)" in told and "Raise go_service_memory" in told


def test_the_hosts_want_of_memory_is_not_the_containers_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    told = said(monkeypatch, 137, log=[KILLED.format(scope=HOST, whom=OURS)])
    assert "the host ran out of memory" in told and "go_service_memory" not in told


def test_what_the_kernel_says_of_others_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    told = said(monkeypatch, 137, log=[KILLED.format(scope=LIMIT.replace("c", "d"), whom="d" * 64)])
    assert "it is not known by whom" in told


def ended(engine: Engine, web: str, command: str, *kill: str, memory: int = 0) -> tuple[str, str]:
    """Run a command in a container until it ends, or is killed by what is named, and return what is said of its end."""
    made = engine.create("utest-ended", {"Image": web, "Cmd": [command], "HostConfig": {"Memory": memory, "MemorySwap": memory}})
    try:
        engine.start(made)
        if kill:
            pid = str(engine.container(made)["State"]["Pid"])
            subprocess.run([word.format(pid=pid, id=made) for word in kill], check=True, capture_output=True)
        subprocess.run(["docker", "wait", made], check=True, capture_output=True)
        found = engine.container(made)
        return signals.who_ended(engine, found, found["State"]["ExitCode"])
    finally:
        engine.remove(made)


@pytest.mark.engine
@pytest.mark.parametrize(
    ("command", "kill", "words"),
    [
        ("sleep 60", ["docker", "kill", "{id}"], "through the Engine by signal 9 (SIGKILL)"),
        ("sleep 60", ["docker", "stop", "-t", "0", "{id}"], "through the Engine by signal 9 (SIGKILL)"),
        ("trap 'exit 0' TERM; while :; do sleep 0.1; done", ["docker", "stop", "{id}"], "through the Engine by signal 15 (SIGTERM)"),
        ("exec sleep 60", ["kill", "-9", "{pid}"], "by signal 9 (SIGKILL, exit code 137); it is not known by whom"),
        ("exit 3", [], ""),
        ("exit 200", [], ""),
        ("exit 139", [], "it was ended by signal 11 (SIGSEGV, exit code 139)"),
    ],
    ids=["docker kill", "docker stop, at once", "docker stop, obeyed", "kill", "exit", "no signal", "a crash"],
)
def test_an_end_by_a_signal_names_who_sent_it_as_far_as_that_is_known(
    engine: Engine, web: str, command: str, kill: list[str], words: str
) -> None:
    how, remedy = ended(engine, web, command, *kill)
    assert (words in how) and bool(how) == bool(words), how
    assert "memory" not in how + remedy or "not known" in how, "nothing but a guess, and called one"


@pytest.mark.engine
@pytest.mark.skipif(not signals.kernel_log(), reason="the kernel's log may not be read")
def test_an_end_by_the_memory_limit_is_known_though_the_engine_does_not_say_so(engine: Engine, web: str) -> None:
    how, remedy = ended(engine, web, "exec tail /dev/zero", memory=8 << 20)
    assert "killed by its memory limit of 8 MiB (exit code 137)" in how
    assert "go_service_memory" in remedy
