"""What a check has to say of itself, and what its result holds."""

from __future__ import annotations

import json

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract import judge, rules
from ansible_collections.proven.go_service.plugins.module_utils.contract.names import GROUPS, SEVERITIES
from ansible_collections.proven.go_service.plugins.module_utils.contract.registry import Group
from violations import GOOD


def test_registry():
    """Every check is complete, and every rule that is listed is answered by a check."""
    for item in judge.CHECKS.values():
        assert item.about
        assert item.remedy.endswith((".", "?")), f"the remedy of {item.id} is no whole sentence: it ends without a full stop"
        assert item.group in GROUPS
        assert item.severity in SEVERITIES
    used = {rule for item in judge.CHECKS.values() for rule in item.rules}
    assert used == set(rules.RULES), f"no check answers to these rules of contract/rules.py: {sorted(set(rules.RULES) - used)}"
    assert {rule.partition(" ")[0] for rule in used} == set(rules.SOURCES)


@pytest.mark.parametrize("change", [{"rules": ("CIS 9.9",)}, {"group": "x"}, {"severity": "x"}, {"identifier": "taken"}])
def test_wrong_entry(change):
    """A check that names an unknown rule, group or severity, or a taken id, is refused when it is entered."""
    fields = {"identifier": "new", "title": "x", "group": "files", "severity": "low", "remedy": "x.", **change}

    def function(_evidence, _expected):
        """About."""

    group = Group(fields.pop("group"))
    if fields["identifier"] == "taken":
        group.check("taken", "x", severity="low", remedy="x.")(function)
    with pytest.raises(ValueError, match="entered wrongly"):
        group.check(fields.pop("identifier"), fields.pop("title"), **fields)(function)


def test_results_are_plain_data():
    """Results travel as JSON."""
    for item in judge.evaluate(GOOD, samples.expected(), {}):
        assert json.loads(json.dumps(item.as_dict())) == item.as_dict()
