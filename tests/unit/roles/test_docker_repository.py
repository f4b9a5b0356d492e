"""Docker's repository as a machine's own apt sees it: what is fetched is a key, what is written works, and what does not work is taken away again."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from plays import PROJECT, ansible_playbook, environment

pytestmark = [
    # The scenario `provision` installs an Engine from such a repository.
    pytest.mark.long,
    pytest.mark.skipif(not all(map(shutil.which, ("apt-get", "gpg"))), reason="apt reads the repository, and gpg signs it"),
]
PAGE = b"<html>Sign in</html>"


class Mirror:
    """A mirror of the repository, a machine's settings of apt, and the tasks that bring them together."""

    def __init__(self, place: Path) -> None:
        self.place, self.files = place, place / "mirror"
        self.etc = place / "etc"
        for path in (self.files / "dists/trixie/stable/binary-amd64", self.etc / "sources.list.d", self.etc / "keyrings"):
            path.mkdir(parents=True)
        # Another user could not read below pytest's directory.
        options = 'APT::Sandbox::User "root"; APT::Architecture "amd64"; APT::Architectures { "amd64"; };'
        (place / "apt.conf").write_text(f'Dir::Etc "{self.etc}"; {options}')
        self.source, self.key = self.etc / "sources.list.d/go-service-docker.sources", self.etc / "keyrings/go-service-docker.asc"
        self.address = ""

    def gpg(self, *arguments: str) -> bytes:
        home = self.place / "gnupg"
        home.mkdir(mode=0o700, exist_ok=True)
        return subprocess.run(
            ["gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase", "", *arguments],
            check=True,
            capture_output=True,
        ).stdout

    def publish(self, *, binary: bool = False) -> None:
        """Sign the repository, and offer the key."""
        self.gpg("--quick-generate-key", "docker@example.com", "rsa3072", "sign", "never")
        (self.files / "gpg").write_bytes(self.gpg("--export") if binary else self.gpg("--armor", "--export"))
        packed = gzip.compress(b"")
        release = self.files / "dists/trixie/Release"
        (release.parent / "stable/binary-amd64/Packages.gz").write_bytes(packed)
        sums = f" {hashlib.sha256(packed).hexdigest()} {len(packed)} stable/binary-amd64/Packages.gz\n"
        head = "Suite: trixie\nCodename: trixie\nComponents: stable\nArchitectures: amd64\nDate: Sun, 29 Nov 2026 10:00:00 UTC\n"
        release.write_text(f"{head}SHA256:\n{sums}")
        self.gpg("--clearsign", "--output", str(release.with_name("InRelease")), str(release))

    def set_up(self, **given: Any) -> tuple[int, str]:
        """Run the tasks; return how they ended, and all that was printed."""
        variables = {
            "docker_engine_source": "docker",
            "docker_engine_repository": self.address,
            "docker_engine_repository_key": "",
            "docker_engine_repository_suite": "trixie",
            "docker_engine_version": "",
            "__docker_engine_platform": {"family": "debian", "suite": "trixie", "name": "Debian 13"},
            "__docker_engine_wanted": ["docker-ce"],
            "__docker_engine_repository_path": str(self.source),
            "ansible_facts": {"pkg_mgr": "apt"},
            "ansible_become": False,
            **given,
        }
        tasks = (PROJECT / "roles/docker_engine/tasks/repository.yml").read_text(encoding="utf-8").replace("/etc/apt/", f"{self.etc}/")
        (self.place / "repository.yml").write_text(tasks)
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "environment": {"APT_CONFIG": str(self.place / "apt.conf")},
            "vars_files": [str(PROJECT / "roles/docker_engine/vars/main.yml")],
            "tasks": [{"ansible.builtin.import_tasks": str(self.place / "repository.yml")}],
        }
        (self.place / "play.yml").write_text(json.dumps([play]))
        settings = environment(
            ANSIBLE_COLLECTIONS_PATH=PROJECT / "collections", ANSIBLE_HOME=self.place / "home", ANSIBLE_LOCALHOST_WARNING="false"
        )
        done = ansible_playbook(
            "-i", PROJECT / "inventory/local.yml", self.place / "play.yml", "-e", json.dumps(variables), cwd=self.place, env=settings
        )
        return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    made = Mirror(tmp_path)
    handler = partial(SimpleHTTPRequestHandler, directory=made.files)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made.address = f"http://127.0.0.1:{server.server_port}"
        yield made
        server.shutdown()
    subprocess.run(["gpgconf", "--homedir", tmp_path / "gnupg", "--kill", "all"], check=False)


def test_a_page_in_place_of_the_key_is_refused_and_the_key_is_fetched_once_it_is_there(mirror: Mirror) -> None:
    (mirror.files / "gpg").write_bytes(PAGE)
    code, told = mirror.set_up()
    assert code and f"What {mirror.address}/gpg answers to localhost is no key of OpenPGP" in told
    assert not mirror.key.exists() and not mirror.source.exists()
    # A page that an earlier version of the role took for a key, and that is newer than the key.
    mirror.key.write_bytes(PAGE)
    mirror.publish()
    code, told = mirror.set_up(docker_engine_repository=f"{mirror.address}//")
    assert code == 0, told
    assert mirror.key.read_bytes() == (mirror.files / "gpg").read_bytes()
    assert f"URIs: {mirror.address}\n" in mirror.source.read_text()
    code, told = mirror.set_up()
    assert code == 0 and "changed=0" in told, told


def test_a_key_in_binary_form_gets_the_name_by_which_apt_knows_it(mirror: Mirror) -> None:
    mirror.publish(binary=True)
    code, told = mirror.set_up()
    assert code == 0, told
    assert mirror.key.with_suffix(".gpg").read_bytes() == (mirror.files / "gpg").read_bytes() and not mirror.key.exists()


def test_a_key_as_text_is_written_as_it_is(mirror: Mirror) -> None:
    mirror.publish()
    text = (mirror.files / "gpg").read_text()
    (mirror.files / "gpg").unlink()
    code, told = mirror.set_up(docker_engine_repository_key=text)
    assert code == 0, told
    assert mirror.key.read_text() == text


def test_a_repository_with_which_apt_fails_is_taken_away_again(mirror: Mirror) -> None:
    mirror.publish()
    code, told = mirror.set_up(docker_engine_repository_suite="sid")
    assert code and "The repository was removed again" in told and "does not have a Release file" in told
    assert not mirror.key.exists() and not mirror.source.exists()


def test_a_repository_that_is_set_up_already_is_used_however_its_address_ends(mirror: Mirror) -> None:
    (mirror.etc / "sources.list.d/docker.list").write_text(f"deb [signed-by=/other.asc] {mirror.address} trixie stable\n")
    code, told = mirror.set_up(docker_engine_repository=f"{mirror.address}/")
    assert code == 0 and "changed=0" in told, told
    assert not mirror.key.exists() and not mirror.source.exists()


def test_the_password_of_a_key_that_could_not_be_fetched_is_not_shown_but_why(mirror: Mirror) -> None:
    address = mirror.address.replace("://", "://me:s3cret@") + "/nokey"
    code, told = mirror.set_up(docker_engine_repository_key=address)
    assert code and f"from {mirror.address.replace('://', '://***@')}/nokey: HTTP Error 404" in told and "s3cret" not in told
