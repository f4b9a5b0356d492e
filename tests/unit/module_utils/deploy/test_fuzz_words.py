"""What a container, or a file in a service's directory, says need not be what it should: it is passed over, or told by its name."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import listening, ownership
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

EXAMPLES = settings(max_examples=200, deadline=2000, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
FIELD = st.one_of(
    st.sampled_from(["0:", "0A", "0100007F:1F90", ":", "zz:zz", "F" * 5000 + ":1", "0" * 32 + ":FFFF", "1"]), st.text(max_size=6)
)


@EXAMPLES
@given(lines=st.lists(st.lists(FIELD, max_size=12).map(" ".join), max_size=5))
@example(lines=["0: zz:zz x 0A 0 0 0 0 0 1"])
@example(lines=[f"0: 0100007F:{'F' * 5000} x 0A 0 0 0 0 0 1"])
def test_any_table_of_sockets_is_read(lines: list[str]) -> None:
    for address, port in listening.parse_table("\n".join(lines)):
        assert listening.told({(address, port)}).startswith(str(port))


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@EXAMPLES
@given(record=st.fixed_dictionaries({"service": st.just("app")}, optional={name: VALUE for name in ("trees", "images", "container", "x")}))
def test_a_record_of_another_form_makes_nothing_the_roles_own(record: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.mkdir(f"{directory}/context")
        Path(directory, "context/kept").write_text("kept")
        Path(directory, ownership.RECORD).write_text(json.dumps(record))
        with suppress(Failure):
            found = ownership.examine(Path(directory), "app")
            assert "context" in record["trees"] and found.trees == record["trees"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 100_000, '{"service": "app"}', '{"service": "app", "trees": null}', "\x00"])
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / ownership.RECORD).write_text(text)
    with pytest.raises(Failure, match="did not make it"):
        ownership.examine(tmp_path, "app")
