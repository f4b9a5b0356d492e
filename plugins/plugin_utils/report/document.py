"""The report of a run: one document for programs.

`assemble` adds what happened around the facts of the target, compares it with the report before, and gives the document its final form, which
docs/report.schema.json describes.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...module_utils.common.files import read_own
from ...module_utils.common.names import containers_command
from ...module_utils.common.text import count, listed, megabytes
from ...module_utils.contract.names import FAIL, PASS, SKIP, VERDICTS, WAIVED, WARN
from .trend import continued

# The first number rises if programs that read reports must change, the second if something is added.
SCHEMA_VERSION = "1.4"
SCHEMA_ID = "https://go-service.invalid/report.schema.json"
# Documents beside a report, by their sections in it: <service>.sbom.json.
BESIDE = ("sbom", "provenance")
JUNIT_SUFFIX = ".junit.xml"
_SECTIONS = ("engine", "builder", "image", "binary", *BESIDE, "vulnerabilities", "deploy", "dockerfile", "kept_for_speed")
# What a run that found nothing to do copies from the previous report.
_KEPT = ("engine", "builder", "image", "binary", *BESIDE, "vulnerabilities", "dockerfile", "kept_for_speed", "checks", "gaps")
WORDS = {
    PASS: "Passed",
    WARN: "Passed with warnings",
    FAIL: "Failed",
    SKIP: "Skipped",
    WAIVED: "Waived",
}


def paths(root: str, host: str, service: str) -> dict[str, Path]:
    """Where the files of a service's report are: "json", "html", "junit", "sbom" and "provenance"."""
    folder, name = Path(root) / _file_name(host), _file_name(service)
    if name.endswith(tuple(f".{kind}" for kind in BESIDE)):
        # The report of a service "api.sbom" would have the name of the bill of materials of the service "api".
        name += "_"
    beside = {kind: folder / f"{name}.{kind}.json" for kind in BESIDE}
    return {"json": folder / f"{name}.json", "html": folder / f"{name}.html", "junit": folder / f"{name}{JUNIT_SUFFIX}", **beside}


def is_beside(path: Path) -> bool:
    """Say whether a file is not a report, but a document beside one."""
    return path.name.endswith(tuple(f".{kind}.json" for kind in BESIDE))


def unwritable(directory: Path) -> str:
    """Return why no file can be created in a directory (which may not exist yet), "" if it can."""
    there = next((place for place in (directory, *directory.parents) if os.path.lexists(place)), Path("/"))
    if not there.is_dir():
        return f"{there} is not a directory"
    # With the rights of the effective user, who is not always the one who logged in.
    writable = os.access(there, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids)
    return "" if writable else f"this user may not write to {there}"


def _file_name(name: str) -> str:
    """A host's or service's name as one file name: an inventory's name may hold slashes, or be "..".

    Two names that come to the same file name would share a report; inventories with such names do not occur.
    """
    safe = "".join(char if char.isalnum() or char in "._-" else "_" for char in name)
    return safe.lstrip(".") or "_"


def read(path: Path) -> dict[str, Any] | None:
    """Read a report; None for a file that is not one, for instance a user's own file, or a report that was changed or truncated."""
    try:
        # Do not wait for a pipe.
        document = json.loads(read_own(path))
        whole = document["$schema"] == SCHEMA_ID and document["schema_version"].partition(".")[0] == SCHEMA_VERSION.partition(".")[0]
        return document if whole and _is_whole(document) else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _is_whole(document: Mapping[str, Any]) -> bool:
    """Say whether a document has everything that the next report and the page of all reports take from it; missing parts may raise any exception."""
    # A document that can be compared with itself has everything that is compared.
    changes(document, document)
    image = document["image"]
    of_image = [image["digest"], image["id"], image["base"]["digest"], image["base"]["reference"]] if image else []
    of_entries = [entry["id"] for kind in ("budgets", "checks") for entry in document[kind]]
    texts = [*(document[name] for name in ("host", "service", "verdict", "summary", "generated_at")), *of_image, *of_entries]
    return (
        all(isinstance(text, str) for text in texts)
        and document["verdict"] in VERDICTS
        and (not image or isinstance(image["size"], int))
        and isinstance(document["stand_in"], bool)
    )


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
        "failure" {"stage", "message", "remedy", "evidence", "still_runs"}; "ask": the command that asks the service;
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
    for kind in BESIDE:
        if document[kind]:
            document[kind] = {"path": "", **document[kind]}
    document["stand_in"] = bool(raw.get("stand_in") or ((document["image"] or {}).get("base") or {}).get("stand_in"))
    document["budgets"] = [_budget(result) for result in checks if result.get("amount") is not None]
    document["checks"] = checks
    document["timeline"] = [_stage(stage) for stage in raw.get("timeline") or ()]
    document["commands"] = list(raw.get("commands") or ()) or commands(service, raw.get("ask") or "", failure is not None)
    document["gaps"] = list(raw.get("gaps") or ())
    document["changes"] = changes(document, previous)
    document["history"] = continued(previous, document)
    document["summary"] = summary(document)
    return document


def _with_previous(raw: Mapping[str, Any], previous: Mapping[str, Any] | None, now: str) -> tuple[Mapping[str, Any], str]:
    """What is known, together with what the previous report knows about the same image; and when that was checked."""
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
    text = {key: str(failure.get(key) or "") for key in ("stage", "message", "remedy")}
    return {**text, "standing": str(failure.get("still_runs") or ""), "evidence": [str(line) for line in failure.get("evidence") or ()]}


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


def commands(service: str, ask: str, failed: bool) -> list[dict[str, str]]:
    """The commands to try the service with, on its host; ask: the one that asks the service, "" if nothing on the host can."""
    name = shlex.quote(service)
    found = []
    if ask:
        found.append({"title": "Ask the service", "command": ask})
    found += [
        {"title": "Follow its log", "command": f"docker logs --follow --tail 20 {name}"},
        {"title": "See its health", "command": f"docker inspect --format '{{{{json .State.Health}}}}' {name}"},
        {"title": "See what it uses", "command": f"docker stats --no-stream {name}"},
    ]
    if failed:
        found.append({"title": "See what runs", "command": containers_command(name)})
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
    """What differs from the previous report: {"since": its time or None, "items": [{"what", "before", "after"}]}.

    A report of another major version, or one without an image, cannot be compared.
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
    old_sbom, sbom = before.get("sbom"), document.get("sbom")
    if old_sbom and sbom:
        items += _differences("module", old_sbom["modules"], sbom["modules"])
        items += _differences("package", old_sbom["packages"], sbom["packages"])
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
