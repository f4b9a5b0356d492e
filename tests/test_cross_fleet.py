"""A fleet with hosts of two platforms: one host builds for both, and each runs what was built for it.

The host for arm64 is a STAND-IN: a machine like the others, whose Engine says that it is for arm64, and which runs programs for arm64 by an emulator.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleets import BUILDER, NAME, Fleet, rows, sent, service, serving
from machines import disguise, emulation, machines
from plays import changed, free_port

pytestmark = pytest.mark.skipif("FLEET" not in os.environ, reason="make fleet runs it")
# In the inventory before the one that is as the build host.
LIKE, OTHER = "f1", "arm"


@pytest.fixture(scope="module")
def fleet(builder_image: str, runtime_image: str, emulator: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Run the machines of the fleet; the service is gone from the build host afterwards."""
    directory = tmp_path_factory.mktemp("cross-fleet")
    port = free_port()
    own = {
        "base_images_source": "assemble",
        "go_service_directories": ["files"],
        # Three machines are one here, and one of them emulates another: what is tested is neither how fast they start nor what they use.
        "go_service_budget": {"start_seconds": None, "memory_mb": None},
        "go_service_start_timeout": 90,
    }
    variables = service(directory, builder_image, runtime_image, port, **own)
    with contextlib.ExitStack() as held:
        found = held.enter_context(machines(LIKE, OTHER))
        held.callback(disguise(found[OTHER]).end)
        held.enter_context(emulation(emulator))
        made = Fleet(directory, found, port, variables)
        yield made
        made.play("--limit", BUILDER, playbook="remove")


def architectures(fleet: Fleet) -> dict[str, str]:
    """Return the architecture of the image that each host runs."""
    hosts = (BUILDER, *fleet.machines)
    return {host: fleet.docker(host, "image", "inspect", "--format", "{{.Architecture}}", fleet.containers()[host][1]) for host in hosts}


def test_what_cannot_be_built_is_told_before_anything_starts(fleet: Fleet) -> None:
    fleet.variables["go_service_packages"] = ["tzdata"]
    told = " ".join(fleet.play(succeeds=False).split())
    del fleet.variables["go_service_packages"]
    assert f"{BUILDER} cannot build images for linux/arm64, which this fleet needs as well" in told
    assert (
        "a package's programs for another platform cannot be run in the build" in told
        and "Nothing was built or deployed on any host." in told
    )
    assert set(fleet.containers().values()) == {("", "")} and "Build the image" not in told


def test_a_base_image_that_cannot_be_had_is_told_before_anything_starts(fleet: Fleet, runtime_image: str) -> None:
    with contextlib.suppress(AssertionError, subprocess.CalledProcessError):
        fleet.docker(BUILDER, "rmi", f"{runtime_image}-linux-arm64")
    fleet.variables.update(base_images_alpine_sha256={"x86_64": "0" * 64})
    told = " ".join(fleet.play(succeeds=False).split())
    del fleet.variables["base_images_alpine_sha256"]
    assert "cannot be put together on builder for machines of the kind aarch64" in told
    assert "Nothing was built or deployed on any host." in told
    assert set(fleet.containers().values()) == {("", "")} and "Build the image" not in told


def test_each_host_runs_what_was_built_for_it(fleet: Fleet) -> None:
    """The first host of the other platform comes before all others, and proves what the build host could not."""
    told = fleet.play()
    assert architectures(fleet) == {BUILDER: "amd64", LIKE: "amd64", OTHER: "arm64"}
    assert len(fleet.images()) == 2
    assert [fleet.health(host) for host in (BUILDER, LIKE, OTHER)] == ["ok"] * 3
    assert {row[-1] for row in rows(told).values()} == {"healthy"} and set(sent(told)) == {LIKE, OTHER}
    assert told.index(f"[{OTHER}] =>", told.index("PLAY [Bring")) < told.index(f"[{LIKE}] =>", told.index("PLAY [Bring"))
    report = json.loads((fleet.directory / f"reports/{OTHER}/{NAME}.json").read_text())
    assert report["verdict"] in ("pass", "warn") and report["provenance"] and report["sbom"]
    assert {check["id"]: check["verdict"] for check in report["checks"]}["binary-architecture"] == "pass"
    assert fleet.archives() == []


def test_a_second_run_changes_nothing_on_either(fleet: Fleet) -> None:
    before = fleet.containers()
    told = fleet.play()
    assert (changed(told), fleet.containers(), sent(told)) == (0, before, {})


def test_an_edit_comes_to_both_and_what_is_replaced_goes(fleet: Fleet) -> None:
    """Each host gets the layers alone that changed; of images for others the build host keeps the newest."""
    fleet.edit("second")
    before = fleet.containers()
    told = fleet.play()
    after = fleet.containers()
    assert all(after[host][1] != before[host][1] for host in after)
    assert 0 < sent(told)[OTHER] < 5
    kept = fleet.docker(BUILDER, "image", "ls", "--no-trunc", "--format", "{{.ID}}", NAME).split()
    assert after[OTHER][1] in kept and before[OTHER][1] not in kept
    fleet.play("--limit", OTHER, playbook="rollback")
    assert fleet.containers()[OTHER][1] == before[OTHER][1] and fleet.health(OTHER) == "ok"
    fleet.play("--limit", OTHER)
    assert fleet.containers()[OTHER][1] == after[OTHER][1]


def test_each_platform_comes_by_a_registry_as_well(fleet: Fleet, tmp_path: Path) -> None:
    fleet.edit("by-registry")
    with serving(tmp_path) as registry:
        fleet.variables.update(registry)
        told = fleet.play()
    for name in registry:
        del fleet.variables[name]
    assert architectures(fleet) == {BUILDER: "amd64", LIKE: "amd64", OTHER: "arm64"} and sent(told) == {}
    assert told.count(f"came by {registry['go_service_registry']}") == 2
