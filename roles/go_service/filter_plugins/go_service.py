"""Filters of the role go_service: thin names for its own functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible.module_utils

ROLE = Path(__file__).resolve().parents[1]
# The role's own utilities under the name that modules know them by.
if str(ROLE / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(ROLE / "module_utils"))

from ansible.module_utils.go_service import build_log, summary


def failure(result: dict[str, Any]) -> dict[str, Any]:
    """Return the failure record of a failed task: the one its module made, or one read from a builder's message."""
    if result.get("failure"):
        return dict(result["failure"])
    message = str(result.get("msg") or "")
    if "building" in message.lower():
        return build_log.explain(message, result.get("stderr") or "")
    if not message and "image" in result:
        return build_log.broken_off(result.get("stdout") or "")
    return {"stage": "task", "message": message, "remedy": "", "evidence": [], "standing": ""}


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters."""
        return {
            "go_service_failure": failure,
            "go_service_failure_text": summary.failure_text,
            "go_service_report": summary.report,
            "go_service_summary": summary.text,
            "go_service_build_steps": build_log.steps,
            "go_service_build_cached": build_log.was_cached,
        }
