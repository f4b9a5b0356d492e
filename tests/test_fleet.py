"""A fleet: one host builds and proves, the others receive exactly its image, by an archive or by a registry. Each machine has an Engine and a network of
its own; the build host is this machine. The tests follow each other, as the days of a fleet do.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import sys
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from fleets import BUILDER, NAME, SECRETS, Fleet, rows, sent, service, serving
from machines import machines
from plays import changed, free_port

pytestmark = pytest.mark.skipif("FLEET" not in os.environ, reason="make fleet runs it")
FOLLOWERS = ("f1", "f2", "f3")
KINDS = {"application/vnd.cyclonedx+json", "application/vnd.in-toto+json"}


@pytest.fixture(scope="module")
def fleet(builder_image: str, runtime_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Run the machines of a fleet; the service is gone from the build host afterwards."""
    directory = tmp_path_factory.mktemp("fleet")
    port = free_port()
    own = {
        "base_images_fallback": "assemble",
        "go_service_env": {"TOKEN": SECRETS["env"]},
        "go_service_secret_files": {"token": SECRETS["file"]},
        "go_service_uid": 10001,
        # Four machines are one here: what is tested is not how fast they start.
        "go_service_budget": {"start_seconds": None},
        "go_service_start_timeout": 60,
    }
    variables = service(directory, builder_image, runtime_image, port, **own)
    with machines(*FOLLOWERS) as found:
        made = Fleet(directory, found, port, variables)
        yield made
        made.play("--limit", BUILDER, playbook="remove")


def test_every_host_runs_the_image_that_one_has_built(fleet: Fleet) -> None:
    """A host that is not there yet is left out; what the others have is as the build host has it, with the secrets of the container."""
    told = fleet.play("--limit", "!f3")
    found = fleet.containers()
    assert found.pop("f3") == ("", "")
    assert len({image for _container, image in found.values()}) == 1 and "" not in dict(found.values())
    assert [fleet.health(host) for host in found] == ["ok"] * 3
    assert {row[2] for row in rows(told).values()} == {found[BUILDER][1][7:19]} and {row[-1] for row in rows(told).values()} == {"healthy"}
    for host in found:
        assert SECRETS["env"] in fleet.docker(host, "inspect", "--format", "{{.Config.Env}}", NAME)
        assert fleet.docker(host, "exec", NAME, "cat", "/run/secrets/token") == SECRETS["file"]
    assert set(sent(told)) == {"f1", "f2"}
    report = json.loads((fleet.directory / f"reports/f1/{NAME}.json").read_text())
    assert report["verdict"] in ("pass", "warn") and report["provenance"] and report["sbom"]
    assert fleet.archives() == []


def test_a_second_run_changes_nothing(fleet: Fleet) -> None:
    before = fleet.containers()
    told = fleet.play("--limit", "!f3")
    assert (changed(told), fleet.containers(), sent(told)) == (0, before, {})


def test_a_check_changes_nothing_and_says_what_would_come(fleet: Fleet) -> None:
    before = fleet.containers()
    told = fleet.play("--check")
    assert fleet.containers() == before
    assert f"{NAME}: would receive the image" in told
    assert [host for host, count in re.findall(r"^(\w+) +: ok=\d+ +changed=(\d+)", told, re.MULTILINE) if int(count)] == ["f3"]


def test_a_build_host_outside_of_the_group_is_in_the_table(fleet: Fleet) -> None:
    told = fleet.play("-e", "go_service_fleet=followers", "-e", f"go_service_build_host={BUILDER}", "--limit", f"{BUILDER},f1,f2")
    assert {host: row[-1] for host, row in rows(told).items()} == dict.fromkeys((BUILDER, "f1", "f2"), "healthy")
    assert changed(told) == 0


def test_a_host_added_later_is_brought_up_to_date_alone(fleet: Fleet) -> None:
    """The source was edited since: it gets what the others run, and nobody else is touched."""
    fleet.edit("before-its-time")
    before = fleet.containers()
    told = fleet.play("--limit", "f3")
    after = fleet.containers()
    assert {host: after[host] for host in before if host != "f3"} == {host: before[host] for host in before if host != "f3"}
    assert len(fleet.images()) == 1 and fleet.health("f3") == "ok"
    assert set(sent(told)) == {"f3"}


def test_the_first_host_that_fails_ends_the_rollout(fleet: Fleet) -> None:
    """It is left on its old container, those that were not reached keep theirs, the table says so; the next run goes on from there."""
    fleet.edit("second")
    before = fleet.containers()
    fleet.own["f2"] = {"go_service_args": ["--no-such-flag"]}
    told = fleet.play("-e", '{"go_service_fleet_serial": [1, 1, 1]}', succeeds=False)
    after, table = fleet.containers(), rows(told)
    assert after[BUILDER][1] == after["f1"][1] != before["f1"][1]
    assert (after["f2"], after["f3"]) == (before["f2"], before["f3"])
    assert (
        table["f2"][-1].startswith("FAILED: ")
        and "exited with code 2" in table["f2"][-1]
        and table["f2"][-1].endswith("what runs: healthy")
    )
    assert table["f3"][-1] == "not reached; what runs: healthy"
    assert {host: row[2] for host, row in table.items()} == {host: image[7:19] for host, (_container, image) in after.items()}
    # Only what an edit changes is sent: what lies below is there.
    whole, part = sent(told), after["f1"]
    assert 0 < whole["f1"] < 5, (whole, part)
    del fleet.own["f2"]
    again = fleet.play()
    assert len(fleet.images()) == 1 and fleet.containers()["f1"] == after["f1"] and fleet.containers()[BUILDER] == after[BUILDER]
    assert set(sent(again)) == {"f3"}
    assert fleet.docker("f2", "image", "ls", "--quiet", "--filter", "dangling=true") == ""
    assert fleet.archives() == []


def test_a_follower_goes_back_as_any_other_host(fleet: Fleet) -> None:
    newest = fleet.containers()["f1"][1]
    fleet.play("--limit", "f1", playbook="rollback")
    assert fleet.containers()["f1"][1] != newest
    fleet.play("--limit", "f1")
    assert fleet.containers()["f1"][1] == newest


def test_an_architecture_for_which_nothing_can_be_built_is_told_before_anything_starts(fleet: Fleet) -> None:
    fleet.edit("never-built")
    before = fleet.containers()
    python = fleet.directory / "python-f4"
    python.write_text(f'#!/bin/sh\nexec env DOCKER_HOST=unix:///nowhere.sock setarch i686 {sys.executable} "$@"\n')
    python.chmod(0o755)
    fleet.own["f4"] = {
        "ansible_connection": "local",
        "ansible_python_interpreter": str(python),
        "ansible_remote_tmp": str(fleet.directory / "f4"),
    }
    told = " ".join(fleet.play(succeeds=False).split())
    del fleet.own["f4"]
    assert "builder cannot build images for linux/386, which this fleet needs as well" in told
    assert (
        "cannot be put together on builder for machines of the kind i686" in told and "Nothing was built or deployed on any host." in told
    )
    assert fleet.containers() == before and "Build the image" not in told


def test_a_host_that_asks_for_another_image_is_told(fleet: Fleet) -> None:
    """Variables that make an image are those of the build host."""
    fleet.own["f1"] = {"go_service_health_retries": 7}
    told = " ".join(fleet.play("--limit", "f1", succeeds=False).split())
    del fleet.own["f1"]
    assert "f1 is asked for another image than the build host has made: go_service_health_retries is 7 here, and 3 there" in told


def test_a_host_that_only_has_to_be_proven_again_receives_nothing(fleet: Fleet) -> None:
    """Whatever the reason: it has the image, and says so."""
    before = fleet.containers()
    fleet.own["f1"] = {"go_service_budget": {"start_seconds": None, "image_mb": 77}}
    told = fleet.play("--limit", "f1")
    del fleet.own["f1"]
    assert (changed(told), fleet.containers()) == (0, before) and f"the image of {BUILDER} was here" in told
    fleet.docker("f1", "stop", NAME)
    told = fleet.play("--limit", "f1")
    assert fleet.health("f1") == "ok" and f"the image of {BUILDER} was here" in told and sent(told) == {}


def test_a_host_that_has_lost_its_history_is_sent_nothing_and_knows_again_how_the_image_came_about(fleet: Fleet) -> None:
    before = fleet.containers()
    lost = fleet.docker("f1", "volume", "ls", "--quiet", "--filter", "label=go-service.history").split()
    assert lost
    fleet.docker("f1", "volume", "rm", *lost)
    told = fleet.play("--limit", "f1")
    assert fleet.containers()["f1"][1] == before["f1"][1] and f"the image of {BUILDER} was here" in told
    report = json.loads((fleet.directory / f"reports/f1/{NAME}.json").read_text())
    assert report["provenance"] and report["sbom"]
    assert changed(fleet.play("--limit", "f1")) == 0


@pytest.mark.parametrize("host", ["f1", BUILDER])
def test_a_host_that_goes_away_in_the_middle_is_named_in_the_table(fleet: Fleet, host: str) -> None:
    """Also the only one of a batch, with which Ansible would end the run; the build host, for what is asked of it for another host."""
    fleet.edit(f"cut {host}")
    fleet.play("--limit", BUILDER)
    before = fleet.containers()
    with fleet.cut(host):
        told = fleet.play("--limit", "f1,f2", succeeds=False)
    table = rows(told)
    assert set(table) == {"f1", "f2"} and table["f2"][-1] == "not reached; what runs: healthy"
    if host == BUILDER:
        assert table["f1"][-1] == f"FAILED: {NAME}: the build host builder cannot be reached: the line is dead; what runs: healthy"
    else:
        assert table["f1"][-1] == f"FAILED: {NAME}: the host cannot be reached any more: the line is dead; what runs: healthy"
    assert fleet.containers() == before
    fleet.play()
    assert len(fleet.images()) == 1 and fleet.archives() == []


@pytest.mark.parametrize(
    "task",
    ["Ask the build host which image it has proven", "Bring the image here", "Prove the image with a candidate"],
)
def test_a_run_that_is_killed_is_gone_on_with(fleet: Fleet, task: str) -> None:
    """Whatever it was at; nothing of its archives is left."""
    fleet.edit(f"killed at {task}")
    fleet.play("--limit", BUILDER)
    fleet.play_until(task)
    fleet.play()
    assert len(fleet.images()) == 1
    assert [fleet.health(host) for host in (BUILDER, *FOLLOWERS)] == ["ok"] * 4
    assert fleet.archives() == []
    for host in FOLLOWERS:
        left = fleet.docker(host, "ps", "--all", "--format", "{{.Names}}")
        assert left == NAME
        assert "lock" not in fleet.docker(host, "volume", "ls", "--quiet")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, fleet: Fleet) -> Iterator[dict[str, Any]]:
    """Run a registry, and return the variables that lead to it."""
    assert fleet.machines
    with serving(tmp_path_factory.mktemp("registry")) as variables:
        yield variables


def ask(registry: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """Return what the registry answers, and the digest that it names."""
    where, _slash, team = registry["go_service_registry"].partition("/")
    wanted = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json"
    account = b64encode(f"robot:{SECRETS['account']}".encode()).decode()
    request = urllib.request.Request(
        f"https://{where}/v2/{team}/{NAME}{path}", headers={"Accept": wanted, "Authorization": f"Basic {account}"}
    )
    with urllib.request.urlopen(
        request, context=ssl.create_default_context(cadata=registry["go_service_registry_ca"]), timeout=10
    ) as answer:
        return json.loads(answer.read()), answer.headers.get("Docker-Content-Digest", "")


def test_the_image_comes_by_a_registry(fleet: Fleet, registry: dict[str, Any]) -> None:
    """The build host pushes, the others pull by the digest: the id is the same; no name of the registry's is left on a host."""
    fleet.edit("by-registry")
    fleet.variables.update(registry)
    told = fleet.play()
    assert len(fleet.images()) == 1 and sent(told) == {}
    assert told.count(f"came by {registry['go_service_registry']}") == 3
    for host in (BUILDER, *FOLLOWERS):
        assert registry["go_service_registry"] not in fleet.docker(host, "image", "ls", "--digests", "--all")
    before = fleet.containers()
    assert (changed(fleet.play()), fleet.containers()) == (0, before)


def test_a_registry_that_refuses_is_told_with_the_remedy(fleet: Fleet, registry: dict[str, Any]) -> None:
    before = fleet.containers()
    fleet.docker("f1", "rm", "--force", NAME)
    for image in set(fleet.docker("f1", "image", "ls", "--quiet").split()):
        fleet.docker("f1", "rmi", "--force", image)
    wrong = {"go_service_registry_credentials": {"username": "robot", "password": "wrong-word"}}
    fleet.variables.update(wrong)
    told = " ".join(fleet.play("--limit", "f1", succeeds=False).split())
    fleet.variables.update(registry)
    assert "Give go_service_registry_credentials ({username, password}) of an account that may push or pull there" in told
    fleet.play("--limit", "f1")
    assert fleet.containers()["f1"][1] == before["f1"][1]


def test_a_proven_image_is_published_with_its_documents(fleet: Fleet, registry: dict[str, Any]) -> None:
    """By its digest; the documents refer to it, and a second time changes nothing."""
    told = fleet.play("--limit", BUILDER, playbook="publish")
    digest = re.search(rf"{NAME}@(sha256:[0-9a-f]{{64}})", told)[1]
    manifest, named = ask(registry, f"/manifests/{digest}")
    assert named == digest and manifest["config"]["digest"] == fleet.containers()[BUILDER][1]
    listed, _digest = ask(registry, f"/manifests/{digest.replace(':', '-')}")
    assert {known["artifactType"] for known in listed["manifests"]} == KINDS
    for known in listed["manifests"]:
        artifact, _digest = ask(registry, f"/manifests/{known['digest']}")
        assert artifact["subject"]["digest"] == digest
        document, _digest = ask(registry, f"/blobs/{artifact['layers'][0]['digest']}")
        if known["artifactType"].endswith("in-toto+json"):
            assert {"sha256": digest.partition(":")[2]} in [subject["digest"] for subject in document["subject"]]
        else:
            assert document["metadata"]["component"]["name"] == NAME
    assert changed(fleet.play("--limit", BUILDER, playbook="publish")) == 0


def test_an_image_that_was_not_held_to_the_contract_is_not_published(fleet: Fleet, registry: dict[str, Any]) -> None:
    fleet.edit("built-alone")
    before = fleet.docker(BUILDER, "image", "ls", "--format", "{{.Tag}}", NAME).split()
    fleet.play("--limit", BUILDER, "-e", "go_services_entry_point=build", playbook="build")
    (built,) = set(fleet.docker(BUILDER, "image", "ls", "--format", "{{.Tag}}", NAME).split()) - set(before)
    told = " ".join(fleet.play("--limit", BUILDER, "-e", f"go_service_image_tag={built}", playbook="publish", succeeds=False).split())
    assert f"the image {NAME}:{built} was not checked against the contract on this host, or did not pass it" in told
    with pytest.raises(urllib.error.HTTPError):
        ask(registry, f"/manifests/{built}")
