"""The inventory that is proposed: valid, taken by the role, honest about what is a guess, and safe whatever the source holds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import go_trees
import pytest
import yaml
from ansible_collections.proven.go_service.plugins.module_utils.common.failure import Problem
from ansible_collections.proven.go_service.plugins.plugin_utils.proposal import inventory, service
from ansible_collections.proven.go_service.plugins.plugin_utils.variables import PREFIX, check_variables
from go_trees import MOD

FULL = """package main

import (
	"flag"
	"log"
	"net/http"
	"os"
)

func main() {
	addr := flag.String("addr", "localhost:9001", "")
	text := flag.String("text", "", "")
	if *text == "" {
		log.Fatal("-text is missing")
	}
	if os.Getenv("DATABASE_URL") == "" {
		log.Fatal("no database")
	}
	os.ReadFile("gone.yml")
	http.Handle("/static/", http.FileServer(http.Dir("static")))
	http.HandleFunc("/healthz", nil)
	http.ListenAndServe(*addr, nil)
}
"""


def propose(root: Path, tree: go_trees.Tree) -> tuple[str, dict[str, Any]]:
    """Return the text for a source, and the variables of its host."""
    found = service.look_at(go_trees.write(root / "shop", {"go.mod": MOD, **tree}))
    text = inventory.render(found, str(root / "shop"), "ansible-playbook -i x.yml proven.go_service.build")
    return text, yaml.safe_load(text)["all"]["hosts"]["localhost"]


def settings(variables: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """Check the variables as the role does; return them."""
    given = {name.removeprefix(PREFIX): value for name, value in {**defaults, **variables}.items() if name.startswith(PREFIX)}
    check_variables(given)
    return {name: value for name, value in variables.items() if name.startswith(PREFIX)}


def test_all_that_was_found_is_there(tmp_path: Path, defaults: dict[str, Any]) -> None:
    text, variables = propose(tmp_path, {"main.go": FULL, "static/site.css": ""})
    assert settings(variables, defaults) == {
        "go_service_name": "shop",
        "go_service_source": str(tmp_path / "shop"),
        "go_service_port": 9001,
        "go_service_publish": "127.0.0.1:9001",
        "go_service_args": ["--addr=:9001"],
        "go_service_health_path": "/healthz",
        "go_service_files": [{"src": "static"}],
    }
    for place in ("main.go:11", "main.go:14", "main.go:16", "main.go:19", "main.go:20", "main.go:21"):
        assert place in text
    assert '#  DATABASE_URL: "..."' in text and "#  - --text=..." in text and "gone.yml" in text


def test_what_is_a_comment_can_be_switched_on(tmp_path: Path, defaults: dict[str, Any]) -> None:
    text, _variables = propose(tmp_path, {"main.go": FULL.replace("localhost", "")})
    switched = re.sub(r"^( +)#(go_service_\w+:|  [-A-Z])", r"\1\2", text, flags=re.M)
    variables = yaml.safe_load(switched)["all"]["hosts"]["localhost"]
    assert settings(variables, defaults)["go_service_args"] == ["--text=..."]
    assert variables["go_service_env"] == {"DATABASE_URL": "..."}


def test_every_guess_says_so(tmp_path: Path) -> None:
    text, _variables = propose(tmp_path, {"cmd/a/main.go": FULL, "cmd/b/main.go": FULL, "static/site.css": ""})
    for name in ("main_package", "port", "health_path", "files"):
        before = text.split(f"      go_service_{name}:")[0].rsplit("\n\n", 1)[-1]
        assert "# Guess" in before, name
    assert "go_service_main_package: ./cmd/b" in text


def test_a_source_of_which_nothing_is_known_is_proposed_all_the_same(tmp_path: Path, defaults: dict[str, Any]) -> None:
    text, variables = propose(tmp_path, {"main.go": "package main\n\nfunc main() {}\n"})
    assert settings(variables, defaults)["go_service_port"] == 8080
    assert "not seem to serve HTTP" in text


def test_where_no_main_package_is_chosen_the_user_chooses(tmp_path: Path) -> None:
    tree = {"go.mod": MOD, "a/main.go": go_trees.MAIN, "b/main.go": go_trees.MAIN}
    found = service.look_at(go_trees.write(tmp_path / "shop", tree))
    text = inventory.render(found, "/src/shop", "run")
    assert "go_service_main_package" not in yaml.safe_load(text)["all"]["hosts"]["localhost"]
    assert [f"#   go_service_main_package: ./{name}" in text for name in "ab"] == [True, True]
    assert "choose one (go_service_main_package)" in inventory.open_points(found)[0]


def test_a_port_of_the_system_is_published_higher(tmp_path: Path) -> None:
    _text, variables = propose(tmp_path, {"main.go": FULL.replace("localhost:9001", ":80")})
    assert (variables["go_service_port"], variables["go_service_publish"]) == (80, "127.0.0.1:8080")


def test_a_port_that_is_taken_is_passed_by(tmp_path: Path) -> None:
    found = service.look_at(go_trees.write(tmp_path / "shop", {"go.mod": MOD, "main.go": FULL}))
    text = inventory.render(found, "/src", "run", lambda port: port < 9003)
    variables = yaml.safe_load(text)["all"]["hosts"]["localhost"]
    assert (variables["go_service_port"], variables["go_service_publish"]) == (9001, "127.0.0.1:9003")
    assert "Port 9001 of this machine is taken." in text


def test_a_source_commands_neither_ansible_nor_the_reader(tmp_path: Path, defaults: dict[str, Any]) -> None:
    """Literals, names of files and of directories of a stranger are no templates, no lines of the inventory, no control characters."""
    evil = "{{ lookup('pipe', 'touch x') }}"
    tree = {
        f"cmd/{evil}/main.go": FULL,
        "cmd/b\n      evil: true/main.go": FULL,
        "main.go": FULL.replace('"static"', f'"{evil}"').replace("/healthz", "/{{ 1 }}/healthz").replace("gone.yml", "\\x1b]0;gone.yml"),
        f"{evil}/x": "",
        "\x1b[31mred.go": FULL,
    }
    text, variables = propose(tmp_path, tree)
    assert "\x1b" not in text
    assert "evil" not in variables
    assert not [value for value in settings(variables, defaults).values() if "{{" in str(value)]


def test_a_path_that_ansible_would_work_out_is_refused(tmp_path: Path) -> None:
    found = service.look_at(go_trees.write(tmp_path / "shop", {"go.mod": MOD, "main.go": FULL}))
    with pytest.raises(Problem, match="template"):
        inventory.render(found, "/src/{{ x }}", "run")


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "inventory/shop.yml"
    inventory.write_new(path, "mine")
    with pytest.raises(Problem, match="is not overwritten"):
        inventory.write_new(path, "other")
    assert path.read_text() == "mine"


def test_what_hears_itself_alone_and_cannot_be_told_otherwise_is_left_to_the_user(tmp_path: Path) -> None:
    def points(main: str, place: str) -> str:
        return " ".join(inventory.open_points(service.look_at(go_trees.write(tmp_path / place, {"go.mod": MOD, "main.go": main}))))

    fixed = FULL.replace('addr := flag.String("addr", "localhost:9001", "")', 'addr := "localhost:9001"')
    assert "it listens only on localhost (main.go:" in points(fixed, "fixed")
    assert "alone" not in points(FULL, "told") + points(fixed.replace("localhost", ""), "all")


def test_an_address_apart_from_its_port_is_given_alone(tmp_path: Path) -> None:
    """What is proposed is what the program takes: the address without a port."""
    ports = 'addr := flag.Int("port", 9001, "")\n\thost := '
    for place, host, name, given in (
        ("flag", 'flag.String("host", "127.0.0.1", "")', "go_service_args", ["--host=0.0.0.0"]),
        ("env", 'getEnv("APP_HOST", "127.0.0.1")', "go_service_env", {"APP_HOST": "0.0.0.0"}),
    ):
        main = FULL.replace('addr := flag.String("addr", "localhost:9001", "")', ports + host)
        _text, variables = propose(tmp_path / place, {"main.go": main})
        assert (variables["go_service_port"], variables[name]) == (9001, given)
