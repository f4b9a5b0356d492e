"""Archives that are made in memory."""

from __future__ import annotations

import io
import tarfile

from ansible_collections.proven.go_service.plugins.module_utils.common import archives


def test_files_have_the_mode_and_the_owner_that_are_asked_for_and_a_slash_makes_a_directory() -> None:
    made = archives.packed({"/a/b": b"text", "/c/": b""}, 0o400, 1000, 1001)
    with tarfile.open(fileobj=io.BytesIO(made)) as opened:
        found = {entry.name: (entry.type, entry.mode, entry.uid, entry.gid) for entry in opened}
        assert opened.extractfile("a/b").read() == b"text"
    assert found == {"a/b": (tarfile.REGTYPE, 0o400, 1000, 1001), "c": (tarfile.DIRTYPE, 0o755, 1000, 1001)}
    with tarfile.open(fileobj=io.BytesIO(archives.packed({"x": b""}))) as opened:
        assert [(entry.mode, entry.uid, entry.gid) for entry in opened] == [(0o600, 0, 0)]
