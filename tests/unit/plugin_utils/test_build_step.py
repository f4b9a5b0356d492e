"""Which step of a build runs: asked of the processes of a real host."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.names import APPLYING
from ansible_collections.proven.go_service.plugins.plugin_utils import build_step
from ansible_collections.proven.go_service.plugins.plugin_utils.board import Board

# No Go is needed: the shell goes on after a command that is not there, and waits for its input.
COMPILE = "go build -ldflags=\"-s -w\" -o /out/utest 'a b' || read _line"
DOCKERFILE = f"""\
# RUN go build of-a-comment
FROM builder AS build
RUN go build 'a' \\
 || true; \\
    read _line
RUN --mount=type=cache,id=c,target=/c --mount=type=cache,id=d,target=/d {COMPILE}
FROM base
LABEL a="RUN b"
RUN go test -ldflags="-s -w" ./...
RUN --mount=type=secret,id=s --mount=type=tmpfs,target=/t \\
    sh /s go mod download
"""


class Shell:
    """A connection to this machine."""

    transport = "local"
    code = "sh"

    def set_become_plugin(self, plugin: object) -> None:
        assert plugin is None

    def exec_command(self, command: str, sudoable: bool) -> tuple[int, bytes, bytes]:
        assert not sudoable
        done = subprocess.run([self.code, "-c", command], capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def running(*arguments: str, **more: Any) -> Iterator[None]:
    """Let a process run as long as the block does."""
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, **more) as process:
        try:
            yield
        finally:
            process.kill()


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Board:
    """Return a board of its own that is read."""
    board = Board()
    board.is_read = True
    monkeypatch.setattr(build_step, "BOARD", board)
    monkeypatch.setattr(build_step, "INTERVAL", 0.02)
    return board


def seen(board: Board, wanted: str) -> bool:
    """Wait until a text is on the board; return whether it came."""
    ends = time.monotonic() + 10
    while time.monotonic() < ends and board.read()[1] != wanted:
        time.sleep(0.01)
    return board.read()[1] == wanted


def test_the_steps_of_a_dockerfile_are_what_a_builder_gives_to_the_shell() -> None:
    assert build_step.run_steps(DOCKERFILE) == [
        "go build 'a'  || true;     read _line",
        COMPILE,
        'go test -ldflags="-s -w" ./...',
        "sh /s go mod download",
    ]
    assert build_step.run_steps("") == []


@pytest.mark.parametrize("login", ["sh", "bash"])
@pytest.mark.parametrize("text", build_step.run_steps(DOCKERFILE)[:2])
@pytest.mark.parametrize("before", ["", APPLYING])
def test_the_step_that_runs_is_shown_until_the_build_ends(
    board: Board, monkeypatch: pytest.MonkeyPatch, login: str, text: str, before: str
) -> None:
    monkeypatch.setattr(Shell, "code", login)
    with build_step.watched(Shell(), "web1", DOCKERFILE, ()):
        with running("/bin/sh", "-c", before + text):
            # What goes on from the last build begins with a check, which nobody has to read.
            assert seen(board, text)
        assert seen(board, "")
    assert board.read() == ("", "")


def test_a_step_whose_shell_became_its_only_command_is_shown(board: Board, tmp_path: Path) -> None:
    # A program of this name that accepts all arguments: Python, with the first of them as its script.
    (tmp_path / "test").write_text("import sys\nsys.stdin.read()\n")
    with build_step.watched(Shell(), "web1", DOCKERFILE, ()):
        with running("go", "test", "-ldflags=-s -w", "./...", executable=sys.executable, cwd=tmp_path):
            assert seen(board, 'go test -ldflags="-s -w" ./...')
        assert seen(board, "")


def test_a_step_with_as_many_packages_as_the_kernel_takes_is_shown(board: Board) -> None:
    command = f"true {'example.com/package ' * 6000} || true; read _line"
    with build_step.watched(Shell(), "web1", f"FROM a\nRUN {command}\n", ()), running("/bin/sh", "-c", command):
        assert seen(board, command[: Board.SIZE - len("..web1.")])


def test_of_other_processes_nothing_is_shown(board: Board, tmp_path: Path) -> None:
    """Neither what asks, nor what has the text of a step as a part of an argument."""
    (tmp_path / "x").touch()
    others = (
        ["/bin/sh", "-c", f"{COMPILE} # and more"],
        ["/bin/sh", "-c", "go build secret || read _line"],
        ["tail", "-f", str(tmp_path / "x")],
    )
    with contextlib.ExitStack() as all_run:
        for arguments in others:
            all_run.enter_context(running(*arguments))
        connection = Shell()
        code, printed, errors = connection.exec_command(build_step.question(build_step.run_steps(DOCKERFILE)), False)
        assert (code, printed, errors) == (0, b"\n", b"")


def test_a_secret_in_a_step_is_hidden(board: Board) -> None:
    dockerfile, command = (text.replace("utest", "tr0ub4dor&3") for text in (DOCKERFILE, COMPILE))
    with build_step.watched(Shell(), "web1", dockerfile, ("tr0ub4dor&3",)), running("/bin/sh", "-c", command):
        assert seen(board, COMPILE.replace("utest", "***"))


class Broken(Shell):
    """A connection that fails."""

    def exec_command(self, command: str, sudoable: bool) -> tuple[int, bytes, bytes]:
        raise OSError("the line is dead")


class Poor(Shell):
    """A host without Python in its path."""

    def exec_command(self, command: str, sudoable: bool) -> tuple[int, bytes, bytes]:
        return super().exec_command(command.replace("python3", "no-such-python"), sudoable)


class Other(Shell):
    """A connection that may not be used twice at once."""

    transport = "community.docker.docker"


@pytest.mark.parametrize("connection", [Broken(), Poor(), Other(), object()])
def test_where_it_cannot_be_known_the_build_goes_on_and_nothing_is_shown(board: Board, connection: Any) -> None:
    with running("/bin/sh", "-c", COMPILE), build_step.watched(connection, "web1", DOCKERFILE, ()):
        time.sleep(0.3)
        assert board.read() == ("", "")


@pytest.mark.parametrize("is_read, dockerfile", [(False, DOCKERFILE), (True, ""), (True, "FROM scratch\nCOPY a /a\n")])
def test_if_nobody_reads_it_or_nothing_runs_the_host_is_not_asked(
    board: Board, monkeypatch: pytest.MonkeyPatch, is_read: bool, dockerfile: str
) -> None:
    board.is_read = is_read
    asked: list[str] = []
    monkeypatch.setattr(Shell, "exec_command", lambda _self, command, sudoable: (asked.append(command), b"", b""))
    with build_step.watched(Shell(), "web1", dockerfile, ()):
        time.sleep(0.2)
    assert asked == []


def test_a_failed_build_leaves_no_step_on_the_board(board: Board) -> None:
    with pytest.raises(RuntimeError), running("/bin/sh", "-c", COMPILE), build_step.watched(Shell(), "web1", DOCKERFILE, ()):
        assert seen(board, COMPILE)
        raise RuntimeError
    time.sleep(0.1)
    assert board.read() == ("", "")
