"""Action plugin: write the report of a run on the controller. No module runs on the target.

Options: report (dict, required): what the stages know; its keys are those of `report.assemble`. dir (path, required):
directory of all reports on the controller; created where it is missing. host (str, required), service (str, required):
<dir>/<host>/<service>.json, .html and .sbom.json. sbom (dict): the CycloneDX document; without it an older one is
removed, as it would belong to another image. dockerfile (str): text of the rendered Dockerfile, for hadolint and
checkov, where the controller has them. numeric_user (bool, default false), waivers (dict): what the Dockerfile's checks
are judged by.

Returns: path (str, the page), paths (dict: json, html, sbom, index), verdict (str), summary (str), checks (list, the
Dockerfile's included). `changed` is always false: a report describes the host and is no part of its state, so that a
run that changed nothing says so although its report has a new date. In check mode nothing is written.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import ansible.module_utils
import jinja2
from ansible.plugins.action import ActionBase

ROLE = Path(__file__).resolve().parents[1]
# The role's own utilities under the name that modules know them by.
if str(ROLE / "module_utils") not in ansible.module_utils.__path__:
    ansible.module_utils.__path__.append(str(ROLE / "module_utils"))

from ansible.module_utils.go_service import contract, lint, report

PAGE, INDEX = "report.html.j2", "index.html.j2"
SBOM_SUFFIX = ".sbom.json"


def render(template: str, **variables: Any) -> str:
    """Render one of the role's pages; every value is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(ROLE / "templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**variables)


def write(path: Path, text: str) -> None:
    """Write a file in one step, so that no reader sees half of it; hosts are handled side by side."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def read(path: Path) -> dict[str, Any] | None:
    """Read a report; None for what is none, as a user's own file in the directory."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    is_report = isinstance(document, dict) and document.get("$schema") == report.SCHEMA_ID
    same_format = is_report and document["schema_version"].partition(".")[0] == report.SCHEMA_VERSION.partition(".")[0]
    return document if same_format else None


def lint_checks(
    dockerfile: str, previous: dict[str, Any] | None, numeric_user: bool, waivers: dict[str, str]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the report's section on the Dockerfile and the results of its checks.

    The answer of the run before is used again for the same Dockerfile and the same linters: checkov takes seconds to
    start.
    """
    tools = {name: lint.find_tool(name) for name in lint.TOOLS}
    fingerprint = lint.fingerprint(dockerfile, tools)
    section = (previous or {}).get("dockerfile") or {}
    if section.get("fingerprint") != fingerprint:
        section = {"fingerprint": fingerprint, "linters": lint.lint(dockerfile, tools)}
    results = lint.results(section["linters"], numeric_user=numeric_user, waivers=waivers)
    return section, [result.as_dict() for result in results]


def replaced(checks: list[dict[str, Any]], results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the checks with these results in their places; in a run that checked nothing they stay out."""
    by_id = {result["id"]: result for result in results}
    return [by_id.get(check["id"], check) for check in checks]


class ActionModule(ActionBase):
    """See the module's docstring."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _VALID_ARGS = frozenset(("report", "dir", "host", "service", "sbom", "dockerfile", "numeric_user", "waivers"))

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write the files and return where they are."""
        result = super().run(tmp, task_vars)
        del tmp
        _spec, args = self.validate_argument_spec(
            argument_spec={
                "report": {"type": "dict", "required": True},
                "dir": {"type": "path", "required": True},
                "host": {"type": "str", "required": True},
                "service": {"type": "str", "required": True},
                "sbom": {"type": "dict"},
                "dockerfile": {"type": "str", "default": ""},
                "numeric_user": {"type": "bool", "default": False},
                "waivers": {"type": "dict", "default": {}},
            }
        )
        try:
            contract.check_waivers(args["waivers"])
            written = self._write(args)
        except (OSError, contract.WaiverError) as error:
            return {**result, "failed": True, "changed": False, "msg": f"The report cannot be written: {error}"}
        return {**result, "changed": False, **written}

    def _write(self, args: dict[str, Any]) -> dict[str, Any]:
        root = Path(args["dir"])
        folder = root / _file_name(args["host"])
        name = _file_name(args["service"])
        paths = {"json": folder / f"{name}.json", "html": folder / f"{name}.html", "sbom": folder / f"{name}{SBOM_SUFFIX}"}
        previous = read(paths["json"])
        raw = dict(args["report"])
        if args["dockerfile"]:
            section, results = lint_checks(args["dockerfile"], previous, args["numeric_user"], args["waivers"])
            raw.update(dockerfile=section, checks=replaced(raw.get("checks") or [], results))
        if args["sbom"] and raw.get("sbom"):
            raw["sbom"] = {**raw["sbom"], "path": paths["sbom"].name}
        document = report.assemble(
            raw,
            host=args["host"],
            service=args["service"],
            generated_at=datetime.now(timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z"),
            previous=previous,
        )
        if not self._task.check_mode:
            page = render(PAGE, report=document, view=report.view(document))
            folder.mkdir(parents=True, exist_ok=True)
            write(paths["json"], json.dumps(document, indent=1) + "\n")
            write(paths["html"], page)
            if args["sbom"]:
                write(paths["sbom"], json.dumps(args["sbom"], indent=1) + "\n")
            elif not (document["sbom"] or {}).get("path"):
                paths["sbom"].unlink(missing_ok=True)
            index = write_index(root)
            if index:
                paths["index"] = index
        return {
            "path": str(paths["html"]),
            "paths": {kind: str(path) for kind, path in paths.items() if kind != "sbom" or document["sbom"]},
            "verdict": document["verdict"],
            "summary": document["summary"],
            "checks": document["checks"],
            "counts": document["counts"],
            "image": document["image"],
            "budgets": document["budgets"],
        }


def _file_name(name: str) -> str:
    """A host's or service's name as one file name: an inventory's name may hold slashes, or be "..".

    Two names that come to the same file name would share a report; inventories with such names do not occur.
    """
    safe = "".join(char if char.isalnum() or char in "._-" else "_" for char in name)
    return safe.lstrip(".") or "_"


def write_index(root: Path) -> Path | None:
    """Write the page of all reports under a directory, where there are several; return its path."""
    found = sorted(path for path in root.glob("*/*.json") if not path.name.endswith(SBOM_SUFFIX))
    documents = [(f"{path.parent.name}/{path.stem}.html", document) for path in found if (document := read(path))]
    if len(documents) < 2:
        return None
    index = root / "index.html"
    write(index, render(INDEX, view=report.index_view(documents)))
    return index
