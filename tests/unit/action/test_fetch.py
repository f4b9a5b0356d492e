"""What git says when a source cannot be fetched is told with a remedy; what actions tell is fit to be shown."""

from __future__ import annotations

from types import SimpleNamespace

from ansible_collections.proven.go_service.plugins.action import fetch
from ansible_collections.proven.go_service.plugins.module_utils.common import settings as typed
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import UNTOUCHED
from fuzzing import EXAMPLES, LOG_TEXT, assert_shown
from hypothesis import given


@EXAMPLES
@given(said=LOG_TEXT, stderr=LOG_TEXT)
def test_any_words_of_git_have_a_remedy(wanted: typed.Settings, said: str, stderr: str) -> None:
    assert_shown(fetch.explain({"msg": said, "stderr": stderr}, wanted, UNTOUCHED))


def test_what_an_action_tells_on_the_way_cannot_command_the_terminal() -> None:
    said: list[str] = []
    action = SimpleNamespace(_display=SimpleNamespace(display=said.append), host=lambda: "web1")
    fetch.ActionModule.tell(action, "cg\x1b[2Jo.go is left out: \u202e")  # type: ignore[arg-type]
    assert said == [r"[web1]: cg\x1b[2Jo.go is left out: \u202e"]
