"""Which host may take part in a fleet, and what is told of it at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.deploy.earlier import built_with
from ansible_collections.proven.go_service.plugins.plugin_utils.fleet import ahead, differences, fleet, platform_of, platforms, table, unfit

HOST = {"architecture": "amd64", "engine": "26.1.5", "containerd": False}
WEB = {"name": "web", "container": "c", "image": "sha256:" + "a" * 64, "digest": "d" * 64, "version": "1.2", "state": "healthy"}


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ({}, ""),
        ({"engine": ""}, ""),
        ({"engine": "", "containerd": True}, ""),
        ({"architecture": "arm64"}, ""),
        ({"architecture": "arm"}, "it needs images for arm, which cannot be built on a host for amd64"),
        ({"containerd": True}, "keeps images in another store"),
    ],
)
def test_a_host_that_cannot_run_the_images_is_told(host: dict[str, Any], words: str) -> None:
    found = unfit({**HOST, **host}, HOST)
    assert words in found and bool(found) == bool(words)


def test_what_makes_an_image_is_the_same_for_all(settings: Callable[..., Settings]) -> None:
    """What a host judges it by, and what its container is made of, may differ."""
    there = built_with(settings())
    assert differences(settings(), there) == []
    assert differences(settings(memory="64m", args=["-v"], env={"A": "b"}, waivers={"image-size": "why"}), there) == []
    assert differences(settings(port=9000, health_path="/ready"), there) == [
        "go_service_port is 9000 here, and 8080 there",
        "go_service_health_path is '/ready' here, and '/health' there",
    ]
    assert differences(settings(port=9000), {"of a later version": 1}) == []


IMAGES = {"known": ["sha256:" + "a" * 64], "layers": ["l1", "l2"]}
NEWER = {**WEB, "image": "sha256:" + "b" * 64}


@pytest.mark.parametrize(
    ("host", "builder", "lacks"),
    [
        ([{**WEB, **IMAGES}], [NEWER], True),
        # It had the image before: an earlier run has brought it, or it went back since.
        ([{**WEB, "known": [*IMAGES["known"], NEWER["image"]], "layers": []}], [NEWER], False),
        ([{**WEB, **IMAGES}], [WEB], False),
        # Its history was lost, as by docker volume prune of an Engine before 23.
        ([{**NEWER, "known": [], "layers": []}], [NEWER], False),
        # What a host has that runs nothing of the service is not known.
        ([{**WEB, "image": "", "known": [], "layers": []}], [NEWER], False),
        ([{**WEB, **IMAGES}], [{**WEB, "image": ""}], False),
        ([{**WEB, **IMAGES, "name": "other"}], [NEWER], False),
        ([], [NEWER], False),
        ([{**WEB, **IMAGES}], [], False),
    ],
)
def test_an_image_is_fetched_ahead_for_a_host_that_certainly_lacks_it(
    host: list[dict[str, Any]], builder: list[dict[str, Any]], lacks: bool
) -> None:
    found = ahead({**HOST, "services": host}, {**HOST, "services": builder}, "web")
    assert found == ({"known": [WEB["image"], *IMAGES["known"]], "layers": [["l1", "l2"]]} if lacks else {})
    assert ahead({}, {**HOST, "services": builder}, "web") == ahead({**HOST, "services": host}, {}, "web") == {}


def test_containerds_store_gets_whole_archives() -> None:
    host = {**HOST, "containerd": True, "services": [{**WEB, **IMAGES}]}
    assert ahead(host, {**HOST, "services": [NEWER]}, "web")["layers"] == []


def test_the_table_says_who_runs_what() -> None:
    hosts = {
        "one": {"__go_service_fleet_seen": {"services": [WEB]}, "__go_service_fleet_begun": True, "__go_service_fleet_done": True},
        "two": {
            "__go_service_fleet_seen": {"services": [{**WEB, "image": "sha256:" + "b" * 64}]},
            "__go_service_fleet_begun": True,
            "__go_service_fleet_failed": "web: it exited\nwith more lines",
        },
        "three": {"__go_service_fleet_seen": {"services": [{**WEB, "image": "", "digest": "", "version": "", "state": "nothing runs"}]}},
        "four": {"__go_service_fleet_seen": {"services": [WEB]}, "__go_service_fleet_begun": True},
        "five": {},
    }
    assert table(fleet(hosts, list(hosts))).splitlines() == [
        "host   service  image id      digest        version  state",
        "one    web      aaaaaaaaaaaa  dddddddddddd  1.2      healthy",
        "two    web      bbbbbbbbbbbb  dddddddddddd  1.2      FAILED: web: it exited; what runs: healthy",
        "three  web      -             -             -        not reached; what runs: nothing runs",
        "four   web      aaaaaaaaaaaa  dddddddddddd  1.2      FAILED: it could not be reached any more; what runs: healthy",
    ]


def test_of_each_other_platform_the_first_host_is_known() -> None:
    """It shows that the image runs there. A host that the run does not look at does not count."""
    seen = {
        name: {"__go_service_fleet_platform": platform_of({**HOST, "architecture": name[:-1]}, HOST)}
        for name in ("amd641", "arm642", "s390x3", "arm644")
    }
    assert platforms({**seen, "arm640": {}}, ["arm640", *seen]) == {"linux/arm64": "arm642", "linux/s390x": "s390x3"}
    assert platforms(seen, ["amd641"]) == {}


def test_of_several_services_each_has_its_own_end_in_the_table() -> None:
    host = {
        "__go_service_fleet_seen": {"services": [WEB, {**WEB, "name": "api"}, {**WEB, "name": "late"}]},
        "__go_service_fleet_begun": True,
        "__go_service_fleet_failed": "1 of 3 services failed: web. The cause of each failure is printed above.",
        "__go_service_outcomes": [
            {"name": "web", "failed": True, "told": "it exited."},
            {"name": "api", "failed": False, "told": "healthy"},
        ],
    }
    rows = table(fleet({"one": host}, ["one"])).splitlines()[1:]
    assert [row.split("  ")[-1] for row in rows] == [
        "FAILED: it exited; what runs: healthy",
        "healthy",
        "FAILED: 1 of 3 services failed: web. The cause of each failure is printed above; what runs: healthy",
    ]
