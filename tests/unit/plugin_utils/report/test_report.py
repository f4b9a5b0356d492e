"""The report: valid against its schema in every outcome, escaped, compared with the one before, and written without a
change."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from unittest.mock import MagicMock

import pytest
import samples
from ansible_collections.proven.go_service.plugins.action import report as action
from ansible_collections.proven.go_service.plugins.module_utils.contract import expected, judge
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import scanners
from ansible_collections.proven.go_service.plugins.module_utils.contract.names import GROUPS, SEVERITIES, VERDICTS
from ansible_collections.proven.go_service.plugins.module_utils.record import facts as record_facts
from ansible_collections.proven.go_service.plugins.module_utils.record import sbom
from ansible_collections.proven.go_service.plugins.plugin_utils.report import document as reports
from ansible_collections.proven.go_service.plugins.plugin_utils.report import page as pages
from jsonschema import Draft202012Validator, FormatChecker
from plays import PROJECT

SCHEMA = json.loads((PROJECT / "docs/report.schema.json").read_text())
NOW, BEFORE = "2026-11-24T09:41:07Z", "2026-11-20T16:02:40Z"
DOCKERFILE = 'FROM alpine:3.24\nRUN adduser -D app\nUSER app\nENTRYPOINT ["/x"]\n'


def facts(found=None, asked=None, waivers=None):
    """What the target tells."""
    found, asked = found or samples.good_evidence(), asked or samples.expected()
    bill = sbom.cyclonedx(found, service="cat-server")
    return record_facts.facts(found, asked, judge.evaluate(found, asked, waivers or {}), bill)


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
    replace(samples.good_evidence(config={"User": "root"}), scan=scanners.parse_trivy({"SchemaVersion": 2, "Results": []})),
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


def page(document):
    """The page of a document."""
    return action.render(action.PAGE, report=document, view=pages.view(document))


# --- The document


def test_schema_itself():
    """The schema is valid, and says the same words as the code."""
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == reports.SCHEMA_ID
    assert re.match(SCHEMA["properties"]["schema_version"]["pattern"], reports.SCHEMA_VERSION)
    fields = SCHEMA["properties"]["checks"]["items"]["properties"]
    assert set(fields["group"]["enum"]) == set(GROUPS)
    assert set(fields["severity"]["enum"]) == set(SEVERITIES)
    assert set(SCHEMA["$defs"]["verdict"]["enum"]) == set(VERDICTS)


@pytest.mark.parametrize("name", RAW)
def test_valid(name):
    """The document of every outcome is valid, has all sections and no unknown one, also when compared with any
    other."""
    document = assemble(RAW[name])
    assert problems(document) == []
    assert set(document) == set(SCHEMA["properties"]) == set(SCHEMA["required"])
    for previous in RAW.values():
        assert problems(assemble(RAW[name], assemble(previous, now=BEFORE))) == []


@pytest.mark.parametrize(
    "damage",
    [
        {"verdict": "good"},
        {"generated_at": "yesterday"},
        {"checks": [{}]},
        {"schema_version": "2.0"},
        {"budgets": [{"id": "x"}]},
        {"failure": {}},
    ],
)
def test_schema_can_fail(damage):
    """The schema refuses what is wrong."""
    assert problems({**assemble(RAW["good"]), **damage})


def test_waived_needs_a_reason():
    """The schema knows that a waiver has a reason."""
    document = assemble(RAW["waived"])
    next(item for item in document["checks"] if item["verdict"] == "waived")["waiver"] = ""
    assert problems(document)


@pytest.mark.parametrize(
    ("name", "verdict", "words"),
    [
        ("good", "pass", "checks passed, 5 skipped."),
        ("contract broken", "fail", "The run failed at the stage verify. The running container was not touched."),
        ("contract broken, no failure told", "fail", "checks failed: start-time, user-not-root, user-groups."),
        ("waived", "pass", "2 waived"),
        ("build failed", "fail", "The run failed at the stage build."),
        ("nothing", "warn", "Nothing was checked in this run."),
    ],
)
def test_verdict_and_summary(name, verdict, words):
    """The verdict is the worst of run and checks; what was not checked is never passed."""
    document = assemble(RAW[name])
    assert (document["verdict"], words in document["summary"]) == (verdict, True), document["summary"]


def test_numbers():
    """Budgets, layers and counts are those of the checks and the image."""
    document = assemble(RAW["good"])
    assert [budget["id"] for budget in document["budgets"]] == ["image-size", "start-time", "build-time", "memory-use"]
    assert sum(document["counts"].values()) == len(document["checks"]) == len(judge.CHECKS)
    assert sum(layer["size"] for layer in document["image"]["layers"]) == document["image"]["size"]
    assert document["image"]["base"]["digest"] == "sha256:" + "d" * 64


def test_stand_in():
    """A stand-in for the base is told, from the image or by the run."""
    base = replace(samples.good_evidence().base, labels={"go-service.stand-in": "true"})
    assert assemble(facts(replace(samples.good_evidence(), base=base)))["stand_in"]
    assert assemble({"stand_in": True, "failure": FAILURE})["stand_in"]
    assert not assemble(RAW["good"])["stand_in"]


@pytest.mark.parametrize(
    "command",
    ["curl -fsS http://127.0.0.1:8080/health", ""],
)
def test_commands(command):
    """What asks the service comes first, where there is such a command."""
    found = [item["command"] for item in reports.commands("svc", command, False)]
    assert found[0] == (command or "docker logs --follow --tail 20 svc")


# --- Compared with the one before


def test_no_change():
    """The same image again has no changes, and the first report has nothing to compare with."""
    first = assemble(RAW["good"], now=BEFORE)
    assert first["changes"] == {"since": None, "items": []}
    assert assemble(RAW["good"], first)["changes"] == {"since": BEFORE, "items": []}


def test_changes():
    """Size, digest, base, modules, packages and verdicts."""
    old = json.loads(json.dumps(assemble(RAW["good"], now=BEFORE)))
    old["image"].update(digest="a" * 64, size=old["image"]["size"] - 1_500_000)
    old["image"]["base"]["digest"] = "sha256:" + "b" * 64
    old["sbom"].update(modules=["golang.org/x/net v0.38.0", "stdlib 1.27.3", "example.com/gone v1"], packages=["musl 1.2.5-r8"])
    document = assemble(RAW["waived"], old)
    found = {item["what"]: (item["before"], item["after"]) for item in document["changes"]["items"]}
    assert found["content digest"] == ("a" * 12, samples.DIGEST[:12])
    assert found["image size"][1].endswith("(+1.5 MB)")
    assert found["base image"][0].startswith("alpine:3.24 (bbbbbbbbbbbb")
    assert found["module golang.org/x/net"] == ("v0.38.0", "v0.39.0")
    assert found["module example.com/gone"] == ("v1", "")
    assert found["module example.com/Fork"] == ("", "v1.0.1+incompatible")
    assert found["package musl"] == ("1.2.5-r8", "1.2.5-r9")
    assert "module stdlib" not in found
    assert found["check runtime-read-only"] == ("pass", "waived")
    assert problems(document) == []


def test_after_a_failure():
    """Coming back from a failed run is a change of the verdict alone."""
    document = assemble(RAW["good"], assemble(RAW["build failed"], now=BEFORE))
    assert document["changes"]["items"] == [{"what": "verdict", "before": "fail", "after": "pass"}]


def test_previous_of_another_format():
    """A report of another major format is nothing to compare with."""
    old = {**assemble(RAW["good"], now=BEFORE), "schema_version": "0.9"}
    assert assemble(RAW["good"], old)["changes"]["since"] is None


def test_unchanged_run():
    """A run that found nothing to do keeps what is known of the very same image, and says when it was checked."""
    first = assemble(RAW["good"], now=BEFORE)
    quiet = {"unchanged": samples.DIGEST, "timeline": [{"stage": "look", "seconds": 1.0}]}
    document = assemble(quiet, first)
    assert (document["verdict"], document["checks"]) == ("pass", first["checks"])
    assert (document["checked_at"], document["generated_at"]) == (BEFORE, NOW)
    assert document["sbom"] == first["sbom"]
    assert document["changes"]["items"] == []
    assert [stage["stage"] for stage in document["timeline"]] == ["look"]
    assert problems(document) == []
    again = assemble(quiet, document, now="2026-11-25T00:00:00Z")
    assert again["checked_at"] == BEFORE
    lost = assemble({**GOOD, **quiet, "checked_at": BEFORE})
    assert (lost["verdict"], lost["checked_at"]) == ("pass", BEFORE)
    other = assemble({**quiet, "unchanged": "f" * 64}, first)
    assert (other["verdict"], other["checks"]) == ("warn", [])


# --- The page


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


@pytest.mark.parametrize("name", RAW)
def test_page(name):
    """The page of every outcome is well formed and self-contained, and tells the verdict and every check."""
    document = assemble(RAW[name])
    found = Page(page(document))
    assert found.open == []
    assert "script" not in found.tags
    assert "img" not in found.tags
    assert set(found.outside) <= {"cat-server.json"}
    assert len(found.ids) == len(set(found.ids))
    assert set(found.references) <= set(found.ids)
    words = {"pass": "Passed", "warn": "Passed with warnings", "fail": "Failed"}
    assert words[document["verdict"]] in found.text
    for item in document["checks"]:
        assert item["id"] in found.text
        assert item["title"] in found.text
        assert all(rule in found.text for rule in item["rules"])
    if document["failure"]:
        assert document["failure"]["message"][1:] in found.text


def test_page_of_what_needs_attention():
    """Each failure has its remedy on the page, each waiver its reason."""
    broken = Page(page(assemble(RAW["contract broken"]))).text
    for item in BAD["checks"]:
        assert item["verdict"] != "fail" or item["remedy"].replace("`", "") in broken
    assert "It writes its index." in Page(page(assemble(RAW["waived"]))).text


def poisoned(value, text):
    """The same document with a text in the place of every text that is not a key word of the format."""
    if isinstance(value, dict):
        fixed = ("verdict", "severity", "group", "$schema", "schema_version", "generated_at", "checked_at", "since", "unit")
        return {key: item if key in fixed else poisoned(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [poisoned(item, text) for item in value]
    return text if isinstance(value, str) else value


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onload='x", "{{ 71 * 93 }}"])
@pytest.mark.parametrize("name", ["good", "contract broken", "waived", "build failed"])
def test_everything_is_escaped(name, text):
    """No text of a report, wherever it stands, becomes markup."""
    document = poisoned(assemble(RAW[name], assemble(RAW["waived"], now=BEFORE)), text)
    found = Page(page(document))
    assert not {"script", "img"} & set(found.tags)
    assert not [value for value in found.outside if value.startswith("on")]
    assert found.open == []
    assert "6603" not in page(document).partition("</style>")[2] or "{{" not in text
    index = Page(action.render(action.INDEX, view=pages.index_view([(text, document), (text, document)])))
    assert not {"script", "img"} & set(index.tags)
    assert index.open == []


def test_bars():
    """Within the limit the limit is the whole bar; beyond it the amount is."""
    bars = {bar["id"]: bar for bar in pages.view(assemble(RAW["contract broken"]))["bars"]}
    assert (bars["start-time"]["fill"], bars["start-time"]["mark"]) == (100.0, 66.67)
    assert bars["start-time"]["share"] == "150 % of the limit"
    assert (bars["build-time"]["fill"], bars["build-time"]["mark"]) == (35.0, 100.0)
    free = pages.view(assemble(facts(asked=samples.expected(budgets={}))))["bars"]
    assert {bar["mark"] for bar in free} == {None}


# --- The action


def run(tmp_path: Path, check_mode: bool = False, **args):
    """Run the action plugin as Ansible does, without a connection."""
    task = MagicMock(check_mode=check_mode, async_val=0)
    task.args = {"report": RAW["good"], "dir": str(tmp_path), "host": "vm1", "service": "cat-server", "still_runs": "The old one.", **args}
    plugin = action.ActionModule(
        task=task,
        connection=MagicMock(),
        play_context=MagicMock(check_mode=check_mode),
        loader=MagicMock(),
        templar=MagicMock(),
        shared_loader_obj=MagicMock(),
    )
    return plugin.run(None, {})


def files(folder: Path):
    """All files below a directory."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


BILL = sbom.cyclonedx(samples.good_evidence(), service="cat-server")


def test_action_writes(tmp_path):
    """Data, page and bill of materials, readable for all; no change, and no index for one report."""
    result = run(tmp_path, sbom=BILL)
    assert files(tmp_path) == ["vm1/cat-server.html", "vm1/cat-server.json", "vm1/cat-server.sbom.json"]
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "vm1").iterdir()} == {0o600}
    assert (result["changed"], result.get("failed", False), result["verdict"]) == (False, False, "pass")
    assert result["path"] == result["paths"]["html"] == str(tmp_path / "vm1/cat-server.html")
    assert problems(json.loads((tmp_path / "vm1/cat-server.json").read_text())) == []
    assert json.loads((tmp_path / "vm1/cat-server.sbom.json").read_text()) == BILL
    assert "cat-server.sbom.json" in Page((tmp_path / "vm1/cat-server.html").read_text()).outside
    assert "index" not in result["paths"]


def test_action_is_quick(tmp_path):
    """Without a linter to start, well below what a person notices."""
    run(tmp_path)
    began = time.process_time()  # not the clock's time, which depends on what else the machine does
    run(tmp_path, sbom=BILL)
    assert time.process_time() - began < 0.2


def test_action_in_check_mode(tmp_path):
    """Nothing is written, and the answer is the same."""
    result = run(tmp_path, check_mode=True, sbom=BILL)
    assert files(tmp_path) == []
    assert (result["changed"], result["verdict"]) == (False, "pass")


def test_action_compares(tmp_path):
    """The report before is what the next one is compared with."""
    run(tmp_path, report=RAW["build failed"])
    run(tmp_path)
    document = json.loads((tmp_path / "vm1/cat-server.json").read_text())
    assert document["changes"]["items"] == [{"what": "verdict", "before": "fail", "after": "pass"}]


def test_action_and_the_bill_of_materials(tmp_path):
    """It stays through a run that found nothing to do, and goes when it would belong to another image."""
    run(tmp_path, sbom=BILL)
    result = run(tmp_path, report={"unchanged": samples.DIGEST})
    assert "vm1/cat-server.sbom.json" in files(tmp_path)
    assert result["paths"]["sbom"]
    result = run(tmp_path, report=RAW["build failed"])
    assert "vm1/cat-server.sbom.json" not in files(tmp_path)
    assert "sbom" not in result["paths"]


def test_index(tmp_path):
    """With several reports there is a page of all, the worst first, with addresses that lead to them."""
    run(tmp_path, sbom=BILL)
    (tmp_path / "vm1/notes.json").write_text("[]")
    (tmp_path / "vm1/broken.json").write_text("{")
    result = run(tmp_path, host="vm2", report=RAW["build failed"])
    found = Page(Path(result["paths"]["index"]).read_text())
    assert found.outside == ["vm2/cat-server.html", "vm1/cat-server.html"]
    assert all((tmp_path / address).is_file() for address in found.outside)
    assert "1 failed" in " ".join(found.text.split())


@pytest.mark.parametrize("name", ["../../evil", "..", "a/b", "/abs", ".hidden"])
def test_names_stay_in_the_directory(tmp_path, name):
    """No inventory name leads out of the directory."""
    root = tmp_path / "reports"
    result = run(root, host=name, service=name)
    assert not result.get("failed")
    assert len(files(root)) == len(files(tmp_path)) == 2


def test_directory_that_cannot_be_made(tmp_path):
    """A file in the way is said."""
    (tmp_path / "file").write_text("")
    result = run(tmp_path / "file")
    assert result["failed"]
    assert "the report cannot be written" in result["msg"] and "What still runs: The old one." in result["msg"]


def test_checks_of_the_running_service_take_the_place_of_the_candidates():
    """All others stay."""
    record = {"digest": "d", "facts": {"checks": [{"id": "a", "verdict": "pass"}, {"id": "b", "verdict": "skip"}], "gaps": []}}
    merged = record_facts.with_checks(record, [{"id": "b", "verdict": "pass"}])
    assert merged == {"digest": "d", "facts": {"checks": [{"id": "a", "verdict": "pass"}, {"id": "b", "verdict": "pass"}], "gaps": []}}
    assert record["facts"]["checks"][1]["verdict"] == "skip"


# --- From the role's settings


def test_expected_from_settings(settings):
    """The role's checked settings become what the checks compare with."""
    wanted = settings(
        name="svc",
        port=9000,
        publish="[::1]:90",
        health_path="/up",
        health_host="127.0.0.1",
        health_interval="1m30s",
        health_timeout="500ms",
        workdir="/app",
        files=[{"src": "web", "dest": "pages", "owner": "root"}],
        directories=["."],
        memory="64m",
        version="1.2",
        budget={"image_mb": 20, "memory_mb": None},
        budget_warn_only=["image_mb"],
    )
    found = expected.Expected.from_settings(wanted, start_seconds=0.5, candidate=True)
    assert found.health_test == ("wget", "--no-verbose", "--tries=1", "--spider", "http://127.0.0.1:9000/up")
    assert (found.health_interval, found.health_timeout, str(found.publish)) == (90.0, 0.5, "[::1]:90")
    assert (found.memory, found.uid, found.budget("image_mb"), found.budget("memory_mb")) == (64 << 20, None, 20.0, None)
    assert (found.workdir, found.files, found.directories) == ("/app", {"/app/pages": "root"}, ("/app",))
    assert (found.start_seconds, found.candidate, found.warn_only) == (0.5, True, ("image_mb",))
    assert found.labels == {"go-service.name": "svc", "org.opencontainers.image.title": "svc", "org.opencontainers.image.version": "1.2"}
    assert "org.opencontainers.image.version" not in expected.Expected.from_settings(replace(wanted, image_tag="previous")).labels
