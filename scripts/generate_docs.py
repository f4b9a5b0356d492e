#!/usr/bin/env python3
"""Write docs/checks.md from the registry of checks, so that the page and the code cannot differ.

Usage: .venv/bin/python scripts/generate_docs.py [--check]
  --check  write nothing; end with 1 when the page is stale
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import ansible.module_utils

ROOT = Path(__file__).resolve().parents[1]
ansible.module_utils.__path__.append(str(ROOT / "roles/go_service/module_utils"))

from ansible.module_utils.go_service import contract, rules  # noqa: E402
from ansible.module_utils.go_service.registry import GROUPS, Check  # noqa: E402

PAGE = ROOT / "docs/checks.md"

INTRODUCTION = """\
<!-- Written by scripts/generate_docs.py from the code; change it there. -->
# The image contract

Every image is held to these checks before anything is promoted, on the image itself and on a candidate container that has the
final hardening. A failed check fails the run, and the container that runs stays as it is.

| verdict | meaning |
| --- | --- |
| pass | what was measured keeps the limit |
| warn | it does not fully, and the run goes on |
| fail | it does not, and the run ends |
| skip | it could not be judged, for the reason given: no scanner on the host, nothing built in this run |
| waived | it fails or warns, and a waiver names the reason |

A waiver is a variable with a reason. It shows in the report as waived, never as passed; one for a check that does not exist is
an error, and one for a check that is met does nothing:

```yaml
go_service_waivers:
  runtime-read-only: The service writes its index beside its binary; version 2 will use a volume.
```

Limits in megabytes are millions of bytes, as `docker images` counts.
"""

REPORT = """\
## The report

The results are written on the controller on every run, failed ones included:

| file in `go_service_report_dir` | what it is |
| --- | --- |
| `<host>/<service>.json` | the report as data; [report.schema.json](report.schema.json) describes it |
| `<host>/<service>.html` | the same as one self-contained page, without scripts or anything from elsewhere |
| `<host>/<service>.sbom.json` | the bill of materials of the image, CycloneDX 1.6 |
| `index.html` | all hosts and services, when there is more than one |

A report describes a host and is no part of its state: writing one never counts as a change, so that a run that changed nothing
says so. In check mode none is written.
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
    for check in contract.CHECKS.values():
        rows.append(f"| {anchor(check.id)} | {check.title} | {check.severity} | {', '.join(check.rules)} |")
    return "\n".join(rows) + "\n"


def by_rule() -> str:
    """One table of all rules, by the source they are from."""
    rows = ["## Rules of the field", "", "| rule | title | checked by |", "| --- | --- | --- |"]
    for rule, title in rules.RULES.items():
        checks = [anchor(check.id) for check in contract.CHECKS.values() if rule in check.rules]
        rows.append(f"| {rule} | {title} | {', '.join(checks)} |")
    sources = [f"- {key}: [{name}]({url})" for key, (name, url) in rules.SOURCES.items()]
    return "\n".join([*rows, "", "Sources:", "", *sources]) + "\n"


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, overview()]
    for key, title in GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [section(check) for check in contract.CHECKS.values() if check.group == key]
    parts += [REPORT, by_rule()]
    return "\n".join(parts)


def main() -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 when the page is stale")
    text = page()
    if parser.parse_args().check:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print(f"{PAGE.relative_to(ROOT)} is stale. Run: .venv/bin/python scripts/generate_docs.py", file=sys.stderr)
            return 1
        return 0
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
