"""What a run tells a person at its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..module_utils.common.text import url

_WIDTH = 10
_VERDICTS = {"pass": "passed", "warn": "with a warning", "fail": "failed", "skip": "skipped", "waived": "waived"}


def _row(title: str, value: str) -> str:
    return f"  {title:<{_WIDTH}}{value}"


def _builder(plan: Mapping[str, Any]) -> str:
    """What built the image, and why that if it was not what was asked for."""
    return " because ".join(filter(None, plan["builder"].values()))


def _headline(plan: Mapping[str, Any], settings: Mapping[str, Any], deploy: Mapping[str, Any]) -> str:
    name = settings["name"]
    if not plan["deploy"]:
        return f"{name} is healthy; nothing had to change."
    outage = deploy.get("outage_seconds", 0)
    actions = {
        "created": f"{name} is healthy: a new container runs.",
        "replaced": f"{name} is healthy: a new container took over, {outage:.1f} s after the old one was told to stop.",
        "kept": f"{name} is healthy: its container was as it should be.",
    }
    return actions.get(deploy.get("action", ""), f"{name} would be deployed: {'; '.join(plan['deploy'])}.")


def report(plan: Mapping[str, Any], settings: Mapping[str, Any], run: Mapping[str, Any], failure: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the stages know, in the form that `report.assemble` takes. plan: {} where the run failed before there was one."""
    verified = run["verify"] or (plan.get("last_report") or {})
    stages = [
        {"stage": "look and stage", "seconds": plan.get("seconds")},
        {"stage": "build", "seconds": run["build"].get("seconds"), "steps": run["build"].get("steps") or []},
        {"stage": "candidate and contract", "seconds": run["verify"].get("seconds")},
        {"stage": "swap", "seconds": run["deploy"].get("seconds")},
    ]
    document = {
        **(verified.get("facts") or {}),
        "builder": plan.get("builder") if run["build"] else None,
        "stand_in": plan.get("stand_in", False),
        "timeline": [stage for stage in stages if stage["seconds"] is not None],
        "deploy": run["deploy"] or None,
        "failure": dict(failure) or None,
        "endpoint": {"publish": settings["publish"], "health_path": settings["health_path"]},
    }
    if not run["verify"]:
        document.update(unchanged=plan.get("digest", ""), checked_at=verified.get("checked_at"))
    return document


def text(plan: Mapping[str, Any], settings: Mapping[str, Any], run: Mapping[str, Any], written: Mapping[str, Any]) -> str:
    """Return the closing summary of a run.

    plan, run: what the stages returned; settings: the role's settings; written: what the report's action returned.
    """
    image, build, deploy = written["image"] or {}, run["build"], run["deploy"]
    lines = [_headline(plan, settings, deploy)]
    size = f", {image['size'] / 1e6:.1f} MB" if image.get("size") else ""
    user = f", runs as {image['user']}" if image.get("user") else ""
    lines.append(_row("image", f"{plan['image'] or '(not known before the base images are there)'}{size}{user}"))
    base = image.get("base") or {}
    if plan["stand_in"]:
        wanted = f"{settings['builder_image']}, {settings['runtime_image']}"
        lines.append(_row("base", f"STAND-IN, not the real thing: {', '.join(plan['bases'])} in place of {wanted}"))
    elif base.get("stand_in"):
        lines.append(_row("base", f"STAND-IN, not the real thing: {base['reference']} in place of {settings['runtime_image']}"))
    if build.get("seconds"):
        lines.append(
            _row("build", f"{build['seconds']:.1f} s by {_builder(plan)}, {'on the cache' if build['cached'] else 'the first one'}")
        )
    elif not plan["build"]:
        lines.append(_row("build", "none: the image of this very source was there"))
    verified = run["verify"] or plan["last_report"]
    if verified.get("start_seconds"):
        lines.append(_row("start", f"{verified['start_seconds']:.2f} s until healthy"))
    counts = {verdict: number for verdict, number in written["counts"].items() if number}
    if counts:
        told = ", ".join(f"{number} {_VERDICTS[verdict]}" for verdict, number in counts.items())
        lines.append(_row("contract", f"{'BROKEN' if written['verdict'] == 'fail' else 'kept'}: {told}"))
    for check in written["checks"]:
        if check["verdict"] in ("warn", "fail"):
            lines.append(_row("", f"{check['verdict']}: {check['title']}: {check['measured']}, {check['reason']}"))
    if deploy.get("pruned"):
        lines.append(_row("removed", ", ".join(deploy["pruned"])))
    address = url(settings)
    if address:
        lines.append(_row("try it", f"curl {address}{settings['health_path']}"))
    lines.append(_row("report", written["path"]))
    return "\n".join(lines)


def failure_text(failure: Mapping[str, Any], name: str, page: str = "") -> str:
    """Return what a failed run tells: what happened, the last words, what still runs, what to do; page: path of its report."""
    lines = [f"{name}: {failure['message']}"]
    evidence = failure.get("evidence") or []
    if evidence:
        lines += ["", *(f"  | {line}" for line in evidence), ""]
    if failure.get("standing"):
        lines.append(f"What still runs: {failure['standing']}")
    if failure.get("remedy"):
        lines.append(f"What to do: {failure['remedy']}")
    if page:
        lines.append(f"Report: {page}")
    return "\n".join(lines)
