"""What is kept on the host for the next build is counted, what serves others too apart from the rest."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.deploy import kept

BASE = {"Id": "sha256:base", "Size": 150_000}
LABELS = {"go-service.kind": "builder", "go-service.name": "cat-server"}
STAGE = {"Id": "sha256:stage", "Size": 230_000, "Created": 1, "Labels": LABELS}
STEPS = [
    {"CreatedBy": '/bin/sh -c go build -ldflags="-w -s" -o /out/cat-server .', "Size": 7_000},
    {"CreatedBy": "/bin/sh -c #(nop) COPY dir:6e72c83d in /src/ ", "Size": 3_000},
    {"CreatedBy": "/bin/sh -c #(nop)  LABEL go-service.name=cat-server go-service.kind=builder", "Size": 0},
    {"CreatedBy": "/bin/sh -c go build net/http", "Size": 70_000},
    {"CreatedBy": "Go", "Size": 150_000},
]
OF_ALL = {"ID": "a", "Description": "cached mount /var/cache/go-service/build from exec /bin/sh -c go build", "Size": 80_000}
OF_ANOTHER = {"ID": "b", "Description": "cached mount /var/cache/go-service-api/build from exec /bin/sh -c go build", "Size": 5_000}
OWN = {"ID": "c", "Description": "cached mount /var/cache/go-service-cat-server/build from exec /bin/sh -c go build", "Size": 4_000}
ELSEWHERE = {"ID": "d", "Description": "cached mount /root/.cache/go-build from exec /bin/sh -c go build", "Size": 9_000}
UNKNOWN = {"ID": "e", "Size": -1}


class Engine:
    """What is asked of the Engine, a stand-in without one."""

    def __init__(self, caches: list[dict[str, Any]], *images: dict[str, Any]) -> None:
        self.build_caches = lambda: caches
        self.known = {image["Id"]: image for image in images}

    def images(self, **_which: object) -> list[dict[str, Any]]:
        """Return the list records of builder stages."""
        return [image for image in self.known.values() if image is STAGE]

    def image(self, reference: str) -> dict[str, Any] | None:
        """Return an image's record; the base's reference is its id."""
        return self.known.get(reference)

    def history(self, _reference: str) -> list[dict[str, Any]]:
        """Return the steps of the builder stage."""
        return STEPS


@pytest.mark.parametrize(
    ("engine", "whole", "shared"),
    [
        (Engine([], BASE, STAGE), 80_000, 70_000),
        (Engine([], STAGE), 0, 0),
        (Engine([], BASE), 0, 0),
        (Engine([OF_ALL, OF_ANOTHER, OWN, ELSEWHERE, UNKNOWN]), 84_000, 80_000),
        (Engine([OF_ALL], BASE, STAGE), 160_000, 150_000),
    ],
    ids=["a builder stage", "without its base", "without a stage", "caches", "both"],
)
def test_what_serves_other_services_too_is_told_apart(engine: Any, whole: int, shared: int) -> None:
    assert kept.kept_for_speed(engine, "cat-server", BASE["Id"], buildkit=True) == {"bytes": whole, "shared_bytes": shared}


def test_what_buildkit_keeps_is_not_asked_for_where_it_builds_nothing() -> None:
    """An old Engine reads every file of every volume for that."""
    engine: Any = Engine([], BASE, STAGE)
    engine.build_caches = None
    assert kept.kept_for_speed(engine, "cat-server", BASE["Id"], buildkit=False) == {"bytes": 80_000, "shared_bytes": 70_000}
