"""An image that a bundle has kept: what a host would have offered is read from its directory, and no host is asked."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.proven.go_service.plugins.action import offer
from ansible_collections.proven.go_service.plugins.plugin_utils.depot import Depot, archive_of

OFFER = {"tag": "abc", "architecture": "arm64"}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return a directory in which an image was kept."""
    (tmp_path / "packed").write_bytes(b"an archive")
    offer._keep(tmp_path / "services", "api", OFFER, {"whole": {"size": 10}}, tmp_path / "packed")
    return tmp_path / "services"


@pytest.mark.parametrize(("fetch", "check"), [(False, False), (True, True), (True, False)])
def test_what_was_kept_is_offered_and_its_archive_lies_where_a_hosts_would(kept: Path, tmp_path: Path, fetch: bool, check: bool) -> None:
    action, depot = SimpleNamespace(_task=SimpleNamespace(check_mode=check)), Depot(str(tmp_path / "local"))
    found = offer.ActionModule._kept(action, kept, "api", depot, fetch=fetch)  # type: ignore[arg-type]
    assert found["offer"] == OFFER and not found["changed"]
    assert found.get("contents") == ({"whole": {"size": 10}} if fetch and not check else None)
    if fetch and not check:
        assert depot.file(archive_of(OFFER), "api").read_bytes() == b"an archive"
        # Another host of the run finds it there.
        assert offer.ActionModule._kept(action, kept, "api", depot, fetch=True) == found  # type: ignore[arg-type]
    else:
        assert not (tmp_path / "local").exists()


def test_what_is_kept_is_plain_to_read(kept: Path) -> None:
    assert json.loads((kept / "api.json").read_text()) == {"offer": OFFER, "contents": {"whole": {"size": 10}}}
    assert sorted(path.name for path in kept.iterdir()) == ["api.json", "api.tar.gz"]
