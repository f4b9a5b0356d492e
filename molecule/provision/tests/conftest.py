"""What the tests of this scenario share."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(scope="module")
def wanted(expected: dict[str, Any], machine_name: str) -> dict[str, Any]:
    """What expected.yml says of the machine."""
    return expected["machines"][machine_name]
