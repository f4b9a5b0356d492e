"""A container that does one thing before a build: what it is given is in memory alone, and it leaves nothing."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tarfile
from dataclasses import replace
from typing import IO

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.engine import errand
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.proven.go_service.plugins.module_utils.engine.errand import Errand
from plays import RUNTIME

pytestmark = pytest.mark.engine
NAME = "utest-errand"
ASKED = Errand(
    image=RUNTIME,
    environment={"KIND": "test"},
    network="none",
    directory="/src",
    files={"/src/go.mod": b"module a\n"},
    memory="/run/given",
    program="mount | grep /run/given; ls -ln /run/given/access; cp go.mod /made/$KIND; echo done >&2; exec $1\n",
    command="true",
    seconds=30,
    labels={"go-service.name": NAME},
)


def read(stream: IO[bytes]) -> dict[str, bytes]:
    """Return the files of an archive."""
    with tarfile.open(fileobj=stream, mode="r|*") as opened:
        return {entry.name: opened.extractfile(entry).read() for entry in opened if entry.isfile()}


def docker(*arguments: str) -> list[str]:
    """Return the lines that the Docker client prints."""
    return subprocess.check_output(["docker", *arguments], text=True).splitlines()


def unnamed_volumes() -> set[str]:
    """Return the volumes that the Engine gave a name: those with names come and go with other tests."""
    return {name for name in docker("volume", "ls", "-q") if re.fullmatch("[0-9a-f]{64}", name)}


def test_what_it_is_given_is_in_memory_and_what_it_makes_is_read(engine: Engine) -> None:
    volumes, found = unnamed_volumes(), {}
    code, printed = errand.run(engine, NAME, ASKED, "/made", lambda stream: found.update(read(stream)))
    assert (code, found) == (0, {"made/test": b"module a\n"})
    # While the Engine still writes the last file it has the memory mounted once more, over itself: `mount` may print it twice.
    *mounted, access, ended = printed
    assert mounted and {line.partition(" (")[0] for line in mounted} == {"tmpfs on /run/given type tmpfs"}
    assert access.startswith("-rw------- ") and ended == "done"
    assert engine.container(NAME) is None
    assert unnamed_volumes() == volumes


def test_a_failure_is_told_by_its_code_and_its_words(engine: Engine) -> None:
    code, printed = errand.run(engine, NAME, replace(ASKED, command="false"), "/made", lambda _stream: pytest.fail("nothing is read"))
    assert code == 1 and printed[-1] == "done"
    assert engine.container(NAME) is None


def test_one_that_takes_too_long_is_ended(engine: Engine) -> None:
    with pytest.raises(EngineError, match=r"no end within 0\.5 s"):
        errand.run(engine, NAME, replace(ASKED, program="sleep 60", seconds=0.5), "/made", lambda _stream: None)
    assert engine.container(NAME) is None


def test_one_whose_run_was_killed_ends_by_itself(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left in memory then; what remains of it goes with the next run, as a candidate does."""
    monkeypatch.setattr(errand, "_PATIENCE", 0)
    made = engine.create(NAME, ASKED.body)
    try:
        engine.start(made)
        assert subprocess.check_output(["docker", "wait", made], text=True, timeout=30) == "1\n"
    finally:
        engine.remove(made)


def test_the_request_names_no_secret() -> None:
    body = replace(ASKED, program="a secret").body
    assert "a secret" not in str(body) and os.fspath(ASKED.memory) in str(body)


@pytest.mark.parametrize("call", ["create", "remove"])
def test_one_call_that_goes_wrong_leaves_no_container(engine: Engine, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """An answer to its creation that is lost, so that its id is not known; a removal that is not done at once."""
    engine.remove(NAME)
    asked = getattr(engine, call)
    calls: list[str] = []

    def fail(name: str, *arguments: object) -> object:
        calls.append(name)
        if call == "create":
            asked(name, *arguments)
        # The removal of what an earlier run left is the first one.
        if call == "create" or len(calls) == 2:
            raise EngineError("lost")
        return asked(name, *arguments)

    monkeypatch.setattr(engine, call, fail)
    with contextlib.suppress(EngineError), errand.short_lived(engine, NAME, {"Image": RUNTIME}):
        assert engine.container(NAME)
    assert engine.container(NAME) is None
