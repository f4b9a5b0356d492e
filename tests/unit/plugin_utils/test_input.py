"""The action that checks the input: what an entry point says in the user's place is checked as well, and told beside the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

Check = Callable[..., dict[str, Any]]


@pytest.fixture
def check(plugin: Callable[[str], Any], defaults: dict[str, Any]) -> Check:
    """Return what runs the action for the defaults and changes to them."""

    def run(**changes: Any) -> dict[str, Any]:
        variables = {**defaults, **changes}
        template = Templar(loader=DataLoader(), variables=variables).template
        given = plugin("plugin_utils.variables").given(variables, template)
        return plugin("plugin_utils.input").settings_of(given, template, reports=False).as_json()

    return run


def test_an_entry_point_speaks_in_the_users_place(check: Check) -> None:
    assert check(go_service_image_tag="3f2a91c07b6e", __go_service_override={"image_tag": "previous"})["image_tag"] == "previous"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"image_tag": "a b"}, ["go_service_image_tag is 'a b'"]),
        ({"image_tag": []}, ["go_service_image_tag is a list, not a text"]),
        ({"image_tgt": "previous"}, ["go_service_image_tgt is not a variable", "did you mean go_service_image_tag?"]),
        ({"image_tag": "a b", "port": 0}, ["go_service_image_tag is", "go_service_port is 0"]),
    ],
)
def test_what_an_entry_point_says_is_checked_with_the_rest(
    check: Check, plugin: Callable[[str], Any], override: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(plugin("plugin_utils.variables").InputError) as caught:
        check(__go_service_override=override, go_service_user="Root")
    told = str(caught.value)
    assert [word for word in [*words, "go_service_user is 'Root'"] if word not in told] == []
