"""Files that the image has beside the binary: what of a source can be one, and how it is said early where it cannot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Problem
from ansible_collections.proven.go_service.plugins.module_utils.common.places import system_place
from ansible_collections.proven.go_service.plugins.module_utils.image.context import read_context
from ansible_collections.proven.go_service.plugins.module_utils.source.beside import read_files
from ansible_collections.proven.go_service.plugins.plugin_utils.variables import InputError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a source."""
    for path in ("web/templates/page.html", "web/static/inner/site.css", "web/tls/server.key", "dist/app.js", "docs.md"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    (tmp_path / "web/link").symlink_to("templates")
    (tmp_path / "web/static/out").symlink_to("../templates/page.html")
    (tmp_path / "dist/same.js").symlink_to("app.js")
    return tmp_path


def context(root: Path, generate: Callable[..., dict], settings: Callable[..., dict], files: list[dict], **changes: Any) -> list[str]:
    """Return the paths that a build sees of a source with these files beside the binary."""
    asked = settings(files=files, **changes)
    project = {"embedded_files": [], "files": read_files(root, asked)}
    return [entry.path for entry in read_context(root, generate(project, files=files, **changes)["dockerignore"], asked, project)[0]]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"src": "web/template"}, "has no web/template (did you mean web/templates?)"),
        ({"src": "web/templates/page.html/x"}, "has no web/templates/page.html/x"),
        ({"src": "web/link"}, "web/link is a symbolic link to templates"),
        ({"src": "web/link/page.html"}, "web/link is a symbolic link"),
        ({"src": "web/templates/page.html", "dest": "."}, 'Give it a name there: "dest: ./page.html"'),
        ({"src": "web/static"}, "the symbolic link web/static/out in it leads out of it"),
        ({"src": "web/tls"}, "web/tls/server.key"),
        ({"src": "web/tls/server.key"}, "web/tls/server.key"),
        ({"src": "docs.md"}, '"!docs.md"'),
    ],
)
def test_what_cannot_be_beside_the_binary_is_named(root: Path, generate: Callable, settings: Callable, asked: dict, words: str) -> None:
    with pytest.raises(Problem) as caught:
        context(root, generate, settings, [asked])
    assert words in f"{caught.value.message}. {caught.value.remedy}"


def test_what_can(root: Path, generate: Callable, settings: Callable) -> None:
    seen = context(root, generate, settings, [{"src": "dist"}, {"src": "docs.md", "dest": "/data/docs.md"}], dockerignore=["!docs.md"])
    assert {"dist/app.js", "dist/same.js", "docs.md"} <= set(seen)


@pytest.mark.parametrize(
    ("asked", "copy"),
    [
        ({"src": "web/templates", "dest": "templates"}, "COPY web/templates/ /srv/templates/"),
        ({"src": "web/templates/page.html", "dest": "/data/page.html"}, "COPY web/templates/page.html /data/page.html"),
        ({"src": "dist", "dest": "."}, "COPY dist/ /srv/"),
        ({"src": "dist", "owner": "app"}, "COPY --chown=app:app dist/ /srv/dist/"),
    ],
)
def test_how_it_is_copied(root: Path, generate: Callable, settings: Callable, asked: dict, copy: str) -> None:
    project = {"files": read_files(root, settings(files=[asked]))}
    lines = generate(project)["dockerfile"].splitlines()
    assert copy in lines
    assert lines.index(copy) < lines.index("COPY --from=build --chown=app:app /out/cat-server /usr/local/bin/cat-server")


@pytest.mark.parametrize("name", ["a b", "[x]", "$HOME", 'a"b', "a\\b", "ä"])
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_odd_names_stay_one_word(root: Path, generate: Callable, settings: Callable, name: str, kind: str) -> None:
    path = root / name
    path.mkdir() if kind == "directory" else path.touch()
    project = {"files": read_files(root, settings(files=[{"src": name, "dest": "x"}]))}
    copies = [line for line in generate(project)["dockerfile"].splitlines() if line.startswith("COPY ") and "/srv/x" in line]
    assert len(copies) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"files": [{"src": "a", "dest": place}]}, f"which belongs to the system ({system})")
        for place, system in {
            "/": "/",
            "/etc": "/etc",
            "/etc/passwd": "/etc",
            "/etc/cat-server-2/x": "/etc",
            "/usr/local/bin/cat-server": "/usr",
            "/bin/sh": "/bin",
            "/run/secrets/x": "/run",
            "/proc": "/proc",
            "/var": "/var/run",
        }.items()
    ]
    + [
        ({"workdir": "/etc"}, "go_service_workdir is '/etc'"),
        ({"directories": ["/usr/x"]}, "go_service_directories has '/usr/x'"),
        (
            {"files": [{"src": "a", "dest": "/data/a"}], "volumes": ["data:/data"]},
            "which go_service_volumes hides by a mount at /data",
        ),
        ({"files": [{"src": "a", "dest": "cache/a"}], "tmpfs": {"/srv/cache": ""}}, "which go_service_tmpfs hides"),
        ({"files": [{"src": "a", "dest": "x"}, {"src": "b", "dest": "/srv/x"}]}, "another file at the same place"),
        ({"files": [{"src": "a", "owner": "web"}]}, "'web', who is neither root nor go_service_user (app)"),
        ({"files": [{"src": "/etc/passwd"}]}, "is not a path within the source"),
        ({"files": [{"src": "."}]}, "is not a path within the source"),
        ({"files": [{"src": "a", "dest": "../x"}]}, "is not a path in the image"),
        ({"files": [{"dest": "a"}]}, "has no src"),
        ({"files": [{"src": "a", "mod": "1"}]}, "there are src, dest, owner"),
    ],
)
def test_places_that_are_refused(settings: Callable, changes: dict, words: str) -> None:
    with pytest.raises(InputError) as caught:
        settings(**changes)
    assert words in str(caught.value)


@pytest.mark.parametrize("place", ["/app", "/srv", "/data/x", "/etc/api", "/etc/api/x", "/usr/share/api/x", "/var/lib/api", "/opt/api"])
def test_places_of_a_service(place: str) -> None:
    assert system_place(place, "api") == ""
