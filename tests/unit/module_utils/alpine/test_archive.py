"""Archives of images: what the Engine loads, with the same ids whoever writes them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import IO

from ansible_collections.proven.go_service.plugins.module_utils.alpine import archive


def write(content: bytes) -> object:
    return lambda target: target.write(content) and None


def written(target: IO[bytes], machine: str = "x86_64") -> dict[str, str]:
    """Write two images, the second one on the first one's layer, and return their ids."""
    writer = archive.Writer(target, 1_700_000_000, machine)
    lower, upper = writer.layer(write(b"lower" * 999), "Lower."), writer.layer(write(b"upper"), "Upper.")
    return writer.finish([archive.Image("one:1", (lower,), {"Cmd": ["sh"]}), archive.Image("two:2", (lower, upper))])


def test_an_archive_holds_the_images_by_their_digests() -> None:
    target = io.BytesIO()
    ids = written(target)
    with tarfile.open(fileobj=io.BytesIO(target.getvalue())) as tar:
        content = {member.name: tar.extractfile(member).read() for member in tar}
    manifest = {entry["RepoTags"][0]: entry for entry in json.loads(content["manifest.json"])}
    for name, layers in (("one:1", [b"lower" * 999]), ("two:2", [b"lower" * 999, b"upper"])):
        config = content[manifest[name]["Config"]]
        assert ids[name] == "sha256:" + hashlib.sha256(config).hexdigest()
        assert [content[layer] for layer in manifest[name]["Layers"]] == layers
        document = json.loads(config)
        assert document["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers]
        assert (document["architecture"], document["os"], document["created"]) == ("amd64", "linux", "2023-11-14T22:13:20Z")
        assert [step["created_by"] for step in document["history"]] == ["Lower.", "Upper."][: len(layers)]
    assert len(content) == 5, "a layer is written once"


def test_the_same_images_are_the_same_bytes() -> None:
    first, other = io.BytesIO(), io.BytesIO()
    assert written(first) == written(other)
    assert first.getvalue() == other.getvalue()


def test_each_machine_has_its_own() -> None:
    assert written(io.BytesIO())["one:1"] != written(io.BytesIO(), "aarch64")["one:1"]
