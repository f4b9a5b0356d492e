"""How a builder stage in which several builds stand on one another is known by its steps."""

from __future__ import annotations

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.deploy import builds

LINK = "|0 /bin/sh -c go build -ldflags=-w -o /out/api ."
ARGUMENT = "/bin/sh -c #(nop)  ARG A=***"
WHOLE, CHANGES, OF_AN_EARLIER_VERSION = (f"/bin/sh -c #(nop) COPY dir:0a1b in {place} " for place in ("/src/", "/", "/src2/"))


@pytest.mark.parametrize(
    ("steps", "ours"),
    [
        ([WHOLE], True),
        ([LINK, WHOLE], True),
        ([CHANGES, LINK, WHOLE], True),
        ([LINK, CHANGES, ARGUMENT, LINK, WHOLE], True),
        ([LINK, CHANGES, LINK, CHANGES, LINK, WHOLE], True),
        ([LINK, CHANGES, LINK, OF_AN_EARLIER_VERSION, LINK, WHOLE], True),
        ([ARGUMENT, LINK, WHOLE], True),
        # What somebody has built FROM it.
        (["/bin/sh -c touch x", LINK, WHOLE], False),
        ([LINK, LINK, WHOLE], False),
        ([CHANGES, WHOLE], False),
        ([CHANGES, CHANGES, LINK, WHOLE], False),
        ([WHOLE, LINK, WHOLE], False),
        ([LINK, CHANGES], False),
        ([ARGUMENT, WHOLE], False),
        ([ARGUMENT], False),
    ],
)
def test_a_stage_of_builds_that_stand_on_one_another_is_known_by_its_steps(steps: list[str], ours: bool) -> None:
    assert builds.in_order(steps, [LINK]) is ours


def test_builds_and_their_bytes_are_counted() -> None:
    steps = [(LINK, 5), (CHANGES, 40), (ARGUMENT, 0), (LINK, 300), (WHOLE, 1000), ("LABEL x", 0)]
    history = [{"CreatedBy": step, "Size": size} for step, size in steps]
    assert builds.builds(step for step, _size in steps) == 2
    assert builds.added_bytes(history) == 5 + 40
    assert builds.added_bytes(history[3:]) == 0
