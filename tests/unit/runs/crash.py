"""Every operation is ended in every way before and after every call to the Engine, and every call goes wrong in every way.

Too long for `make test`, which tries a part of it (test_crash.py): `make crash` runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import crashes
import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from crashes import OPERATIONS, Found
from killed_swaps import KilledSwaps
from plays import SERVE
from samples import Settings


@pytest.fixture(scope="module")
def found(settings: Callable[..., Any], generate: Callable[..., Any]) -> Found:
    """Return what all attempts have shown; how many there were is printed."""
    return crashes.attempts(crashes.everything, settings, generate)


@pytest.mark.parametrize("name", OPERATIONS)
def test_whatever_goes_wrong_the_service_answers_and_the_next_run_finds_nothing_in_its_way(found: Found, name: str) -> None:
    assert sorted(found.wrong[name]) == []
    assert found.calls[name] == set(range(found.watched[name]))


@pytest.mark.engine
@pytest.mark.parametrize("command", [SERVE, "exit 3"], ids=["good", "bad"])
@pytest.mark.parametrize("strategy", ["candidate", "recreate"])
def test_wherever_a_swap_on_a_real_engine_is_killed_the_next_run_finishes_or_undoes_it(
    clean: Engine, web: str, service: Settings, command: str, strategy: str
) -> None:
    """Killed before and after each call, of a swap that succeeds and of one whose new container fails."""
    swaps = KilledSwaps(clean, web, service, command, strategy)
    assert swaps.wrong(swaps.asked, False, True) == []
