"""What Go writes into a binary about its build."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest
import samples
from ansible_collections.proven.go_service.plugins.module_utils.common.text import visible
from ansible_collections.proven.go_service.plugins.module_utils.contract.evidence import (
    build_info,
    elf,
)
from fuzzing import EXAMPLES, LINES, SOUP
from hypothesis import given


def test_build_info():
    """The module, its dependencies, a replacement and quoted settings."""
    info = build_info.read_build_info(io.BytesIO(samples.GOOD_BINARY))
    assert info.go_version == "go1.27.3"
    assert info.path == "example.com/cat-server"
    assert info.main == build_info.GoModule("example.com/cat-server", "v1.2.0", "")
    assert [module.path for module in info.deps] == ["golang.org/x/net", "example.com/old"]
    assert info.deps[0].effective is info.deps[0]
    assert info.deps[1].effective == build_info.GoModule("example.com/Fork", "v1.0.1+incompatible", "h1:def=")
    assert info.settings == {"-ldflags": "-w -s", "CGO_ENABLED": "0", "GOARCH": "amd64"}


def test_build_info_without_modules():
    """A binary that was built without modules has its Go version only."""
    blob = samples.build_info(text="")
    blob = blob[: blob.index(b"go1.27.3") + 8] + b"\0"
    info = build_info.read_build_info(io.BytesIO(samples.elf(info=blob)))
    assert (info.go_version, info.main, info.deps) == ("go1.27.3", None, ())


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (None, "not built by Go's linker"),
        (b"\0" * 64, "holds no build information"),
        (b"x" * 3 + b"\xff Go buildinf:" + b"\0" * 64, "holds no build information"),
        (samples.build_info(flags=0), "older than 1.18"),
        (samples.build_info(version=""), "Go version is empty"),
        (samples.build_info()[:40], "ends within a string"),
        (samples.build_info()[:32] + b"\xff" * 12, "ends within a string"),
        (samples.build_info(text="mod\tone\n"), "1 columns"),
        (samples.build_info(text="=>\tone\tv1\th1:x\n"), "replacement without a module"),
        (samples.build_info(text="build\tnothing\n"), "without '='"),
        (samples.build_info(text='build\tA="unterminated\n'), "unterminated"),
        (samples.build_info(text='build\tA="\\xZZ"\n'), "damaged string"),
        (samples.build_info(text='build\tA="\\UFFFFFFFF"\n'), "damaged string"),
    ],
)
def test_bad_build_info(info, message):
    """What cannot be read is said in words."""
    with pytest.raises(build_info.BuildInfoError, match=message):
        build_info.read_build_info(io.BytesIO(samples.elf(info=info)))


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("build\tA=", "A", ""),
        ("build\tA=b=c", "A", "b=c"),
        ('build\t"a b"=c', "a b", "c"),
        ("build\tA=`x\\y`", "A", "x\\y"),
        ('build\tA="tab\\t quote\\" \\u00e9 \\x41 \\U0001F600 \\\\"', "A", 'tab\t quote" \u00e9 A \U0001f600 \\'),
        ('build\tA="a byte \\xff\\303\\251"', "A", "a byte \ufffd\u00e9"),
    ],
)
def test_settings(line, key, value):
    """Values are unquoted as strconv.Unquote does."""
    assert build_info.parse_build_info("go1.27", line).settings == {key: value}


def test_against_go_version(tmp_path: Path, go_binary: Path):
    """A real binary with a dependency and a replacement is read as `go version -m` prints it."""
    module = tmp_path / "app"
    for name, text in {
        "go.mod": "module example.com/app\n\ngo 1.21\n\nrequire example.com/lib v1.0.0\n\nreplace example.com/lib => ./lib\n",
        "main.go": 'package main\n\nimport "example.com/lib"\n\nfunc main() { println(lib.Name) }\n',
        "lib/go.mod": "module example.com/lib\n\ngo 1.21\n",
        "lib/lib.go": 'package lib\n\nconst Name = "lib"\n',
    }.items():
        path = module / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    binary = tmp_path / "binary"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOCACHE": str(tmp_path / "cache"), "GOPROXY": "off"}
    subprocess.run([go_binary, "build", "-ldflags=-w -s -X main.x=1", "-o", str(binary), "."], cwd=module, env=environment, check=True)
    printed = subprocess.run([go_binary, "version", "-m", str(binary)], capture_output=True, text=True, check=True).stdout
    version, *lines = printed.splitlines()
    with binary.open("rb") as data:
        info, facts = build_info.read_build_info(data), elf.read_elf(data)
    text = "\n".join(line.removeprefix("\t") for line in lines) + "\n"
    assert build_info.parse_build_info(version.rpartition(": ")[2], text) == info
    assert [(module.path, module.effective.path) for module in info.deps] == [("example.com/lib", "./lib")]
    assert info.settings["-ldflags"] == "-w -s -X main.x=1"
    assert facts.static
    assert facts.symbol_sections == ()


@EXAMPLES
@given(version=SOUP, text=LINES)
def test_any_build_information_is_read_or_refused(version: str, text: str) -> None:
    try:
        build_info.parse_build_info(version, text)
    except build_info.BuildInfoError as error:
        assert visible(str(error))
