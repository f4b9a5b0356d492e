"""The files of a report: data, page and the documents beside them, and the page of all reports."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ...module_utils.common.files import write_text
from .. import templates
from . import document, junit, page

# A report quotes logs, which may contain secrets that are in no variable.
MODE = 0o600
PAGE = "report.html.j2"
INDEX = "index.html.j2"


def write(args: Mapping[str, Any], *, check: bool = False) -> dict[str, Any]:
    """Write the report of a run and the documents beside it; return their paths and what they say.

    args: options of action report. check: write nothing.
    """
    paths = document.paths(args["dir"], args["host"], args["service"])
    previous = document.read(paths["json"])
    raw = dict(args["report"])
    for kind in document.BESIDE:
        if args[kind] and raw.get(kind):
            raw[kind] = {**raw[kind], "path": paths[kind].name}
    report = document.assemble(
        raw,
        host=args["host"],
        service=args["service"],
        generated_at=datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
        previous=previous,
    )
    if not check:
        html = templates.page(PAGE, report=report, view=page.view(report))
        paths["json"].parent.mkdir(parents=True, exist_ok=True)
        write_text(paths["json"], json.dumps(report, indent=1) + "\n", MODE)
        write_text(paths["html"], html, MODE)
        write_text(paths["junit"], junit.render(report), MODE)
        for kind in document.BESIDE:
            if args[kind]:
                write_text(paths[kind], json.dumps(args[kind], indent=1) + "\n", MODE)
            elif not (report[kind] or {}).get("path"):
                paths[kind].unlink(missing_ok=True)
        index = write_index(Path(args["dir"]))
        if index:
            paths["index"] = index
    return {
        # Check mode writes none.
        "path": "" if check else str(paths["html"]),
        "paths": {kind: str(path) for kind, path in paths.items() if kind not in document.BESIDE or report[kind]},
        "verdict": report["verdict"],
        "summary": report["summary"],
        "checks": report["checks"],
        "counts": report["counts"],
        "image": report["image"],
        "budgets": report["budgets"],
    }


def write_index(root: Path) -> Path | None:
    """Write the page of all reports below a directory, if there are several; return its path."""
    found = sorted(path for path in root.glob("*/*.json") if not document.is_beside(path))
    reports = [(f"{path.parent.name}/{path.stem}.html", report) for path in found if (report := document.read(path))]
    if len(reports) < 2:
        return None
    index = root / "index.html"
    write_text(index, templates.page(INDEX, view=page.index_view(reports)), MODE)
    return index
