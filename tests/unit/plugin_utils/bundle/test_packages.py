"""Packages of a release as an archive that apt installs from: chosen by apt itself from a repository, whatever this machine has."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.plugin_utils.bundle import packages
from ansible_collections.proven.go_service.plugins.plugin_utils.bundle.archive import BundleError

pytestmark = pytest.mark.skipif(not shutil.which("apt-get") or not shutil.which("dpkg-deb"), reason="apt chooses the packages")


def package(directory: Path, name: str, **fields: str) -> Path:
    """Build a package."""
    control = {"Package": name, "Version": "1:2~x", "Architecture": "all", "Maintainer": "x <x@example.com>", "Description": "x", **fields}
    (directory / name / "DEBIAN").mkdir(parents=True)
    # Whatever the umask of the tests before is.
    (directory / name / "DEBIAN").chmod(0o755)
    (directory / name / "DEBIAN/control").write_text("".join(f"{key}: {value}\n" for key, value in control.items()))
    subprocess.run(["dpkg-deb", "--build", str(directory / name), str(directory / f"{name}.deb")], check=True, capture_output=True)
    shutil.rmtree(directory / name)
    return directory / f"{name}.deb"


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository, which stands for all suites of a release."""
    repository = tmp_path / "mirror"
    repository.mkdir()
    # libc6 is on this machine, and comes all the same.
    package(repository, "engine", Depends="libc6, client")
    package(repository, "client", Recommends="manual")
    package(repository, "libc6")
    package(repository, "manual")
    parts = []
    for file in sorted(repository.glob("*.deb")):
        control = subprocess.run(["dpkg-deb", "--field", str(file)], capture_output=True, text=True, check=True).stdout
        parts.append(packages.stanza(control, file.name, file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()))
    (repository / "Packages").write_text("\n".join(parts))
    monkeypatch.setattr(packages, "sources", lambda _release, mirror, _security: f"deb [trusted=yes] copy:{mirror} ./\n")
    return repository


def test_all_that_is_depended_on_comes_with_an_index_that_apt_reads(mirror: Path, tmp_path: Path) -> None:
    target = tmp_path / "trixie.tar"
    found = packages.fetch("trixie", ["engine"], ["manual-of-another-release"], (str(mirror), ""), target)
    assert [name.partition("_")[0] for name in found] == ["client", "engine", "libc6"]
    with tarfile.open(target) as archive:
        assert archive.getnames() == [packages.INDEX, *found]
        archive.extractall(tmp_path / "unpacked", filter="data")
    again = packages.fetch("trixie", ["engine"], [], (str(tmp_path / "unpacked"), ""), tmp_path / "again.tar")
    assert again == found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.tar", "mirror", "trixie.tar", "unpacked"]


def test_what_a_release_may_have_comes_where_it_has_it(mirror: Path, tmp_path: Path) -> None:
    found = packages.fetch("trixie", ["libc6"], ["manual", "none"], (str(mirror), ""), tmp_path / "x.tar")
    assert [name.partition("_")[0] for name in found] == ["libc6", "manual"]


def test_what_apt_lacks_is_told_in_its_words(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="Unable to locate package nowhere"):
        packages.fetch("trixie", ["nowhere"], [], (str(mirror), ""), tmp_path / "x.tar")
    with pytest.raises(BundleError, match="apt-get update") as error:
        packages.fetch("trixie", ["engine"], [], (str(tmp_path / "elsewhere"), ""), tmp_path / "x.tar")
    assert "bundle_mirror" in error.value.remedy
    assert not (tmp_path / "x.tar").exists()


def test_a_release_has_its_updates_and_its_security_updates() -> None:
    lines = packages.sources("trixie", "http://a.org/debian", "http://b.org/security").splitlines()
    assert [line.split("] ")[1] for line in lines] == [
        "http://a.org/debian trixie main",
        "http://a.org/debian trixie-updates main",
        "http://b.org/security trixie-security main",
    ]
    assert all("signed-by=/usr/share/keyrings/" in line for line in lines)
    # What lies on this machine's own disk has to come as well.
    assert "copy:/srv/mirror trixie main" in packages.sources("trixie", "file:/srv/mirror", "file:/srv/mirror")
