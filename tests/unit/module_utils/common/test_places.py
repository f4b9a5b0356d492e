"""Paths in the image: where they lead, and which of them belong to the system."""

from __future__ import annotations

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import places


@pytest.mark.parametrize(
    ("path", "place"), [("pages", "/srv/pages"), (".", "/srv"), ("../data/", "/data"), ("/etc/app", "/etc/app"), ("/a//b/../c", "/a/c")]
)
def test_a_path_begins_in_the_working_directory(path: str, place: str) -> None:
    assert places.absolute("/srv", path) == place


@pytest.mark.parametrize(
    ("path", "found"),
    [("/a/b", "/a"), ("/a", "/a"), ("/ab", ""), ("/b/c/d", "/b/c/"), ("/b", ""), ("/", "")],
    ids=lambda value: value or "none",
)
def test_what_lies_below_a_directory(path: str, found: str) -> None:
    assert places.below(path, ["/a", "/b/c/"]) == found


@pytest.mark.parametrize(
    ("path", "system"),
    [
        ("/", "/"),
        ("/etc", "/etc"),
        ("/etc/passwd", "/etc"),
        ("/etc/api", ""),
        ("/etc/api/tls", ""),
        ("/etc/apis", "/etc"),
        ("/usr/share/api", ""),
        ("/usr/share", "/usr"),
        ("/run/secrets", "/run"),
        ("/var", "/var/run"),
        ("/var/lib/api", ""),
        ("/srv", ""),
    ],
)
def test_a_service_has_its_own_places_alone_in_directories_of_the_system(path: str, system: str) -> None:
    assert places.system_place(path, "api") == system
