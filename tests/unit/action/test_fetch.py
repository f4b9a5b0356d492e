"""What git says when a source cannot be fetched is told with a remedy."""

from __future__ import annotations

from ansible_collections.proven.go_service.plugins.action import fetch
from ansible_collections.proven.go_service.plugins.module_utils.common import settings as typed
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import UNTOUCHED
from fuzzing import EXAMPLES, LOG_TEXT, assert_shown
from hypothesis import given


@EXAMPLES
@given(said=LOG_TEXT, stderr=LOG_TEXT)
def test_any_words_of_git_have_a_remedy(wanted: typed.Settings, said: str, stderr: str) -> None:
    assert_shown(fetch.explain({"msg": said, "stderr": stderr}, wanted, UNTOUCHED))
