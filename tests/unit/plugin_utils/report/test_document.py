"""The report as a document: valid against its schema in every outcome, and compared with the one before."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract import judge
from ansible_collections.proven.go_service.plugins.module_utils.contract.names import GROUPS, SEVERITIES, VERDICTS
from ansible_collections.proven.go_service.plugins.plugin_utils.report import document as reports
from jsonschema import Draft202012Validator
from reports import BEFORE, FAILURE, GOOD, NOW, RAW, SCHEMA, assemble, checked, facts, problems


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
    assert found["base image"] == (f"alpine:3.24 ({'b' * 12})", f"alpine:3.24 ({'d' * 12})")
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
    near = {**old, "schema_version": f"{reports.SCHEMA_VERSION.partition('.')[0]}.99"}
    assert assemble(RAW["good"], near)["changes"]["since"] == BEFORE


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


# Files


@pytest.mark.parametrize(
    ("name", "file"), [("web-1.example.com", "web-1.example.com"), ("a/b c", "a_b_c"), ("..", "_"), (".hidden", "hidden"), ("é_1", "é_1")]
)
def test_a_name_of_an_inventory_becomes_one_file_name(name: str, file: str) -> None:
    found = reports.paths("/reports", name, "api")
    assert {kind: str(path) for kind, path in found.items()} == {
        "json": f"/reports/{file}/api.json",
        "html": f"/reports/{file}/api.html",
        "sbom": f"/reports/{file}/api.sbom.json",
        "provenance": f"/reports/{file}/api.provenance.json",
        "junit": f"/reports/{file}/api.junit.xml",
    }
    assert reports.paths("/reports", "vm1", name)["json"] == Path(f"/reports/vm1/{file}.json")


def test_a_directory_where_no_report_can_be_written_is_told_before(unprivileged: Path) -> None:
    assert reports.unwritable(unprivileged) == reports.unwritable(unprivileged / "a/b") == ""
    (unprivileged / "file").touch()
    assert reports.unwritable(unprivileged / "file/a") == f"{unprivileged}/file is not a directory"
    (unprivileged / "link").symlink_to("nowhere")
    assert reports.unwritable(unprivileged / "link/a") == f"{unprivileged}/link is not a directory"
    for mode in (0o500, 0o600):
        (unprivileged / "closed").mkdir(mode=0o700, exist_ok=True)
        (unprivileged / "closed").chmod(mode)
        assert reports.unwritable(unprivileged / "closed/a") == f"this user may not write to {unprivileged}/closed"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"$schema": "another"}', '{"$schema": "%s", "schema_version": "2.0"}'])
def test_what_is_no_report_of_this_format_is_not_read(tmp_path: Path, text: str) -> None:
    (tmp_path / "api.json").write_text(text.replace("%s", reports.SCHEMA_ID))
    assert reports.read(tmp_path / "api.json") is None
    assert reports.read(tmp_path / "missing.json") is None


def test_no_two_services_share_a_file() -> None:
    names = ["api", "api.sbom", "api.sbom.sbom", "api-sbom", "api.json", "api.junit", "sbom", "api.provenance", "api.provenance.sbom"]
    files = [file for name in names for file in reports.paths("/r", "web1", name).values()]
    assert len(set(files)) == len(files)
    assert {file.name for file in reports.paths("/r", "web1", "api").values()} == {
        "api.json",
        "api.html",
        "api.sbom.json",
        "api.provenance.json",
        "api.junit.xml",
    }
    # What lies beside a report is told by its name alone.
    assert [file.name for file in files if reports.is_beside(file)] == [
        reports.paths("/r", "web1", name)[kind].name for name in names for kind in ("sbom", "provenance")
    ]


def test_a_report_that_somebody_changed_or_cut_off_is_not_read(tmp_path: Path) -> None:
    whole = assemble(RAW["good"])
    needed = (
        "$schema",
        "schema_version",
        "host",
        "service",
        "verdict",
        "summary",
        "generated_at",
        "image",
        "budgets",
        "checks",
        "stand_in",
    )
    changed = [{key: value for key, value in whole.items() if key != name} for name in needed]
    changed += [{**whole, name: value} for name in needed for value in (1, "x", [1], {"a": 1}) if type(value) is not type(whole[name])]
    changed += [{**whole, "image": {key: value for key, value in whole["image"].items() if key != name}} for name in ("id", "size", "base")]
    changed += [{**whole, "image": {**whole["image"], "size": "1"}}, {**whole, "verdict": "x"}, {**whole, "checks": [{"id": []}]}]
    for document in changed:
        (tmp_path / "api.json").write_text(json.dumps(document))
        assert reports.read(tmp_path / "api.json") is None, document
    (tmp_path / "api.json").write_text("[" * 100_000)
    assert reports.read(tmp_path / "api.json") is None
    (tmp_path / "api.json").unlink()
    os.mkfifo(tmp_path / "api.json")
    assert reports.read(tmp_path / "api.json") is None


def test_a_report_with_more_in_it_than_is_known_here_is_read(tmp_path: Path) -> None:
    document = {**assemble(RAW["good"]), "schema_version": "1.99", "new": 1}
    (tmp_path / "api.json").write_text(json.dumps(document))
    assert reports.read(tmp_path / "api.json") == json.loads(json.dumps(document))


# Small runs


@pytest.mark.parametrize(
    ("checks", "verdict", "words"),
    [
        ({"image_size": "pass", "accounts": "skip"}, "pass", "1 of 1 checks passed, 1 skipped."),
        ({"image_size": "pass", "accounts": "pass"}, "pass", "2 of 2 checks passed."),
        ({"image_size": "pass", "accounts": "warn", "start_time": "warn"}, "warn", "1 of 3 checks passed, 2 warnings."),
        ({"image_size": "waived", "accounts": "pass"}, "pass", "1 of 2 checks passed, 1 waived."),
        ({"image_size": "fail", "accounts": "skip", "start_time": "warn"}, "fail", "1 of 2 checks failed: image-size."),
    ],
)
def test_what_was_judged_is_counted_and_what_was_skipped_is_not(checks: dict[str, str], verdict: str, words: str) -> None:
    document = assemble({"checks": checked(**checks)})
    assert (document["verdict"], document["summary"]) == (verdict, words)


def test_a_failure_has_all_its_parts_whatever_was_told() -> None:
    told = assemble({"failure": {"message": "m", "stage": None, "evidence": [1]}, "checks": checked(image_size="pass")})
    assert told["failure"] == {"stage": "", "message": "m", "remedy": "", "standing": "", "evidence": ["1"]}
    assert (told["verdict"], told["summary"]) == ("fail", "The run failed.")
    assert [item["title"] for item in told["commands"]][-1] == "See what runs"
    assert "See what runs" not in str(assemble(RAW["good"])["commands"])


def test_what_a_stage_left_out_is_filled_in() -> None:
    stages = assemble({"timeline": [{"stage": "build", "steps": [{"instruction": "RUN a", "cached": 1}, {}]}, {"seconds": 2}]})["timeline"]
    empty = {"instruction": "", "cached": False, "seconds": None}
    assert stages[0] == {"stage": "build", "seconds": 0.0, "steps": [{"instruction": "RUN a", "cached": True, "seconds": None}, empty]}
    assert stages[1] == {"stage": "", "seconds": 2.0, "steps": []}


def test_commands_that_were_given_take_the_place_of_the_usual_ones() -> None:
    mine = [{"title": "Mine", "command": "true"}]
    assert assemble({"commands": mine})["commands"] == mine
    assert assemble({"ask": "curl x"})["commands"][0] == {"title": "Ask the service", "command": "curl x"}
    assert reports.commands("svc", "curl x", False)[0]["command"] == "curl x"


@pytest.mark.parametrize("kind", ["sbom", "provenance"])
def test_a_document_beside_has_a_path_only_where_one_was_written(kind: str) -> None:
    assert assemble({**GOOD})[kind]["path"] == ""
    assert assemble({**GOOD, kind: {**GOOD[kind], "path": "x"}})[kind]["path"] == "x"
    assert assemble({})[kind] is None


def changed(**image: object) -> dict[str, tuple[str, str]]:
    """What differs from a run before whose image was another in this."""
    old = json.loads(json.dumps(assemble(RAW["good"], now=BEFORE)))
    old["image"].update(image)
    return {item["what"]: (item["before"], item["after"]) for item in assemble(RAW["good"], old)["changes"]["items"]}


def test_the_same_content_under_another_id_is_told_by_the_id_alone() -> None:
    assert changed(id="sha256:" + "9" * 64) == {"image id": ("9" * 12, "1" * 12)}
    assert set(changed(id="sha256:" + "9" * 64, digest="a" * 64)) == {"content digest"}


def test_an_image_that_shrank_is_told_with_a_minus() -> None:
    size = assemble(RAW["good"])["image"]["size"]
    ((_before, after),) = changed(size=size + 2_000_000).values()
    assert after.endswith("(-2.0 MB)")
    assert changed(size=size) == {}


def test_a_check_that_came_or_went_or_was_only_skipped_is_no_change() -> None:
    old = assemble({"checks": checked(image_size="pass", accounts="skip", start_time="warn", user_uid="pass")}, now=BEFORE)
    now = assemble({"checks": checked(image_size="skip", accounts="pass", start_time="fail", user_groups="fail")}, old)
    assert [item["what"] for item in now["changes"]["items"]] == ["verdict", "check start-time"]


def test_an_image_alone_in_one_of_two_reports_is_no_change() -> None:
    first = assemble({"checks": checked(image_size="pass")}, now=BEFORE)
    assert assemble({**RAW["good"], "checks": checked(image_size="pass")}, first)["changes"] == {"since": BEFORE, "items": []}
    assert (
        assemble({"checks": checked(image_size="pass")}, assemble({**RAW["good"], "checks": checked(image_size="pass")}))["changes"][
            "items"
        ]
        == []
    )


def test_a_first_report_of_an_unchanged_image_says_when_it_was_checked_as_far_as_is_known() -> None:
    assert assemble({**GOOD, "unchanged": samples.DIGEST})["checked_at"] == NOW
    assert assemble({**GOOD, "checked_at": BEFORE})["checked_at"] == NOW
    assert assemble({"unchanged": samples.DIGEST})["checked_at"] is None
    stand_in = {**assemble(RAW["good"], now=BEFORE), "stand_in": True}
    assert assemble({"unchanged": samples.DIGEST}, stand_in)["stand_in"]
