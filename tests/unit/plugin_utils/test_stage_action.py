"""What is told of a module that Ansible could not run. The actions themselves live within a run of Ansible: runs/."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.plugin_utils import stage_action


@pytest.mark.parametrize(
    ("result", "message", "remedy"),
    [
        pytest.param(
            {"msg": "failed to transfer file to /home/dev/.ansible/tmp/x:\n\nwrite remote: No space left on device\n"},
            "failed to transfer file to /home/dev/.ansible/tmp/x: write remote: No space left on device",
            "Free space",
            id="the controller's words on two lines",
        ),
        pytest.param(
            {"msg": "MODULE FAILURE", "module_stderr": "Traceback\nOSError: [Errno 122] Disk quota exceeded: '/tmp/x'\n"},
            "MODULE FAILURE: OSError: [Errno 122] Disk quota exceeded: '/tmp/x'",
            "Free space",
            id="Python's words on the host",
        ),
        pytest.param({"msg": "no Python\nthere"}, "no Python\nthere", "its Python", id="another reason"),
        pytest.param({}, "a module failed without a word", "its Python", id="no word"),
    ],
)
def test_a_disk_that_is_full_is_told_by_its_path_and_its_own_remedy(result: dict[str, Any], message: str, remedy: str) -> None:
    failure = stage_action.failure_of_module(result, "swap", "api runs")
    assert (failure.message, failure.stage, failure.still_runs) == (message, "swap", "api runs")
    assert remedy in failure.remedy
