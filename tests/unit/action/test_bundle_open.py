"""Each host gets the bundle that it names, held to the key that it names; hosts that ask for the same open it once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.action import bundle_open
from ansible_collections.proven.go_service.plugins.plugin_utils.bundle import archive


class Opening(bundle_open.ActionModule):
    """The action, for one host of a run."""

    def __init__(self) -> None:
        self._task_vars = {"inventory_hostname": "web1"}

    def validate_argument_spec(self, **_given: Any) -> Any:
        return None, self.given

    def opened(self, path: Path, cache: Path, machine: str, key: str = "") -> dict[str, Any]:
        target = {"machine": machine, "release": "trixie", "name": "Debian 13", "status": "ready", "images": []}
        self.given = {"archive": str(path), "public_key": key, "cache": str(cache), "target": target}
        return self.work({})["bundle"]


@pytest.fixture(autouse=True)
def run_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_open.C, "DEFAULT_LOCAL_TMP", str(tmp_path / "local"))


def bundle(place: Path, machine: str) -> Path:
    """Return a bundle for a kind of machines."""
    (place / machine).mkdir()
    (place / machine / "file").write_text(machine)
    contents = {"machine": machine, "releases": [], "base_images": [], "services": {}, "modules": {}}
    archive.write(place / machine, place / f"{machine}.tar", contents, None)
    return place / f"{machine}.tar"


def test_hosts_of_one_run_that_name_different_bundles_get_each_its_own(tmp_path: Path) -> None:
    for machine in ("x86_64", "aarch64"):
        found = Opening().opened(bundle(tmp_path, machine), tmp_path / "cache", machine)
        assert Path(found["directory"], "file").read_text() == machine


def test_a_host_that_requires_a_signature_does_not_get_what_another_took_without(tmp_path: Path) -> None:
    made = bundle(tmp_path, "x86_64")
    assert not Opening().opened(made, tmp_path / "cache", "x86_64")["signed"]
    with pytest.raises(archive.BundleError, match="has no signature"):
        Opening().opened(made, tmp_path / "cache", "x86_64", "ssh-ed25519 AAAA someone")


def test_what_hosts_ask_for_alike_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = bundle(tmp_path, "x86_64")
    first = Opening().opened(made, tmp_path / "cache", "x86_64")
    monkeypatch.setattr(archive, "open_bundle", lambda *_given: pytest.fail("opened again"))
    assert Opening().opened(made, tmp_path / "cache", "x86_64") == first
