"""Further runs: one by the same bundle changes nothing, one by a bundle that is not as it was written is refused and changes nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Callable

import pytest
from provision_tools import SCRATCH, changed, provision

BUNDLE = SCRATCH / "bundle.tar"


def test_a_second_run_changes_nothing_and_unpacks_nothing(machine_name: str, nothing_changes) -> None:
    unpacked = {path: path.stat().st_mtime for path in (SCRATCH / "bundles").iterdir()}
    assert len(unpacked) == 1
    assert changed(provision(machine_name)) == 0
    assert {path: path.stat().st_mtime for path in (SCRATCH / "bundles").iterdir()} == unpacked


def truncated(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size * 2 // 3)


def damaged(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))


def unsigned(path: Path) -> None:
    """Without its signature, and else as it was."""
    with tarfile.open(BUNDLE) as found, tarfile.open(path, "w") as target:
        for member in found:
            if member.name != "SHA256SUMS.sig":
                target.addfile(member, found.extractfile(member))


@pytest.mark.parametrize(
    ("how", "says"), [(truncated, "is (truncated|damaged)"), (damaged, "is damaged: "), (unsigned, "the bundle has no signature")]
)
def test_one_that_is_not_as_it_was_written_is_refused(
    machine_name: str, nothing_changes, tmp_path: Path, how: Callable[[Path], None], says: str
) -> None:
    shutil.copyfile(BUNDLE, tmp_path / "bundle.tar")
    how(tmp_path / "bundle.tar")
    told = provision(machine_name, succeeds=False, bundle_archive=str(tmp_path / "bundle.tar"), bundle_cache_dir=str(tmp_path / "cache"))
    assert re.search(says, told), told[-3000:]
    assert "What still runs: Nothing that ran before was touched." in told and "What to do:" in told
    assert changed(told) == 0
    assert not list((tmp_path / "cache").glob("*"))


def test_a_base_image_that_is_not_in_it_is_missed_before_anything_changes(machine_name: str, nothing_changes) -> None:
    told = provision(machine_name, succeeds=False, base_images_runtime="alpine:2.7", base_images_fallback="none")
    assert "does not do for" in told and "it does not have the base image alpine:2.7" in told
    assert changed(told) == 0


def test_a_controller_is_set_up_by_it(tmp_path: Path) -> None:
    """With the very Python that wrote it, and without a network: what `make` does first. Once, though each machine asks for it."""
    done = SCRATCH / "controller-was-set-up"
    if done.exists():
        return
    (unpacked,) = (SCRATCH / "bundles").iterdir()
    with tarfile.open(unpacked / "project/go_service.tar.gz") as archive:
        archive.extractall(tmp_path / "project", filter="data")
    script = f"""
        set -e
        python3 -m venv {tmp_path}/venv
        export PIP_NO_INDEX=1 PIP_FIND_LINKS={unpacked}/wheels PIP_DISABLE_PIP_VERSION_CHECK=1
        {tmp_path}/venv/bin/pip install --quiet --requirement requirements.txt
        {tmp_path}/venv/bin/pip install --quiet --require-hashes --no-deps --requirement requirements-hadolint.txt
        {tmp_path}/venv/bin/ansible-galaxy collection install --requirements-file requirements.yml
        {tmp_path}/venv/bin/ansible-playbook --syntax-check playbooks/provision.yml
        test -f Makefile -a -d molecule/offline
    """
    python = shutil.which("python3") or "python3"
    subprocess.run(
        ["unshare", "--net", "bash", "-c", script.replace("python3 -m", f"{python} -m")], cwd=tmp_path / "project", check=True, timeout=600
    )
    done.touch()
