"""What the runs of a service did on an Engine: all users of the real Engine read the same, and what cannot be read is left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.names import LABEL_HISTORY, LABEL_WRITTEN
from ansible_collections.proven.go_service.plugins.module_utils.deploy import history
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from deploys import Volumes

NAME = "utest-history"
IMAGES = {"0123456789ab": {"id": "sha256:1", "proven": True}}
REPORT = {"digest": "0123", "facts": {"checks": [{"id": f"check-{number}", "title": "ü" * 200} for number in range(400)]}}


@pytest.fixture(params=["memory", pytest.param("engine", marks=pytest.mark.engine)])
def empty(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Return what keeps volumes, in memory and the real Engine, without a history of the service before and after."""
    engine = Volumes() if request.param == "memory" else request.getfixturevalue("engine")

    def clean() -> None:
        for volume in history.volumes(engine, NAME):
            engine.remove_volume(volume)

    clean()
    yield engine
    clean()


def test_what_was_saved_is_read_by_whoever_uses_the_engine(empty: Any, tmp_path: Path) -> None:
    written = history.History(NAME, IMAGES, {"id": "c", "restarts": 2}, REPORT, "0123456789ab")
    written.save(empty)
    assert history.read(empty if isinstance(empty, Volumes) else Engine(), NAME, tmp_path) == written
    assert history.read(empty, f"{NAME}-other", tmp_path) == history.History(f"{NAME}-other")


def test_a_save_leaves_one_volume(empty: Any, tmp_path: Path) -> None:
    for number in range(3):
        history.History(NAME, IMAGES, {"id": str(number), "restarts": 0}).save(empty)
    assert len(history.volumes(empty, NAME)) == 1
    assert history.read(empty, NAME, tmp_path).container["id"] == "2"


def test_of_a_save_that_was_killed_the_newer_counts(empty: Any, tmp_path: Path) -> None:
    """Killed between the new volume and the removal of the old one."""
    history.History(NAME, IMAGES, {"id": "old", "restarts": 0}).save(empty)
    (old,) = empty.volumes(LABEL_HISTORY, NAME)
    history.History(NAME, IMAGES, {"id": "new", "restarts": 0}).save(empty)
    empty.create_volume(f"{NAME}-history-again", old["Labels"])
    assert history.read(empty, NAME, tmp_path).container["id"] == "new"


@pytest.mark.parametrize("labels", [{}, {LABEL_WRITTEN: "soon"}, {LABEL_WRITTEN: "1", "go-service.images": "{"}], ids=str)
def test_what_cannot_be_read_is_no_history(empty: Any, tmp_path: Path, labels: dict[str, str]) -> None:
    empty.create_volume(f"{NAME}-history-foreign", {LABEL_HISTORY: NAME, **labels})
    assert history.read(empty, NAME, tmp_path) == history.History(NAME)


def test_the_files_of_an_earlier_version_are_taken_over(empty: Any, tmp_path: Path) -> None:
    record = {"service": NAME, "trees": ["context"], "images": IMAGES, "container": {"id": "c", "restarts": 1}}
    (tmp_path / "record.json").write_text(json.dumps(record))
    (tmp_path / "report.json").write_text(json.dumps({**REPORT, "bill": {"a": 1}, "terms": "x"}))
    report = {**REPORT, "sbom": {"a": 1}, "demands": "x"}
    assert history.read(empty, NAME, tmp_path) == history.History(NAME, IMAGES, {"id": "c", "restarts": 1}, report)
    (tmp_path / "record.json").write_text(json.dumps({**record, "service": "another"}))
    assert history.read(empty, NAME, tmp_path).images is None
    for broken in ("[]", "{", ""):
        (tmp_path / "record.json").write_text(broken)
        (tmp_path / "report.json").write_text(broken)
        assert history.read(empty, NAME, tmp_path) == history.History(NAME)


@pytest.mark.parametrize(
    ("images", "container"),
    [
        ([], {}),
        ({}, []),
        ({"a": "sha256:1"}, {}),
        ({"a": {"id": 1, "proven": True}}, {}),
        ({"a": {"id": "sha256:1"}}, {}),
        ({"a": {"proven": True}}, {}),
        ({**IMAGES, "a": None}, {}),
    ],
    ids=str,
)
def test_what_has_another_form_is_no_history(tmp_path: Path, images: Any, container: Any) -> None:
    """Neither on the Engine nor in the files of an earlier version."""
    engine = Volumes()
    history.History(NAME, images, container).save(engine)
    assert history.read(engine, NAME, tmp_path) == history.History(NAME)
    (tmp_path / "record.json").write_text(json.dumps({"service": NAME, "images": images, "container": container or None}))
    found = history.read(Volumes(), NAME, tmp_path)
    assert found == history.History(NAME) if images != {} else found.images == {}


def test_that_nobody_has_looked_for_images_yet_is_kept(tmp_path: Path) -> None:
    engine = Volumes()
    written = history.History(NAME, None, {"id": "c", "restarts": 0})
    written.save(engine)
    assert history.read(engine, NAME, tmp_path) == written


def test_two_saves_at_once_have_volumes_of_their_own() -> None:
    names = set()
    for _number in range(20):
        engine = Volumes()
        history.History(NAME).save(engine)
        names.update(history.volumes(engine, NAME))
    assert len(names) == 20
    assert all(name.startswith(f"{NAME}-history-") and len(name) == len(NAME) + 25 for name in names)
