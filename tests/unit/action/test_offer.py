"""What the build host is asked for, and how often: once for all hosts of a run; of an image that a bundle has kept, no host is asked."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.proven.go_service.plugins.action import offer
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Failure, Problem
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.image.pieces import Contents, Sum
from ansible_collections.proven.go_service.plugins.plugin_utils.depot import Depot, archive_of

OFFER = {"tag": "abc", "architecture": "arm64"}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return a directory in which an image was kept."""
    (tmp_path / "packed").write_bytes(b"an archive")
    offer._keep(tmp_path / "services", "api", OFFER, {"whole": {"size": 10}}, tmp_path / "packed")
    return tmp_path / "services"


@pytest.mark.parametrize(("fetch", "check"), [(False, False), (True, True), (True, False)])
def test_what_was_kept_is_offered_and_its_archive_lies_where_a_hosts_would(kept: Path, tmp_path: Path, fetch: bool, check: bool) -> None:
    action, depot = SimpleNamespace(_task=SimpleNamespace(check_mode=check)), Depot(str(tmp_path / "local"))
    found = offer.ActionModule._kept(action, kept, "api", depot, fetch=fetch)  # type: ignore[arg-type]
    assert found["offer"] == OFFER and not found["changed"]
    assert found.get("contents") == ({"whole": {"size": 10}} if fetch and not check else None)
    if fetch and not check:
        assert depot.file(archive_of(OFFER), "api").read_bytes() == b"an archive"
        # Another host of the run finds it there.
        assert offer.ActionModule._kept(action, kept, "api", depot, fetch=True) == found  # type: ignore[arg-type]
    else:
        assert not (tmp_path / "local").exists()


def test_what_is_kept_is_plain_to_read(kept: Path) -> None:
    assert json.loads((kept / "api.json").read_text()) == {
        "offer": {"tag": "abc", "architecture": "arm64"},
        "contents": {"whole": {"size": 10}},
    }
    assert sorted(path.name for path in kept.iterdir()) == ["api.json", "api.tar.gz"]


NEW = {"id": "sha256:new", "tag": "abc", "architecture": "amd64", "layers": ["l1", "l2", "l3"]}
AHEAD = {"known": ["sha256:old"], "layers": [["l1", "l9"], ["l1", "l2"]]}


class BuildHost(offer.ActionModule):
    """The action, delegated to a build host that offers NEW and answers as the module does."""

    def __init__(self, directory: Path, *, check: bool = False, unprivileged: bool = False) -> None:
        self._task = SimpleNamespace(check_mode=check, delegate_to="builder")
        self._connection = SimpleNamespace(
            _shell=SimpleNamespace(join_path=lambda *parts: "/".join(parts)),
            fetch_file=lambda source, target: Path(target).write_bytes(b"packed"),
        )
        self._unprivileged, self.asked = unprivileged, []
        (directory / "packed").write_bytes(b"packed")
        self.contents = json.loads(json.dumps(Contents((), (), (0, 0), Sum.of(directory / "packed")).as_json()))

    def _is_become_unprivileged(self) -> bool:
        return self._unprivileged

    def _make_tmp_path(self, remote_user: str | None = None) -> str:
        return "/remote"

    def _remove_tmp_path(self, tmp_path: str, force: bool = False) -> None:
        self.asked.append("gone")

    def temporary_place(self) -> dict[str, str]:
        return {}

    def secrets(self) -> str:
        return ""

    def module(self, name: str, args: Any) -> dict[str, Any]:
        self.asked.append(args["mode"])
        found = {"offer": NEW, "left": []} if not args.get("image") else {}
        if args["mode"] == "look" or NEW["id"] in args.get("unless", ()):
            return found
        return {**found, **({"digest": "sha256:pushed"} if args["mode"] == "push" else {"contents": self.contents})}


def asks(host: BuildHost, settings: Settings, **options: Any) -> dict[str, Any]:
    """Return what a host is given that asks for the image."""
    return host.work({"settings": settings.as_json(), **options})


@pytest.fixture
def own(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what makes settings of a run whose files are the test's."""
    monkeypatch.setattr(offer.C, "DEFAULT_LOCAL_TMP", str(tmp_path / "run"))
    return settings


def test_an_image_that_a_host_lacks_is_packed_where_it_is_asked_for_and_once_for_all(own: Any, tmp_path: Path) -> None:
    host = BuildHost(tmp_path)
    first = asks(host, own(), ahead=AHEAD)
    assert host.asked == ["pack", "gone"] and first["contents"] == host.contents and first["present"] == 2
    # Another one that has less, and one that asks in two steps, since it was not known what it has.
    assert asks(host, own(), ahead={"known": [], "layers": []}) == {**first, "present": 0}
    assert asks(host, own()) == {"changed": False, "offer": NEW}
    assert asks(host, own(), fetch=True) == {"changed": False, "offer": NEW, "contents": host.contents}
    assert host.asked == ["pack", "gone"]
    assert Depot(offer.C.DEFAULT_LOCAL_TMP).file(archive_of(NEW), own().name).read_bytes() == b"packed"


def test_one_that_a_host_has_is_not_packed_until_another_host_lacks_it(own: Any, tmp_path: Path) -> None:
    host = BuildHost(tmp_path)
    assert asks(host, own(), ahead={**AHEAD, "known": [NEW["id"]]}) == {"changed": False, "offer": NEW}
    assert host.asked == ["pack", "gone"] and not Depot(offer.C.DEFAULT_LOCAL_TMP).file(archive_of(NEW), own().name).exists()
    assert asks(host, own(), ahead=AHEAD)["contents"] == host.contents
    assert host.asked == ["pack", "gone"] * 2


def test_it_is_pushed_once_where_there_is_a_registry(own: Any, tmp_path: Path) -> None:
    host, settings = BuildHost(tmp_path), own(registry="registry.example.com/team")
    assert asks(host, settings, ahead=AHEAD)["digest"] == asks(host, settings, fetch=True)["digest"] == "sha256:pushed"
    assert host.asked == ["push"]


@pytest.mark.parametrize("how", ["check", "unprivileged"])
def test_nothing_is_packed_ahead_in_check_mode_or_where_it_could_not_be_fetched(own: Any, tmp_path: Path, how: str) -> None:
    host = BuildHost(tmp_path, **{how: True})
    assert asks(host, own(), ahead=AHEAD) == {"changed": False, "offer": NEW} and host.asked == ["look"]


REFUSES = Failure("transfer", "connection refused", "Make sure that the host reaches it.", "x")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (AnsibleConnectionFailure("the line is dead"), "the build host builder cannot be reached: the line is dead"),
        (REFUSES, "on the build host builder: connection refused"),
    ],
)
def test_what_fails_on_the_build_host_is_told_with_its_name(
    own: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    """The task belongs to the host that asks: without a word, that one would be blamed."""
    host = BuildHost(tmp_path)

    def fails(_name: str, _args: Any) -> dict[str, Any]:
        raise error

    monkeypatch.setattr(host, "module", fails)
    with pytest.raises((Failure, Problem)) as found:
        asks(host, own())
    assert found.value.message == told and "builder" in found.value.remedy
