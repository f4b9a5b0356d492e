"""Imports are followed through the module, and no further."""

from __future__ import annotations

from pathlib import Path

from go_trees import MOD, importing, read


def test_imports_are_followed_through_the_module_only(tmp_path: Path) -> None:
    tree = {
        "go.mod": MOD
        + "require (\n\texample.org/dep v1.0.0\n\tshared v0.0.0\n)\n"
        + "replace (\n\tshared => ./shared\n\tother => ./o\n)\n",
        "cmd/app/main.go": importing("example.com/app/a", "fmt", "example.org/dep/pkg", "shared/x", "other"),
        "a/a.go": importing("example.com/app/a/b", "unsafe", "net/http", package="a"),
        "a/b/b.go": importing("example.com/app/a", "example.com/appendix", "crypto/tls", package="b"),
        "a/b/b_windows.go": importing("os/user", package="b"),
        "a/b/b_test.go": importing("testing", package="b"),
        "unused/u.go": importing("archive/zip", package="u"),
        "shared/x/x.go": importing("html", package="x"),
    }
    project = read(tmp_path, tree)
    assert project.std_imports == ("crypto/tls", "fmt", "net/http")
    assert project.third_party_imports == ("example.com/appendix", "example.org/dep/pkg", "other", "shared/x")


def test_a_module_path_without_a_dot(tmp_path: Path) -> None:
    tree = {
        "go.mod": "module app\ngo 1.22\n",
        "main.go": importing("app/internal/x", "app/missing", "apples", "log"),
        "internal/x/x.go": importing("embed", package="x"),
    }
    project = read(tmp_path, tree)
    assert project.std_imports == ("apples", "embed", "log")
    assert project.third_party_imports == ()


def test_nested_modules_are_third_party(tmp_path: Path) -> None:
    tree = {
        "go.mod": MOD
        + "require (\n\texample.com/app/api v1.0.0\n\texample.com/app/v2 v2.0.0\n)\n"
        + "replace example.com/app/api => ./api\n",
        "main.go": importing("example.com/app/api/types", "example.com/app/v2/old", "example.com/app/missing"),
        "api/go.mod": "module example.com/app/api\n",
        "api/types/t.go": importing("html", package="types"),
    }
    project = read(tmp_path, tree)
    assert project.third_party_imports == ("example.com/app/v2/old",)
    assert project.std_imports == ("html",)
    assert [item.directory for item in project.local_modules] == ["api"]


def test_what_the_source_has_of_other_modules_is_followed(tmp_path: Path) -> None:
    """Through a replaced module, a nested one and back: their imports, embedded files and requirements are the service's."""
    tree = {
        "go.mod": MOD + "require (\n\texample.com/app/api v0.0.0\n\texample.org/dep v1.0.0\n)\nreplace example.com/app/api => ./api\n",
        "main.go": importing("example.com/app/api/types"),
        "types/t.go": importing("net/url", package="types"),
        "api/go.mod": "module example.com/app/api\nrequire example.org/deep/v2 v2.1.0\n",
        "api/types/t.go": 'package types\n\nimport (\n\t_ "embed"\n\t_ "example.com/app/types"\n\t_ "example.org/deep/v2/x"\n)\n\n//go:embed *.txt\nvar a string\n',
        "api/types/a.txt": "",
    }
    project = read(tmp_path, tree)
    assert project.std_imports == ("embed", "net/url")
    assert project.third_party_imports == ("example.org/deep/v2/x",)
    assert project.embedded_files == ("api/types/a.txt",)


def test_tests_are_taken_in_on_demand(tmp_path: Path) -> None:
    tree = {
        "go.mod": MOD,
        "main.go": importing("fmt"),
        "main_test.go": importing("testing"),
        "ext_test.go": importing("net/http/httptest", "example.com/app/only", package="main_test"),
        "main_windows_test.go": importing("os/user"),
        "only/o.go": importing("html", package="only"),
        "unused/u.go": 'package u\nimport _ "embed"\n//go:embed *.txt\nvar s string\n',
        "unused/u_test.go": 'package u\nimport "example.org/assert"\nimport "embed"\n//go:embed testdata\nvar f any\n',
        "unused/a.txt": "",
        "unused/testdata/golden": "",
        "testdata/t/t_test.go": importing("archive/zip", package="t"),
    }
    plain = read(tmp_path, tree)
    assert plain.std_imports == ("fmt",)
    assert plain.embeds == ()
    tested = read(tmp_path, tree, with_tests=True)
    assert tested.std_imports == ("embed", "fmt", "html", "net/http/httptest", "testing")
    assert tested.third_party_imports == ("example.org/assert",)
    assert tested.embedded_files == ("unused/a.txt", "unused/testdata/golden")


def test_a_file_that_cgo_alone_would_build_counts_for_nothing(tmp_path: Path) -> None:
    tree = {
        "go.mod": MOD,
        "main.go": importing("example.com/app/db", "example.com/app/guarded"),
        "db/db.go": importing("fmt", package="db"),
        "db/native.go": 'package db\n\n// #include <x.h>\nimport "C"\nimport "os"\n',
        "guarded/g.go": '//go:build cgo\n\npackage g\nimport "C"\n',
        "guarded/pure.go": "//go:build !cgo\n\n" + importing("io", package="g"),
        "unused/u.go": 'package u\nimport "C"\n',
    }
    project = read(tmp_path, tree)
    assert project.std_imports == ("fmt", "io")
