"""What a run reports at its end, to a person or in a report, from the record of the run.

The record, which roles/go_service/tasks/stages/begin.yml begins: {"settings", "plan", "build", "verify", "deploy", "failure", "report"}; a part is empty
where its stage had nothing to do, was not reached, or failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..module_utils.common.failure import UNTOUCHED, Failure
from ..module_utils.common.secrets import mask, secret_values
from ..module_utils.common.settings import RECREATE, Settings
from ..module_utils.common.stages import ROLE, SOURCE
from ..module_utils.common.text import visible

_WIDTH = 10
# Files beside the report, by the names that the action report has for them.
_BESIDE = {"sbom": "bill of materials", "provenance": "provenance"}
_VERDICTS = {"pass": "passed", "warn": "with a warning", "fail": "failed", "skip": "skipped", "waived": "waived"}


def _settings(record: Mapping[str, Any]) -> Settings:
    return Settings.from_json(record["settings"])


def _row(title: str, value: str) -> str:
    return f"  {title:<{_WIDTH}}{value}"


def _builder(plan: Mapping[str, Any]) -> str:
    """The builder of the image, and the reason if it is not the one that was asked for."""
    return " because ".join(filter(None, plan["builder"].values()))


def _headline(plan: Mapping[str, Any], settings: Settings, deploy: Mapping[str, Any]) -> str:
    name = settings.name
    if plan.get("unfetched"):
        return f"{name}: what a run would build and deploy is not known to a check: {plan['unfetched']}."
    if not plan["deploy"]:
        return f"{name} is healthy; nothing had to change."
    outage = deploy.get("outage_seconds", 0)
    actions = {
        "created": f"{name} is healthy: a new container runs.",
        "replaced": f"{name} is healthy: a new container took over, {outage:.1f} s after the old one was told to stop.",
        "kept": f"{name} is healthy: its container was as it should be.",
        "proven": f"{name} is healthy: its container was proven again: {'; '.join(plan['deploy'])}.",
    }
    return actions.get(deploy.get("action", ""), f"{name} would be deployed: {'; '.join(plan['deploy'])}.")


def failed(record: Mapping[str, Any], result: Mapping[str, Any], task: str, secrets: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with the failure of a task, and with what the failed task had found out by then.

    task: its name, which is shown if the task belongs to no stage; tasks of a stage say themselves why they failed. secrets: the secret
    variables by name, and the source's address.
    """
    found = {part: result[part] for part in ("verify", "deploy") if result.get(part)}
    if result.get("failure"):
        return {**record, **found, "failure": dict(result["failure"])}
    remedy = "Read what it says, correct the cause, run again; -vvv shows more."
    # Until there is a plan, everything is about the source, unless an image is asked for by its tag.
    stage = ROLE if record["plan"] or _settings(record).image_tag else SOURCE
    failure = Failure(stage, f"the task {task!r} failed: {result.get('msg') or 'it does not say why'}", remedy, still_runs(record))
    hidden = secret_values({**vars(_settings(record)), **secrets}, secrets["address"])
    return {**record, "failure": visible(mask(failure.as_dict(), hidden))}


def still_runs(record: Mapping[str, Any]) -> str:
    """Return what runs now."""
    if record["failure"]:
        return str(record["failure"]["still_runs"])
    if record["deploy"].get("container_id"):
        return f"The container {record['deploy']['container_id'][:12]} of {record['plan']['image']} runs and is healthy."
    return UNTOUCHED


def failure_text(record: Mapping[str, Any]) -> str:
    """Return the message of a failed run."""
    return Failure.from_dict(record["failure"]).text(record["settings"]["name"], record["report"].get("path", ""))


def sbom(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bill of materials of the image, {} if none is known."""
    return dict((record["verify"] or record["plan"].get("last_report") or {}).get("sbom") or {})


def provenance(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the image comes from, {} if that is not known."""
    return dict((record["verify"] or record["plan"].get("last_report") or {}).get("provenance") or {})


def report_document(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the stages know, in the form that `report.assemble` takes."""
    plan, settings = record["plan"], _settings(record)
    verified = record["verify"] or plan.get("last_report") or {}
    stages = [
        {"stage": "look and stage", "seconds": plan.get("seconds")},
        {"stage": "build", "seconds": record["build"].get("seconds"), "steps": record["build"].get("steps") or []},
        {"stage": "candidate and contract", "seconds": record["verify"].get("seconds")},
        {"stage": "swap", "seconds": record["deploy"].get("seconds")},
    ]
    document = {
        **(verified.get("facts") or {}),
        "builder": plan.get("builder") if record["build"] else None,
        "stand_in": plan.get("stand_in", False),
        "timeline": [stage for stage in stages if stage["seconds"] is not None],
        "deploy": record["deploy"] or None,
        "failure": dict(record["failure"]) or None,
        "ask": plan.get("ask") or settings.try_command("-fsS"),
    }
    if not record["verify"]:
        document.update(unchanged=plan.get("digest", ""), checked_at=verified.get("checked_at"))
    return document


def _stand_in(used: list[str], wanted: list[str]) -> str:
    """Say which stand-ins were used, and instead of which images: somebody may also have asked for a stand-in by its name."""
    told = f"STAND-IN, put together on the host, not the official {'image' if len(used) == 1 else 'images'}: {', '.join(used)}"
    return told if used == wanted else f"{told} in place of {', '.join(wanted)}"


def outcome(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of one of several services: a row of `services_table`."""
    plan, settings, deploy = record["plan"], _settings(record), record["deploy"]
    done = deploy.get("action") or ("to deploy" if plan.get("deploy") else "unchanged")
    told = plan.get("try_it") or ""
    if settings.platform and plan:
        # It cannot run here.
        done = "built" if record.get("build") else "to build" if plan.get("build") else "unchanged"
        told = f"for {settings.platform}"
    return {
        "name": settings.name,
        "failed": False,
        "did": done if plan else "done",
        "image": plan.get("image", ""),
        "told": told,
    }


def services_table(outcomes: Iterable[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Return the results of the services of a host, one line for each, in the order of their names."""
    ordered = sorted(outcomes, key=lambda row: names.index(row["name"]))
    rows = [("service", "", "image", "")] + [(row["name"], row["did"], row["image"] or "-", row["told"]) for row in ordered]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join("  ".join([*(f"{cell:<{width}}" for cell, width in zip(row[:3], widths)), row[3]]).rstrip() for row in rows)


def _received(received: Mapping[str, Any]) -> str:
    """Say how an image came from the build host."""
    if not received.get("way"):
        return f"the image of {received['from']} was here"
    size = f" ({received['bytes'] / 1e6:.1f} MB)" if received["bytes"] else ""
    return f"the image of {received['from']} came by {received['way']}{size}"


def text(record: Mapping[str, Any]) -> str:
    """Return the closing summary of a run."""
    plan, settings, written = record["plan"], _settings(record), record["report"]
    image, build, deploy = written["image"] or {}, record["build"], record["deploy"]
    lines = [_headline(plan, settings, deploy)]
    size = f", {image['size'] / 1e6:.1f} MB" if image.get("size") else ""
    user = f", runs as {image['user']}" if image.get("user") else ""
    lines.append(_row("image", f"{plan['image'] or '(not known before the source and the base images are there)'}{size}{user}"))
    base = image.get("base") or {}
    if plan["stand_in"]:
        lines.append(_row("base", _stand_in(plan["bases"], [settings.builder_image, settings.runtime_image])))
    elif base.get("stand_in"):
        lines.append(_row("base", _stand_in([base["reference"]], [settings.runtime_image])))
    if build.get("seconds"):
        lines.append(
            _row("build", f"{build['seconds']:.1f} s by {_builder(plan)}, {'on the cache' if build['cached'] else 'the first one'}")
        )
    elif record.get("received"):
        lines.append(_row("build", f"none: {_received(record['received'])}"))
    elif settings.image_tag:
        lines.append(_row("build", "none: an image that was built before was asked for"))
    elif not plan["build"]:
        lines.append(_row("build", "none: the image of this very source was there"))
    verified = record["verify"] or plan["last_report"]
    if verified.get("start_seconds"):
        lines.append(_row("start", f"{verified['start_seconds']:.2f} s until healthy"))
    if deploy.get("strategy") == RECREATE:
        lines.append(_row("strategy", "recreate: it was proven in the service's place, without a candidate beside the old container"))
    counts = {verdict: number for verdict, number in written["counts"].items() if number}
    if counts:
        told = ", ".join(f"{number} {_VERDICTS[verdict]}" for verdict, number in counts.items())
        lines.append(_row("contract", f"{'BROKEN' if written['verdict'] == 'fail' else 'kept'}: {told}"))
    for check in written["checks"]:
        if check["verdict"] in ("warn", "fail"):
            lines.append(_row("", f"{check['verdict']}: {check['title']}: {check['measured']}, {check['reason']}"))
    if deploy.get("ended"):
        how, *words = deploy["ended"]
        lines.append(_row("before", f"the container that was there: {how}"))
        lines += [_row("", word) for word in words]
    if deploy.get("pruned"):
        lines.append(_row("removed", ", ".join(deploy["pruned"])))
    command = plan.get("try_it") or settings.try_command()
    if command:
        lines.append(_row("try it", f"{command}{' (on the machine of the Engine)' if plan.get('elsewhere') else ''}"))
    lines.append(_row("report", written["path"] or "none: a check writes no report"))
    beside = [f"{what} {name}" for kind, what in _BESIDE.items() if (name := written["paths"].get(kind, "").rpartition("/")[2])]
    if written["path"] and beside:
        lines.append(_row("beside it", ", ".join(beside)))
    return "\n".join(lines)
