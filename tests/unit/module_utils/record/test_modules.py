"""What is known of Go modules beside a binary's own build information."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence.build_info import parse_build_info
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import EngineError
from ansible_collections.proven.go_service.plugins.module_utils.record import modules, sbom
from ansible_collections.proven.go_service.plugins.module_utils.record.modules import MAIN, ModuleFacts

MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software") ... this permission notice"""
TEXT = "mod\texample.com/m\t(devel)\t\ndep\ta.example/One\tv1.0.0\th1:x=\ndep\tb.example/two\tv0.2.0\t\ndep\tc.example/local\tv0.0.0\n=>\t./local\t(devel)\t\n"
INFO = parse_build_info("go1.27.3", TEXT)
ONE, TWO = "a.example/One@v1.0.0", "b.example/two@v0.2.0"
STAGE = {"Id": "sha256:5", "Config": {"Env": ["PATH=/bin", "GOPATH=/go:/other"]}}


def test_what_a_go_mod_requires_for_itself() -> None:
    text = """module example.com/m // a comment
go 1.27
require "a.example/One" v1.0.0
require (
\tb.example/two v0.2.0
\tc.example/three v0.3.0 // indirect
\td.example/four v0.4.0 //indirect
\te.example/five v0.5.0+incompatible // needed
)
exclude (
\tf.example/six v1.0.0
)
replace g.example/seven v1.0.0 => h.example/eight v1.0.0
require ()
tool b.example/two/cmd
"""
    assert modules.direct(text) == ("a.example/One", "b.example/two", "e.example/five")


def test_directories_are_no_modules() -> None:
    assert list(modules.linked(INFO)) == [ONE, TWO]


@pytest.mark.parametrize("module_dir", ["", "services/api"])
def test_the_source_tells_hashes_requirements_and_vendored_licenses(tmp_path: Path, module_dir: str) -> None:
    own = tmp_path / module_dir
    (own / "vendor/a.example/One").mkdir(parents=True)
    (own / "vendor/a.example/One/LICENSE.txt").write_text(MIT)
    (own / "vendor/b.example/two").mkdir(parents=True)
    (own / "vendor/b.example/two/LICENSE").symlink_to("/etc/hostname")
    (own / "go.mod").write_text("module m\nrequire a.example/One v1.0.0\n")
    (own / "go.sum").write_text("b.example/two v0.2.0 h1:two=\nb.example/two v0.2.0/go.mod h1:other=\n")
    found = modules.of_source(tmp_path, module_dir, modules.linked(INFO))
    assert found == {MAIN: ModuleFacts(requires=("a.example/One",)), ONE: ModuleFacts("MIT"), TWO: ModuleFacts("", "h1:two=")}


def test_a_source_without_anything_tells_nothing(tmp_path: Path) -> None:
    assert modules.of_source(tmp_path / "gone", "", modules.linked(INFO)) == {MAIN: ModuleFacts(), ONE: ModuleFacts(), TWO: ModuleFacts()}


def never(_wanted: Any) -> dict[str, ModuleFacts]:
    raise AssertionError("the builder's stage is asked")


def test_the_same_modules_as_the_run_before_are_not_looked_up_again() -> None:
    """The whole way: what the builder's stage said is read back from the bill of materials, replaced directories and all."""
    evidence = samples.good_evidence(replace_binary=samples.binary_layer(samples.elf(info=samples.build_info(text=TEXT))))
    told = {ONE: ModuleFacts("MIT", "", ("b.example/two",)), TWO: ModuleFacts("Apache-2.0 AND MIT", "", ())}
    first = modules.gather(INFO, source=None, before={}, builder_stage=lambda wanted: {name: told[name] for name in wanted})
    assert first == told
    document = sbom.cyclonedx(evidence, service="m", modules=first)
    assert modules.gather(INFO, source=None, before=document, builder_stage=never) == told
    other = parse_build_info("go1.27.3", TEXT.replace("v0.2.0", "v0.2.1"))
    assert modules.gather(other, source=None, before=document, builder_stage=lambda _wanted: {}) == {
        ONE: ModuleFacts(),
        "b.example/two@v0.2.1": ModuleFacts(),
    }


def test_where_nothing_was_known_it_is_asked_again() -> None:
    evidence = samples.good_evidence(replace_binary=samples.binary_layer(samples.elf(info=samples.build_info(text=TEXT))))
    document = sbom.cyclonedx(evidence, service="m", modules=modules.gather(INFO, source=None, before={}, builder_stage=lambda _wanted: {}))
    told = {ONE: ModuleFacts("MIT", "", ()), TWO: ModuleFacts("MIT", "", ())}
    assert modules.gather(INFO, source=None, before=document, builder_stage=lambda _wanted: told) == told


def test_a_service_without_modules_asks_nobody(tmp_path: Path) -> None:
    assert modules.gather(None, source=None, before={}, builder_stage=never) == {}
    alone = parse_build_info("go1.27.3", "mod\tm\t(devel)\t\n")
    assert modules.gather(alone, source=(tmp_path, ""), before={}, builder_stage=never) == {MAIN: ModuleFacts()}


class Engine:
    """An Engine with one container; fails: the call that it refuses."""

    def __init__(self, printed: list[str], fails: str = "") -> None:
        self.printed, self.fails, self.calls = printed, fails, []

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name == self.fails:
            raise EngineError("refused")

    def create(self, name: str, body: dict[str, Any]) -> str:
        self._called("create")
        self.name, self.body = name, body
        return "id"

    def start(self, _name: str) -> None:
        self._called("start")

    def container(self, _name: str) -> dict[str, Any]:
        return {"State": {"Running": self.calls.count("look") < 1 and not self.calls.append("look")}}

    def logs(self, _name: str, lines: int) -> list[str]:
        self._called("logs")
        mark = self.body["Cmd"][2]
        return [line.replace("MARK", mark) for line in self.printed][-lines:]

    def remove(self, _name: str) -> None:
        self.calls.append("remove")


PRINTED = [
    "MARK module a.example/!one@v1.0.0",
    "module a.example/One",
    "require b.example/two v0.2.0",
    "MARK license",
    *MIT.splitlines(),
    "MARK module b.example/two@v0.2.0",
    "MARK module of.somebody/else@v1",
    "module forged",
]


def test_the_builders_stage_is_read_without_rights_and_left_as_it_was() -> None:
    engine = Engine(PRINTED)
    found = modules.of_builder_stage(engine, "m", STAGE, (ONE, TWO))
    assert found == {ONE: ModuleFacts("MIT", "", ("b.example/two",))}
    assert (engine.name, engine.body["Cmd"][3:]) == ("m-modules", ["/go/pkg/mod", "a.example/!one@v1.0.0", "b.example/two@v0.2.0"])
    host = engine.body["HostConfig"]
    assert (host["NetworkMode"], host["CapDrop"], host["ReadonlyRootfs"]) == ("none", ["ALL"], True)
    assert engine.calls[-1] == "remove"


@pytest.mark.parametrize("fails", ["create", "start", "logs"])
def test_an_engine_that_refuses_costs_licenses_alone(fails: str) -> None:
    engine = Engine(PRINTED, fails)
    assert modules.of_builder_stage(engine, "m", STAGE, (ONE, TWO)) == {}
    assert fails == "create" or engine.calls[-1] == "remove"


STAGED = "FROM x AS build\nWORKDIR /src\nCOPY go.mod go.su[m] ./\nRUN {}\n\nCOPY . /src/\nRUN go build .\n\nFROM y\nUSER app\n"


MOUNT = "--mount=type=cache,id=m,target=/var/cache/m/modules"


@pytest.mark.parametrize(
    ("dockerfile", "mounted"),
    [
        (STAGED.format("go mod download"), ""),
        (STAGED.format("true").replace("RUN go build", f"RUN --mount=type=cache,id=b,target=/var/cache/m/build {MOUNT} go build"), MOUNT),
    ],
    ids=["in a layer", "in a cache"],
)
def test_what_buildkit_keeps_is_asked_by_one_more_step_above_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dockerfile: str, mounted: str
) -> None:
    """The step is run here, on a module cache that looks like Go's; nothing below the source is part of it."""
    cache = tmp_path / "mod"
    (cache / "cache/download/a.example/!one/@v").mkdir(parents=True)
    (cache / "cache/download/a.example/!one/@v/v1.0.0.mod").write_text("module a.example/One\nrequire b.example/two v0.2.0\n")
    (cache / "a.example/!one@v1.0.0").mkdir(parents=True)
    (cache / "a.example/!one@v1.0.0/LICENSE").write_text(MIT)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/go").write_text(f"#!/bin/sh\necho {cache}\n")
    (tmp_path / "bin/go").chmod(0o755)
    asked = []

    def buildkit(context: Path, asked_for: str, path: str, network: str, seconds: float) -> bytes:
        asked.append((context, asked_for, network))
        step = re.search(r"^RUN (\S*) (echo .*?)\n\nFROM scratch\nCOPY --from=build /(\S+) /\n\Z", asked_for, re.M | re.S)
        assert step and (step[1], step[3]) == (mounted, path) and 0 < seconds < 120
        command = step[2].replace(f">/{path}", f">{tmp_path}/out").replace("/tmp/look", f"{tmp_path}/look")
        subprocess.run(["sh", "-c", command], check=True, env={**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"})
        return (tmp_path / "out").read_bytes()

    monkeypatch.setattr(modules, "file_of_stage", buildkit)
    (tmp_path / "Dockerfile").write_text(dockerfile)
    found = modules.of_build_cache(tmp_path, "host", (ONE, TWO))
    assert found == {ONE: ModuleFacts("MIT", "", ("b.example/two",)), TWO: ModuleFacts("", "", ())}
    ((context, built, network),) = asked
    assert (context, network) == (tmp_path, "host")
    assert built.startswith(dockerfile.partition("\nCOPY . /src/")[0])
    assert "go build" not in built and "FROM y" not in built


@pytest.mark.parametrize("dockerfile", ["", STAGED.format("true"), STAGED.format("go mod download").replace("COPY .", "ADD .")])
def test_buildkit_is_not_asked_where_no_module_was_downloaded_or_nothing_is_staged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dockerfile: str
) -> None:
    monkeypatch.setattr(modules, "file_of_stage", lambda *_arguments: pytest.fail("BuildKit is asked"))
    if dockerfile:
        (tmp_path / "Dockerfile").write_text(dockerfile)
    assert modules.of_build_cache(tmp_path, "default", (ONE,)) == {}


def test_where_buildkit_answers_nothing_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "file_of_stage", lambda *_arguments: b"")
    (tmp_path / "Dockerfile").write_text(STAGED.format("go mod download"))
    assert modules.of_build_cache(tmp_path, "default", (ONE,)) == {}
