"""The report as a document: valid against its schema in every outcome, and compared with the one before."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract import judge
from ansible_collections.proven.go_service.plugins.module_utils.contract.names import GROUPS, SEVERITIES, VERDICTS
from ansible_collections.proven.go_service.plugins.plugin_utils.report import document as reports
from jsonschema import Draft202012Validator
from reports import BEFORE, FAILURE, GOOD, NOW, RAW, SCHEMA, assemble, facts, problems


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
    ("publish", "command"),
    [
        ("127.0.0.1:8080", "curl -fsS http://127.0.0.1:8080/health"),
        ("0.0.0.0:80", "curl -fsS http://127.0.0.1:80/health"),
        ("8080", "curl -fsS http://127.0.0.1:8080/health"),
        ("[::]:8080", "curl -fsS 'http://[::1]:8080/health'"),
        ("", None),
    ],
)
def test_commands(publish, command):
    """The address that is tried is one that answers, and safe to paste."""
    found = [item["command"] for item in reports.commands("svc", {"publish": publish, "health_path": "/health"}, False)]
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
