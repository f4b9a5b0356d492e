"""How a builder stage in which several builds stand on one another is known by its steps."""

from __future__ import annotations

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.deploy import builds

LINK = "|0 /bin/sh -c go build -ldflags=-w -o /out/api ."
WORK = "/bin/sh -c #(nop) WORKDIR /src2"


def copy(number: str) -> str:
    return f"/bin/sh -c #(nop) COPY dir:0a1b in /src{number}/ "


@pytest.mark.parametrize(
    ("steps", "ours"),
    [
        ([copy("")], True),
        ([LINK, copy("")], True),
        ([copy("2"), LINK, copy("")], True),
        ([LINK, copy("2"), WORK, LINK, copy("")], True),
        ([WORK, LINK, copy("")], True),
        (["/bin/sh -c #(nop)  ARG A=***", LINK, copy("")], True),
        # What somebody has built FROM it.
        (["/bin/sh -c touch x", LINK, copy("")], False),
        ([LINK, LINK, copy("")], False),
        ([copy("2"), copy("")], False),
        ([copy("3"), LINK, copy("")], False),
        ([copy(""), LINK, copy("")], False),
        ([WORK, copy("")], False),
        ([WORK], False),
    ],
)
def test_a_stage_of_builds_that_stand_on_one_another_is_known_by_its_steps(steps: list[str], ours: bool) -> None:
    assert builds.in_order(steps, [LINK]) is ours


def test_builds_and_their_bytes_are_counted() -> None:
    steps = [(LINK, 5), (copy("2"), 40), (WORK, 0), (LINK, 300), (copy(""), 1000), ("LABEL x", 0)]
    history = [{"CreatedBy": step, "Size": size} for step, size in steps]
    assert builds.builds(step for step, _size in steps) == 2
    assert builds.added_bytes(history) == 5 + 40
    assert builds.added_bytes(history[3:]) == 0
