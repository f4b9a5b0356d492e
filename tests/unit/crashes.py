"""Operations of the role that are ended, or go wrong, at any of their calls to the Engine.

The modules run as they are against an Engine that is a fake (fake_engine.py), spoken to by the real client. An operation is watched once,
call by call. Then it is done again and again, and before or after one call, or instead of it, there is

- the end of its process: what is left of a killed process are the Engine's state and the files on the host alone, so that calls between
  which neither changes are one case, and where they are others, a process is killed for real,
- a signal, which the module answers before it ends,
- an error, no answer until the client's patience ends, or half an answer.

What was said then is held against what is there. Afterwards the operation is done once more, as by a user who runs the play again, and what
there is then is looked at.
"""

from __future__ import annotations

import contextlib
import copy
import http.client
import io
import itertools
import json
import multiprocessing
import os
import re
import shutil
import signal
import tempfile
import time
import traceback
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import samples
import urllib3
from ansible_collections.proven.go_service.plugins.module_utils.common import interruption
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import UNTOUCHED
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import RECREATE, Settings
from ansible_collections.proven.go_service.plugins.module_utils.common.stages import IMAGE
from ansible_collections.proven.go_service.plugins.module_utils.deploy import history, proof, swap
from ansible_collections.proven.go_service.plugins.module_utils.engine import client
from ansible_collections.proven.go_service.plugins.modules import deploy, prepare, remove, unlock
from docker.transport import unixconn
from fake_engine import FakeEngine, Fault, State, fake_engine
from plays import free_port

BUILDER, RUNTIME = "golang:1.27-alpine3.24", "alpine:3.24"
# Seconds that a call waits for an answer which does not come.
PATIENCE = 0.02
Make = Callable[..., Any]


class Ended(BaseException):
    """A module has ended with a result."""

    def __init__(self, **result: Any) -> None:
        super().__init__(result)
        self.result = result


class Module:
    """Stands for Ansible's part of a module."""

    check_mode, _verbosity = False, 0

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self._warnings: list[str] = []

    def exit_json(self, **result: Any) -> None:
        """End well."""
        raise Ended(warnings=self._warnings, **result)

    def fail_json(self, **result: Any) -> None:
        """End as failed."""
        raise Ended(failed=True, warnings=self._warnings, **result)

    def warn(self, sentence: str) -> None:
        """Have a sentence in the result, as Ansible does."""
        self._warnings.append(sentence)


def run_module(module: Any, **arguments: Any) -> dict[str, Any]:
    """Run the main of a module as it is, and return its result."""

    def made(argument_spec: dict[str, Any], **_more: Any) -> Module:
        assert set(arguments) <= set(argument_spec), arguments
        return Module({name: arguments.get(name, option.get("default")) for name, option in argument_spec.items()})

    original, module.AnsibleModule = module.AnsibleModule, made
    try:
        module.main()
    except Ended as ended:
        return ended.result
    finally:
        module.AnsibleModule = original
    raise AssertionError("a module ends by its result")


@dataclass
class Saved:
    """The Engine's state and the files on the host at one moment, and what is asked for; held: the run that has the lock, and its plan."""

    state: State
    files: dict[str, bytes]
    settings: Settings
    held: tuple[str, dict[str, Any]]


class World:
    """A host with an Engine, a source, and what the role keeps there."""

    def __init__(self, directory: Path, engine: FakeEngine, settings: Make, generate: Make) -> None:
        self.engine, self.directory = engine, directory
        self.name = f"utest-crash-{os.getpid()}"
        self.settings: Settings = settings(
            name=self.name,
            publish=f"127.0.0.1:{free_port()}",
            work_dir=str(directory / "work"),
            stop_timeout=0,
            stable_seconds=0,
            start_timeout=1e-9,
            keep_images=2,
            budget={"memory_mb": 64, "image_mb": 50},
        )
        self.generated = generate(name=self.name)
        self.source = directory / "source"
        self.source.mkdir()
        (self.source / "go.mod").write_text("module example.com/web\n\ngo 1.22\n")
        engine.rules.add_image(BUILDER, config={"Env": ["GOLANG_VERSION=1.27.3"]})
        base = samples.base_layer().tar()
        engine.rules.add_image(RUNTIME, RootFS={"Layers": [samples.diff_id(base)]})
        self._tars = [base, samples.user_layer().tar(), self._binary()]
        self._archive = samples.save(self._tars)
        self._tokens = 0
        self.held: tuple[str, dict[str, Any]] = ("", {})
        self.empty = self.save()
        self._reached: dict[Callable[[World], None], Saved] = {}

    def _binary(self) -> bytes:
        layer = samples.Layer().directory("/usr").directory("/usr/local").directory("/usr/local/bin")
        return layer.add(f"/usr/local/bin/{self.name}", samples.GOOD_BINARY, mode=0o755, uid=1000, gid=1000).tar()

    def reach(self, begins: Callable[[World], None]) -> None:
        """Be where something begins; what made it so is done once."""
        if begins not in self._reached:
            self.restore(self.empty)
            begins(self)
            self._reached[begins] = self.save()
        self.restore(self._reached[begins])

    # What a user does

    def edit(self, version: str, kind: str = "good") -> None:
        """Write another version of the source; kind: what its image does."""
        (self.source / "main.go").write_text(f"package main\n\nfunc main() {{}}\n\n// {version} is {kind}.\n")

    def _settings(self, image_tag: str = "") -> dict[str, Any]:
        return replace(self.settings, image_tag=image_tag).as_json()

    def _arguments(self, image_tag: str) -> dict[str, Any]:
        settings = self._settings(image_tag)
        if image_tag:
            return {"settings": settings}
        project = {"origin": {"revision": "", "date": "", "url": ""}}
        return {
            "settings": settings,
            "source_root": str(self.source),
            "base_images": [BUILDER, RUNTIME],
            "project": project,
            **self.generated,
        }

    def token(self) -> str:
        """Return the token of a new run."""
        self._tokens += 1
        return f"run{self._tokens}"

    def stage(self, token: str, image_tag: str = "", **more: Any) -> dict[str, Any]:
        """Run the module that stages; all runs before this one are known to have ended."""
        dead = [f"run{number}" for number in range(1, self._tokens) if f"run{number}" != token]
        identity = {"token": token, "owner": "somebody", "controller": "c", "dead": dead}
        return run_module(prepare, mode="stage", lock=identity, **self._arguments(image_tag), **more)

    def build(self, plan: dict[str, Any], *, whole: bool = True) -> None:
        """Build as the classic builder does: a builder stage without a name, and the image where the build is not broken off before."""
        rules, digest = self.engine.rules, plan["digest"]
        version, kind = re.search(r"(\w+) is (\w+)\.", (Path(plan["context"]) / "main.go").read_text()).groups()
        labels = {
            **samples.labels(),
            "go-service.name": self.name,
            "go-service.kind": "image",
            "go-service.digest": digest,
            "version": version,
            "org.opencontainers.image.title": self.name,
            "org.opencontainers.image.base.name": RUNTIME,
        }
        steps = (
            f"/bin/sh -c #(nop)  LABEL go-service.digest={digest} go-service.name={self.name}",
            f"/bin/sh -c #(nop) COPY --chown=app:appfile:{'b' * 64} in /usr/local/bin/{self.name} ",
        )
        config = samples.image_record(self._tars)["Config"]
        config = {**config, "Entrypoint": [f"/usr/local/bin/{self.name}"], "Labels": labels}
        layers = {"Type": "layers", "Layers": [samples.diff_id(tar) for tar in self._tars]}
        staged = (
            f"/bin/sh -c CGO_ENABLED=0 go build -ldflags='-s -w' -o /out/{self.name} .",
            f"/bin/sh -c #(nop) COPY dir:{'a' * 64} in /src/ ",
            f"/bin/sh -c #(nop)  LABEL go-service.name={self.name} go-service.kind=builder ",
        )
        # What looks into a stage is a container that ends by itself.
        rules.add_image(config={"Labels": {"go-service.name": self.name, "go-service.kind": "builder"}}, kind="exits", steps=staged)
        if whole:
            rules.add_image(plan["image"], config=config, kind=kind, steps=steps, archive=self._archive, RootFS=layers)

    def deploy(self, token: str, plan: dict[str, Any], image_tag: str = "", **more: Any) -> dict[str, Any]:
        """Run the module that proves and deploys."""
        return run_module(deploy, settings=self._settings(image_tag), image=plan["image"], bases=[BUILDER, RUNTIME], lock=token, **more)

    def unlock(self, token: str) -> dict[str, Any]:
        """Run the module that gives the lock back."""
        return run_module(unlock, settings=self._settings(), lock=token)

    def bring_up(self, image_tag: str = "", **deploying: Any) -> dict[str, Any]:
        """Do what the role does; return the result of the module that ended it."""
        token = self.token()
        done = self.stage(token, image_tag, keep_lock=bool(deploying))
        if not done.get("failed"):
            if done["plan"]["build"]:
                self.build(done["plan"])
            if done["plan"]["deploy"] or deploying:
                done = self.deploy(token, done["plan"], image_tag, **deploying)
        if done.get("failed"):
            self.unlock(token)
        return done

    def begin(self, *, whole: bool = True) -> None:
        """Stage and build, as a run does before it deploys."""
        token = self.token()
        self.held = token, self.stage(token)["plan"]
        self.build(self.held[1], whole=whole)

    def remove(self) -> dict[str, Any]:
        """Remove the service."""
        token = self.token()
        dead = [f"run{number}" for number in range(1, self._tokens)]
        identity = {"token": token, "owner": "somebody", "controller": "c", "dead": dead}
        return run_module(remove, settings=self._settings(), lock=identity)

    # What there is

    def save(self) -> Saved:
        """Return the Engine's state and the files."""
        files = {str(path.relative_to(self.directory)): path.read_bytes() for path in self._files()}
        return Saved(self.engine.rules.snapshot(), files, self.settings, self.held)

    def restore(self, saved: Saved) -> None:
        """Be as it was."""
        shutil.rmtree(self.directory / "work", ignore_errors=True)
        for name, content in saved.files.items():
            path = self.directory / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o600)
        self.settings, self.held = saved.settings, saved.held
        self.engine.arm()
        self.engine.rules.restore(saved.state)

    def _files(self) -> list[Path]:
        kept = (self.directory / "work", self.source)
        return sorted(path for root in kept for path in root.rglob("*") if path.is_file())

    def mark(self) -> tuple[Any, ...]:
        """Return what differs where the Engine's state or a file does."""
        files = [(str(path), path.stat().st_ino, path.stat().st_mtime_ns) for path in self._files()]
        return self.engine.rules.state.changes, *files

    def container(self) -> dict[str, Any] | None:
        """Return the service's container."""
        return next((one for one in self.engine.rules.state.containers.values() if one["Name"] == f"/{self.name}"), None)

    def answers(self) -> str:
        """Return the id of the container that answers at the service's port, by status 200; "" for none."""
        published = self.settings.publish
        connection = http.client.HTTPConnection(published.address, published.port, timeout=5)
        try:
            connection.request("GET", "/health")
            answer = connection.getresponse()
            said = answer.read().decode()
        except OSError:
            return ""
        finally:
            connection.close()
        return said if answer.status == 200 else ""

    def tags(self) -> dict[str, str]:
        """Return the ids of the images by their tags."""
        images = self.engine.rules.state.images.values()
        return {
            tag.partition(":")[2]: one["record"]["Id"]
            for one in images
            for tag in one["record"]["RepoTags"]
            if tag.startswith(f"{self.name}:")
        }

    def version(self, image_id: str | None) -> str:
        """Return the version that an image was built from, "" for none."""
        held = self.engine.rules.state.images.get(image_id or "")
        return held["record"]["Config"]["Labels"]["version"] if held else ""

    def _stray_images(self, running: str) -> list[str]:
        """Return what is there of images beyond those that are kept to return to, and of builder stages beyond the newest."""
        images = [one["record"] for one in self.engine.rules.state.images.values()]
        own = [one for one in images if (one["Config"]["Labels"] or {}).get("go-service.name") == self.name]
        kinds = [one["Config"]["Labels"]["go-service.kind"] for one in own if not one["RepoTags"]]
        fixed = [tag for one in own for tag in one["RepoTags"] if not tag.endswith((":latest", ":previous"))]
        found = [f"images without a name: {sorted(kinds)}"] if kinds != ["builder"] * min(len(kinds), bool(running)) else []
        return [*found, f"{len(fixed)} images are kept"] if len(fixed) > (self.settings.keep_images if running else 0) else found

    def untrue(self, running: str, previous: str, *, pruned: bool = True) -> list[str]:
        """Return what is not as it should be; running, previous: the version that should run and the one to return to, "" for none; pruned: whether
        nothing is left of other versions."""
        found, container, tags = [], self.container(), self.tags()
        state = self.engine.rules.state
        own = sorted(one["Name"][1:] for one in state.containers.values())
        if own != ([self.name] if running else []):
            found.append(f"containers: {own}")
        held = {
            kind: [name for name, one in state.volumes.items() if f"go-service.{kind}" in one["Labels"]] for kind in ("lock", "history")
        }
        if held["lock"]:
            found.append(f"locked: {held['lock']}")
        # Of a save that was broken off the newer counts, and the next save takes the older one away.
        if bool(held["history"]) != bool(running) or len(held["history"]) > 2:
            found.append(f"histories: {held['history']}")
        found += self._stray_images(running) if pruned else []
        for tag, wanted in (("latest", running), ("previous", previous)):
            if self.version(tags.get(tag)) != wanted:
                found.append(f"{tag} is {self.version(tags.get(tag)) or 'nothing'}, not {wanted or 'nothing'}")
        if not running or not container:
            return [*found, *(["there is no container"] if running else [])]
        if self.version(container["Image"]) != running:
            found.append(f"{self.version(container['Image'])} runs, not {running}")
        if self.answers() != container["Id"]:
            found.append(f"at the port answers {self.answers()[:12] or 'nobody'}, not {container['Id'][:12]}")
        past = history.read(client.Engine(), self.name, self.directory / "work" / self.name)
        digest = state.images[container["Image"]]["record"]["Config"]["Labels"]["go-service.digest"]
        known = (past.images or {}).get(digest[:12], {})
        if past.container != {"id": container["Id"], "restarts": container["RestartCount"]} or (known.get("id"), known.get("proven")) != (
            container["Image"],
            True,
        ):
            found.append(f"the history knows the container {past.container}, and of its image {known.get('id')}, {known.get('proven')}")
        if set(past.images or {}) - set(tags):
            found.append(f"the history knows images that are gone: {set(past.images or {}) - set(tags)}")
        if past.report.get("digest") != digest:
            found.append(f"the report is of {past.report.get('digest', '')[:12] or 'nothing'}, not {digest[:12]}")
        return found


def directly(engine: FakeEngine) -> Callable[..., Any]:
    """Return what sends a request in the place of the SDK's own adapter: by a call of the Engine's, until it is to go wrong.

    All that is before a fault takes a tenth of the time so; the one that goes wrong, and whatever follows it, goes over a socket. So does whatever a
    process of its own asks: the Engine is not in there.
    """
    by_socket, here = unixconn.UnixHTTPAdapter.send, os.getpid()

    def send(adapter: Any, request: Any, stream: bool = False, **how: Any) -> Any:
        faulty = engine.fault is not None and engine.requests >= engine.fault.at
        if faulty or stream or os.getpid() != here or not isinstance(request.body, (bytes, str, type(None))):
            return by_socket(adapter, request, stream=stream, **how)
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        _fault, answer = engine.answer(request.method, request.path_url, body)
        content = io.BytesIO(answer.content())
        kind = {"Content-Type": answer.kind}
        found = urllib3.HTTPResponse(
            content, kind, answer.status, reason=http.client.responses.get(answer.status, ""), preload_content=False
        )
        return adapter.build_response(request, found)

    return send


@contextlib.contextmanager
def world(settings: Make, generate: Make) -> Iterator[World]:
    """Yield a world whose Engine the role finds by DOCKER_HOST, and whose waiting takes no time."""
    before = dict(os.environ)
    # The libraries walk through all of it at each request.
    few = {name: value for name, value in before.items() if name in ("PATH", "HOME", "TMPDIR")}
    connect = unixconn.UnixHTTPAdapter.get_connection
    with tempfile.TemporaryDirectory(prefix="utest-crash-") as directory, fake_engine(Path(directory)) as engine:
        patched: list[tuple[Any, str, Any]] = [
            (proof, "POLL", 0),
            (swap, "POLL", 0),
            (swap, "STOP_SLACK", 0),
            (client, "POLL", 0),
            (unixconn.UnixHTTPAdapter, "send", directly(engine)),
            # One connection instead of one for each address that is asked.
            (
                unixconn.UnixHTTPAdapter,
                "get_connection",
                lambda adapter, _url, proxies=None: connect(adapter, adapter.socket_path, proxies),
            ),
        ]
        originals = [(module, name, getattr(module, name)) for module, name, _value in patched]
        for module, name, value in patched:
            setattr(module, name, value)
        os.environ.clear()
        os.environ.update(few, DOCKER_HOST=engine.docker_host)
        try:
            yield World(Path(directory), engine, settings, generate)
        finally:
            os.environ.clear()
            os.environ.update(before)
            for module, name, value in originals:
                setattr(module, name, value)


# Where operations begin


def nothing(here: World) -> None:
    """Nothing of the service is there, and its image is built."""
    here.edit("three")
    here.begin()


def served(here: World) -> None:
    """The second version runs, the first one can be returned to."""
    for version in ("zero", "one", "two"):
        here.edit(version)
        assert not here.bring_up().get("failed")


def edited(here: World) -> None:
    """The second version runs, and its source was edited."""
    here.reach(served)
    here.edit("three")


def half_built(here: World) -> None:
    """As before, and the builder was killed between its two stages."""
    here.reach(edited)
    here.begin(whole=False)


def built(here: World, kind: str = "good") -> None:
    """The second version runs, and the image of the third one is built."""
    here.reach(served)
    here.edit("three", kind)
    here.begin()


def built_late(here: World) -> None:
    """As before, but the third version fails in the service's place."""
    built(here, "late")


def built_sick(here: World) -> None:
    """As before, but the third version never passes its health check."""
    built(here, "sick")


def built_for_others(here: World) -> None:
    """The second version runs, and the image of the third one is built, for hosts of another platform."""
    here.reach(served)
    here.settings = replace(here.settings, platform="linux/arm64")
    # What is not run may have any base.
    base = next(image["record"] for image in here.engine.rules.state.images.values() if RUNTIME in image["record"]["RepoTags"])
    base["Architecture"] = "arm64"
    here.edit("three")
    here.begin()


def alone(here: World) -> None:
    """The third version is built, and is to be proven in the service's place."""
    here.reach(built)
    here.settings = replace(here.settings, deploy_strategy=RECREATE)


def alone_and_sick(here: World) -> None:
    """As before, but the third version never passes its health check."""
    here.reach(built_sick)
    here.settings = replace(here.settings, deploy_strategy=RECREATE)


def swapping(here: World, begins: Callable[[World], None] = built) -> None:
    """A run was killed when the new container had the name, and the old one was set aside and stopped."""
    here.reach(begins)
    before = here.save()
    deploy_built(here)
    start = max(number for number, call in enumerate(here.engine.asked) if call.endswith("/start") and call.startswith("POST /containers/"))
    here.restore(before)
    here.engine.arm()
    assert not killed(partial(deploy_built, here), start, after=False)


def swapping_alone(here: World) -> None:
    """As before, with a new version that nothing has proven yet."""
    swapping(here, alone)


def restarted(here: World) -> None:
    """The third version runs, and the Engine has restarted it since it was proven."""
    here.reach(edited)
    assert not here.bring_up().get("failed")
    container = here.container()
    assert container
    container["RestartCount"] = 1
    # Long enough ago: what was restarted just now would be watched for a while.
    container["State"]["StartedAt"] = "2026-01-01T00:00:00Z"


# What is done


def deploy_built(here: World) -> dict[str, Any]:
    """Deploy the image that is built."""
    return here.deploy(*here.held)


def prove_built(here: World) -> dict[str, Any]:
    """Prove the image that is built."""
    return here.deploy(*here.held, prove_only=True)


def stage(here: World) -> dict[str, Any]:
    """Stage the source."""
    return here.stage(here.token())


def give_back(here: World) -> dict[str, Any]:
    """Give the lock back."""
    return here.unlock(here.held[0])


def bring_up(here: World) -> dict[str, Any]:
    """Do the whole."""
    return here.bring_up()


def prove(here: World) -> dict[str, Any]:
    """Do the whole up to the proof."""
    return here.bring_up(prove_only=True)


def roll_back(here: World) -> dict[str, Any]:
    """Return to the image before."""
    return here.bring_up("previous")


def take_away(here: World) -> dict[str, Any]:
    """Remove the service."""
    return here.remove()


Act = Callable[[World], dict[str, Any]]


@dataclass(frozen=True)
class Operation:
    """Something that is done to a world, and how it may end.

    begins: what makes the world; again: what a user does after an interruption; running, previous: what there is afterwards; fails: the stage that
    it fails at by itself; serves: whether the service answers all the while, but for the moment of the swap; calls: as many at least are made;
    since: the first call that is of this operation alone: those before it are another one's as well.
    """

    begins: Callable[[World], None]
    act: Act
    again: Act
    running: str
    previous: str
    calls: int
    fails: str = ""
    serves: bool = True
    since: int = 0


OPERATIONS = {
    "prepare": Operation(edited, stage, bring_up, "three", "two", 25),
    "prepare after a broken build": Operation(half_built, stage, bring_up, "three", "two", 25, since=25),
    "candidate": Operation(built, prove_built, prove, "two", "one", 25),
    "an image for others": Operation(built_for_others, prove_built, prove, "two", "one", 20),
    "a sick candidate": Operation(built_sick, deploy_built, bring_up, "two", "one", 20, fails="candidate", since=24),
    "first deploy": Operation(nothing, deploy_built, bring_up, "three", "", 60, serves=False, since=53),
    "swap, tags and prune": Operation(built, deploy_built, bring_up, "three", "two", 80, since=36),
    "way back": Operation(built_late, deploy_built, bring_up, "two", "one", 50, fails="swap", since=61),
    "recreate": Operation(alone, deploy_built, bring_up, "three", "two", 60, since=36),
    "way back of recreate": Operation(alone_and_sick, deploy_built, bring_up, "two", "one", 50, fails="swap", since=40),
    # Once more it would go to the version before that one, which is no longer kept.
    "rollback": Operation(served, roll_back, roll_back, "one", "", 100, since=89),
    "proof of a restarted container": Operation(restarted, bring_up, bring_up, "three", "two", 60, since=93),
    "recovery": Operation(swapping, stage, bring_up, "three", "two", 30, serves=False),
    "recovery of recreate": Operation(swapping_alone, stage, bring_up, "three", "two", 30, serves=False),
    "unlock": Operation(built, give_back, bring_up, "three", "two", 3),
    "remove": Operation(served, take_away, take_away, "", "", 20, serves=False),
}


# How it goes wrong


class Calls:
    """All calls to the Engine while something is done, each with what comes before and after it."""

    def __init__(
        self, before: Callable[[Any, int], None] = lambda *_call: None, after: Callable[[Any, int], None] = lambda *_call: None
    ) -> None:
        self.number, self._before, self._after = 0, before, after

    def __enter__(self) -> Calls:
        self._original = original = client.Engine._call

        def call(engine: Any, wanted: Callable[[], Any]) -> Any:
            number, self.number = self.number, self.number + 1
            self._before(engine, number)
            try:
                return original(engine, wanted)
            finally:
                self._after(engine, number)

        client.Engine._call = call
        return self

    def __exit__(self, *_error: object) -> None:
        client.Engine._call = self._original


def forked(act: Callable[[], Any]) -> int:
    """Do something in a process of its own; return how it ended, as waitpid does."""
    with warnings.catch_warnings():
        # The child never touches what the Engine's threads had.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            act()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def sending(number: int, at: int, *, after: bool) -> Calls:
    """Return what has a signal sent to this process before or after a call."""

    def send(_engine: Any, call: int) -> None:
        if call == at:
            os.kill(os.getpid(), number)

    return Calls(after=send) if after else Calls(before=send)


def killed(act: Callable[[], Any], at: int, *, after: bool) -> list[str]:
    """Kill a process of its own that does something, before or after a call; return that it was not where it was not."""
    with sending(signal.SIGKILL, at, after=after):
        status = forked(act)
    return [] if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL else [f"not killed: {status}"]


@contextlib.contextmanager
def impatient(at: int) -> Iterator[None]:
    """Let one call wait for its answer no longer than it takes to see that none comes."""
    sdk, within = client.docker.APIClient, client._within

    def shorten(engine: Any, number: int) -> None:
        if number != at:
            return
        client._within = lambda _seconds, call: within(PATIENCE, call)
        if hasattr(engine, "_client"):
            engine._client.timeout = PATIENCE
        else:
            client.docker.APIClient = lambda *where, **how: sdk(*where, **{**how, "timeout": PATIENCE})

    def restore(engine: Any, _number: int) -> None:
        client._within, client.docker.APIClient = within, sdk
        if hasattr(engine, "_client"):
            engine._client.timeout = client.TIMEOUT

    with Calls(shorten, restore):
        yield


@dataclass
class Watched:
    """An operation that nothing disturbed. asked: its calls; kills: (number, after) of those at which the world is another than before; changing: numbers
    of calls that change it; places: by way of which lines of the collection each is made."""

    asked: list[str]
    kills: list[tuple[int, bool]]
    changing: set[int]
    places: list[Place]


# Lines of files, the innermost first.
Place = tuple[tuple[str, int], ...]


def place() -> Place:
    """Return by way of which lines of the collection this is reached."""
    frames = traceback.walk_stack(None)
    return tuple((frame.f_code.co_filename, line) for frame, line in frames if "/plugins/" in frame.f_code.co_filename)


# What a failure may say of what still runs, and what is true then: of the container of the service, of the one before, of ids that it names.
Said = Callable[["Trial", re.Match[str]], bool]
SENTENCES: list[tuple[str, Said]] = [
    (re.escape(UNTOUCHED), lambda trial, _said: trial.untouched()),
    (r"Nothing else that ran before was touched\.", lambda trial, _said: True),
    (r"The container (\w{12}) of \S+ runs and is healthy\.", lambda trial, said: trial.runs(said[1])),
    (
        r"The very same earlier container (\w{12}) runs again and is healthy\.",
        lambda trial, said: trial.runs(said[1]) and trial.is_old(said[1]),
    ),
    (r"The new container (\w{12}) runs and is healthy; the old one is kept as \S+\.", lambda trial, said: trial.runs(said[1])),
    (
        r"Finished an interrupted swap: the new container (\w{12}) is healthy, the old one is removed\.",
        lambda trial, said: trial.runs(said[1]),
    ),
    (r"Undid an interrupted swap: the old container (\w{12}) runs again\.", lambda trial, said: trial.runs(said[1])),
    (r"There was no earlier container to bring back: the service does not run\.", lambda trial, _said: not trial.here.answers()),
    (r"The service does not run\.", lambda trial, _said: not trial.here.answers()),
    (r"The earlier container (\w{12}) runs, but nothing has proven that it is healthy\.", lambda trial, said: trial.runs(said[1])),
    # Both say how to look, and nothing else: see `Trial.told` for what runs then.
    (r"See docker ps [^;]+; the next run goes on with it\.", lambda _trial, _said: True),
    (r"What was not removed yet: docker ps .+ shows it\.", lambda _trial, _said: True),
    (r"(?:Removed the leftover container|Took over the lock of an ended run) .+?\.", lambda _trial, _said: True),
]
# What is said of the cause of each kind of end.
CAUSES = {
    "refuse": "the fake Engine refuses",
    "hold": "timed out|no answer within|not come back",
    "lost": "not come back|Remote end closed|Connection aborted",
    "cut": "broken|IncompleteRead|incomplete|Expecting|Unterminated|without response|delimiter",
    "signal": "the run was ended by the signal SIG(INT|TERM)",
}


class Trial:
    """One operation, tried."""

    def __init__(self, here: World, name: str) -> None:
        self.here, self.operation = here, OPERATIONS[name]
        self._settled: dict[str, list[str]] = {}
        here.reach(self.operation.begins)
        self.saved = here.save()
        self._before = copy.deepcopy(here.container())
        self._served = here.answers()

    def watch(self) -> tuple[Watched, list[str]]:
        """Do it once; return what was seen, and what is not as it should be."""
        marks: dict[tuple[Any, ...], tuple[int, bool]] = {}
        changing, last = set(), self.here.mark()
        places = []

        def look(number: int, after: bool) -> None:
            nonlocal last
            if not after:
                places.append(place())
            mark = self.here.mark()
            marks.setdefault(mark, (number, after))
            if after and mark != last:
                changing.add(number)
            last = mark

        self.here.restore(self.saved)
        with Calls(lambda _engine, number: look(number, False), lambda _engine, number: look(number, True)) as calls:
            done = self.operation.act(self.here)
        asked = self.here.engine.asked
        wrong = [] if calls.number == len(asked) >= self.operation.calls else [f"{calls.number} calls, {len(asked)} requests"]
        if done.get("failure", {}).get("stage", "") != self.operation.fails:
            wrong.append(f"it ended otherwise: {done.get('msg')}")
        return Watched(asked, list(marks.values()), changing, places), [*wrong, *self.told(done, "")]

    def _world(self) -> str:
        """Return all that the next run finds, without what differs from one run to the next without a meaning."""
        state = self.here.engine.rules.state
        images = [image["record"] for image in state.images.values()]
        files = {name: content.decode(errors="replace") for name, content in self.here.save().files.items()}
        text = json.dumps([state.containers, images, state.volumes, files])
        order: dict[str, str] = {}
        text = re.sub(r"\b[0-9a-f]{64}\b", lambda found: order.setdefault(found[0], f"id{len(order)}"), text)
        return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z|run\d+|history-[0-9a-f]{16}|[0-9.e-]+ *, *.?\"host|\d{19}", "", text)

    def settle(self) -> list[str]:
        """Do it again, as a user does, and return what is not as it should be then. Where the world was met before, the answer is known."""
        here, world = self.here, self._world()
        if world not in self._settled:
            # A rollback that was done but for its last words would go on to the version before that one, and there is none.
            fails = IMAGE if self.operation.again is roll_back and self._returned() else self.operation.fails
            here.engine.arm()
            done = self.operation.again(here)
            found = self._untrue()
            if done.get("failure", {}).get("stage", "") != fails:
                found.append(f"done again it ended otherwise: {done.get('msg')}")
            self._settled[world] = [f"afterwards {line}" for line in found]
        return self._settled[world]

    def kill(self, number: int, after: bool) -> list[str]:
        """Be killed at a call."""
        self.here.restore(self.saved)
        return [*killed(partial(self.operation.act, self.here), number, after=after), *self._offered()]

    def interrupt(self, number: int, after: bool, sent: signal.Signals) -> list[str]:
        """Get a signal at a call; what the module does then before it ends is done."""
        self.here.restore(self.saved)
        # As in a process that has heard of none yet.
        interruption._State.told = False
        with sending(sent, number, after=after):
            return self._ended(self.operation.act, "signal")

    def break_off(self, fault: Fault) -> list[str]:
        """Have one call go wrong."""
        self.here.restore(self.saved)
        self.here.engine.arm(fault)
        with impatient(fault.at) if fault.how == "hold" else contextlib.nullcontext():
            return self._ended(self.operation.act, fault.how)

    def _ended(self, act: Act, how: str) -> list[str]:
        """Do it, and return what is wrong with how it ends."""
        here = self.here
        try:
            done = act(here)
        except BaseException as error:
            return [f"the module does not end by a result: {error!r} {traceback.format_exc()[-600:]}"]
        here.engine.arm()
        found = [*self.told(done, how), *self._offered()]
        if done.get("failed"):
            here.unlock(here.held[0])
        elif not self.operation.fails and self.operation.act in (deploy_built, roll_back, take_away):
            # A lock that could not be given back is a later run's to take.
            wrong = self._untrue()
            found += [f"as it is said to be done, {line}" for line in wrong if not line.startswith("locked")]
        return found

    def _untrue(self) -> list[str]:
        """Return what is not as it should be once it is done."""
        # What was not deployed is taken away with the next version that is.
        pruned = not self.operation.fails and self.operation.again is not prove
        return self.here.untrue(self.operation.running, self.operation.previous, pruned=pruned)

    def _offered(self) -> list[str]:
        """Return that a version which fails can be returned to, where it can."""
        past = history.read(client.Engine(), self.here.name, self.here.directory / "work" / self.here.name)
        proven = [self.here.version(known["id"]) for known in (past.images or {}).values() if known["proven"]]
        return ["what has failed can be returned to"] if self.operation.fails and "three" in proven else []

    def _returned(self) -> bool:
        """Say whether the version that is returned to runs, and no run is on its way to it any more."""
        here, container = self.here, self.here.container()
        past = history.read(client.Engine(), here.name, here.directory / "work" / here.name)
        return container is not None and here.version(container["Image"]) == self.operation.running and not past.returning

    # What is said, and what is there

    def untouched(self) -> bool:
        """Say whether the service's container is the same one, and was not started anew."""
        before, now = self._before, self.here.container()
        same = [one and (one["Id"], one["State"]["StartedAt"], one["State"]["Running"]) for one in (before, now)]
        return same[0] == same[1] and self.here.answers() == self._served

    def runs(self, short: str) -> bool:
        """Say whether a container, by the beginning of its id, is the one that answers as the service."""
        container = self.here.container()
        return bool(container) and container["Id"].startswith(short) and self.here.answers() == container["Id"]

    def is_old(self, short: str) -> bool:
        """Say whether it is the one that was there before."""
        return self._before is not None and self._before["Id"].startswith(short)

    def told(self, done: dict[str, Any], how: str) -> list[str]:
        """Return what is not true of what a failure says, and what it does not say; how: what made it fail, "" where it fails by itself."""
        failure = done.get("failure")
        serves = self.operation.serves and bool(self.here.answers())
        if not failure:
            return [] if serves or not self.operation.serves else ["it is said to be done, and the service does not answer"]
        found, said = [], failure["still_runs"]
        if self.operation.serves and not serves and failure["stage"] != "recovery":
            found.append(f"the service does not answer: {done['msg']}")
        while said:
            match, true = next(((match, true) for words, true in SENTENCES if (match := re.match(words, said))), (None, None))
            if not match or not true:
                return [*found, f"it says of what runs: {said}"]
            if not true(self, match):
                found.append(f"it is not true that: {match[0]}")
            said = said[match.end() :].strip()
        if how and not self.operation.fails and not re.search(CAUSES[how], done["msg"]):
            found.append(f"it does not tell the cause: {done['msg']}")
        if not failure["remedy"] or "error in the role" in failure["remedy"]:
            found.append(f"it does not tell what to do: {done['msg']}")
        return found


# What may happen


def everything(name: str, trial: Trial, watched: Watched) -> Iterator[Attempt]:
    """Yield all that is tried: each end, before and after each call, and each wrong answer to each."""
    for number, after in itertools.product(range(len(watched.asked)), (False, True)):
        yield Attempt(name, f"killed {'after' if after else 'before'}", number, partial(trial.kill, number, after))
        for sent in (signal.SIGINT, signal.SIGTERM):
            yield Attempt(name, f"{sent.name} {'after' if after else 'before'}", number, partial(trial.interrupt, number, after, sent))
        for how in ("refuse", "hold"):
            yield Attempt(name, f"{how} {'after' if after else 'before'}", number, partial(trial.break_off, Fault(number, how, after)))
        for how in ("cut", "lost") if after else ():
            yield Attempt(name, how, number, partial(trial.break_off, Fault(number, how)))


class Spread:
    """A part of all that is tried, of one operation after the other.

    A call that changes something goes wrong in one way, by turns; one that only reads too, at each place of the code from which it is made; a
    process is killed wherever the world is another than before.
    """

    READING = ("SIGINT after", "refuse before", "SIGTERM before", "cut", "hold before")
    CHANGING = ("SIGTERM after", "refuse before", "SIGINT before", "hold after", "lost", "cut")

    def __init__(self) -> None:
        self._seen: set[Place] = set()

    def __call__(self, name: str, trial: Trial, watched: Watched) -> Iterator[Attempt]:
        """Yield what is tried of an operation."""
        worlds, wanted = set(watched.kills), {}
        for number in range(OPERATIONS[name].since, len(watched.asked)):
            ways = self.CHANGING if number in watched.changing else self.READING
            if number in watched.changing or watched.places[number] not in self._seen:
                wanted[number] = ways[number % len(ways)]
            self._seen.add(watched.places[number])
        for attempt in everything(name, trial, watched):
            if attempt.what.startswith("killed"):
                if (attempt.number, attempt.what.endswith("after")) in worlds:
                    yield attempt
            elif attempt.what == wanted.get(attempt.number):
                yield attempt


@dataclass
class Attempt:
    """One thing that is tried at a call of an operation."""

    name: str
    what: str
    number: int
    act: Callable[[], list[str]]


@dataclass
class Found:
    """What attempts have shown, by the names of the operations.

    attempts: how many there were; ways: in which; calls: the numbers of the calls at which; tried: the places of these; watched: how many calls the
    operation makes; changing: which of them change something; places: of those that are its own; wrong: sentences; seconds: of processors.
    """

    attempts: Counter[str] = field(default_factory=Counter)
    ways: set[str] = field(default_factory=set)
    calls: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    tried: set[Place] = field(default_factory=set)
    places: dict[str, set[Place]] = field(default_factory=dict)
    changing: dict[str, set[int]] = field(default_factory=dict)
    wrong: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    seconds: Counter[str] = field(default_factory=Counter)
    watched: dict[str, int] = field(default_factory=dict)


Which = Callable[[str, Trial, Watched], Iterator[Attempt]]


def attempt_all(which: Which, settings: Make, generate: Make, names: Iterator[str]) -> Found:
    """Try what may happen to operations, by their names; return what is wrong."""
    found = Found()
    with world(settings, generate) as here:
        for name in names:
            began = time.process_time()
            trial = Trial(here, name)
            watched, wrong = trial.watch()
            found.wrong[name].update(wrong)
            found.watched[name] = len(watched.asked)
            own = OPERATIONS[name].since
            found.places[name] = set(watched.places[own:])
            found.changing[name] = {number for number in watched.changing if number >= own}
            for attempt in which(name, trial, watched):
                found.attempts[name] += 1
                found.ways.add(attempt.what)
                found.calls[name].add(attempt.number)
                found.tried.add(watched.places[attempt.number])
                lines = (*attempt.act(), *trial.settle())
                found.wrong[name].update(f"{attempt.what} call {attempt.number}, {watched.asked[attempt.number]}: {line}" for line in lines)
            found.seconds[name] += time.process_time() - began
            # At once: the whole of it may take an hour.
            told = f"{name:32} {found.watched[name]:4} calls {found.attempts[name]:6} attempts {found.seconds[name]:6.0f} s of a processor"
            print(told, *sorted(found.wrong[name]), sep="\n  ", flush=True)
    return found


def attempts(which: Which, settings: Make, generate: Make) -> Found:
    """Try what may happen to all operations, by as many processes as there are cores; return what is wrong."""
    # Each takes the longest operation that is left: what it has seen of one is of no use to another process.
    longest = sorted(OPERATIONS, key=lambda name: OPERATIONS[name].since - OPERATIONS[name].calls)
    fork = multiprocessing.get_context("fork")
    taken, whole = fork.Value("i", 0), Found()

    def names() -> Iterator[str]:
        while True:
            with taken.get_lock():
                number, taken.value = taken.value, taken.value + 1
            if number >= len(longest):
                return
            yield longest[number]

    def work(outcome: Any) -> None:
        outcome.send(attempt_all(which, settings, generate, names()))

    pipes = [fork.Pipe(duplex=False) for _core in os.sched_getaffinity(0)]
    workers = [fork.Process(target=work, args=(sending_end,)) for _receiving_end, sending_end in pipes]
    for worker in workers:
        worker.start()
    for _receiving_end, sending_end in pipes:
        # So that the end of its process is noticed.
        sending_end.close()
    for receiving_end, _sending_end in pipes:
        part = receiving_end.recv()
        whole.attempts += part.attempts
        whole.seconds += part.seconds
        whole.calls.update(part.calls)
        whole.wrong.update(part.wrong)
        whole.watched.update(part.watched)
        whole.places.update(part.places)
        whole.changing.update(part.changing)
        whole.ways |= part.ways
        whole.tried |= part.tried
    for worker in workers:
        worker.join()
    return whole
