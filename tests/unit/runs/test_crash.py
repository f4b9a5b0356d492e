"""Whatever ends a run, and whichever of the Engine's calls goes wrong: the service answers, what is said is true, and the next run finds nothing in its way.

Each call goes wrong in one way at least, from each place of the code that makes it, and each that changes something in each operation; `make crash`
tries all ways at all calls of all operations (crash.py).
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
    """Return what a spread of all attempts has shown."""
    return crashes.attempts(crashes.Spread(), settings, generate)


@pytest.mark.parametrize("name", OPERATIONS)
def test_whatever_goes_wrong_the_service_answers_and_the_next_run_finds_nothing_in_its_way(found: Found, name: str) -> None:
    assert sorted(found.wrong[name]) == []
    assert found.attempts[name] > 3
    assert found.calls[name] >= found.changing[name]
    assert found.places[name] <= found.tried


def test_each_way_of_ending_is_tried(found: Found) -> None:
    assert found.ways >= {"killed before", "killed after", "lost", "cut", "SIGINT before", "SIGTERM after", "refuse before", "hold after"}


@pytest.mark.engine
@pytest.mark.parametrize("strategy", ["candidate", "recreate"])
def test_wherever_a_swap_on_a_real_engine_is_killed_the_next_run_finishes_or_undoes_it(
    clean: Engine, web: str, service: Settings, strategy: str
) -> None:
    """Killed after each call that changes something: between two of them all is as it was after the first."""
    swaps = KilledSwaps(clean, web, service, SERVE, strategy)
    changing = {place: asked for place, asked in swaps.asked.items() if not place[1]}
    assert len(changing) > 6
    assert swaps.wrong(changing, True) == []
