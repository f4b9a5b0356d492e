"""The password of a repository's address is for its host alone, wherever the repository or its server lead on to."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from small_plays import play

WANTED = "Basic " + base64.b64encode(b"me:canary-w/rd").decode()


class Guarded(SimpleHTTPRequestHandler):
    """Serves files to who knows the password, and notes what it is told of passwords."""

    def __init__(self, *args: Any, told: list[str], lead_to: str = "", **kwargs: Any) -> None:
        self.told, self.lead_to = told, lead_to
        super().__init__(*args, **kwargs)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer with a file, ask for the password, or lead to another server."""
        given = self.headers["Authorization"] or ""
        self.told.append(given)
        if self.lead_to:
            self.send_response(302)
            self.send_header("Location", self.lead_to + self.path)
            self.end_headers()
        elif given == WANTED:
            super().do_GET()
        else:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="source"')
            self.end_headers()


@contextmanager
def serving(directory: Path, told: list[str], lead_to: str = "") -> Iterator[str]:
    """Serve a directory; yield host and port. told: takes what is said of passwords."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Guarded, directory=str(directory), told=told, lead_to=lead_to)) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def git(directory: Path, *arguments: str) -> str:
    """Run git in a directory, as nobody in particular."""
    command = ["git", "-c", "user.name=me", "-c", "user.email=me@example.org", *arguments]
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    return subprocess.run(command, cwd=directory, env=env, check=True, capture_output=True, text=True).stdout.strip()


def fetched(directory: Path, address: str, settings: Callable[..., Settings]) -> str:
    """Fetch an address by the role's action; return what that printed."""
    directory.mkdir()
    wanted = replace(settings(name="utest-fetch", source_type="git", source="https://example.com/x"), source="(not shown)").as_json()
    task = {"proven.go_service.fetch": {"settings": wanted, "dest": "{{ top }}/clone"}}
    done = play(directory, [task], {"utest": {}}, {"go_service_source": address})
    return done.stdout + done.stderr


def test_the_password_of_a_repository_is_told_to_its_host_alone(tmp_path: Path, settings: Callable[..., Settings]) -> None:
    (tmp_path / "served").mkdir()
    git(tmp_path / "served", "init", "-q", "source")
    source = tmp_path / "served/source"
    own: list[str] = []
    others: list[str] = []
    with serving(tmp_path / "served", own) as here, serving(tmp_path, others) as there, serving(tmp_path, [], f"http://{there}") as leads:
        (source / "go.mod").write_text("module example.com/app\n")
        git(source, "add", "go.mod")
        git(source, "commit", "-q", "-m", "first")
        git(source, "update-server-info")
        good = fetched(tmp_path / "good", f"http://me:canary-w%2Frd@{here}/source/.git", settings)
        assert (tmp_path / "good/clone/go.mod").exists(), good
        assert WANTED in own
        # A submodule of another host, and a server that leads there.
        (source / ".gitmodules").write_text(f'[submodule "lib"]\n\tpath = lib\n\turl = http://{there}/lib.git\n')
        git(source, "add", ".gitmodules")
        git(source, "update-index", "--add", "--cacheinfo", f"160000,{git(source, 'rev-parse', 'HEAD')},lib")
        git(source, "commit", "-q", "-m", "second")
        git(source, "update-server-info")
        printed = fetched(tmp_path / "submodule", f"http://me:canary-w%2Frd@{here}/source/.git", settings)
        printed += fetched(tmp_path / "redirect", f"http://me:canary-w%2Frd@{leads}/source/.git", settings)
    assert len(others) >= 2, printed
    assert set(others) == {""}, printed
    assert "canary-w" not in printed
