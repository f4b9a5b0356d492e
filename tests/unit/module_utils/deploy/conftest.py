"""What the tests of a deploy share."""

from __future__ import annotations

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.deploy import proof as proofs
from ansible_collections.proven.go_service.plugins.module_utils.deploy import swap as swaps
from samples import Settings


@pytest.fixture
def fast(service: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return what makes settings of a deploy that never waits."""
    monkeypatch.setattr(proofs, "POLL", 0)
    monkeypatch.setattr(swaps, "STOP_SLACK", 0)
    return lambda **changes: service(start_timeout=1e-9, **changes)
