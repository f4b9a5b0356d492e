"""The data for the pages of a report: the document in the form that the templates need, so that these contain no arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...module_utils.common.text import megabytes, seconds
from ...module_utils.contract.names import FAIL, GROUPS, PASS, SEVERITIES, SKIP, VERDICTS, WAIVED, WARN
from ...module_utils.contract.rules import RULES
from . import trend
from .document import WORDS


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _label(budget: Mapping[str, Any]) -> str:
    """A budget's name, shorter than its check's title; the two kinds of builds are distinguished by the text of their
    figures."""
    if budget["id"] == "build-time":
        return "Build with a cache" if "cache" in budget["measured"] else "First build"
    return budget["title"]


def _bar(budget: Mapping[str, Any]) -> dict[str, Any]:
    """A budget as a bar: how far it is filled, and where the limit stands, in percent of its length."""
    amount, allowed = budget["amount"], budget["allowed"]
    longest = max(amount, allowed or 0) or 1
    share = "" if not allowed else f"{_percent(amount, allowed):.0f} % of the limit"
    return {
        **budget,
        "label": _label(budget),
        "fill": max(_percent(amount, longest), 0.6),
        "mark": None if allowed is None else _percent(allowed, longest),
        "share": share,
    }


def _groups(checks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    groups = []
    for key, title in GROUPS.items():
        members = [result for result in checks if result["group"] == key]
        if members:
            found = {result["verdict"] for result in members}
            worst = next(verdict for verdict in (FAIL, WARN, WAIVED, PASS, SKIP) if verdict in found)
            met = sum(result["verdict"] == PASS for result in members)
            judged = sum(result["verdict"] != SKIP for result in members)
            groups.append({"title": title, "checks": members, "verdict": worst, "passed": met, "judged": judged})
    return groups


def _gravity(result: Mapping[str, Any]) -> tuple[int, int]:
    """The sort key of what needs attention: failures first, and the severest of them before the others."""
    return VERDICTS.index(result["verdict"]), SEVERITIES.index(result["severity"])


def view(document: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the page of one report prints, beside the document itself."""
    image = document["image"]
    layers = []
    if image:
        largest = max((layer["size"] for layer in image["layers"]), default=0)
        for number, layer in enumerate(image["layers"], 1):
            layers.append(
                {
                    **layer,
                    "number": number,
                    "shown": megabytes(layer["size"]),
                    "share": _percent(layer["size"], image["size"]),
                    "fill": _percent(layer["size"], largest),
                }
            )
    total = sum(stage["seconds"] for stage in document["timeline"])
    stages, start = [], 0.0
    for stage in document["timeline"]:
        stages.append(
            {
                **stage,
                "shown": seconds(stage["seconds"]),
                "start": _percent(start, total),
                "fill": max(_percent(stage["seconds"], total), 0.6),
                "cached": sum(step["cached"] for step in stage["steps"]),
            }
        )
        start += stage["seconds"]
    attention = [result for result in document["checks"] if result["verdict"] in (FAIL, WARN, WAIVED)]
    return {
        "word": WORDS[document["verdict"]],
        "words": WORDS,
        "bars": [_bar(budget) for budget in document["budgets"]],
        "attention": sorted(attention, key=_gravity),
        "groups": _groups(document["checks"]),
        "layers": layers,
        "layers_by_size": sorted(layers, key=lambda layer: -layer["size"]),
        "stages": stages,
        "total": seconds(total) if stages else "",
        "size": megabytes(image["size"]) if image else "",
        "kept": _kept(document.get("kept_for_speed")),
        "judged": len(document["checks"]) - document["counts"][SKIP],
        "rules": RULES,
        "trend": trend.view(document),
    }


def _kept(kept: Mapping[str, int] | None) -> str:
    """Say how much is kept for the next build, "" if that is not known."""
    if not kept:
        return ""
    shared = f", of which {megabytes(kept['shared_bytes'])} serve other services of the host as well" if kept["shared_bytes"] else ""
    return f"{megabytes(kept['bytes'])}{shared}"


def index_view(documents: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Everything the page of all reports prints, of (address of its page, report): the worst first, then by host and
    service."""
    rows = []
    for href, document in sorted(documents, key=lambda pair: (VERDICTS.index(pair[1]["verdict"]), pair[1]["host"], pair[1]["service"])):
        image = document["image"] or {}
        budgets = {budget["id"]: budget for budget in document["budgets"]}
        rows.append(
            {
                "host": document["host"],
                "service": document["service"],
                "verdict": document["verdict"],
                "word": WORDS[document["verdict"]],
                "summary": document["summary"],
                "size": megabytes(image["size"]) if image else "",
                "start": (budgets.get("start-time") or {}).get("measured", ""),
                "digest": (image.get("digest") or "")[:12],
                "stand_in": document["stand_in"],
                "generated_at": document["generated_at"],
                "href": href,
            }
        )
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in (FAIL, WARN, PASS)}
    return {"rows": rows, "counts": counts, "words": WORDS}
