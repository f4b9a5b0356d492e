"""The program by which a build reads private modules, run by a shell as in a container, and what of a source it is for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.image import module_access
from ansible_collections.proven.go_service.plugins.module_utils.image.module_access import FETCH, MOUNT
from samples import Settings

TOKEN = "t0'k$en\"x`y\\z"
# A path on the host has a key of its own.
SECRETS = {
    "git.example.com": {"user": "ci", "token": TOKEN},
    "artifacts.example.com:8443": {"user": "me", "token": "an0ther"},
    "netrc": {"netrc": "machine proxy.example.com\nlogin me\npassword p4ss\n"},
    "code.example.com": {
        "ssh_key": "-----BEGIN X-----\r\nabc\r\n-----END X-----",
        "known_hosts": "code.example.com ssh-ed25519 AAAA",
        "port": "7999",
    },
    "code.example.com/team/x.git": {"ssh_key": "-----BEGIN Z-----", "known_hosts": "code.example.com ssh-ed25519 CCCC", "user": "hg"},
    "github.com/company/module": {"ssh_key": "-----BEGIN Y-----", "known_hosts": "github.com ssh-ed25519 BBBB"},
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return what runs the program for a command, with a directory of this test's in place of the file system in memory."""
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setattr(module_access, "PLACE", str(place))
    monkeypatch.setattr(module_access, "_BEGIN", module_access._BEGIN.replace("/run/go-service", str(place)))

    def run_it(*command: str, secrets: Any = SECRETS, path: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "access").write_text(module_access.program(secrets))
        env = {"PATH": path or os.environ["PATH"], "HOME": str(tmp_path), **environment}
        return subprocess.run(["/bin/sh", tmp_path / "access", *command], capture_output=True, text=True, check=False, env=env)

    return run_it


def credential(run: Callable[..., subprocess.CompletedProcess[str]], asked: str, **environment: str) -> str:
    """Return what git would send to a host, by git itself."""
    script = f"printf '%s\\n' {asked} '' | git credential fill"
    return run("sh", "-c", script, **environment).stdout


def test_git_sends_a_password_to_its_host_alone(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert f"username=ci\npassword={TOKEN}\n" in credential(run, "protocol=https host=git.example.com")
    assert "username=me\npassword=p4ss\n" in credential(run, "protocol=https host=proxy.example.com")
    assert "password" not in credential(run, "protocol=https host=example.com")
    # In the open only where Go was told that it may.
    assert "password" not in credential(run, "protocol=http host=git.example.com")
    assert "password=" in credential(run, "protocol=http host=git.example.com", GOINSECURE="git.example.com")


def test_a_host_with_a_port_is_another_one(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    assert "password=an0ther\n" in credential(run, "protocol=https host=artifacts.example.com:8443")
    assert "password" not in credential(run, "protocol=https host=artifacts.example.com")


def test_go_reads_a_netrc_file(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    found = run("sh", "-c", 'cat "$NETRC"').stdout
    assert sorted(module_access.machines(found)) == [
        ("artifacts.example.com:8443", "me", "an0ther"),
        ("git.example.com", "ci", TOKEN),
        ("proxy.example.com", "me", "p4ss"),
    ]


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("https://code.example.com/a/b.git", "ssh://git@code.example.com:7999/a/b.git"),
        ("https://github.com/company/module", "ssh://git@github.com.key5:22/company/module"),
        # As Go asks, and as a person does.
        ("https://code.example.com/team/x", "ssh://hg@code.example.com.key4:22/team/x"),
        ("https://code.example.com/team/x.git", "ssh://hg@code.example.com.key4:22/team/x.git"),
        ("https://github.com/company/other", "https://github.com/company/other"),
        ("https://git.example.com/x", "https://git.example.com/x"),
    ],
)
def test_git_asks_a_host_with_a_key_by_ssh(run: Callable[..., subprocess.CompletedProcess[str]], address: str, asked: str) -> None:
    assert run("git", "ls-remote", "--get-url", address).stdout.strip() == asked


def test_ssh_uses_the_key_and_the_host_key_that_were_given(run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    for name, number, host, known_as in (
        ("code.example.com", 3, "code.example.com", "[code.example.com]:7999"),
        ("github.com.key5", 5, "github.com", "github.com"),
    ):
        printed = run("sh", "-c", f"$GIT_SSH_COMMAND -G {name}").stdout.splitlines()
        place = tmp_path / "place"
        for option in (
            f"hostname {host}",
            f"hostkeyalias {known_as}",
            f"identityfile {place}/key-{number}",
            f"userknownhostsfile {place}/known-{number}",
            "batchmode yes",
            "stricthostkeychecking true",
            "identitiesonly yes",
        ):
            assert option in printed
    # As ssh insists on it: without the carriage returns of another system, ended by a line break, and for nobody else.
    assert (place / "key-3").read_bytes() == b"-----BEGIN X-----\nabc\n-----END X-----\n"
    assert {path.stat().st_mode & 0o077 for path in place.iterdir()} == {0}


def test_what_git_was_told_before_goes_on(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    own = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.name", "GIT_CONFIG_VALUE_0": "somebody"}
    assert run("git", "config", "user.name", **own).stdout == "somebody\n"


def test_nothing_of_a_credential_is_in_the_environment_of_the_command(run: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    printed = run("env").stdout
    assert "NETRC=" in printed and not [word for word in (TOKEN, "p4ss", "BEGIN", "AAAA") if word in printed]


def stand_ins(directory: Path, **programs: str) -> str:
    """Return a PATH with some programs of this machine, and others in the place of git and apk."""
    directory.mkdir()
    for name in ("sh", "cat", "grep", "sed", "sort", "printf"):
        (directory / name).symlink_to(f"/usr/bin/{name}")
    for name, text in programs.items():
        (directory / name).write_text(f"#!/bin/sh\n{text}\n")
        (directory / name).chmod(0o755)
    return str(directory)


def test_a_builder_image_without_git_gets_it_where_go_wants_it(
    run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    """As golang:alpine is; apk here is a stand-in that notes what it is asked."""
    go = f'test -e {tmp_path}/asked && echo downloaded && exit; echo "go: missing Git command. See https://go.dev/s/gogetcmd" >&2; exit 1'
    path = stand_ins(tmp_path / "bin", go=go, apk=f'echo "$*" >>{tmp_path}/asked')
    done = run("go", path=path)
    assert (done.returncode, done.stdout) == (0, "downloaded\n")
    assert (tmp_path / "asked").read_text() == "add --no-cache openssh-client git\n"


def test_where_a_proxy_has_everything_no_git_is_asked_for(run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    path = stand_ins(tmp_path / "bin", go="echo downloaded", apk=f"touch {tmp_path}/asked")
    assert run("go", path=path).stdout == "downloaded\n"
    assert not (tmp_path / "asked").exists()


def test_git_says_why_where_go_does_not(run: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    said = "go: git.example.com/team/x.git/sub@v1.0.0: no secure protocol found for repository"
    path = stand_ins(tmp_path / "bin", go=f'echo "{said}" >&2; exit 3', git='echo "fatal: why of $2" >&2; exit 128', ssh="exit 1")
    done = run("go", path=path)
    assert done.returncode == 3
    assert done.stderr == f"{said}\nfatal: why of https://git.example.com/team/x.git\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("machine a login b password c", [("a", "b", "c")]),
        ("# by hand\nmachine a\n  login b\n  password c\nmachine d login e password f\n", [("a", "b", "c"), ("d", "e", "f")]),
        ("machine a login b\nmachine d login e password f", [("d", "e", "f")]),
        ("macdef x\nmachine a login b password c\n\nmachine d login e password f", [("d", "e", "f")]),
        ("default login b password c", []),
        ("", []),
    ],
)
def test_machines_of_a_netrc_file(text: str, found: list[tuple[str, str, str]]) -> None:
    assert module_access.machines(text) == found


@pytest.mark.parametrize("options", [("-t", "ed25519"), ("-t", "rsa", "-b", "2048", "-m", "PEM"), ("-t", "ecdsa", "-m", "PKCS8")])
def test_a_key_with_a_passphrase_is_known(options: tuple[str, ...], tmp_path: Path) -> None:
    for phrase, wanted in (("", False), ("a secret one", True)):
        path = tmp_path / f"key{wanted}"
        subprocess.run(["ssh-keygen", "-q", *options, "-N", phrase, "-f", path], check=True)
        assert module_access.encrypted(path.read_text()) is wanted


@pytest.mark.parametrize(
    ("facts", "builder", "wanted"),
    [
        ({"has_requirements": True}, "docker_image", FETCH),
        ({"has_requirements": True}, "buildx", MOUNT),
        ({"has_requirements": True, "vendored": True}, "buildx", ""),
        ({}, "docker_image", ""),
    ],
)
def test_a_build_that_downloads_nothing_needs_no_credential(
    settings: Settings, project: dict[str, Any], facts: dict[str, Any], builder: str, wanted: str
) -> None:
    given = settings(builder=builder, build_secrets={"git.example.com": {"token": "x" * 8}})
    assert module_access.way(given, {**project, **facts}) == wanted
    assert module_access.way(settings(builder=builder), {**project, **facts}) == ""
    # Those that are in an archive reach every builder in the same way.
    assert module_access.way(settings(builder=builder, build_modules="/srv/api.tar"), {**project, **facts}) == (FETCH if wanted else "")


@pytest.mark.parametrize("builder", ["docker_image", "buildx"])
def test_generated_files_are_the_same_for_every_credential(generate: Callable[..., dict[str, str]], builder: str) -> None:
    facts = {"has_requirements": True}
    one, other = (
        generate(facts, builder=builder, build_secrets={"a.example.com": {"user": user, "token": f"{user}-token"}})
        for user in ("one", "other")
    )
    plain = generate(facts, builder=builder)
    assert one == other != plain
    assert "-token" not in str(one)
    assert "RUN go mod download\n" in plain["dockerfile"] and module_access.ARCHIVE not in plain["dockerignore"]
    # Without modules to download nothing is different.
    assert generate(builder=builder, build_secrets={"a.example.com": {"token": "x-token"}}) == generate(builder=builder)


def test_modules_are_downloaded_again_where_what_chooses_them_changed(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    for name, text in {"go.mod": "module a", "go.sum": "x", "shared/go.mod": "module b", "main.go": "package main"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "go.work").symlink_to("go.mod")
    files = dict(module_access.module_files(tmp_path))
    assert files == {"go.mod": b"module a", "go.sum": b"x", "shared/go.mod": b"module b"}
    key = module_access.modules_key(files, ".")
    assert key == module_access.modules_key(dict(reversed(files.items())), ".")
    assert len({key, module_access.modules_key(files, "shared"), module_access.modules_key({**files, "go.sum": b"y"}, ".")}) == 3
