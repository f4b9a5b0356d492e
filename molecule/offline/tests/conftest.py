"""What the tests of this scenario share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

_STATE = (
    "dpkg-query --show; docker images --all --no-trunc --quiet | sort; ls -A /srv; "
    "docker ps --quiet --no-trunc | xargs docker inspect --format '{{.Id}} {{.State.StartedAt}}'"
)


@pytest.fixture
def nothing_changes(machine) -> Iterator[None]:
    """The machine keeps its packages, images, containers and files through the test."""
    before = machine.run(_STATE)
    yield
    assert machine.run(_STATE) == before
