"""Nothing of anybody else's is lost: a host full of foreign things that look like the role's, and every entry point run over it.

On the real Engine, with images of no size. What is compared afterwards: ids and tags of images, ids, names and states of containers,
volumes, and the modes, contents and link targets of files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import subprocess
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common import stages
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import UNTOUCHED, Failure, Progress
from ansible_collections.proven.go_service.plugins.module_utils.common.names import LABEL_HISTORY, LABEL_KIND, LABEL_NAME, service_directory
from ansible_collections.proven.go_service.plugins.module_utils.contract import judge
from ansible_collections.proven.go_service.plugins.module_utils.deploy import history, images, judgement, ownership
from ansible_collections.proven.go_service.plugins.module_utils.deploy.lock import LABEL_HOLDER, LABEL_LOCK, Lock, Locked
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from ansible_collections.proven.go_service.plugins.modules import deploy, prepare, remove
from plays import RUNTIME, SERVE, SERVING
from samples import Settings

Client = Callable[..., str]
NAME = "utest-own"
RUN = {"token": "t1", "owner": "alice@laptop, process 1", "controller": "c"}
pytestmark = pytest.mark.engine


def digest_of(number: object) -> str:
    return hashlib.sha256(f"{number}".encode()).hexdigest()


def recipe(digest: str, *more: str) -> str:
    """Return a Dockerfile that makes what the role's makes, as far as its end tells where an image comes from; more: instructions after it."""
    lines = [
        f"FROM {RUNTIME}",
        f'LABEL go-service.name="{NAME}" go-service.kind="image" org.opencontainers.image.title="{NAME}"',
        SERVING,
        'HEALTHCHECK CMD ["wget", "-q", "--spider", "http://localhost:8080/health"]',
        'ENTRYPOINT ["/bin/sh", "-c"]',
        f"COPY --from={RUNTIME} /bin/busybox /usr/local/bin/{NAME}",
        f'LABEL go-service.digest="{digest}" org.opencontainers.image.version="{digest[:12]}"',
    ]
    return "\n".join([*lines, *more]) + "\n"


class Host:
    """The Engine with what a test puts into it."""

    def __init__(self, engine: Engine, client: Client) -> None:
        self.engine = engine
        self._client = client

    def empty(self) -> None:
        """Take away whatever has the name or the labels of these tests."""
        for listed in self._client("ps", "-aq", "--filter", f"name=^/{NAME}").split():
            self.engine.remove(listed)
        for key, value in ((LABEL_LOCK, NAME), (LABEL_HISTORY, NAME), ("utest", NAME)):
            for volume in self.engine.volumes(key, value):
                self.engine.remove_volume(volume["Name"])
        for chosen in (f"reference={NAME}*", f"label=go-service.name={NAME}"):
            # More than once: children go before their parents.
            for _ in range(3):
                for identity in self._client("images", "-q", "--filter", chosen).split():
                    with contextlib.suppress(subprocess.CalledProcessError):
                        self._client("rmi", "-f", identity)

    def build(self, dockerfile: str, *tags: str) -> str:
        """Build an image and return its id."""
        named = [word for tag in tags for word in ("-t", tag)]
        return self._client("build", "-q", *named, "-", stdin=dockerfile).splitlines()[-1]

    def ours(self, number: object, *tags: str) -> str:
        """Build an image as the role does, under its digest, and return its id."""
        digest = digest_of(number)
        made = self.build(recipe(digest), f"{NAME}:{digest[:12]}")
        for tag in tags:
            self.engine.tag(made, *tag.split(":"))
        return made

    def commit(self, container: str, tag: str) -> str:
        """Make an image of a container."""
        return self._client("commit", container, tag).splitlines()[-1]

    def foreign(self, ours: str) -> None:
        """Fill the host with what somebody made of an image of ours, or what looks like ours."""
        self.engine.tag(ours, f"{NAME}-keep", "release1")
        self.engine.tag(ours, NAME, "mine")
        base = f"FROM {ours}\n"
        self.build(base + "ENV A=b\n", f"{NAME}-derived:1")
        self.build(base + "RUN touch /mine\n", f"{NAME}:debug")
        self.build(base + "ENV A=nameless\n")
        self.build(base + f'LABEL go-service.digest="{digest_of("forged")}"\n', f"{NAME}:{digest_of('forged')[:12]}")
        labels = f"LABEL go-service.name={NAME} go-service.kind"
        self.build(f"FROM {RUNTIME}\n{labels}=image\n", f"{NAME}-labelled:1")
        self.build(f"FROM {RUNTIME}\n{labels}=image go-service.digest={digest_of('by hand')}\n")
        stage = self.build(f"FROM {RUNTIME}\n{labels}=builder\nENV S=1\n")
        self.build(f"FROM {stage}\nRUN touch /mine\n")
        self.engine.create(f"{NAME}-hand", {"Image": ours, "Cmd": ["sleep 60"]})
        body = {"Image": ours, "Cmd": ["x"], "Labels": {LABEL_NAME: NAME, LABEL_KIND: "service"}}
        self.engine.create(f"{NAME}-renamed-by-somebody", body)
        self.commit(f"{NAME}-renamed-by-somebody", f"{NAME}-commit:1")
        self.engine.create(f"{NAME}-from-commit", {"Image": f"{NAME}-commit:1"})
        self.engine.create(f"{NAME}-stage", {"Image": stage, "Cmd": ["/bin/sh", "-c", "echo mine"]})
        self.engine.create_volume(f"{NAME}-data", {"utest": NAME, "go-service.name": NAME})

    def seen(self) -> dict[str, Any]:
        """Return everything of these tests in the Engine."""
        kept: dict[str, Any] = {}
        for image in self.engine.images():
            tags = [tag for tag in image.get("RepoTags") or [] if tag.startswith(NAME)]
            if tags or (image.get("Labels") or {}).get(LABEL_NAME) == NAME:
                kept[image["Id"]] = sorted(tags)
        for container in self.engine.containers():
            if container["Names"][0].startswith(f"/{NAME}"):
                kept[container["Id"]] = (container["Names"], container["State"], container["ImageID"])
        for volume in self.engine.volumes("utest", NAME):
            kept[volume["Name"]] = volume["Labels"]
        return kept


@pytest.fixture
def host(engine: Engine, client: Client) -> Iterator[Host]:
    """Return the host, empty of what these tests make before and after."""
    made = Host(engine, client)
    made.empty()
    yield made
    made.empty()


def tree(top: Path) -> dict[str, Any]:
    """Return everything below a directory: modes, owners, contents, link targets."""
    found = {}
    for path in sorted([top, *top.rglob("*")]):
        status = path.lstat()
        kind = status.st_mode
        content = os.readlink(path) if stat.S_ISLNK(kind) else path.read_bytes() if stat.S_ISREG(kind) else ""
        found[str(path.relative_to(top))] = (kind, status.st_uid, content)
    return found


@pytest.fixture
def service(settings: Callable[..., Settings], tmp_path: Path) -> Settings:
    """Return the settings of the service; whatever its contract says of it is waived, since it is not what is tested here."""
    (tmp_path / "work").mkdir()
    quick = {"publish": "", "stop_timeout": 0, "stable_seconds": 0, "start_timeout": 10, "args": [SERVE]}
    waivers = {check: "the service is none" for check in judge.CHECKS}
    return settings(name=NAME, work_dir=str(tmp_path / "work"), keep_images=2, waivers=waivers, **quick)


class Runs:
    """The entry points of the role, as far as they run on the host."""

    def __init__(self, engine: Engine, settings: Settings, source: Path, generated: dict[str, str]) -> None:
        self._engine = engine
        self.settings = settings
        self._source, self._generated = source, generated

    def prepare(self, mode: str, image_tag: str = "", **options: Any) -> dict[str, Any]:
        """Run go_service_prepare for the source, or for an image that is named."""
        params = {
            "mode": mode,
            "settings": replace(self.settings, image_tag=image_tag),
            "source_root": "" if image_tag else str(self._source),
            "manifest": "",
            **({"dockerfile": "", "dockerignore": ""} if image_tag else self._generated),
            "base_images": [RUNTIME, RUNTIME],
            "archive": "",
            "delete": [],
            "project": {"origin": {"revision": "", "date": "", "url": ""}},
            "keep_lock": False,
            "unfetched": "",
            "deploy_follows": False,
            "lock": dict(RUN),
            **options,
        }
        return prepare.run(types.SimpleNamespace(params=params, check_mode=False), params, Progress(stages.LOOK, UNTOUCHED))

    def deploy(self, image: str, prove_only: bool = False) -> dict[str, Any]:
        """Run go_service_deploy."""
        params = {
            "settings": self.settings,
            "image": image,
            "bases": [RUNTIME, RUNTIME],
            "build": {},
            "dockerfile": {},
            "source_date": "",
            "received": False,
        }
        lock = Lock(self._engine, NAME, service_directory(self.settings))
        lock.take(**RUN)
        known: dict[str, Any] = {}
        try:
            deploy.run(self._engine, {**params, "prove_only": prove_only, "lock": "t1"}, lock, Progress(stages.LOCK, UNTOUCHED), known)
        finally:
            lock.release("t1")
        return known

    def remove(self, check_mode: bool = False) -> remove.Removal:
        """Run go_service_remove."""
        return remove.run({"settings": self.settings, "lock": dict(RUN)}, check_mode, Progress(stages.REMOVE, UNTOUCHED), {})

    def all(self) -> list[str]:
        """Run every entry point, in every mode; return the refusals."""
        directory = service_directory(self.settings)
        points: list[Callable[[], Any]] = [
            lambda: self.prepare("compare"),
            lambda: self.prepare("compare", image_tag="previous"),
            lambda: self.remove(check_mode=True),
            lambda: ownership.claim(directory, NAME, "source"),
            lambda: self.prepare("stage"),
            lambda: self.deploy(f"{NAME}:{digest_of(1)[:12]}", prove_only=True),
            lambda: self.deploy(f"{NAME}:{digest_of(1)[:12]}"),
            lambda: self.prepare("stage", image_tag="previous", keep_lock=True),
            lambda: self.deploy(f"{NAME}:{digest_of(2)[:12]}"),
            self.remove,
            self.remove,
        ]
        refusals = []
        for point in points:
            try:
                point()
            except Failure as error:
                refusals.append(f"{error.message}. {error.remedy}")
            finally:
                Lock(self._engine, NAME, directory).release("t1")
        return refusals


@pytest.fixture
def runs(engine: Engine, service: dict[str, Any], generate: Callable[..., dict[str, str]], tmp_path: Path) -> Runs:
    """Return the entry points for a source on this host."""
    (tmp_path / "source").mkdir()
    (tmp_path / "source/go.mod").write_text("module example.com/web\n\ngo 1.22\n")
    (tmp_path / "source/main.go").write_text("package main\n\nfunc main() {}\n")
    before = os.umask(0o077)
    os.umask(before)
    return Runs(engine, service, tmp_path / "source", generate(name=NAME))


# Every entry point over a host full of foreign things


def test_every_entry_point_leaves_everything_foreign_as_it_was(host: Host, runs: Runs, tmp_path: Path) -> None:
    ours = host.ours(1)
    host.ours(2)
    host.foreign(ours)
    own = {f"{NAME}:{digest_of(number)[:12]}" for number in (1, 2)}
    (tmp_path / "work/other-service/context").mkdir(parents=True)
    (tmp_path / "work/other-service/context/file").write_text("mine")
    (tmp_path / "work" / f"{NAME}-link").symlink_to("/etc/hostname")
    before, files = host.seen(), tree(tmp_path / "work")
    refusals = runs.all()
    after = host.seen()
    # The one thing in the way: `previous` exists only after the first deploy.
    assert [refusal for refusal in refusals if "was in service before the one that runs" not in refusal] == []
    expected = {}
    for identity, found in before.items():
        left = [tag for tag in found if tag not in own] if isinstance(found, list) else found
        if left or not found:
            expected[identity] = left
    assert after == expected
    assert tree(tmp_path / "work") == files


IN_THE_WAY: dict[str, Callable[[Host], Any]] = {
    "latest": lambda host: host.build(f"FROM {RUNTIME}\nENV A=b\n", f"{NAME}:latest"),
    "previous, built FROM ours": lambda host: host.build(f"FROM {NAME}:{digest_of(1)[:12]}\nENV A=b\n", f"{NAME}:previous"),
    "latest, with our labels": lambda host: host.build(
        f"FROM {RUNTIME}\nLABEL go-service.name={NAME} go-service.kind=image go-service.digest={digest_of(9)}\n", f"{NAME}:latest"
    ),
}


@pytest.mark.parametrize("make", IN_THE_WAY.values(), ids=IN_THE_WAY)
def test_a_tag_that_somebody_else_has_is_refused_before_anything_is_touched(
    host: Host, runs: Runs, tmp_path: Path, make: Callable[[Host], Any]
) -> None:
    host.ours(1)
    made = make(host)
    before = host.seen()
    for point in (
        lambda: runs.prepare("compare"),
        lambda: runs.prepare("stage"),
        lambda: runs.deploy(f"{NAME}:{digest_of(1)[:12]}"),
        lambda: runs.prepare("compare", image_tag="previous"),
    ):
        with pytest.raises(Failure, match="held by an image that this role did not make") as caught:
            point()
        assert made[7:19] in caught.value.message and "docker tag" in caught.value.remedy
        assert caught.value.still_runs == UNTOUCHED
    assert host.seen() == before
    assert not (tmp_path / f"work/{NAME}/context").exists()
    assert host.engine.volumes(LABEL_LOCK, NAME) == []
    assert made[7:19] not in str(runs.remove().removed)
    assert host.engine.image(made)["RepoTags"] == before[made]


def test_the_tag_of_the_build_itself_is_refused_where_somebody_else_has_it(host: Host, runs: Runs) -> None:
    tag = runs.prepare("compare")["plan"]["image"]
    host.build(f"FROM {RUNTIME}\nENV A=b\n", tag)
    with pytest.raises(Failure, match=f"the name {tag} is held by an image"):
        runs.prepare("compare")


def test_a_container_that_inherits_our_labels_from_a_commit_is_foreign(host: Host, runs: Runs) -> None:
    ours = host.ours(1)
    labels = {LABEL_NAME: NAME, LABEL_KIND: "service"}
    host.engine.create(NAME, {"Image": ours, "Labels": labels})
    assert judgement.refuse_foreign(host.engine, NAME)
    host.commit(NAME, f"{NAME}-commit:1")
    host.engine.remove(NAME)
    made = host.engine.create(NAME, {"Image": f"{NAME}-commit:1"})
    assert host.engine.container(made)["Config"]["Labels"][LABEL_KIND] == "service"
    with pytest.raises(Failure, match=f"the name {NAME} is held by a container"):
        judgement.refuse_foreign(host.engine, NAME)
    assert runs.remove().removed["containers"] == []
    assert host.engine.container(made)


def test_a_service_called_like_the_beginning_of_a_containers_id_is_not_that_container(host: Host) -> None:
    made = host.engine.create(f"{NAME}-foreign", {"Image": RUNTIME})
    assert [host.engine.container(name) is not None for name in (made, made[:12], f"{NAME}-foreign", made[:6])] == [True, True, True, False]
    assert judgement.refuse_foreign(host.engine, made[:6]) is None


# Images that are kept to return to


def test_only_proven_images_are_kept_and_offered_to_return_to(host: Host, runs: Runs) -> None:
    """Two that were proven, then three that failed: with go_service_keep_images at 2 the proven ones stay."""
    for number in (1, 2):
        host.ours(number)
        runs.prepare("stage", keep_lock=True)
        runs.deploy(f"{NAME}:{digest_of(number)[:12]}")
    broken = runs.settings
    for number in (3, 4, 5):
        host.ours(number)
        runs.settings = replace(broken, args=("exit 3",))
        with pytest.raises(Failure, match="exited with code 3"):
            runs.deploy(f"{NAME}:{digest_of(number)[:12]}")
        runs.settings = broken
    kept = [digest_of(number)[:12] for number in (2, 1)]
    with pytest.raises(Failure, match="there is no image") as caught:
        runs.prepare("compare", image_tag="000000000000")
    assert caught.value.remedy.partition(": ")[2] == f"{kept[1]}.", "not the one that runs"
    done = runs.deploy(f"{NAME}:{kept[0]}")
    assert sorted(done["deploy"]["pruned"]) == sorted(f"{NAME}:{digest_of(number)[:12]}" for number in (3, 4, 5))
    assert [host.engine.image(f"{NAME}:{tag}") is not None for tag in kept] == [True, True]


def test_images_beyond_those_kept_go_by_the_history_alone(host: Host, tmp_path: Path) -> None:
    ids = [host.ours(number) for number in range(5)]
    past = history.History(NAME, {digest_of(n)[:12]: {"id": ids[n], "proven": True} for n in range(4)})
    host.engine.tag(ids[0], NAME, "mine")
    held = host.engine.create(f"{NAME}-holder", {"Image": ids[1]})
    assert images.promote(host.engine, NAME, ids[2], past) and images.promote(host.engine, NAME, ids[3], past)
    assert not images.promote(host.engine, NAME, ids[3], past)
    assert [host.engine.image(f"{NAME}:{tag}")["Id"] for tag in ("latest", "previous")] == [ids[3], ids[2]]
    assert images.prune(host.engine, NAME, 2, ids[3], past) == [f"{NAME}:{digest_of(0)[:12]}"]
    assert host.engine.image(ids[0])["RepoTags"] == [f"{NAME}:mine"]
    assert host.engine.image(ids[1])["RepoTags"] == [f"{NAME}:{digest_of(1)[:12]}"], f"the container {held} uses it"
    assert host.engine.image(ids[4]), "nothing says that this role made it for this history"
    assert images.prune(host.engine, NAME, 2, ids[3], past) == []


# Upgrades: what the version before left has no record


def test_what_an_earlier_version_left_is_adopted_and_goes_on(host: Host, runs: Runs, tmp_path: Path) -> None:
    first, second = host.ours(1, f"{NAME}:previous"), host.ours(2, f"{NAME}:latest")
    host.foreign(first)
    staged = runs.prepare("stage", keep_lock=True)
    Lock(host.engine, NAME, tmp_path).release("t1")
    directory = tmp_path / f"work/{NAME}"
    (directory / "record.json").unlink()
    for volume in history.volumes(host.engine, NAME):
        host.engine.remove_volume(volume)
    (directory / "working").touch()
    (directory / "report.json").write_text("{}")
    (directory / "notes.txt").write_text("mine")
    assert runs.prepare("compare")["plan"]["stage"] == staged["plan"]["stage"] == []
    runs.prepare("stage", keep_lock=True)
    Lock(host.engine, NAME, tmp_path).release("t1")
    assert json.loads((directory / "record.json").read_text())["trees"] == ["context"]
    past = history.read(host.engine, NAME, tmp_path)
    assert {found["id"] for found in past.images.values() if found["proven"]} == {first, second}
    runs.deploy(f"{NAME}:{digest_of(1)[:12]}")
    runs.remove()
    assert tree(directory).keys() == {".", "notes.txt"}
    assert host.engine.image(second) is None
    assert host.engine.image(first)["RepoTags"] == [f"{NAME}-keep:release1", f"{NAME}:mine"]


# Directories


def fill(directory: Path, name: str) -> None:
    (directory / name).mkdir(parents=True)
    (directory / name / "precious").write_text("mine")


FOREIGN_DIRECTORIES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a context": (lambda place: fill(place, "context"), "did not make it: context"),
    "a source": (lambda place: fill(place, "source"), "did not make it: source"),
    "a project of that name": (lambda place: (fill(place, "cmd"), (place / "lock").touch()), "did not make it: cmd"),
    "a context with another's Dockerfile": (
        lambda place: (fill(place, "context"), (place / "context/Dockerfile").write_text("FROM scratch\n")),
        "did not make it: context",
    ),
    "a link to another directory": (
        lambda place: (fill(place.with_name("elsewhere"), "context"), place.symlink_to("elsewhere")),
        "is a symbolic link to elsewhere",
    ),
    "a file": (lambda place: place.write_text("mine"), "is no directory"),
    "a context that is a link": (
        lambda place: (
            fill(place.with_name("elsewhere"), "x"),
            place.mkdir(),
            (place / "record.json").write_text(json.dumps({"service": NAME, "trees": ["context"], "images": {}})),
            (place / "context").symlink_to("../elsewhere"),
        ),
        "context is a symbolic link to ../elsewhere",
    ),
    "a report that is a link": (
        lambda place: (
            fill(place.with_name("elsewhere"), "x"),
            place.mkdir(),
            (place / "record.json").write_text(json.dumps({"service": NAME, "trees": [], "images": {}})),
            (place / "report.json").symlink_to("../elsewhere/x/precious"),
        ),
        "report.json is a symbolic link",
    ),
    "a source beside our context": (
        lambda place: (
            fill(place, "source"),
            (place / "record.json").write_text(json.dumps({"service": NAME, "trees": ["context"], "images": {}})),
        ),
        "source exists already, and this role did not make it",
    ),
    "another service's record": (
        lambda place: (
            fill(place, "context"),
            (place / "record.json").write_text(json.dumps({"service": "another", "trees": ["context"], "images": {}})),
        ),
        "did not make it: context",
    ),
}


@pytest.mark.parametrize(("make", "words"), FOREIGN_DIRECTORIES.values(), ids=FOREIGN_DIRECTORIES)
def test_a_directory_that_the_role_did_not_make_is_refused_and_stays(
    host: Host, runs: Runs, tmp_path: Path, make: Callable[[Path], Any], words: str
) -> None:
    host.ours(1)
    make(tmp_path / "work" / NAME)
    before, files = host.seen(), tree(tmp_path / "work")
    refusals = runs.all()
    assert len(refusals) == 11 and [refusal for refusal in refusals if words not in refusal or str(tmp_path) not in refusal] == []
    assert tree(tmp_path / "work") == files
    assert host.seen() == before


def test_files_beside_ours_stay_and_are_no_reason_to_refuse_a_removal(host: Host, runs: Runs, tmp_path: Path) -> None:
    runs.prepare("stage")
    (tmp_path / f"work/{NAME}/notes.txt").write_text("mine")
    Lock(host.engine, NAME, tmp_path).release("t1")
    assert "files that this role did not make are in it" in str(runs.remove().stays)
    assert tree(tmp_path / "work").keys() == {".", NAME, f"{NAME}/notes.txt"}
    assert not any(runs.remove().removed.values())


OPEN = {
    "another owner": (lambda place: os.chown(place, 65534, 0), "belongs to nobody"),
    "open to all": (lambda place: place.chmod(0o777), "0777"),
}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to somebody else")
@pytest.mark.parametrize("above", [False, True], ids=["the service's directory", "the directory above it"])
@pytest.mark.parametrize("case", OPEN.values(), ids=OPEN)
def test_a_directory_in_which_others_could_plant_links_is_refused(
    host: Host, runs: Runs, tmp_path: Path, above: bool, case: tuple[Callable[[Path], Any], str]
) -> None:
    """Before anything is written: an earlier run's files may have been exchanged for links since."""
    assert host.engine
    open_up, words = case
    precious = tmp_path / "precious"
    precious.write_text("mine")
    runs.prepare("stage")
    directory = tmp_path / "work" / NAME
    for planted in ("lock", "lock.new", "working"):
        (directory / planted).symlink_to(precious)
    open_up(directory.parent if above else directory)
    files = tree(tmp_path / "work")
    refusals = runs.all()
    assert len(refusals) == 11 and [refusal for refusal in refusals if words not in refusal] == []
    assert (tree(tmp_path / "work"), precious.read_text()) == (files, "mine")


def test_a_work_directory_that_is_a_link_or_like_tmp_is_its_users_choice(host: Host, runs: Runs, tmp_path: Path) -> None:
    assert host.engine
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    (tmp_path / "work").rmdir()
    (tmp_path / "work").symlink_to("shared")
    runs.prepare("stage")
    assert (tmp_path / "shared" / NAME / "context/main.go").exists()


# A removal beside a run


def test_a_removal_waits_for_a_run_and_touches_nothing_meanwhile(host: Host, runs: Runs, tmp_path: Path) -> None:
    host.ours(1)
    runs.prepare("stage")
    before, files = host.seen(), tree(tmp_path / "work")
    assert [volume["Labels"][LABEL_HOLDER] for volume in host.engine.volumes(LABEL_LOCK, NAME)]
    with pytest.raises(Locked, match="alice@laptop, process 1 holds the lock"):
        remove.run(
            {"settings": runs.settings, "lock": {**RUN, "token": "t2", "owner": "bob"}}, False, Progress(stages.REMOVE, UNTOUCHED), {}
        )
    assert (host.seen(), tree(tmp_path / "work")) == (before, files)


def test_a_container_that_the_engine_restarted_is_proven_again_and_stays(host: Host, runs: Runs, client: Client) -> None:
    host.ours(1)
    tag = digest_of(1)[:12]
    # What lies in /tmp is gone with the process, so that it ends once.
    runs.settings = replace(runs.settings, args=("httpd -p 8080 -h /srv; until [ -e /tmp/end ]; do sleep 0.1; done",))
    runs.prepare("stage", image_tag=tag)
    made = runs.deploy(f"{NAME}:{tag}")["deploy"]
    assert made["action"] == "created"
    assert runs.prepare("compare", image_tag=tag)["plan"]["deploy"] == []
    client("exec", NAME, "touch", "/tmp/end")
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = host.engine.container(NAME)
        if found["RestartCount"] and found["State"]["Running"] and not found["State"]["Restarting"]:
            break
        time.sleep(0.05)
    reasons = runs.prepare("compare", image_tag=tag)["plan"]["deploy"]
    assert reasons == ["the Engine has restarted the container since it was proven (restarts in all: 1)"]
    again = runs.deploy(f"{NAME}:{tag}")["deploy"]
    assert (again["action"], again["container_id"]) == ("proven", made["container_id"])
    assert runs.prepare("compare", image_tag=tag)["plan"]["deploy"] == []
    assert runs.deploy(f"{NAME}:{tag}")["deploy"]["action"] == "kept"
