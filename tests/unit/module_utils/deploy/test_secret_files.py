"""Secrets as files: who may read them, when they are written anew, and when they go; whole deploys of them are in tests/test_abilities.py."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.deploy import secret_files
from samples import Settings

FILES = {"tls.key": "a\nb\n", "pin": "1"}
IMAGE = "api:0123456789ab"


class Chown:
    """Stands for an Engine that runs `chown` in a container of an image: it ends with a code after some looks at it.

    given: name -> (mode, content) of the files that the container saw, at each run; bodies: of the containers; removed: their ids.
    """

    def __init__(self, user: str | None = "app", code: int = 0, looks: int = 1) -> None:
        self.user, self.code, self.looks = user, code, looks
        self.bodies: list[dict[str, Any]] = []
        self.given: list[dict[str, tuple[int, str]]] = []
        self.removed: list[str] = []
        self.mounts: dict[str, list[str]] = {}

    def image(self, reference: str) -> dict[str, Any] | None:
        """Return the image, None where it is gone."""
        return None if self.user is None else {"Config": {"User": self.user}}

    def create(self, name: str, body: dict[str, Any]) -> str:
        """Make the container."""
        self.bodies.append(copy.deepcopy(body))
        return f"{name}-id"

    def start(self, container_id: str) -> None:
        """Look at what is mounted."""
        directory = Path(self.bodies[-1]["HostConfig"]["Binds"][0].partition(":")[0])
        assert directory.stat().st_mode & 0o777 == 0o700
        self.given.append({file.name: (file.stat().st_mode & 0o777, file.read_text()) for file in directory.iterdir()})
        self._left = self.looks

    def container(self, name: str) -> dict[str, Any] | None:
        """Return the container that runs `chown`, or one of the service's with what it mounts."""
        if name in self.mounts:
            return {"Mounts": [{"Source": source} for source in self.mounts[name]] or None}
        self._left -= 1
        return {"State": {"Running": self._left > 0, "ExitCode": 0 if self._left > 0 else self.code}}

    def containers(self, **labels: str) -> list[dict[str, Any]]:
        """Return the service's containers."""
        return [{"Id": name} for name in [*self.mounts, *(["gone"] if self.mounts else [])]]

    def logs(self, name: str, lines: int) -> list[str]:
        """Return the last words."""
        return [f"chown: {lines}"]

    def remove(self, name: str) -> None:
        """Remove a container."""
        self.removed.append(name)


@pytest.fixture
def wanted(settings: Settings, tmp_path: Path) -> Callable[..., Any]:
    """Return what makes the settings of a service that has files, whose directory lies in a place of the test's own."""
    tmp_path.chmod(0o755)
    return lambda **changes: settings(**{"name": "api", "work_dir": str(tmp_path), "secret_files": FILES, **changes})


def places(wanted: Any) -> dict[str, Path]:
    """Return where each file lies on the host, by where it is mounted."""
    pairs = [bind.split(":") for bind in secret_files.binds(wanted, IMAGE)]
    assert {how for _host, _there, how in pairs} <= {"ro,z"}
    return {there: Path(host) for host, there, _how in pairs}


def test_each_file_is_mounted_where_services_look_for_it_and_is_for_its_user_alone(wanted: Callable[..., Any], tmp_path: Path) -> None:
    engine = Chown(user="svc:staff")
    secret_files.write(engine, wanted(), IMAGE)
    found = places(wanted())
    assert {there: host.read_text() for there, host in found.items()} == {"/run/secrets/tls.key": "a\nb\n", "/run/secrets/pin": "1"}
    (directory,) = {host.parent for host in found.values()}
    assert directory.parent == tmp_path / "api/secrets"
    assert directory.name.startswith("0123456789ab-") and len(directory.name) == 25
    assert [path.stat().st_mode & 0o777 for path in (*found.values(), directory, directory.parent)] == [0o400, 0o400, 0o700, 0o700]
    assert engine.given == [{"tls.key": (0o400, "a\nb\n"), "pin": (0o400, "1")}]
    (body,) = engine.bodies
    assert body["Cmd"] == ["svc", "/given/tls.key", "/given/pin"]
    assert (body["Image"], body["User"], body["NetworkDisabled"], body["HostConfig"]["ReadonlyRootfs"]) == (IMAGE, "0", True, True)
    assert engine.removed[-1] == "api-candidate-id"
    assert [path.name for path in directory.parent.iterdir()] == [directory.name]


@pytest.mark.parametrize(("user", "owner"), [("10001:10001", "10001"), ("", "0"), (None, "0")])
def test_the_files_are_given_to_the_user_that_the_image_runs_as(wanted: Callable[..., Any], user: str | None, owner: str) -> None:
    engine = Chown(user)
    secret_files.write(engine, wanted(), IMAGE)
    assert engine.bodies[0]["Cmd"][0] == owner


def test_what_is_there_stays_and_what_is_gone_is_written_again(wanted: Callable[..., Any]) -> None:
    engine = Chown()
    assert secret_files.gone(wanted(), IMAGE) == "tls.key, pin of go_service_secret_files is gone from the host"
    secret_files.write(engine, wanted(), IMAGE)
    found = places(wanted())
    assert secret_files.gone(wanted(), IMAGE) == ""
    secret_files.write(engine, wanted(), IMAGE)
    assert len(engine.bodies) == 1
    # As the Engine does where a file that it is to mount is missing.
    found["/run/secrets/pin"].unlink()
    found["/run/secrets/pin"].mkdir()
    assert secret_files.gone(wanted(), IMAGE) == "pin of go_service_secret_files is gone from the host"
    secret_files.write(engine, wanted(), IMAGE)
    assert found["/run/secrets/pin"].read_text() == "1"
    assert len(engine.bodies) == 2


def test_what_a_killed_run_left_is_no_obstacle(wanted: Callable[..., Any], tmp_path: Path) -> None:
    secret_files.write(Chown(), wanted(), IMAGE)
    (tmp_path / "api/secrets/.unfinished").mkdir()
    (tmp_path / "api/secrets/.unfinished/pin").touch()
    secret_files.write(Chown(), wanted(secret_files={"pin": "2"}), IMAGE)
    assert [host.read_text() for host in places(wanted(secret_files={"pin": "2"})).values()] == ["2"]


def test_another_value_user_or_image_has_another_place_and_the_one_before_stays(wanted: Callable[..., Any]) -> None:
    variants = [wanted(), wanted(secret_files={**FILES, "pin": "2"}), wanted(user="svc"), wanted(uid=12)]
    for one in variants:
        secret_files.write(Chown(), one, IMAGE)
    assert len({tuple(places(one).values()) for one in variants}) == 4
    assert places(wanted())["/run/secrets/pin"].read_text() == "1"
    assert secret_files.binds(wanted(), IMAGE) != secret_files.binds(wanted(), "api:ba9876543210")


def test_a_service_without_secret_files_has_nothing_written(wanted: Callable[..., Any], tmp_path: Path) -> None:
    engine = Chown()
    none = wanted(secret_files={})
    assert (secret_files.binds(none, IMAGE), secret_files.gone(none, IMAGE)) == ([], "")
    secret_files.write(engine, none, IMAGE)
    assert engine.bodies == [] and list(tmp_path.iterdir()) == []


def test_a_content_that_is_no_text_of_unicode_is_written_byte_for_byte(wanted: Callable[..., Any]) -> None:
    content = b"\xff\xfekey".decode("utf-8", "surrogateescape")

    class Blind(Chown):
        def start(self, container_id: str) -> None:
            self._left = 1

    secret_files.write(Blind(), wanted(secret_files={"raw": content}), IMAGE)
    (host,) = places(wanted(secret_files={"raw": content})).values()
    assert host.read_bytes() == b"\xff\xfekey"


def test_files_that_cannot_be_given_to_the_user_are_told_and_not_kept(wanted: Callable[..., Any]) -> None:
    engine = Chown(user="svc", code=1)
    with pytest.raises(Failure) as caught:
        secret_files.write(engine, wanted(), IMAGE)
    assert caught.value.message == (f"the files of go_service_secret_files cannot be given to svc, the user of {IMAGE}: chown ended with 1")
    assert caught.value.evidence == ["chown: 5"]
    assert engine.removed[-1] == "api-candidate-id"
    assert secret_files.gone(wanted(), IMAGE) != ""


def test_chown_is_waited_for_and_not_for_ever(wanted: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a minute, with twenty looks a second."""
    pauses: list[float] = []
    monkeypatch.setattr(secret_files.time, "monotonic", lambda: sum(pauses))
    monkeypatch.setattr(secret_files.time, "sleep", pauses.append)
    secret_files.write(Chown(looks=500), wanted(), IMAGE)
    assert pauses == [0.05] * 499
    pauses.clear()
    with pytest.raises(Failure, match="cannot be given to app"):
        secret_files.write(Chown(looks=10_000), wanted(secret_files={"pin": "2"}), IMAGE)
    assert 30 <= sum(pauses) < 30.2


def test_what_no_container_mounts_any_more_goes(wanted: Callable[..., Any], tmp_path: Path) -> None:
    engine = Chown()
    secret_files.prune(engine, wanted())
    secret_files.write(engine, wanted(), IMAGE)
    secret_files.write(engine, wanted(secret_files={"pin": "2"}), IMAGE)
    used, other = (next(iter(places(one).values())) for one in (wanted(), wanted(secret_files={"pin": "2"})))
    engine.mounts = {"a": [str(used)], "b": [], "c": [""]}
    secret_files.prune(engine, wanted())
    assert used.exists() and not other.parent.exists()
    engine.mounts = {}
    secret_files.prune(engine, wanted())
    assert list((tmp_path / "api/secrets").iterdir()) == []
    # The directory stays as long as the service has files, or somebody has something in it.
    engine.mounts = {"a": [str(used)]}
    used.parent.mkdir()
    secret_files.prune(engine, wanted(secret_files={}))
    assert used.parent.exists()
    engine.mounts = {}
    secret_files.prune(engine, wanted(secret_files={}))
    assert not (tmp_path / "api/secrets").exists()


def test_nothing_is_removed_behind_a_link(wanted: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "elsewhere/a").mkdir(parents=True)
    (tmp_path / "api/secrets").symlink_to(tmp_path / "elsewhere")
    secret_files.prune(Chown(), wanted(secret_files={}))
    assert (tmp_path / "elsewhere/a").exists()
