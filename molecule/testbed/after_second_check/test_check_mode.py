"""After check mode on a VM that has been converged twice."""

from __future__ import annotations


def test_check_mode_has_nothing_to_tell(machine_name: str, last_recap: dict[str, dict[str, int]]) -> None:
    """Check mode says that nothing would be changed."""
    assert last_recap[machine_name]["changed"] == 0
    assert last_recap[machine_name]["failed"] == 0
