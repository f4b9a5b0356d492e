"""Whatever ends a run, and whichever of the Engine's calls goes wrong: the service answers, and the next run finds nothing in its way.

The modules run as they are against an Engine that is a fake (tests/unit/fake_engine.py), spoken to by the real client. Each operation is
watched once, call by call. Then it is done again and again, with

- its process killed wherever the Engine's state or the files on the host are others than before: what is left of a killed process are these
  alone, so that two calls between which neither changes are one case,
- a signal there,
- every call answered by an error, by nothing until the client's patience ends, and by half an answer.

Afterwards the operation is done once more, as by a user who runs the play again, and what there is then is looked at.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import multiprocessing
import os
import re
import shutil
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.common.settings import Settings
from ansible_collections.proven.go_service.plugins.module_utils.deploy import history, proof, swap
from ansible_collections.proven.go_service.plugins.module_utils.engine import client
from ansible_collections.proven.go_service.plugins.modules import deploy, prepare, remove, unlock
from fake_engine import FakeEngine, Fault, State, fake_engine
from plays import free_port

# `make crash` runs it. It is no part of `make test` yet: see docs/decisions.md, "Every call is one at which a run may end".
pytestmark = pytest.mark.skipif("CRASH" not in os.environ, reason="make crash runs it")

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

    def exit_json(self, **result: Any) -> None:
        """End well."""
        raise Ended(**result)

    def fail_json(self, **result: Any) -> None:
        """End as failed."""
        raise Ended(failed=True, **result)

    def warn(self, _sentence: str) -> None:
        """Say nothing."""


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
    """The Engine's state and the files on the host at one moment; held: the run that has the lock, and its plan."""

    state: State
    files: dict[str, bytes]
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

    def _binary(self) -> bytes:
        layer = samples.Layer().directory("/usr").directory("/usr/local").directory("/usr/local/bin")
        return layer.add(f"/usr/local/bin/{self.name}", samples.GOOD_BINARY, mode=0o755, uid=1000, gid=1000).tar()

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

    def build(self, plan: dict[str, Any]) -> None:
        """Build as the classic builder does: an image, and a builder stage without a name."""
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
        rules.add_image(plan["image"], config=config, kind=kind, steps=steps, archive=self._archive, RootFS=layers)
        staged = (
            f"/bin/sh -c CGO_ENABLED=0 go build -ldflags='-s -w' -o /out/{self.name} .",
            f"/bin/sh -c #(nop) COPY dir:{'a' * 64} in /src/ ",
            f"/bin/sh -c #(nop)  LABEL go-service.name={self.name} go-service.kind=builder ",
        )
        rules.add_image(config={"Labels": {"go-service.name": self.name, "go-service.kind": "builder"}}, steps=staged)

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

    def begin(self) -> None:
        """Stage and build, as a run does before it deploys."""
        token = self.token()
        self.held = token, self.stage(token)["plan"]
        self.build(self.held[1])

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
        return Saved(self.engine.rules.snapshot(), files, self.held)

    def restore(self, saved: Saved) -> None:
        """Be as it was."""
        shutil.rmtree(self.directory / "work", ignore_errors=True)
        for name, content in saved.files.items():
            path = self.directory / name
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_bytes(content)
            path.chmod(0o600)
        self.held = saved.held
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

    def untrue(self, running: str, previous: str) -> list[str]:
        """Return what is not as it should be; running, previous: the version that should run and the one to return to, "" for none."""
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
        known = (past.images or {}).get(digest[:12])
        if past.container != {"id": container["Id"], "restarts": 0} or known != {"id": container["Image"], "proven": True}:
            found.append(f"the history knows the container {past.container}, and of its image {known}")
        if set(past.images or {}) - set(tags):
            found.append(f"the history knows images that are gone: {set(past.images or {}) - set(tags)}")
        if past.report.get("digest") != digest:
            found.append(f"the report is of {past.report.get('digest', '')[:12] or 'nothing'}, not {digest[:12]}")
        return found


@contextlib.contextmanager
def world(settings: Make, generate: Make) -> Iterator[World]:
    """Yield a world whose Engine the role finds by DOCKER_HOST, and whose waiting takes no time."""
    before = dict(os.environ)
    patched = [(proof, "POLL", 0), (swap, "POLL", 0), (swap, "STOP_SLACK", 0), (client, "POLL", 0)]
    originals = [(module, name, getattr(module, name)) for module, name, _value in patched]
    with tempfile.TemporaryDirectory(prefix="utest-crash-") as directory, fake_engine(Path(directory)) as engine:
        for module, name, value in patched:
            setattr(module, name, value)
        os.environ["DOCKER_HOST"] = engine.docker_host
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
    served(here)
    here.edit("three")


def built(here: World, kind: str = "good") -> None:
    """The second version runs, and the image of the third one is built."""
    served(here)
    here.edit("three", kind)
    here.begin()


def built_late(here: World) -> None:
    """As before, but the third version fails in the service's place."""
    built(here, "late")


def built_sick(here: World) -> None:
    """As before, but the third version fails as a candidate."""
    built(here, "sick")


def swapping(here: World) -> None:
    """A run was killed when the new container had the name, and the old one was set aside and stopped."""
    built(here)
    before = here.save()
    deploy_built(here)
    start = max(number for number, call in enumerate(here.engine.asked) if call.endswith("/start") and call.startswith("POST /containers/"))
    here.restore(before)
    forked(here, deploy_built, start, signal.SIGKILL, after=False)


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
    since: the first call that is answered wrongly, where those before it are another operation's as well.
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
    "stage": Operation(edited, stage, bring_up, "three", "two", 25),
    "candidate": Operation(built, prove_built, prove, "two", "one", 25, since=25),
    "a sick candidate": Operation(built_sick, deploy_built, bring_up, "two", "one", 20, fails="candidate", since=15),
    "first deploy": Operation(nothing, deploy_built, bring_up, "three", "", 60, serves=False, since=30),
    "swap": Operation(built, deploy_built, bring_up, "three", "two", 80),
    "way back": Operation(built_late, deploy_built, bring_up, "two", "one", 50, fails="swap", since=30),
    "rollback": Operation(served, roll_back, roll_back, "one", "two", 100),
    "recovery": Operation(swapping, stage, bring_up, "three", "two", 30),
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


def forked(here: World, act: Act, at: int, number: int, *, after: bool) -> int:
    """Do something in a process of its own, which gets a signal before or after a call; return how it ended, as waitpid does."""

    def send(_engine: Any, call: int) -> None:
        if call == at:
            os.kill(os.getpid(), number)

    here.engine.arm()
    with warnings.catch_warnings():
        # The child never touches what the Engine's threads had.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            with Calls(after=send) if after else Calls(before=send):
                act(here)
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


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
    of calls that change it."""

    asked: list[str]
    kills: list[tuple[int, bool]]
    changing: set[int]


class Trial:
    """One operation, tried."""

    def __init__(self, here: World, name: str) -> None:
        self.here, self.operation = here, OPERATIONS[name]
        self._settled: dict[str, list[str]] = {}
        here.restore(here.empty)
        self.operation.begins(here)
        self.saved = here.save()

    def watch(self) -> tuple[Watched, list[str]]:
        """Do it once; return what was seen, and what is not as it should be."""
        marks: dict[tuple[Any, ...], tuple[int, bool]] = {}
        changing, last = set(), self.here.mark()

        def look(number: int, after: bool) -> None:
            nonlocal last
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
        return Watched(asked, list(marks.values()), changing), wrong

    def _world(self) -> str:
        """Return all that the next run finds, without what differs from one run to the next without a meaning."""
        state = self.here.engine.rules.state
        kept = [state.containers, state.images, state.volumes]
        text = json.dumps(
            [*kept, {name: content.decode(errors="replace") for name, content in self.here.save().files.items()}], default=repr
        )
        order: dict[str, str] = {}
        text = re.sub(r"\b[0-9a-f]{64}\b", lambda found: order.setdefault(found[0], f"id{len(order)}"), text)
        return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z|run\d+|history-[0-9a-f]{16}|[0-9.e-]+ *, *.?\"host|\d{19}", "", text)

    def settle(self) -> list[str]:
        """Do it again, as a user does, and return what is not as it should be then. Where the world was met before, the answer is known."""
        here, world = self.here, self._world()
        if self.operation.again is roll_back and self.arrived():
            # Done again it would go back to where it came from.
            return []
        if world not in self._settled:
            here.engine.arm()
            done = self.operation.again(here)
            found = here.untrue(self.operation.running, self.operation.previous)
            if done.get("failure", {}).get("stage", "") != self.operation.fails:
                found.append(f"done again it ended otherwise: {done.get('msg')}")
            self._settled[world] = [f"afterwards {line}" for line in found]
        return self._settled[world]

    def kill(self, number: int, after: bool) -> list[str]:
        """Be killed at a call."""
        self.here.restore(self.saved)
        status = forked(self.here, self.operation.act, number, signal.SIGKILL, after=after)
        return [] if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL else [f"not killed: {status}"]

    def interrupt(self, number: int, after: bool) -> list[str]:
        """Get the signal of Ctrl-C at a call, whatever the module does then before it ends."""
        self.here.restore(self.saved)
        forked(self.here, self.operation.act, number, signal.SIGINT, after=after)
        return []

    def arrived(self) -> bool:
        """Say whether all is done but to give the lock back."""
        lines = self.here.untrue(self.operation.running, self.operation.previous)
        return not [line for line in lines if not line.startswith("locked")]

    def break_off(self, fault: Fault) -> list[str]:
        """Have one call go wrong."""
        here = self.here
        here.restore(self.saved)
        here.engine.arm(fault)
        with impatient(fault.at) if fault.how == "hold" else contextlib.nullcontext():
            try:
                done = self.operation.act(here)
            except BaseException as error:
                return [f"the module does not end by a result: {error!r} {traceback.format_exc()[-600:]}"]
        here.engine.arm()
        found = self._served(done)
        if done.get("failed"):
            here.unlock(here.held[0])
        elif not self.operation.fails and self.operation.act in (deploy_built, roll_back, take_away):
            # A lock that could not be given back is a later run's to take.
            wrong = here.untrue(self.operation.running, self.operation.previous)
            found += [f"as it is said to be done, {line}" for line in wrong if not line.startswith("locked")]
        return found

    def _served(self, done: dict[str, Any]) -> list[str]:
        """Return what is wrong where the service does not answer, though nobody was told."""
        if not self.operation.serves or done.get("failure", {}).get("stage") == "rollback":
            return []
        container = self.here.container()
        return (
            []
            if container and self.here.answers() == container["Id"]
            else [f"the service does not answer: {done.get('msg', 'nothing was said')}"]
        )


# All of it, by as many processes as there are cores


def faults_of(name: str, watched: Watched) -> list[Fault]:
    """Return what may become of each call: whatever changes nothing answers in one of the three ways, by turns, and every other call in all of them."""
    found = []
    for number in range(OPERATIONS[name].since, len(watched.asked)):
        every = [Fault(number, "refuse"), Fault(number, "hold", after=True), Fault(number, "cut")]
        found += every if number in watched.changing else [every[number % 3]]
    return found


def attempt(name: str, part: int, parts: int) -> list[str]:
    """Try a part of all that may happen to an operation; return what is wrong."""
    settings, generate = MAKE
    with world(settings, generate) as here:
        trial = Trial(here, name)
        watched, wrong = trial.watch()
        tries: list[tuple[str, Callable[[], list[str]]]] = []
        tries += [
            (f"killed {'after' if after else 'before'} call {number}", partial(trial.kill, number, after))
            for number, after in watched.kills
        ]
        tries += [
            (f"interrupted {'after' if after else 'before'} call {number}", partial(trial.interrupt, number, after))
            for number, after in watched.kills
        ]
        tries += [(f"{fault}", partial(trial.break_off, fault)) for fault in faults_of(name, watched)]
        for what, act in tries[part::parts]:
            wrong += [f"{what}: {line}" for line in (*act(), *trial.settle())]
    return wrong


# What makes settings and generated files: closures, which no process hands to another one but by a fork.
MAKE: list[Make] = []


@pytest.fixture(scope="module")
def attempts(settings: Make, generate: Make) -> Iterator[dict[str, list[concurrent.futures.Future[list[str]]]]]:
    """Return what is found, by the operations' names, as soon as it is; the longest ones are begun first."""
    MAKE[:] = [settings, generate]
    cores = len(os.sched_getaffinity(0))
    with concurrent.futures.ProcessPoolExecutor(cores, multiprocessing.get_context("fork")) as pool:
        longest = sorted(OPERATIONS, key=lambda name: -OPERATIONS[name].calls)
        yield {name: [pool.submit(attempt, name, part, cores) for part in range(cores)] for name in longest}


@pytest.mark.parametrize("name", OPERATIONS)
def test_whatever_goes_wrong_the_service_answers_and_the_next_run_is_not_in_its_way(
    attempts: dict[str, list[concurrent.futures.Future[list[str]]]], name: str
) -> None:
    assert sorted({line for part in attempts[name] for line in part.result()}) == []
