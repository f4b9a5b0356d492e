"""Secret files: a volume of the Engine for each image and each set of values, readable for the service's user alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import settings as typed
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure
from ansible_collections.proven.go_service.plugins.module_utils.common.names import service_directory
from ansible_collections.proven.go_service.plugins.module_utils.deploy import secret_files
from ansible_collections.proven.go_service.plugins.module_utils.deploy.container import create_body
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from plays import RUNTIME

pytestmark = pytest.mark.engine
FILES = {"token": "one\n", "key": "\udcfftwo\n"}
Client = Callable[..., str]
IMAGES = {"name": "utest-user:name", "number": "utest-user:number", "unknown": "utest-user:unknown", "root": "utest-user:root"}
USERS = {"name": "nobody", "number": "4321:4321", "unknown": "stranger", "root": ""}


@pytest.fixture(scope="module")
def images(client: Client) -> dict[str, str]:
    """Return images of different users."""
    for kind, tag in IMAGES.items():
        lines = [
            f"FROM {RUNTIME}",
            "LABEL go-service.name=utest-web go-service.kind=image",
            *([f"USER {USERS[kind]}"] if USERS[kind] else []),
        ]
        client("build", "-q", "-t", tag, "-", stdin="\n".join(lines) + "\n")
    return IMAGES


@pytest.fixture
def wanted(clean: Engine, service: Callable[..., typed.Settings], tmp_path: Path) -> Iterator[typed.Settings]:
    """Return the settings of a service with secret files; the volumes are gone afterwards."""
    yield service(secret_files=FILES, work_dir=str(tmp_path))
    for made in clean.containers(name="utest-web"):
        clean.remove(made["Id"])
    for volume in secret_files.volumes(clean, "utest-web"):
        clean.remove_volume(volume)


def seen(client: Client, volume: str) -> dict[str, str]:
    """Return owner, group and mode of each file in a volume, and how many bytes it has."""
    script = "cd /held && find . -type f -exec stat -c '%n %u:%g %a %s' {} +"
    printed = client("run", "--rm", "--label", "go-service.name=utest-web", "--volume", f"{volume}:/held:ro", RUNTIME, "sh", "-c", script)
    return dict(line.removeprefix("./").split(" ", 1) for line in printed.splitlines())


def test_the_files_are_for_the_user_of_the_image_alone(
    clean: Engine, client: Client, wanted: typed.Settings, images: dict[str, str]
) -> None:
    for kind, owner in {"name": "65534:65534", "number": "4321:0", "root": "0:0"}.items():
        secret_files.write(clean, wanted, images[kind])
        assert seen(client, secret_files.volume_name(wanted, images[kind])) == {"token": f"{owner} 400 4", "key": f"{owner} 400 5"}
        assert clean.containers(name="utest-web") == []


def test_a_user_without_an_account_is_told_and_gets_nothing(
    clean: Engine, client: Client, wanted: typed.Settings, images: dict[str, str]
) -> None:
    with pytest.raises(Failure, match="cannot be given to stranger") as caught:
        secret_files.write(clean, wanted, images["unknown"])
    assert "go_service_uid" in caught.value.remedy
    assert seen(client, secret_files.volume_name(wanted, images["unknown"])) == {}
    assert clean.containers(name="utest-web") == []


def test_what_is_there_stays_and_what_was_changed_is_written_again(
    clean: Engine, client: Client, wanted: typed.Settings, images: dict[str, str]
) -> None:
    volume = secret_files.volume_name(wanted, images["root"])

    def times() -> str:
        return client("run", "--rm", "--volume", f"{volume}:/held", RUNTIME, "stat", "-c", "%Z", "/held/token", "/held/key")

    secret_files.write(clean, wanted, images["root"])
    written = times()
    secret_files.write(clean, wanted, images["root"])
    assert times() == written
    client("run", "--rm", "--volume", f"{volume}:/held", RUNTIME, "sh", "-c", "echo no >/held/token; rm /held/key")
    secret_files.write(clean, wanted, images["root"])
    assert seen(client, volume) == {"token": "0:0 400 4", "key": "0:0 400 5"}


def test_what_a_killed_run_left_is_no_obstacle(clean: Engine, client: Client, wanted: typed.Settings, images: dict[str, str]) -> None:
    left = replace(wanted, secret_files={})
    clean.create("utest-web-candidate", create_body(left, images["root"], clean.api_version))
    secret_files.write(clean, wanted, images["root"])
    assert seen(client, secret_files.volume_name(wanted, images["root"])).keys() == {"token", "key"}


@pytest.mark.parametrize(
    "change", [{"secret_files": {**FILES, "token": "other"}}, {"secret_files": {"token": "one\n"}}, {"user": "other"}, {"uid": 4242}]
)
def test_another_value_or_user_has_another_volume(wanted: typed.Settings, change: dict) -> None:
    assert secret_files.volume_name(wanted, "x:1") != secret_files.volume_name(replace(wanted, **change), "x:1")
    assert secret_files.volume_name(wanted, "x:1") != secret_files.volume_name(wanted, "x:2")
    # Whoever asks, from whatever directory, has the same.
    assert secret_files.volume_name(wanted, "x:1") == secret_files.volume_name(replace(wanted, work_dir="/elsewhere"), "x:1")


def test_a_service_without_secret_files_has_nothing(clean: Engine, wanted: typed.Settings, images: dict[str, str]) -> None:
    without = replace(wanted, secret_files={})
    secret_files.write(clean, without, images["root"])
    assert (secret_files.volumes(clean, "utest-web"), secret_files.binds(without, images["root"])) == ([], [])


def test_what_no_container_mounts_any_more_goes(clean: Engine, wanted: typed.Settings, images: dict[str, str]) -> None:
    """Also what an earlier version kept on the host, and a link that somebody put there leads to nothing that is removed."""
    used, unused = images["root"], images["name"]
    for image in (used, unused):
        secret_files.write(clean, wanted, image)
    clean.create("utest-web", create_body(wanted, used, clean.api_version))
    old = service_directory(wanted) / secret_files.TREE
    (old / "1-abc").mkdir(parents=True)
    secret_files.prune(clean, wanted)
    assert secret_files.volumes(clean, "utest-web") == [secret_files.volume_name(wanted, used)]
    assert not old.exists()
    theirs = Path(wanted.work_dir) / "theirs/1-abc"
    theirs.mkdir(parents=True)
    old.symlink_to(theirs.parent)
    secret_files.prune(clean, wanted)
    assert theirs.is_dir()
