"""Runs in every outcome, as they are told to the report."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import samples
import yaml
from ansible_collections.proven.go_service.plugins.module_utils.contract import judge
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import scanners
from ansible_collections.proven.go_service.plugins.module_utils.record import facts as record_facts
from ansible_collections.proven.go_service.plugins.module_utils.record import provenance, sbom
from ansible_collections.proven.go_service.plugins.plugin_utils import variables
from ansible_collections.proven.go_service.plugins.plugin_utils.report import document as reports
from jsonschema import Draft202012Validator, FormatChecker
from plays import PROJECT

SCHEMA = json.loads((PROJECT / "docs/report.schema.json").read_text())


_DEFAULTS = yaml.safe_load((PROJECT / "roles/go_service/defaults/main.yml").read_text())
SETTINGS = variables.check_variables({name.removeprefix(variables.PREFIX): value for name, value in _DEFAULTS.items()})
NOW, BEFORE = "2026-11-24T09:41:07Z", "2026-11-20T16:02:40Z"


def statement(found=None):
    """Where the image comes from, as its file has it."""
    builder = {"reference": "golang:1.27-alpine3.24", "digest": "sha256:" + "e" * 64}
    return provenance.statement(found or samples.good_evidence(), SETTINGS, builder=builder, built_by="docker_image")


def facts(found=None, asked=None, waivers=None):
    """What the target tells."""
    found, asked = found or samples.good_evidence(), asked or samples.expected()
    bill = sbom.cyclonedx(found, service="cat-server")
    return record_facts.facts(found, asked, judge.evaluate(found, asked, waivers or {}), bill, statement(found))


BUILDER = {"name": "buildx", "reason": "this Engine does not offer the classic builder (use <BuildKit>)"}


TIMELINE = [
    {"stage": "stage the source", "seconds": 1.2},
    {
        "stage": "build",
        "seconds": 21.0,
        "steps": [{"instruction": "FROM a", "cached": True}, {"instruction": "RUN b", "cached": False, "seconds": 20.1}],
    },
]


FAILURE = {
    "stage": "build",
    "message": "the build failed at: RUN go build",
    "remedy": "Correct the source.",
    "evidence": ["main.go:3: undefined"],
    "still_runs": "The running container was not touched.",
}


GOOD = facts()


BAD = facts(
    replace(
        samples.good_evidence(config={"User": "root"}),
        scan=scanners.merged(
            [(scanners.Scanner("trivy", "0.74.0", "2026-11-27"), [scanners.Finding("CVE-1", "high", "musl", "1.2.5-r9")])]
        ),
    ),
    samples.expected(start_seconds=3.0),
)


WAIVED = facts(
    replace(samples.good_evidence(), container=samples.container_record(ReadonlyRootfs=False)),
    waivers={"runtime-read-only": "It writes its index.", "files-binary-writable": "The same."},
)


RAW = {
    "good": {**GOOD, "builder": BUILDER, "timeline": TIMELINE, "deploy": {"action": "replaced"}, "url": "http://127.0.0.1:8080/health"},
    "contract broken": {**BAD, "timeline": TIMELINE, "failure": {**FAILURE, "stage": "verify"}},
    "contract broken, no failure told": BAD,
    "waived": WAIVED,
    "build failed": {"failure": FAILURE, "timeline": TIMELINE},
    "only a message": {"failure": {"message": "x"}},
    "nothing": {},
    "image alone": facts(replace(samples.good_evidence(), container=None, process=None, memory=None)),
}


def assemble(raw, previous=None, now=NOW):
    """The final document."""
    return reports.assemble(raw, host="vm1", service="cat-server", generated_at=now, previous=previous)


def problems(document):
    """What the schema finds wrong."""
    validator = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
    return [f"{list(error.path)}: {error.message}" for error in validator.iter_errors(json.loads(json.dumps(document)))]


def checked(**verdicts: str) -> list[dict[str, Any]]:
    """Checks with these verdicts by their ids; `_` stands for a hyphen."""
    return [
        {"id": name, "verdict": verdict, "group": judge.CHECKS[name].group, "severity": judge.CHECKS[name].severity}
        for name, verdict in ((name.replace("_", "-"), verdict) for name, verdict in verdicts.items())
    ]


class Page(HTMLParser):
    """Finds what is not allowed in a page: scripts, anything from elsewhere, and tags that are not closed."""

    VOID = ("meta", "link", "br", "use", "path", "circle", "rect")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.outside: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action") and not (value or "").startswith(("#", "data:")):
                self.outside.append(value)
            if name.startswith("on"):
                self.outside.append(name)
            if name == "id":
                self.ids.append(value)
            if name == "aria-labelledby":
                self.references.append(value)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
