"""The report of a run: one document for programs, and the same brought into the form that the page shows.

`facts` runs on the target and makes plain data of the evidence and the results. `assemble` runs on the controller: it
adds what happened around it, compares it with the report before, and gives the document its final form, which
docs/report.schema.json describes. `view` and `index_view` prepare what the page's templates print, so that these hold
no arithmetic.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import sbom as materials
from .checks_image import count, listed, megabytes, seconds
from .evidence import Evidence
from .expected import Expected
from .registry import FAIL, GROUPS, PASS, SEVERITIES, SKIP, VERDICTS, WAIVED, WARN, CheckResult
from .rules import RULES

# Raised in its first part when a program that reads reports has to change, in its second when something is added.
SCHEMA_VERSION = "1.1"
SCHEMA_ID = "https://go-service.invalid/report.schema.json"
SBOM_SUFFIX = ".sbom.json"
_OCI = "org.opencontainers.image."
_SECTIONS = ("engine", "builder", "image", "binary", "sbom", "vulnerabilities", "deploy", "dockerfile")
# What a run that found nothing to do takes over from the report before.
_KEPT = ("engine", "builder", "image", "binary", "sbom", "vulnerabilities", "dockerfile", "checks", "gaps")
_WORDS = {
    PASS: "Passed",
    WARN: "Passed with warnings",
    FAIL: "Failed",
    SKIP: "Skipped",
    WAIVED: "Waived",
}


# --- On the target
# -----------------------------------------------------------------------------------------------------


def facts(evidence: Evidence, expected: Expected, results: Iterable[CheckResult], bill: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Make the part of a report that the image and the container tell, as plain data.

    :param results: what `contract.evaluate` returned.
    :param bill: what `sbom.cyclonedx` returned.
    """
    image, base, engine = evidence.image, evidence.base, evidence.engine
    labels = image.labels
    name = expected.base_name or base.reference
    return {
        "engine": {
            "version": engine.version,
            "api_version": engine.api_version,
            "storage_driver": engine.storage_driver,
            "architecture": engine.architecture,
            "os": engine.os,
            "cgroup_version": engine.cgroup_version,
            "security_options": list(engine.security_options),
        },
        "image": {
            "reference": image.reference,
            "id": image.id,
            "digest": labels.get("go-service.digest", ""),
            "tags": list(image.tags),
            "version": labels.get(_OCI + "version", ""),
            "revision": labels.get(_OCI + "revision", ""),
            "source": labels.get(_OCI + "source", ""),
            "created": labels.get(_OCI + "created", "") or image.created,
            "architecture": image.architecture,
            "os": image.os,
            "user": image.user,
            "size": image.size,
            "engine_size": image.reported_size,
            "base": {
                "reference": base.reference,
                "name": name,
                "digest": materials.base_digest(evidence),
                "stand_in": base.labels.get("go-service.stand-in") == "true",
            },
            "layers": [
                {
                    "size": layer.size,
                    "created_by": layer.created_by,
                    "created": layer.created,
                    "in_base": layer.in_base,
                    "diff_id": layer.diff_id,
                }
                for layer in image.layers
            ],
        },
        "binary": _binary_facts(evidence),
        "vulnerabilities": _scan_facts(evidence),
        "dockerfile": dict(evidence.dockerfile) if evidence.dockerfile else None,
        "sbom": materials.summary(bill) if bill else None,
        "checks": [result.as_dict() for result in results],
        "gaps": list(evidence.gaps),
    }


def with_checks(record: Mapping[str, Any], checks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what `verification.verify` found with these results in the places of those of the candidate."""
    by_id = {result["id"]: dict(result) for result in checks}
    facts_before = record.get("facts") or {}
    merged = [by_id.get(result["id"], result) for result in facts_before.get("checks") or ()]
    return {**record, "facts": {**facts_before, "checks": merged}}


def _binary_facts(evidence: Evidence) -> dict[str, Any] | None:
    binary = evidence.binary
    if binary is None:
        return None
    info = binary.build_info
    return {
        "path": binary.entry.path,
        "size": binary.entry.size,
        "sha256": binary.entry.sha256,
        "module": info.main.path if info and info.main else "",
        "go_version": info.go_version if info else "",
        "settings": dict(info.settings) if info else {},
    }


def _scan_facts(evidence: Evidence) -> dict[str, Any] | None:
    scan = evidence.scan
    if scan is None:
        return None
    return {
        "tool": scan.tool,
        "problem": scan.problem,
        "counts": dict(scan.counts),
        "findings": [vars(finding).copy() for finding in scan.worst],
    }


# --- On the controller
# -------------------------------------------------------------------------------------------------


def paths(root: str, host: str, service: str) -> dict[str, Path]:
    """Where the files of a service's report are: "json", "html" and "sbom"."""
    folder, name = Path(root) / _file_name(host), _file_name(service)
    return {"json": folder / f"{name}.json", "html": folder / f"{name}.html", "sbom": folder / f"{name}{SBOM_SUFFIX}"}


def _file_name(name: str) -> str:
    """A host's or service's name as one file name: an inventory's name may hold slashes, or be "..".

    Two names that come to the same file name would share a report; inventories with such names do not occur.
    """
    safe = "".join(char if char.isalnum() or char in "._-" else "_" for char in name)
    return safe.lstrip(".") or "_"


def read(path: Path) -> dict[str, Any] | None:
    """Read a report; None for what is none, as a user's own file in the directory."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_report = isinstance(document, dict) and document.get("$schema") == SCHEMA_ID
    same_format = is_report and document["schema_version"].partition(".")[0] == SCHEMA_VERSION.partition(".")[0]
    return document if same_format else None


def assemble(
    raw: Mapping[str, Any],
    *,
    host: str,
    service: str,
    generated_at: str,
    previous: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make the final document.

    :param raw: what the stages know. All of it is optional: the keys of `facts`; "timeline" [{"stage", "seconds",
        "steps": [{"instruction", "cached", "seconds"}]}]; "deploy" {"action", "container", "outage_seconds", ...};
        "failure" {"stage", "message", "remedy", "evidence", "standing"}; "endpoint" {"publish", "health_path"};
        "commands" [{"title", "command"}]; "unchanged": the content digest of the image that runs, of a run that found
        nothing to do and checked nothing: what the report before says of this very image stays; "checked_at": when the
        checks of such a run were made, where there is no report before.
    :param generated_at: RFC 3339.
    :param previous: the document of the run before, None for the first.
    """
    raw, checked_at = _with_previous(raw, previous, generated_at)
    checks = [dict(result) for result in raw.get("checks") or ()]
    failure = dict(raw["failure"]) if raw.get("failure") else None
    document: dict[str, Any] = {
        "$schema": SCHEMA_ID,
        "schema_version": SCHEMA_VERSION,
        "service": service,
        "host": host,
        "generated_at": generated_at,
        "checked_at": checked_at if checks else None,
        "verdict": _verdict(checks, failure),
        "counts": {verdict: sum(result["verdict"] == verdict for result in checks) for verdict in VERDICTS},
        "failure": _failure(failure),
    }
    document.update({section: raw.get(section) or None for section in _SECTIONS})
    if document["sbom"]:
        document["sbom"] = {"path": "", **document["sbom"]}
    document["stand_in"] = bool(raw.get("stand_in") or ((document["image"] or {}).get("base") or {}).get("stand_in"))
    document["budgets"] = [_budget(result) for result in checks if result.get("amount") is not None]
    document["checks"] = checks
    document["timeline"] = [_stage(stage) for stage in raw.get("timeline") or ()]
    document["commands"] = list(raw.get("commands") or ()) or commands(service, raw.get("endpoint") or {}, failure is not None)
    document["gaps"] = list(raw.get("gaps") or ())
    document["changes"] = changes(document, previous)
    document["summary"] = summary(document)
    return document


def _with_previous(raw: Mapping[str, Any], previous: Mapping[str, Any] | None, now: str) -> tuple[Mapping[str, Any], str]:
    """What is known, with what the report before knows of the same image; and when that was checked."""
    digest = raw.get("unchanged")
    if not digest or not previous or (previous.get("image") or {}).get("digest") != digest:
        return raw, (raw.get("checked_at") if digest else None) or now
    kept = {key: previous[key] for key in (*_KEPT, "stand_in") if previous.get(key)}
    return {**kept, **{key: value for key, value in raw.items() if value}}, previous.get("checked_at") or now


def _verdict(checks: Sequence[Mapping[str, Any]], failure: Mapping[str, Any] | None) -> str:
    found = {result["verdict"] for result in checks}
    if failure or FAIL in found:
        return FAIL
    return WARN if WARN in found or not checks else PASS


def _failure(failure: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if failure is None:
        return None
    text = {key: str(failure.get(key) or "") for key in ("stage", "message", "remedy", "standing")}
    return {**text, "evidence": [str(line) for line in failure.get("evidence") or ()]}


def _budget(result: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("id", "title", "verdict", "measured", "limit", "amount", "allowed", "unit")
    return {key: result.get(key) for key in keys}


def _stage(stage: Mapping[str, Any]) -> dict[str, Any]:
    steps = [
        {
            "instruction": str(step.get("instruction") or ""),
            "cached": bool(step.get("cached")),
            "seconds": step.get("seconds"),
        }
        for step in stage.get("steps") or ()
    ]
    return {"stage": str(stage.get("stage") or ""), "seconds": float(stage.get("seconds") or 0.0), "steps": steps}


def commands(service: str, endpoint: Mapping[str, Any], failed: bool) -> list[dict[str, str]]:
    """The commands to try the service with, on its host.

    :param endpoint: {"publish": "127.0.0.1:8080" or "", "health_path": "/health"}.
    """
    name = shlex.quote(service)
    found = []
    publish = str(endpoint.get("publish") or "")
    if publish:
        address, _colon, port = publish.rpartition(":")
        address = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(address, address)
        url = f"http://{address}:{port}{endpoint.get('health_path') or '/'}"
        found.append({"title": "Ask the service", "command": f"curl -fsS {shlex.quote(url)}"})
    found += [
        {"title": "Follow its log", "command": f"docker logs --follow --tail 20 {name}"},
        {"title": "See its health", "command": f"docker inspect --format '{{{{json .State.Health}}}}' {name}"},
        {"title": "See what it uses", "command": f"docker stats --no-stream {name}"},
    ]
    if failed:
        found.append({"title": "See what runs", "command": f"docker ps --all --filter label=go-service.name={name}"})
    return found


def _by_name(items: Iterable[str]) -> dict[str, str]:
    """'name version' items by name."""
    return {name: version for name, _space, version in (item.partition(" ") for item in items)}


def _differences(kind: str, before: Iterable[str], after: Iterable[str]) -> list[dict[str, str]]:
    old, new = _by_name(before), _by_name(after)
    return [
        {"what": f"{kind} {name}", "before": old.get(name, ""), "after": new.get(name, "")}
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]


def changes(document: Mapping[str, Any], previous: Mapping[str, Any] | None) -> dict[str, Any]:
    """What differs from the report before: {"since": its time or None, "items": [{"what", "before", "after"}]}.

    A report of another major version, or one without an image, has nothing to compare with.
    """
    before = previous or {}
    same_format = str(before.get("schema_version", "")).partition(".")[0] == SCHEMA_VERSION.partition(".")[0]
    old_image, image = before.get("image"), document.get("image")
    if not same_format:
        return {"since": None, "items": []}
    items = []
    if before.get("verdict") != document["verdict"]:
        items.append({"what": "verdict", "before": before.get("verdict") or "", "after": document["verdict"]})
    if old_image and image:
        if old_image["digest"] != image["digest"]:
            items.append({"what": "content digest", "before": old_image["digest"][:12], "after": image["digest"][:12]})
        elif old_image["id"] != image["id"]:
            items.append({"what": "image id", "before": old_image["id"][7:19], "after": image["id"][7:19]})
        if old_image["size"] != image["size"]:
            grown = image["size"] - old_image["size"]
            after = f"{megabytes(image['size'])} ({'+' if grown > 0 else '-'}{megabytes(abs(grown))})"
            items.append({"what": "image size", "before": megabytes(old_image["size"]), "after": after})
        if old_image["base"]["digest"] != image["base"]["digest"]:
            names = [f"{one['base']['reference']} ({one['base']['digest'][7:19]})" for one in (old_image, image)]
            items.append({"what": "base image", "before": names[0], "after": names[1]})
    old_bill, bill = before.get("sbom"), document.get("sbom")
    if old_bill and bill:
        items += _differences("module", old_bill["modules"], bill["modules"])
        items += _differences("package", old_bill["packages"], bill["packages"])
    old_verdicts = {result["id"]: result["verdict"] for result in before.get("checks") or ()}
    for result in document["checks"]:
        old = old_verdicts.get(result["id"])
        if old and old != result["verdict"] and {old, result["verdict"]} & {FAIL, WARN, WAIVED}:
            items.append({"what": f"check {result['id']}", "before": old, "after": result["verdict"]})
    return {"since": before.get("generated_at"), "items": items}


def summary(document: Mapping[str, Any]) -> str:
    """One or two sentences on the whole."""
    if document["failure"]:
        failure = document["failure"]
        where = f" at the stage {failure['stage']}" if failure["stage"] else ""
        return f"The run failed{where}. {failure['standing']}".strip()
    counts, checks = document["counts"], document["checks"]
    if not checks:
        return "Nothing was checked in this run."
    failing = [result["id"] for result in checks if result["verdict"] == FAIL]
    judged = len(checks) - counts[SKIP]
    if failing:
        return f"{len(failing)} of {judged} checks failed: {listed(failing)}."
    parts = [f"{counts[PASS]} of {judged} checks passed"]
    if counts[WARN]:
        parts.append(count(counts[WARN], "warning"))
    if counts[WAIVED]:
        parts.append(f"{counts[WAIVED]} waived")
    if counts[SKIP]:
        parts.append(f"{counts[SKIP]} skipped")
    return ", ".join(parts) + "."


# --- For the page
# ------------------------------------------------------------------------------------------------------


def _percent(part: float, whole: float) -> float:
    return round(100 * part / whole, 2) if whole else 0.0


def _label(budget: Mapping[str, Any]) -> str:
    """A budget's name, shorter than its check's title; the two kinds of builds are told apart by their figures'
    words."""
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
    """What stands first among what needs attention: failures, and of these the severe ones."""
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
        "word": _WORDS[document["verdict"]],
        "words": _WORDS,
        "bars": [_bar(budget) for budget in document["budgets"]],
        "attention": sorted(attention, key=_gravity),
        "groups": _groups(document["checks"]),
        "layers": layers,
        "layers_by_size": sorted(layers, key=lambda layer: -layer["size"]),
        "stages": stages,
        "total": seconds(total) if stages else "",
        "size": megabytes(image["size"]) if image else "",
        "judged": len(document["checks"]) - document["counts"][SKIP],
        "rules": RULES,
    }


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
                "word": _WORDS[document["verdict"]],
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
    return {"rows": rows, "counts": counts, "words": _WORDS}
