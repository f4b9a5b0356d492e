"""A container that its limits hold back is told so by what the kernel counts, not by the words of its log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import candidate as candidates
from ansible_collections.proven.go_service.plugins.module_utils.deploy import remedies
from ansible_collections.proven.go_service.plugins.module_utils.deploy.limits import refused_processes
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine

CONTAINER = {"Id": "c" * 64, "State": {"Pid": 7}}
GROUPS = {
    "version 1": (f"9:memory:/docker/{'c' * 64}\n5:pids:/docker/{'c' * 64}\n0::/\n", f"pids/docker/{'c' * 64}"),
    "version 2": (f"0::/system.slice/docker-{'c' * 64}.scope\n", f"system.slice/docker-{'c' * 64}.scope"),
}


@pytest.mark.parametrize(("written", "place"), GROUPS.values(), ids=GROUPS)
def test_both_versions_of_control_groups_are_read(tmp_path: Path, written: str, place: str) -> None:
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/7/cgroup").write_text(written)
    (tmp_path / "groups" / place).mkdir(parents=True)
    asked = (str(tmp_path / "proc"), str(tmp_path / "groups"))
    assert refused_processes(CONTAINER, *asked) == 0
    (tmp_path / "groups" / place / "pids.events").write_text("max 12\n")
    assert refused_processes(CONTAINER, *asked) == 12
    # The process of another container, or of none.
    assert refused_processes({**CONTAINER, "Id": "d" * 64}, *asked) == 0
    assert refused_processes({"Id": "c" * 64, "State": {"Pid": 0}}, *asked) == 0


@pytest.mark.engine
def test_a_limit_of_processes_that_is_too_small_is_named(engine: Engine, web: str, settings: Callable[..., dict[str, Any]]) -> None:
    # Its first process stays alive, and tries to have another one all the time.
    command = ["exec awk 'BEGIN { while (1) system(\"true\") }'"]
    wanted = settings(name="utest-limits", publish="", args=command, pids_limit=1, start_timeout=2, stable_seconds=0, stop_timeout=0)
    with pytest.raises(Failure) as caught:
        candidates.prove_candidate(engine, wanted, web, str)
    assert "by its limit of 1 (go_service_pids_limit)" in caught.value.message
    assert caught.value.remedy.startswith("Raise go_service_pids_limit")


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ("log: runtime: failed to create new OS thread (have 2 already; errno=11)", "go_service_pids_limit"),
        ("log: sh: can't fork: Resource temporarily unavailable", "go_service_pids_limit"),
        ("log: fork/exec /bin/x: resource temporarily unavailable", "go_service_pids_limit"),
        ("log: lock /data/db: resource temporarily unavailable", "go_service_args"),
        ("log: exec /usr/local/bin/app: exec format error", "GOOS and GOARCH"),
    ],
)
def test_the_words_of_one_that_has_ended(said: str, named: str) -> None:
    assert named in remedies.remedy_for([said])


@pytest.mark.parametrize(
    "words", ["source /var/lib/docker/overlay2/x/merged/etc/resolv.conf is not directory", "creating x: source /a is not a directory"]
)
def test_a_volume_over_a_file_is_named(settings: Callable[..., dict[str, Any]], words: str) -> None:
    assert "go_service_volumes" in remedies.refused(words, settings(volumes=["data:/etc/resolv.conf"]), "otherwise")
