#!/usr/bin/env python3
"""Write the generated documents, so that they and the code cannot differ: docs/checks.md from the registry of checks, and the tables
of variables in the roles' README.md from their argument specs.

Usage: .venv/bin/python scripts/generate_docs.py [--check]
  --check  write nothing; end with 1 when a document is stale
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import yaml
from ansible.plugins.loader import init_plugin_loader

ROOT = Path(__file__).resolve().parents[1]
init_plugin_loader([str(ROOT / "collections")])

from ansible_collections.proven.go_service.plugins.module_utils.contract import judge, rules
from ansible_collections.proven.go_service.plugins.module_utils.contract.names import GROUPS
from ansible_collections.proven.go_service.plugins.module_utils.contract.registry import Check

PAGE = ROOT / "docs/checks.md"

INTRODUCTION = """\
<!-- Written by scripts/generate_docs.py from the code; change it there. -->
# The image contract

Before an image goes into service, these checks are made on the image itself and on a candidate container with the same hardening
as the service's container. If a check fails, the run fails, and the running container is not changed.

| verdict | meaning |
| --- | --- |
| pass | the measured value is within the limit |
| warn | the measured value is not fully within the limit, but the run continues |
| fail | the measured value is not within the limit, and the run ends |
| skip | the check could not be made, for the reason given: for example no scanner on the host, or nothing built in this run |
| waived | the check fails or warns, and a waiver gives the reason why that is accepted |

A waiver is an entry of a variable, with a reason. The report shows the check as waived, never as passed. A waiver for a check that
does not exist is an error; a waiver for a check that passes has no effect:

```yaml
go_service_waivers:
  runtime-read-only: The service writes its index beside its binary; version 2 will use a volume.
```

Limits in megabytes are millions of bytes, as `docker images` counts.
"""

REPORT = """\
## The report

Every run writes its results on the controller, also a run that fails:

| file in `go_service_report_dir` | what it is |
| --- | --- |
| `<host>/<service>.json` | the report as data; [report.schema.json](report.schema.json) describes it |
| `<host>/<service>.html` | the same as one page, without scripts, and without files from other places |
| `<host>/<service>.junit.xml` | the verdict for a CI system: each check and each stage as a test, in JUnit's format |
| `<host>/<service>.sbom.json` | the bill of materials of the image, CycloneDX 1.6 |
| `<host>/<service>.provenance.json` | where the image comes from, an in-toto statement with SLSA provenance ([provenance.md](provenance.md)) |
| `index.html` | all hosts and services, when there is more than one |

A report describes a host and is not part of its state. So writing a report never counts as a change, and a run that changed nothing
says so. In check mode no report is written.
"""


def anchor(identifier: str) -> str:
    """The link to a check's section."""
    return f"[`{identifier}`](#{identifier})"


def section(check: Check) -> str:
    """What the page says of one check."""
    lines = [f'### <a id="{check.id}"></a>`{check.id}`: {check.title}', "", check.about, ""]
    lines.append(f"- Severity: {check.severity}")
    lines += [f"- Rule: {rule}, {rules.RULES[rule]}" for rule in check.rules]
    lines.append(f"- Remedy: {check.remedy}")
    return "\n".join(lines) + "\n"


def overview() -> str:
    """One table of all checks."""
    rows = ["## All checks", "", "| check | what it looks at | severity | rules |", "| --- | --- | --- | --- |"]
    for check in judge.CHECKS.values():
        rows.append(f"| {anchor(check.id)} | {check.title} | {check.severity} | {', '.join(check.rules)} |")
    return "\n".join(rows) + "\n"


def by_rule() -> str:
    """One table of all rules, by the source they are from."""
    rows = ["## Rules of the field", "", "| rule | title | checked by |", "| --- | --- | --- |"]
    for rule, title in rules.RULES.items():
        checks = [anchor(check.id) for check in judge.CHECKS.values() if rule in check.rules]
        rows.append(f"| {rule} | {title} | {', '.join(checks)} |")
    sources = [f"- {key}: [{name}]({url})" for key, (name, url) in rules.SOURCES.items()]
    return "\n".join([*rows, "", "Sources:", "", *sources]) + "\n"


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, overview()]
    for key, title in GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [section(check) for check in judge.CHECKS.values() if check.group == key]
    parts += [REPORT, by_rule()]
    return "\n".join(parts)


MARKED = re.compile(r"(?<=<!-- BEGIN VARIABLES -->\n).*(?=<!-- END VARIABLES -->)", re.S)


def variables(role: Path) -> str:
    """The table of a role's variables, from the argument specs of its entry point main."""
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))
    rows = ["| variable | type | default | meaning |", "| --- | --- | --- | --- |"]
    for name, option in specs["argument_specs"]["main"]["options"].items():
        kind = f"list of {option['elements']}" if option.get("elements") else option["type"]
        default = option.get("default", "")
        shown = f"`{default if isinstance(default, str) else json.dumps(default)}`" if default != "" else "empty"
        text = option["description"] if isinstance(option["description"], str) else " ".join(option["description"])
        choices = f" One of: {', '.join(f'`{choice}`' for choice in option['choices'])}." if "choices" in option else ""
        cells = [f"`{name}`", kind, shown, " ".join(text.split()) + choices]
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) + "\n"


def documents() -> dict[Path, str]:
    """Every generated document with the text that it should have."""
    found = {PAGE: page()}
    for readme in sorted(ROOT.glob("roles/*/README.md")):
        table = variables(readme.parent)
        found[readme] = MARKED.sub(lambda _old, table=table: table, readme.read_text(encoding="utf-8"))
    return found


def main() -> int:
    """Write the documents, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 when a document is stale")
    check = parser.parse_args().check
    stale = {path: text for path, text in documents().items() if not path.exists() or path.read_text(encoding="utf-8") != text}
    for path, text in stale.items():
        if check:
            print(f"{path.relative_to(ROOT)} is stale. Run: make docs", file=sys.stderr)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
