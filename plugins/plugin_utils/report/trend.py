"""How a service's figures changed over its last images: kept in the report from run to run, and drawn as small charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...module_utils.common.text import megabytes, seconds

# How many images are remembered.
KEPT = 20
# What is drawn, in this order: the check that measures it, and its title.
MEASURED = {"image-size": "Image size", "build-time": "Build", "start-time": "Start", "memory-use": "Memory when idle"}
COMPONENTS = "components"
# The size of a chart, in its own units; on the page it gets the available width.
WIDTH, HEIGHT = 240.0, 64.0
# If there are fewer bars than this, they are drawn only as broad as if there were this many.
_SLOTS = 8
# A limit higher than this many times the highest bar is not drawn, since the bars would be flat.
_FAR = 1.6

_UNITS = {"MB": lambda amount: megabytes(amount * 1_000_000), "s": seconds}


def continued(previous: Mapping[str, Any] | None, document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the history of a report: that of the previous report, with the image of this one, the newest last.

    Another run with the same image replaces its figures. An entry is {"digest", "generated_at": of the first report on it, "verdict",
    "cached": whether the build had a cache, None if it was not measured, "figures": amounts by the id of their check}.
    """
    entries = [entry for entry in (previous or {}).get("history") or () if _is_entry(entry)]
    image = document["image"]
    if not image or not image["digest"]:
        return entries[-KEPT:]
    built = next((budget for budget in document["budgets"] if budget["id"] == "build-time"), None)
    entry = {
        "digest": image["digest"],
        "generated_at": document["generated_at"],
        "verdict": document["verdict"],
        "cached": "cache" in built["measured"] if built else None,
        "figures": {budget["id"]: float(budget["amount"]) for budget in document["budgets"] if budget["id"] in MEASURED},
    }
    if document["sbom"]:
        entry["figures"][COMPONENTS] = float(document["sbom"]["components"])
    last = entries[-1] if entries else None
    if last and last["digest"] == entry["digest"]:
        cached = last["cached"] if entry["cached"] is None else entry["cached"]
        figures = {**last["figures"], **entry["figures"]}
        entries[-1] = {**entry, "generated_at": last["generated_at"], "cached": cached, "figures": figures}
    else:
        entries.append(entry)
    return entries[-KEPT:]


def _is_entry(entry: Any) -> bool:
    """Say whether a value in an earlier report is a valid entry: somebody may have changed the file."""
    return (
        isinstance(entry, Mapping)
        and all(isinstance(entry.get(name), str) for name in ("digest", "generated_at", "verdict"))
        and entry.get("cached") in (True, False, None)
        and isinstance(entry.get("figures"), Mapping)
        and all(isinstance(amount, float) and 0 <= amount < 1e12 for amount in entry["figures"].values())
    )


def view(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows of the history: {"charts", "rows": the newest first, "columns"}; nothing for fewer than two images."""
    history = document["history"]
    titles = {**MEASURED, COMPONENTS: "Components"}
    if sum(_cached(entry) for entry in history) > 1:
        # Next to the first build, builds with a cache would all look alike.
        titles["build-time"] = "Build with a cache"
        history = [entry if entry["cached"] else _without_build(entry) for entry in history]
    units = {budget["id"]: budget["unit"] for budget in document["budgets"]}
    limits = {budget["id"]: budget["allowed"] for budget in document["budgets"]}
    shown = [name for name in titles if sum(name in entry["figures"] for entry in history) > 1]
    if not shown:
        return {"charts": [], "rows": [], "columns": []}
    rows = [
        {
            "image": entry["digest"][:12],
            "generated_at": entry["generated_at"],
            "verdict": entry["verdict"],
            "figures": [_figure(entry, name, units) for name in shown],
        }
        for entry in reversed(history)
    ]
    return {
        "charts": [_chart(name, titles[name], history, limits.get(name), units) for name in shown],
        "rows": rows,
        "columns": [titles[name] for name in shown],
    }


def _cached(entry: Mapping[str, Any]) -> bool:
    return bool(entry["cached"]) and "build-time" in entry["figures"]


def _without_build(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry, "figures": {name: amount for name, amount in entry["figures"].items() if name != "build-time"}}


def _figure(entry: Mapping[str, Any], name: str, units: Mapping[str, str]) -> str:
    """Return a figure of an image for a reader, "" if it was not measured."""
    return _shown(entry["figures"][name], name, units) if name in entry["figures"] else ""


def _shown(amount: float, name: str, units: Mapping[str, str]) -> str:
    of_check = "s" if name in ("build-time", "start-time") else "MB"
    return f"{amount:.0f}" if name == COMPONENTS else _UNITS[units.get(name) or of_check](amount)


def _chart(name: str, title: str, history: Sequence[Mapping[str, Any]], limit: float | None, units: Mapping[str, str]) -> dict[str, Any]:
    """Return one chart: a bar for each image, left out where it was not measured, and the limit where it is near."""
    amounts = [entry["figures"].get(name) for entry in history]
    measured = [amount for amount in amounts if amount is not None]
    highest = max(measured) or 1.0
    near = limit is not None and 0 < limit <= highest * _FAR
    top = max(highest, limit or 0) if near else highest
    slot = WIDTH / max(len(history), _SLOTS)
    bars = [
        {
            "x": round(number * slot, 2),
            "y": round(HEIGHT - max(HEIGHT * amount / top, 1), 2),
            "width": round(slot * 0.75, 2),
            "height": round(max(HEIGHT * amount / top, 1), 2),
            "last": number == len(history) - 1,
            "told": f"{entry['digest'][:12]}: {_figure(entry, name, units)}",
        }
        for number, (entry, amount) in enumerate(zip(history, amounts))
        if amount is not None
    ]
    return {
        "title": title,
        "latest": _shown(measured[-1], name, units),
        "note": f"before: {_shown(measured[-2], name, units)}",
        "bars": bars,
        "limit": round(HEIGHT - HEIGHT * (limit or 0) / top, 2) if near else None,
        "label": f"{title} of the last {len(measured)} images, the newest last: {', '.join(_shown(amount, name, units) for amount in measured)}",
    }
