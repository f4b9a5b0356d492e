"""Only an image that kept the contract on this host is given to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import offer as subject
from ansible_collections.proven.go_service.plugins.module_utils.deploy.history import History

DIGEST = "d" * 64
TAG = DIGEST[:12]
IMAGE: dict[str, Any] = {
    "Id": "sha256:one",
    "Architecture": "amd64",
    "Size": 12,
    "RepoTags": [f"web:{TAG}", "web:latest"],
    "RootFS": {"Layers": ["sha256:a", "sha256:b"]},
    "Config": {"Labels": {"go-service.digest": DIGEST, "org.opencontainers.image.version": "1.2"}},
}
PROVEN = {TAG: {"id": "sha256:one", "proven": True, "with": {"port": 8080}, "provenance": {"subject": []}}}


class Engine:
    """An Engine with some images."""

    def __init__(self, images: dict[str, dict[str, Any]]) -> None:
        self._images, self.tagged = images, []

    def image(self, reference: str) -> dict[str, Any] | None:
        return self._images.get(reference)

    def info(self) -> dict[str, Any]:
        return {"DriverStatus": [["Backing Filesystem", "extfs"]]}

    def tag(self, *words: str) -> None:
        self.tagged.append(words)


@pytest.fixture
def past(monkeypatch: pytest.MonkeyPatch) -> History:
    """Return what earlier runs did, which has nothing foreign in it."""
    history = History("web", images=PROVEN, report={"digest": DIGEST, "sbom": {"components": []}})
    monkeypatch.setattr(subject, "remember", lambda *_words: history)
    monkeypatch.setattr(subject, "refuse_foreign_images", lambda *_words: None)
    return history


def test_what_is_in_service_is_offered_with_all_that_is_known_of_it(past: History) -> None:
    engine = Engine({"web:latest": IMAGE})
    found = subject.proven_image(engine, "web", Path("/nowhere"))
    assert (found["id"], found["tag"], found["digest"], found["version"], found["architecture"]) == (
        "sha256:one",
        TAG,
        DIGEST,
        "1.2",
        "amd64",
    )
    assert (found["with"], found["provenance"], found["sbom"]) == ({"port": 8080}, {"subject": []}, {"components": []})
    assert (found["layers"], found["containerd"], engine.tagged) == (["sha256:a", "sha256:b"], False, [])


def test_what_the_last_report_says_of_another_image_is_not_told(past: History) -> None:
    past.report = {"digest": "e" * 64, "sbom": {"components": ["of another"]}}
    assert subject.proven_image(Engine({"web:latest": IMAGE}), "web", Path("/nowhere"))["sbom"] == {}


def test_a_name_that_was_taken_away_is_given_back(past: History) -> None:
    engine = Engine({"web:latest": {**IMAGE, "RepoTags": ["web:latest"]}})
    subject.proven_image(engine, "web", Path("/nowhere"))
    assert engine.tagged == [("sha256:one", "web", TAG)]


@pytest.mark.parametrize(
    "images",
    [{}, {TAG: {"id": "sha256:one", "proven": False}}, {TAG: {"id": "sha256:another", "proven": True}}, {"e" * 12: PROVEN[TAG]}],
    ids=["unknown", "not proven", "another image", "another tag"],
)
def test_an_image_that_was_not_proven_here_is_refused(past: History, images: dict[str, dict[str, Any]]) -> None:
    past.images = images
    with pytest.raises(Failure, match="was not checked against the contract on this host"):
        subject.proven_image(Engine({"web:latest": IMAGE}), "web", Path("/nowhere"))


@pytest.mark.parametrize(("wanted", "words"), [("latest", "no image of web is in service"), ("1", "there is no image web:1")])
def test_an_image_that_is_not_there_is_told(past: History, wanted: str, words: str) -> None:
    with pytest.raises(Failure, match=words):
        subject.proven_image(Engine({}), "web", Path("/nowhere"), wanted)


ELSEWHERE = {**IMAGE, "Id": "sha256:two", "Architecture": "arm64", "RepoTags": [f"web:{TAG}", "web:latest-arm64"]}


def test_a_host_of_another_platform_gets_what_was_built_for_it(past: History) -> None:
    """Nothing has proven it here; its bill of materials is not in the report of what runs here."""
    past.images = {
        TAG: {"id": "sha256:two", "proven": False, "platform": "linux/arm64", "sbom": {"components": ["arm"]}, "with": {"port": 1}}
    }
    past.report = {}
    engine = Engine({"web:latest": IMAGE, "web:latest-arm64": ELSEWHERE})
    found = subject.proven_image(engine, "web", Path("/nowhere"), platform="linux/arm64")
    assert (found["id"], found["architecture"], found["sbom"], found["with"]) == (
        "sha256:two",
        "arm64",
        {"components": ["arm"]},
        {"port": 1},
    )


@pytest.mark.parametrize(
    ("known", "images", "words"),
    [
        ({"platform": "linux/arm64"}, {"web:latest": IMAGE}, "no image of web for linux/arm64 was built on this host"),
        ({}, {"web:latest-arm64": ELSEWHERE}, "was not checked against the contract"),
        ({"platform": "linux/riscv64"}, {"web:latest-arm64": ELSEWHERE}, "was not checked against the contract"),
        ({"proven": True}, {"web:latest-arm64": ELSEWHERE}, "was not checked against the contract"),
    ],
    ids=["not built", "not judged", "for a third one", "of the host itself"],
)
def test_what_was_not_built_for_a_platform_is_not_given_to_its_hosts(
    past: History, known: dict[str, Any], images: dict[str, dict[str, Any]], words: str
) -> None:
    past.images = {TAG: {"id": "sha256:two", "proven": False, **known}}
    with pytest.raises(Failure, match=words):
        subject.proven_image(Engine(images), "web", Path("/nowhere"), platform="linux/arm64")
