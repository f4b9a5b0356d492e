"""Which main package of a source is proposed, and what is found of what it needs."""

from __future__ import annotations

from pathlib import Path

import go_trees
import pytest
from ansible_collections.proven.go_service.plugins.module_utils.source.errors import SourceError
from ansible_collections.proven.go_service.plugins.plugin_utils.proposal import service
from go_trees import MOD


def program(*lines: str, imports: tuple[str, ...] = ("net/http",)) -> str:
    """Return a main package with these lines in its func main."""
    return "package main\n\nimport (\n" + "".join(f'\t"{path}"\n' for path in imports) + ")\n\nfunc main() {\n" + "\n".join(lines) + "\n}\n"


SERVER = program('\thttp.HandleFunc("/health", nil)', '\thttp.ListenAndServe(":9001", nil)')
TOOL = program("\tfmt.Println()", imports=("fmt",))


def look(root: Path, tree: go_trees.Tree, name: str = "") -> service.Service:
    return service.look_at(go_trees.write(root / "shop", tree), name)


def test_a_program_at_the_top_is_called_after_its_module(tmp_path: Path) -> None:
    found = look(tmp_path, {"go.mod": "module example.com/team/price-api/v2\n\ngo 1.22\n", "main.go": SERVER})
    assert (found.name, found.chosen and found.chosen.main_package, service.reason_for(found)) == (
        "price-api",
        ".",
        "the only main package",
    )
    assert found.port and found.health and (found.port.place, found.health.value) == ("main.go:9", "/health")


@pytest.mark.parametrize(
    ("tree", "name", "directory"),
    [
        ({"cmd/api/main.go": SERVER, "cmd/migrate/main.go": TOOL}, "", "cmd/api"),
        ({"cmd/one/main.go": SERVER, "cmd/two/main.go": SERVER}, "two", "cmd/two"),
        ({"examples/a/main.go": SERVER, "cmd/zeta/main.go": SERVER}, "", "cmd/zeta"),
        ({"main.go": TOOL, "cmd/web/main.go": SERVER}, "", "cmd/web"),
        ({"cmd/a/main.go": SERVER, "cmd/shop/main.go": SERVER}, "", "cmd/shop"),
        ({"cmd/a/main.go": SERVER, "cmd/sh-op/main.go": SERVER}, "", "cmd/sh-op"),
        # The daemon comes before the command of its name, which may well hold a server of the same library.
        ({"cmd/shop/main.go": SERVER, "cmd/shopd/main.go": SERVER}, "", "cmd/shopd"),
        ({"cmd/shop/main.go": SERVER, "cmd/shop-server/main.go": SERVER}, "", "cmd/shop-server"),
        ({"cmd/shop/main.go": SERVER, "cmd/shopd/main.go": TOOL}, "", "cmd/shop"),
        # How surely it serves is told by where its library opens the port, and not by which of them is the service.
        ({"cmd/a/main.go": SERVER, "cmd/shop/main.go": program('\thttp.HandleFunc("/x", nil)')}, "", "cmd/shop"),
    ],
)
def test_what_serves_and_is_called_like_the_source_comes_first(tmp_path: Path, tree: dict[str, str], name: str, directory: str) -> None:
    found = look(tmp_path, {"go.mod": MOD, **tree}, name)
    assert found.chosen and found.chosen.directory == directory
    assert len(found.candidates) == len(tree)


def test_what_serves_by_a_package_of_its_own_serves(tmp_path: Path) -> None:
    tree = {
        "go.mod": MOD,
        "cmd/a/main.go": program("\tserver.Run()", imports=("example.com/app/internal/server",)),
        "internal/server/server.go": SERVER.replace("package main", "package server"),
        "cmd/b/main.go": TOOL,
    }
    found = look(tmp_path, tree)
    assert found.chosen and found.chosen.directory == "cmd/a"
    assert found.port and found.port.file == "internal/server/server.go"


def test_a_value_that_several_places_name_counts_by_the_most_certain_of_them(tmp_path: Path) -> None:
    """One that a faint place names again does not come after those that only such a place names."""
    faint = "package pages\n\nfunc Mock() Config { return Config{\n\tPort: 9001,\n} }\n\nfunc Other() Config { return Config{\n\tPort: 9002,\n} }\n"
    server = program(
        '\tport := flag.Int("port", 9001, "")', '\thttp.HandleFunc("/healthz", health)', imports=("example.com/app/pages", "net/http")
    )
    for root, text in (("one", faint), ("two", faint.replace("9001", "x").replace("9002", "9001").replace("x", "9002"))):
        found = look(tmp_path / root, {"go.mod": MOD, "main.go": server, "pages/mock.go": text})
        assert found.port and (found.port.value, found.port.file) == ("9001", "main.go")


def test_none_is_chosen_where_none_serves(tmp_path: Path) -> None:
    found = look(tmp_path, {"go.mod": MOD, "cmd/a/main.go": TOOL, "cmd/b/main.go": TOOL})
    assert found.chosen is None
    assert [one.main_package for one in found.candidates] == ["./cmd/a", "./cmd/b"]


def test_modules_are_looked_for_below_and_in_a_workspace(tmp_path: Path) -> None:
    tree = {
        "go.work": "go 1.22\n\nuse (\n\t./lib\n\t./services/orders\n)\n",
        "lib/go.mod": "module example.com/lib\n\ngo 1.22\n",
        "lib/lib.go": 'package lib\n\nimport "net/http"\n\nfunc Serve() { http.ListenAndServe(":9001", nil) }\n',
        "services/orders/go.mod": "module example.com/orders\n\ngo 1.22\n",
        "services/orders/main.go": program("\tlib.Serve()", imports=("example.com/lib",)),
    }
    found = look(tmp_path, tree)
    assert found.modules == ["lib", "services/orders"]
    assert found.chosen and (found.chosen.module_dir, found.chosen.main_package, found.name) == ("services/orders", ".", "orders")
    assert found.port and found.port.place == "lib/lib.go:5"


def test_a_source_without_a_module_or_a_program_is_told_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no go\.mod"):
        look(tmp_path / "none", {"main.go": SERVER})
    with pytest.raises(SourceError, match="no main package"):
        look(tmp_path / "library", {"go.mod": MOD, "lib.go": "package lib\n"})


def test_files_beside_the_binary_are_called_as_the_program_calls_them(tmp_path: Path) -> None:
    reads = program(
        '\thttp.Handle("/", http.FileServer(http.Dir("./static")))',
        '\ttemplate.ParseGlob("templates/*.html")',
        '\tos.ReadFile("static/inner.css")',
        '\tflag.String("config", "app.yml", "")',
        '\tos.ReadFile("gone.yml")',
        '\tos.Open("../secret.yml")',
        '\thttp.ListenAndServe(":9001", nil)',
    )
    tree = {
        "go.mod": MOD,
        "web/cmd/site/main.go": reads,
        "web/cmd/site/templates/page.html": "",
        "static/site.css": "",
        "static/inner.css": "",
        "app.yml": "",
        "secret.yml": "",
    }
    found = look(tmp_path, tree)
    assert [(one.src, one.dest) for one in found.beside] == [
        ("app.yml", "app.yml"),
        ("static", "static"),
        ("web/cmd/site/templates", "templates"),
    ]
    assert [clue.value for clue in found.absent] == ["gone.yml"]


def test_what_lies_behind_another_part_of_a_path_is_not_said_to_be_missing(tmp_path: Path) -> None:
    lines = ('\tos.ReadFile(filepath.Join(base, "cpu.max"))', '\tos.ReadFile(path.Join(root, "there.yml"))', '\tos.ReadFile("gone.yml")')
    main = program(*lines, '\thttp.ListenAndServe(":9001", nil)')
    found = look(tmp_path, {"go.mod": MOD, "main.go": main, "there.yml": ""})
    assert [one.src for one in found.beside] == ["there.yml"]
    assert [clue.value for clue in found.absent] == ["gone.yml"]


def test_what_a_library_returns_an_error_for_is_not_insisted_on(tmp_path: Path) -> None:
    """It may be one of a part that nobody uses; in the main package, or in a package for settings, it is."""
    reads = 'if os.Getenv("{0}") == "" {{\n\t\treturn errors.New("no {0}")\n\t}}'
    package = 'package {0}\n\nimport (\n\t"errors"\n\t"os"\n)\n\nfunc Load() error {{\n\t{1}\n\treturn nil\n}}\n'
    tree = {
        "go.mod": MOD,
        "main.go": program(
            "\tcloud.Load()",
            "\tconfig.Load()",
            '\thttp.ListenAndServe(":9001", nil)',
            imports=("net/http", "example.com/app/cloud", "example.com/app/config"),
        )
        + "\nfunc load() error {\n\t"
        + reads.format("OWN")
        + "\n\treturn nil\n}\n",
        "cloud/cloud.go": package.format("cloud", reads.format("CLOUD_TOKEN")),
        "config/config.go": package.format("config", reads.format("DATABASE")),
    }
    assert sorted(clue.value for clue in look(tmp_path, tree).wanted_env) == ["DATABASE", "OWN"]
    ends = {**tree, "cloud/cloud.go": tree["cloud/cloud.go"].replace('return errors.New("no CLOUD_TOKEN")', 'panic("no")')}
    assert "CLOUD_TOKEN" in [clue.value for clue in look(tmp_path / "ends", ends).wanted_env]


def test_what_is_embedded_or_reached_by_a_link_is_no_file_beside(tmp_path: Path) -> None:
    tree = {
        "go.mod": MOD,
        "main.go": 'package main\n\nimport (\n\t_ "embed"\n\t"net/http"\n)\n\n//go:embed page.html\nvar page string\n\nfunc main() {\n'
        '\tname := "page.html"\n\thttp.Dir("linked")\n\thttp.ListenAndServe(":9001", nil)\n}\n',
        "page.html": "",
    }
    root = go_trees.write(tmp_path / "shop", tree)
    (tmp_path / "outside").mkdir()
    (root / "linked").symlink_to("../outside")
    assert service.look_at(root).beside == []


def test_what_the_contract_takes_for_a_leftover_of_the_build_is_not_proposed(tmp_path: Path) -> None:
    """Of a directory that holds such a file it is what else is in it."""
    reads = (
        'os.ReadFile(filepath.Join(dir, "go.mod"))',
        'template.ParseGlob("views/*.html")',
        'http.Dir("assets")',
        'name := "compose.yml"',
    )
    tree = {
        "go.mod": MOD,
        "main.go": program(*(f"\t{line}" for line in reads), '\thttp.ListenAndServe(":9001", nil)'),
        "compose.yml": "",
        "views/views.go": "package views\n",
        "views/page.html": "",
        "views/mail/mail.go": "package mail\n",
        "views/mail/mail.html": "",
        "views/parts/head.html": "",
        "assets/site.css": "",
    }
    found = look(tmp_path, tree)
    assert [one.src for one in found.beside] == ["assets", "views/mail/mail.html", "views/page.html", "views/parts"]
    assert [one.dest for one in found.beside] == [one.src for one in found.beside]
    assert found.absent == []


def test_patterns_at_the_top_name_the_files(tmp_path: Path) -> None:
    found = look(
        tmp_path,
        {
            "go.mod": MOD,
            "main.go": program('\ttemplate.ParseGlob("*.html")', '\thttp.ListenAndServe(":1", nil)'),
            "b.html": "",
            "a.html": "",
        },
    )
    assert [one.src for one in found.beside] == ["a.html", "b.html"]


@pytest.mark.parametrize(
    ("handlers", "path"),
    [
        (['"/ready"', '"/health"', '"/"'], "/health"),
        (['"/"', '"/metrics"'], "/"),
        (['"/metrics"', '"/api/orders"'], "/metrics"),
        (['"/api/orders"'], None),
    ],
)
def test_health_is_asked_where_it_is_told_best(tmp_path: Path, handlers: list[str], path: str | None) -> None:
    lines = [f"\thttp.HandleFunc({handler}, nil)" for handler in handlers]
    found = look(tmp_path, {"go.mod": MOD, "main.go": program(*lines, '\thttp.ListenAndServe(":9001", nil)')})
    assert (found.health.value if found.health else None) == path


def test_what_will_not_build_is_said(tmp_path: Path) -> None:
    tree = {
        "go.mod": MOD + "\nrequire example.com/x v1.0.0\n\nreplace example.com/x => ../x\n",
        "main.go": SERVER,
        "c.go": 'package main\n\nimport "C"\n',
    }
    found = look(tmp_path, tree)
    assert ["../x" in problem or "c.go" in problem for problem in found.problems] == [True, True]


def test_tests_say_nothing(tmp_path: Path) -> None:
    found = look(tmp_path, {"go.mod": MOD, "main.go": TOOL, "main_test.go": SERVER})
    assert (found.port, found.health) == (None, None)
