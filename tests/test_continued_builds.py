"""A build that goes on from the last one's builder stage makes what a build from nothing makes, and loses nothing where it goes wrong."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plays import get, left_on_engine, play, service_variables

SERVICE = "utest-continued"
PACKAGES = 12
MAIN = """package main

import (
	"net/http"
	"os"
	"strings"

{imports}
)

func main() {{
	http.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {{ w.Write([]byte("ok")) }})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {{ w.Write([]byte(strings.Join([]string{{{calls}}}, " "))) }})
	http.ListenAndServe(":"+os.Getenv("PORT"), nil)
}}
"""


class Source:
    """A service of many packages, each of which says a word."""

    def __init__(self, root: Path) -> None:
        self.root = root
        names = [f"p{number}" for number in range(PACKAGES)]
        imports = "\n".join(f'\t"example.com/many/{name}"' for name in names)
        self.write("go.mod", "module example.com/many\n\ngo 1.24\n")
        self.write("main.go", MAIN.format(imports=imports, calls=", ".join(f"{name}.Word()" for name in names)))
        for name in names:
            self.say(name, name)

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text, encoding="utf-8")

    def say(self, name: str, word: str) -> None:
        """Have a package say another word."""
        self.write(f"{name}/word.go", f'package {name}\n\nvar word = "{word}"\n\nfunc Word() string {{ return word }}\n')


@pytest.fixture
def source(tmp_path: Path) -> Source:
    """Return the source of the service."""
    return Source(tmp_path / "source")


@pytest.fixture
def variables(tmp_path: Path, source: Source) -> Iterator[dict[str, Any]]:
    """Return the variables of the service, which is gone after the test."""
    made = {**service_variables(SERVICE, source.root, tmp_path), "go_service_stable_seconds": 0}
    yield made
    play("remove", made)


def report(variables: dict[str, Any]) -> dict[str, Any]:
    """Return the last report."""
    return json.loads((Path(variables["go_service_report_dir"]) / f"localhost/{SERVICE}.json").read_text())


def made(variables: dict[str, Any]) -> tuple[str, str]:
    """Return the tag of the image, which is the digest of the source, and the digest of the binary."""
    found = report(variables)
    return found["image"]["reference"], found["binary"]["sha256"]


def went_on(variables: dict[str, Any]) -> bool:
    """Say whether the last build went on from the one before, by what it was built from."""
    written = Path(variables["go_service_work_dir"]) / SERVICE / "changes/Dockerfile"
    return written.exists() and bool(re.search(r"^FROM sha256:[0-9a-f]{64} AS build$", written.read_text(), re.M))


def words(variables: dict[str, Any]) -> str:
    """Return what the service says."""
    return get(int(variables["go_service_publish"].rpartition(":")[2]), "/")[1]


@pytest.mark.long
def test_edits_one_upon_another(source: Source, variables: dict[str, Any]) -> None:
    """Of a package, of a file that goes, of one that does not compile, and of a variable; then the same source from nothing."""
    source.write("p5/more.go", 'package p5\n\nfunc init() { word += "-and-more" }\n')
    play("build", variables)
    assert not went_on(variables) and "p5-and-more" in words(variables)

    source.say("p3", "edited")
    told = play("build", variables)
    assert went_on(variables) and "p2 edited p4" in words(variables)
    assert "on the cache" in told

    source.write("p4/word.go", "package p4\n\nfunc Word( {\n")
    told = play("build", variables, succeeds=False)
    assert "p4/word.go:3" in told and "p2 edited p4" in words(variables)

    source.say("p4", "mended")
    (source.root / "p5/more.go").unlink()
    play("build", variables)
    assert went_on(variables) and "edited mended p5 p6" in words(variables)

    changed = {**variables, "go_service_build_env": {"GOAMD64": "v2"}}
    play("build", changed)
    assert not went_on(variables) and report(variables)["binary"]["settings"]["GOAMD64"] == "v2"

    source.say("p6", "last")
    play("build", changed)
    assert went_on(variables)
    continued = made(variables)

    assert "changed=0" in play("build", changed)
    play("remove", changed)
    assert left_on_engine(SERVICE) == []
    play("build", changed)
    assert not went_on(variables) and made(variables) == continued


def test_an_edit_goes_on_from_the_last_build_and_a_stage_that_is_gone_or_not_as_recorded_costs_time_alone(
    source: Source, variables: dict[str, Any]
) -> None:
    """A record that is wrong says here that an edited file is in the stage already; and somebody prunes the Engine.

    The image has the files beside the binary that the source has, whether they changed or the program did."""
    asked = {**variables, "go_service_files": [{"src": "files"}, {"src": "text/page.txt", "dest": "page.txt"}]}
    source.write("files/a.txt", "first")
    source.write("text/page.txt", "page")

    def served() -> str:
        return subprocess.check_output(["docker", "exec", SERVICE, "sh", "-c", "cat /srv/files/* /srv/page.txt"], text=True)

    play("build", asked)
    assert served() == "firstpage"
    source.say("p1", "edited")
    play("build", asked)
    assert went_on(variables) and "p0 edited p2" in words(variables) and served() == "firstpage"
    source.write("files/b.txt", "second")
    (source.root / "files/a.txt").unlink()
    play("build", asked)
    assert went_on(variables) and served() == "secondpage"

    source.say("p2", "too")
    record = Path(variables["go_service_work_dir"]) / SERVICE / "sources.json"
    edited = hashlib.sha256((source.root / "p2/word.go").read_bytes()).hexdigest()
    sources = json.loads(record.read_text())
    for entries in sources.values():
        for entry in entries:
            entry[3] = edited if entry[0] == "p2/word.go" else entry[3]
    record.write_text(json.dumps(sources))
    play("build", asked)
    assert went_on(variables) and "p0 edited too p3" in words(variables)

    subprocess.run(["docker", "image", "prune", "--force", "--filter", f"label=go-service.name={SERVICE}"], check=True, capture_output=True)
    source.say("p1", "anew")
    play("build", asked)
    assert not went_on(variables) and "p0 anew too p3" in words(variables)
