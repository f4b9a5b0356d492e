"""Action plugin: write the report of a run on the controller. No module runs on the target.

Options: report (dict, required): what the stages know; its keys are those of `report.assemble`. dir (path, required):
directory of all reports on the controller; created where it is missing. host (str, required), service (str, required):
<dir>/<host>/<service>.json, .html, .junit.xml, .sbom.json and .provenance.json. still_runs (str, required): what runs now, for a report that cannot be
written. sbom (dict): the CycloneDX document, provenance (dict): the in-toto statement; without one an
older one is removed, as it would belong to another image.

Returns: path (str, the page), paths (dict: json, html, junit, sbom, provenance, index), verdict (str), summary (str), checks (list).
`changed` is always false: a report describes the host and is no part of its state, so that a run that changed nothing
says so although its report has a new date. In check mode nothing is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jinja2

from ..module_utils.common.failure import Failure
from ..module_utils.common.files import write_text
from ..module_utils.common.stages import REPORT
from ..plugin_utils.report import document, junit, page
from ..plugin_utils.stage_action import StageAction

TEMPLATES = Path(__file__).resolve().parents[2] / "roles/go_service/templates"
# A report quotes logs, which may hold more than the secrets that are known.
MODE = 0o600
PAGE = "report.html.j2"
INDEX = "index.html.j2"


def render(template: str, **variables: Any) -> str:
    """Render one of the role's pages; every value is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(TEMPLATES)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**variables)


class ActionModule(StageAction):
    """See the module's docstring."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _VALID_ARGS = frozenset(("report", "dir", "host", "service", "still_runs", *document.BESIDE))
    stage = REPORT

    def service(self, args: Mapping[str, Any]) -> str:
        """Return the service's name."""
        return str(args["service"])

    def work(self, args: dict[str, Any]) -> dict[str, Any]:
        """Write the files and return where they are."""
        _spec, args = self.validate_argument_spec(
            argument_spec={
                "report": {"type": "dict", "required": True},
                "dir": {"type": "path", "required": True},
                "host": {"type": "str", "required": True},
                "service": {"type": "str", "required": True},
                "still_runs": {"type": "str", "required": True},
                **{kind: {"type": "dict"} for kind in document.BESIDE},
            }
        )
        self._progress.at(REPORT, args["still_runs"])
        try:
            return {"changed": False, **self._write(args)}
        except OSError as error:
            cause = Failure.of(error, REPORT, args["still_runs"])
            raise Failure(REPORT, f"the report cannot be written: {cause.message}", cause.remedy, cause.still_runs) from error

    def _write(self, args: dict[str, Any]) -> dict[str, Any]:
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
        if not self._task.check_mode:
            html = render(PAGE, report=report, view=page.view(report))
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
            # A check writes none.
            "path": "" if self._task.check_mode else str(paths["html"]),
            "paths": {kind: str(path) for kind, path in paths.items() if kind not in document.BESIDE or report[kind]},
            "verdict": report["verdict"],
            "summary": report["summary"],
            "checks": report["checks"],
            "counts": report["counts"],
            "image": report["image"],
            "budgets": report["budgets"],
        }


def write_index(root: Path) -> Path | None:
    """Write the page of all reports under a directory, where there are several; return its path."""
    found = sorted(path for path in root.glob("*/*.json") if not document.is_beside(path))
    reports = [(f"{path.parent.name}/{path.stem}.html", report) for path in found if (report := document.read(path))]
    if len(reports) < 2:
        return None
    index = root / "index.html"
    write_text(index, render(INDEX, view=page.index_view(reports)), MODE)
    return index
