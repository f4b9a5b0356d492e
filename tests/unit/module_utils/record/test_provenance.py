"""Where an image comes from: valid by the types of the in-toto project, with everything by digest, and without secrets."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.common import settings as typed
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import model
from ansible_collections.proven.go_service.plugins.module_utils.record import provenance
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
from in_toto_attestation.v1.statement import Statement
from samples import Settings

GOOD = samples.good_evidence()
BUILDER = {"reference": "golang:1.27-alpine3.24", "digest": "sha256:" + "e" * 64}
COMMIT = "0123456789abcdef0123456789abcdef01234567"
# Settings that do not determine the image, or that the statement has in another place: as the service, a digest, or an internal parameter.
ELSEWHERE = """
    name source source_type source_version builder_image runtime_image builder build_secrets build_modules build_timeout context_limit_mb publish args env secret_files
    volumes labels network networks restart_policy memory cpus pids_limit read_only tmpfs cap_drop cap_add log_max_size log_max_file stop_timeout image_tag
    deploy_strategy start_timeout stable_seconds keep_images lock_timeout work_dir budget budget_warn_only waivers vulnerability_database report_dir
    registry registry_credentials registry_ca
""".split()  # noqa: SIM905 - a list of literals would be a page long


def check(document: dict[str, Any]) -> None:
    """Hold a statement to the published types, which know no further fields; raise what they raise."""
    Statement.copy_from_pb(json_format.ParseDict(document, statement_pb2.Statement())).validate()
    predicate = json_format.ParseDict(document["predicate"], provenance_pb2.Provenance())
    for resource in predicate.build_definition.resolved_dependencies:
        ResourceDescriptor.copy_from_pb(resource).validate()


VARIANTS = {
    "all": GOOD,
    "no labels": samples.good_evidence(config={"Labels": None}),
    "no binary": samples.good_evidence(replace_binary=samples.Layer()),
    "base without anything": replace(GOOD, base=model.BaseFacts("scratch"), packages=(), os_release={}),
    "edited": samples.good_evidence(config={"Labels": samples.labels(revision=f"{COMMIT}-dirty")}),
    "odd time": replace(GOOD, image=replace(GOOD.image, created="yesterday")),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_valid(name: str, settings: Settings) -> None:
    check(provenance.statement(VARIANTS[name], settings(), builder=BUILDER, built_by="docker_image"))
    check(provenance.statement(VARIANTS[name], settings(), builder={"reference": "gone:1", "digest": ""}))


@pytest.mark.parametrize("wrong", [{"subject": []}, {"subject": [{"name": "x"}]}, {"_type": "x"}, {"more": 1}, {"predicate": {"more": 1}}])
def test_the_published_types_refuse_what_is_wrong(wrong: dict[str, Any], settings: Settings) -> None:
    with pytest.raises((ValueError, json_format.ParseError)):
        check({**provenance.statement(GOOD, settings(), builder=BUILDER), **wrong})


def dependencies(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What the image was made from, by name."""
    return {item["name"]: item for item in document["predicate"]["buildDefinition"]["resolvedDependencies"]}


def test_everything_it_was_made_from_stands_by_its_digest(settings: Settings) -> None:
    found = dependencies(provenance.statement(GOOD, settings(), builder=BUILDER))
    assert found["source"]["uri"] == f"git+https://example.com/cat-server.git@{COMMIT}"
    assert {name: item["digest"] for name, item in found.items()} == {
        "source": {"gitCommit": COMMIT},
        "content": {"sha256": samples.DIGEST},
        "runtime": {"sha256": "d" * 64},
        "builder": {"sha256": "e" * 64},
    }
    subjects = provenance.statement(GOOD, settings(), builder=BUILDER)["subject"]
    assert [one["digest"]["sha256"] for one in subjects] == ["1" * 64, GOOD.binary.entry.sha256]


def test_an_edited_source_and_stand_ins_say_so(settings: Settings) -> None:
    labels = {**GOOD.base.labels, "go-service.stand-in": "true"}
    found = dependencies(
        provenance.statement(
            replace(VARIANTS["edited"], base=replace(GOOD.base, labels=labels)),
            settings(),
            builder={**BUILDER, "stand_in_for": "golang:1.27-alpine3.24"},
        )
    )
    assert found["source"]["annotations"] == {"edited": True}
    assert (found["runtime"]["annotations"], found["builder"]["annotations"]) == (
        {"standInFor": settings().runtime_image},
        {"standInFor": "golang:1.27-alpine3.24"},
    )
    assert all("annotations" not in item for item in dependencies(provenance.statement(GOOD, settings(), builder=BUILDER)).values())


@pytest.mark.parametrize("name", [field.name for field in fields(typed.Settings)])
def test_of_every_setting_it_is_said_whether_it_determines_the_image(name: str) -> None:
    assert [*provenance.PARAMETERS, *ELSEWHERE].count(name) == 1, (
        f"{name} belongs into PARAMETERS of plugins/module_utils/record/provenance.py if it determines what is in the image, or else into ELSEWHERE of this file"
    )


def test_the_parameters_have_the_health_check_that_is_in_the_image(settings: Settings) -> None:
    asked = settings(health_path="/ready", health_retries=7)
    parameters = provenance.statement(GOOD, asked, builder=BUILDER)["predicate"]["buildDefinition"]["externalParameters"]
    assert (parameters["health_path"], parameters["health_retries"]) == ("/ready", 7)


def test_parameters_tell_names_of_secrets_and_never_values(settings: Settings) -> None:
    """Also where a value of one stands in another parameter."""
    asked = settings(
        build_args={"TOKEN": "s3cr3t-of-the-build"},
        build_env={"GOPROXY": "https://u:p4ssw0rd-of-it@proxy.example.com"},
        env={"PASSWORD": "s3cr3t-of-the-run"},
        ldflags="-w -X main.token=s3cr3t-of-the-build",
        packages=["tzdata"],
    )
    document = provenance.statement(GOOD, asked, builder=BUILDER)
    parameters = document["predicate"]["buildDefinition"]["externalParameters"]
    assert (parameters["build_args"], parameters["build_env"]) == ({"TOKEN": "***"}, {"GOPROXY": "***"})
    assert (parameters["packages"], parameters["ldflags"]) == (["tzdata"], "-w -X main.token=***")
    assert not [secret for secret in ("s3cr3t", "p4ssw0rd") if secret in json.dumps(document)]


def test_it_is_told_in_short(settings: Settings) -> None:
    found = provenance.summary(provenance.statement(GOOD, settings(), builder=BUILDER))
    assert found["made_from"][0] == f"source gitCommit:{COMMIT}"
    assert found["format"] == "in-toto statement v1, SLSA provenance v1"
