"""Settings that nobody thought of: each is taken or told by the name of its variable, on one line, and soon."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.secrets import SECRET, conceal, pack, reveal, without_credentials
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.common.text import visible
from ansible_collections.proven.go_service.plugins.module_utils.deploy import container
from ansible_collections.proven.go_service.plugins.module_utils.image import dockerfile
from ansible_collections.proven.go_service.plugins.module_utils.source.address import fault_of, shown_address
from ansible_collections.proven.go_service.plugins.plugin_utils import variables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

EXAMPLES = settings(
    max_examples=300,
    deadline=2000,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
TEXT = st.one_of(
    st.sampled_from(
        ["", "a", "/x", "/x:/y", "8080", "64m", "1m30s", "[::1]:80", "a:b@c", "$(id)", "`id`", '"', "\\", "\n", "{{ x }}", "a=b"]
    ),
    st.text(max_size=12),
)
VALUE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.one_of(TEXT, st.integers()), inner, max_size=3),
    max_leaves=5,
)


@EXAMPLES
@given(changes=st.dictionaries(st.sampled_from(sorted(variables.FIELDS)), VALUE, min_size=1, max_size=4))
def test_any_settings_are_taken_or_told(raw: dict[str, Any], changes: dict[str, Any]) -> None:
    try:
        wanted = variables.check_variables({**raw, **changes})
    except variables.InputError as error:
        for sentence in error.problems:
            assert re.match(r"go_service_\w+ ", sentence) and "\n" not in visible(sentence)
        assert {sentence.split()[0] for sentence in error.problems} <= {f"go_service_{name}" for name in variables.FIELDS}
        return
    # What was taken travels, and gives a Dockerfile and a container.
    shown = json.loads(json.dumps(conceal(wanted).as_json()))
    assert reveal(Settings.from_json(shown), pack(vars(wanted))) == wanted
    json.dumps(container.create_body(wanted, "image", (1, 44))).encode()


@EXAMPLES
@given(kind=st.sampled_from(SECRET), values=st.dictionaries(TEXT, VALUE, min_size=1, max_size=3))
def test_no_problem_shows_a_secret_value(raw: dict[str, Any], kind: str, values: dict[str, Any]) -> None:
    canary = "hunter2-canary"
    marked = {name: [f"{canary}{value}"] if isinstance(value, list) else f"{canary}{value}" for name, value in values.items()}
    try:
        variables.check_variables({**raw, kind: marked})
    except variables.InputError as error:
        assert canary not in str(error)
    for whole in (canary, [canary], [{"a": canary}], {canary: {"a": canary}}):
        with suppress(variables.InputError):
            try:
                variables.check_variables({**raw, kind: whole})
            except variables.InputError as error:
                assert canary not in str(error) or isinstance(whole, dict)
                raise


@EXAMPLES
@given(name=st.sampled_from(["A", "B_1"]), value=st.text(max_size=30))
def test_a_value_of_the_build_comes_and_goes_whole(settings: Any, name: str, value: str) -> None:
    with suppress(variables.InputError):
        wanted = settings(build_env={name: value}, build_args={name: value})
        template = f'ARG {name}="***"\nENV {name}="***"\nRUN x\n'
        filled = dockerfile.with_values(template, wanted)
        assert len(filled.split("\n")) == 4
        assert dockerfile.without_values(filled) == template


ADDRESS = st.text(st.sampled_from("ab1:/@?#%[]. ~-é\n+"), max_size=25)


@EXAMPLES
@given(
    scheme=st.sampled_from(["", "https://", "HTTPS://", "ssh://", "git://", "file://", "x::", "https:/", " https://"]),
    user=ADDRESS,
    rest=ADDRESS,
)
def test_no_address_that_is_taken_hands_git_a_secret(raw: dict[str, Any], scheme: str, user: str, rest: str) -> None:
    """As far as a secret is what stands before an "@", behind a "?" or a "#"."""
    secret = "hunter2"
    for address in (
        f"{scheme}{user}:{secret}@h/{rest}",
        f"{scheme}me:{user}{secret}@h/{rest}",
        f"{scheme}h/{rest}?{secret}",
        f"{scheme}h/{rest}#{secret}",
    ):
        is_path = "://" not in address and not set(":@") & set(address.partition("/")[0])
        if address.startswith(("/", "./", "../", "~")) or scheme == "file://" or is_path:
            continue
        try:
            wanted = variables.check_variables({**raw, "source": address, "source_type": "git"})
        except variables.InputError as error:
            assert secret not in str(error)
            continue
        assert secret not in without_credentials(address)
        assert secret not in shown_address(wanted.source)
        assert fault_of(address) == ""


@pytest.mark.parametrize("name", sorted(variables.FIELDS))
def test_deep_and_long_values_are_taken_or_told(raw: dict[str, Any], name: str) -> None:
    deep: Any = "x"
    for _level in range(200):
        deep = [deep]
    for value in (deep, {"a": deep}, "x" * 200_000, ["x"] * 5000, {str(number): "x" for number in range(5000)}):
        with suppress(variables.InputError):
            variables.check_variables({**raw, name: value})
