"""What the Dockerfile's linters found becomes a verdict."""

from __future__ import annotations

from violations import judged


def test_lint_waiver():
    """The Dockerfile's checks can be waived as all others."""
    answer = {"hadolint": {"findings": [{"code": "DL3018", "level": "warning", "line": 2, "message": "Pin"}], "problem": ""}}
    found = judged(answer, waivers={"dockerfile-hadolint": "Pinned by the base's release line."})
    assert (found.verdict, found.limit) == ("waived", "nothing at warning or above")
