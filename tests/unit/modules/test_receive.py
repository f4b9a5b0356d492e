"""What comes is held to its checksum before anything changes, and the image to its id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import EngineError
from ansible_collections.proven.go_service.plugins.module_utils.engine.transfer import OtherImage
from ansible_collections.proven.go_service.plugins.module_utils.image.pieces import Sum
from ansible_collections.proven.go_service.plugins.modules.receive import Damaged, known, load, note

OFFER: dict[str, Any] = {"id": "sha256:one", "tag": "1", "provenance": {"a": 1}, "sbom": {"b": 2}}


class Engine:
    """An Engine that loads whatever it is given as one image."""

    def __init__(self, loads: str = "sha256:one", refuses: str = "") -> None:
        self.ids, self.loaded, self._loads, self._refuses = ["sha256:there"], 0, loads, refuses

    def images(self) -> list[dict[str, Any]]:
        return [{"Id": image} for image in self.ids]

    def image(self, reference: str) -> dict[str, Any] | None:
        return {"Id": reference} if reference in self.ids else None

    def load_image(self, _archive: Path) -> None:
        self.loaded += 1
        if self._refuses:
            raise EngineError(self._refuses)
        self.ids.append(self._loads)

    def remove_image(self, reference: str) -> bool:
        self.ids.remove(reference)
        return True


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return a file that stands for an archive."""
    (tmp_path / "archive").write_bytes(b"x" * 5000)
    return tmp_path / "archive"


def test_what_was_sent_is_loaded(archive: Path) -> None:
    engine = Engine()
    assert load(engine, archive, Sum.of(archive), OFFER, whole=True)
    assert engine.ids == ["sha256:there", "sha256:one"]


@pytest.mark.parametrize("came", [b"x" * 4999, b"x" * 4999 + b"y", b""], ids=["truncated", "damaged", "empty"])
def test_a_damaged_archive_never_reaches_the_engine(archive: Path, came: bytes) -> None:
    engine, expected = Engine(), Sum.of(archive)
    archive.write_bytes(came)
    with pytest.raises(Damaged, match=f"is damaged: {len(came)} bytes .* but 5000 with "):
        load(engine, archive, expected, OFFER, whole=True)
    assert (engine.loaded, engine.ids) == (0, ["sha256:there"])


def test_another_image_does_not_stay(archive: Path) -> None:
    engine = Engine(loads="sha256:two")
    with pytest.raises(OtherImage, match="holds another image"):
        load(engine, archive, Sum.of(archive), OFFER, whole=True)
    assert engine.ids == ["sha256:there"]


def test_a_layer_that_was_left_out_is_asked_for(archive: Path) -> None:
    """Of a whole archive it is an error of the archive's."""
    refuses = "loading an image: open /var/lib/docker/tmp/docker-import-1/a/layer.tar: no such file or directory"
    assert load(Engine(refuses=refuses), archive, Sum.of(archive), OFFER, whole=False) is False
    for engine, whole in ((Engine(refuses=refuses), True), (Engine(refuses="no space left on device"), False)):
        with pytest.raises(EngineError):
            load(engine, archive, Sum.of(archive), OFFER, whole=whole)


def test_the_history_knows_what_came_until_it_is_proven() -> None:
    images: dict[str, dict[str, Any]] = {"1": {"id": "sha256:of another build", "proven": True, "turn": 1}}
    assert note(OFFER, images) and images["1"] == {"id": "sha256:one", "proven": False, "provenance": {"a": 1}, "sbom": {"b": 2}}
    images["1"]["proven"] = True
    assert not note(OFFER, images) and images["1"]["proven"] and known(OFFER, images)


def test_what_is_known_of_an_image_comes_again_after_a_history_was_lost() -> None:
    """The image was adopted as one that was proven; how it was built is known to the build host."""
    images: dict[str, dict[str, Any]] = {"1": {"id": "sha256:one", "proven": True}}
    assert not known(OFFER, images)
    assert note(OFFER, images) and images["1"] == {"id": "sha256:one", "proven": True, "provenance": {"a": 1}, "sbom": {"b": 2}}
    assert known(OFFER, images) and not note(OFFER, images)
    nothing: dict[str, Any] = {**OFFER, "provenance": {}, "sbom": {}}
    assert known(nothing, {"1": {"id": "sha256:one", "proven": True}})
