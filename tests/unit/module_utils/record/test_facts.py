"""What a host tells of a service, kept from run to run."""

from __future__ import annotations

from ansible_collections.proven.go_service.plugins.module_utils.record import facts as record_facts


def test_checks_of_the_running_service_take_the_place_of_the_candidates():
    """All others stay."""
    record = {"digest": "d", "facts": {"checks": [{"id": "a", "verdict": "pass"}, {"id": "b", "verdict": "skip"}], "gaps": []}}
    merged = record_facts.with_checks(record, [{"id": "b", "verdict": "pass"}])
    assert merged == {"digest": "d", "facts": {"checks": [{"id": "a", "verdict": "pass"}, {"id": "b", "verdict": "pass"}], "gaps": []}}
    assert record["facts"]["checks"][1]["verdict"] == "skip"
