"""Filters of the role go_service: thin names for its own functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..plugin_utils import build_log, summary


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
            "failure": failure,
            "failure_text": summary.failure_text,
            "report_document": summary.report,
            "summary": summary.text,
            "build_steps": build_log.steps,
            "build_cached": build_log.was_cached,
        }
