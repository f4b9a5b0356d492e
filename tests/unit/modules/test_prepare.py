"""A source is looked at and staged, under the lock of its service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.deploy.lock import LABEL_HOLDER, LABEL_LOCK
from ansible_collections.proven.go_service.plugins.module_utils.engine.client import Engine
from deploys import listener
from plays import RUNTIME
from samples import Settings


@pytest.fixture
def staged(
    clean: Engine, service: Settings, generate: Callable[..., dict[str, str]], module: Callable[..., dict[str, Any]], tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """Return what runs go_service_prepare for a source on this host, in the work directory tmp_path/work."""
    assert clean.container("utest-web") is None
    (tmp_path / "source").mkdir()
    (tmp_path / "source/go.mod").write_text("module example.com/web\n\ngo 1.22\n")
    (tmp_path / "source/main.go").write_text("package main\n\nfunc main() {}\n")
    settings = service(work_dir=str(tmp_path / "work"))

    def run(mode: str, token: str = "t1", **arguments: Any) -> dict[str, Any]:
        common = {"settings": settings, "source_root": str(tmp_path / "source"), "base_images": [RUNTIME, RUNTIME], **generate()}
        identity = {"token": token, "owner": "alice@laptop, process 1", "controller": "c"}
        project = {"origin": {"revision": "abc", "date": "", "url": ""}}
        return module("prepare", tmp_path, mode=mode, lock=identity, project=project, **{**common, **arguments})

    return run


@pytest.mark.engine
def test_a_look_touches_nothing(staged: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    looked = staged("compare")
    assert looked["changed"] and looked["plan"]["stage"] == ["the staged source differs", "Dockerfile differs", ".dockerignore differs"]
    assert looked["plan"]["build"] == [f"there is no image {looked['plan']['image']} yet"]
    assert not (tmp_path / "work").exists()


@pytest.mark.engine
def test_a_look_at_a_service_that_is_to_be_placed_sees_a_taken_port(
    staged: Callable[..., dict[str, Any]], service: Settings, tmp_path: Path
) -> None:
    """So a check predicts no deploy that cannot be; an image can be built and proven without the port."""
    with listener() as port:
        wanted = service(work_dir=str(tmp_path / "work"), publish=f"127.0.0.1:{port}")
        refused = staged("compare", settings=wanted, deploy_follows=True)
        assert refused["failure"]["stage"] == "port"
        assert f"127.0.0.1:{port} is taken by the process " in refused["msg"]
        assert staged("compare", settings=wanted)["plan"]["deploy"]


@pytest.mark.engine
def test_a_source_is_staged_once(staged: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    first = staged("stage")
    context = tmp_path / "work/utest-web/context"
    assert first["changed"] and first["held"] and first["plan"]["stage"] == []
    assert sorted(path.name for path in context.iterdir()) == [".dockerignore", "Dockerfile", "go.mod", "main.go"]
    assert f'go-service.digest="{first["plan"]["digest"]}"' in (context / "Dockerfile").read_text()
    again = staged("stage")
    assert (again["changed"], again["plan"]["digest"]) == (False, first["plan"]["digest"])
    (tmp_path / "source/main.go").write_text("package main\n\nfunc main() { panic(1) }\n")
    edited = staged("stage")
    assert edited["changed"] and edited["plan"]["digest"] != first["plan"]["digest"]
    assert "panic" in (context / "main.go").read_text()


@pytest.mark.engine
def test_another_run_is_waited_for_and_an_ended_one_is_not(clean: Engine, staged: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    """What a killed run left is recovered, and the source is staged all the same."""
    assert staged("stage")["recovered"] == []
    held = staged("stage", token="t2")
    assert (held["changed"], held["locked"]["owner"], held["locked"]["token"]) == (False, "alice@laptop, process 1", "t1")
    (volume,) = clean.volumes(LABEL_LOCK, "utest-web")
    clean.remove_volume(volume["Name"])
    ended = volume["Labels"][LABEL_HOLDER].replace('"boot": "', '"boot": "before-')
    clean.create_volume(volume["Name"], {**volume["Labels"], LABEL_HOLDER: ended})
    (tmp_path / "source/main.go").write_text("package main\n\nfunc main() { panic(2) }\n")
    taken = staged("stage", token="t2")
    assert taken["recovered"] == ["Took over the lock of an ended run (alice@laptop, process 1)."]
    assert taken["plan"]["stage"] == []
    assert "panic(2)" in (tmp_path / "work/utest-web/context/main.go").read_text()


@pytest.mark.engine
def test_an_image_for_another_platform_is_not_asked_for_where_it_makes_no_sense(
    staged: Callable[..., dict[str, Any]], service: Settings, clean: Engine, tmp_path: Path
) -> None:
    """Nothing is looked at that concerns a container; that a base is for a third platform is told before it is built on."""
    own = clean.version()["Arch"]

    def compared(platform: str, **more: Any) -> dict[str, Any]:
        return staged("compare", settings=service(work_dir=str(tmp_path / "work"), network="no-such-network", platform=platform), **more)

    assert "the platform of this host itself" in compared(f"linux/{own}")["msg"]
    assert f"but this host is linux/{own}, and cannot run such an image" in compared("linux/s390x", deploy_follows=True)["msg"]
    assert f"the base of the image for linux/s390x, is an image for linux/{own}" in compared("linux/s390x")["msg"]
