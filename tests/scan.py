"""The field's own scanners on what the role builds, and on real modules: trivy, syft, govulncheck and grype. `make scan` runs it.

No registry of theirs is needed: trivy has its checks of configurations and its rules for secrets in itself, the Go vulnerability database is a Go
module, syft has none. The databases of trivy and grype for vulnerabilities are served by registries and servers that the machine may not reach; that a
scanner without its database is never a pass is tested here, what they would find is not. What is found and stays is listed with its reason in docs/security.md.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import scanners
from plays import PROJECT, free_port, play

GRAVE = ("MEDIUM", "HIGH", "CRITICAL")
# A service with modules of its field: a major version in a path, an upper-case letter, one that needs another.
GO_MOD = """module example.org/scanned/v2

go 1.25.0

require (
	github.com/BurntSushi/toml v1.5.0
	github.com/prometheus/client_golang v1.23.2
	golang.org/x/text {text}
)
"""
MAIN = """package main

import (
	"fmt"
	"net/http"
	"os"

	"github.com/BurntSushi/toml"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/text/language"
)

func main() {
	var settings map[string]any
	if _, err := toml.Decode("answer = 42", &settings); err != nil {
		panic(err)
	}
	http.Handle("/metrics", promhttp.Handler())
	http.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {
		tags, _, _ := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
		fmt.Fprintln(w, settings["answer"], tags)
	})
	panic(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
"""
# The first version without, and a real old one with a known vulnerability (GO-2022-1059).
MENDED, OLD = "v0.41.0", "v0.3.7"


@dataclass(frozen=True)
class Built:
    """A service that was built: its variables, its image, and the documents that its run wrote. client: the environment of the docker command that built it."""

    variables: dict[str, Any]
    image: str
    report: dict[str, Any]
    sbom: dict[str, Any]
    dockerfile: Path
    client: dict[str, str]


def variables(name: str, source: Path, folder: Path) -> dict[str, Any]:
    """Return what a run of a service is told."""
    return {
        "go_service_name": f"scan-{name}",
        "go_service_source": str(source),
        "go_service_publish": f"127.0.0.1:{free_port()}",
        "go_service_work_dir": str(folder / "work"),
        "go_service_report_dir": str(folder / "reports"),
        # The modules are downloaded and compiled on whatever machine this is.
        "go_service_budget_warn_only": ["first_build_seconds", "cached_build_seconds", "start_seconds"],
    }


def written(folder: Path, name: str, kind: str = "") -> dict[str, Any]:
    """Return a document that a run wrote."""
    return json.loads((folder / f"reports/localhost/scan-{name}{kind}.json").read_text())


def with_modules(folder: Path, text: str, without: str = "") -> Path:
    """Make the source of a service with real modules, whose go.sum is Go's own.

    text: the version of golang.org/x/text. without: a word of lines to leave out, with what needs a newer one.
    """
    source = folder / "source"
    source.mkdir()
    for name, content in (("go.mod", GO_MOD.format(text=text)), ("main.go", MAIN)):
        (source / name).write_text("\n".join(line for line in content.split("\n") if not without or without not in line))
    subprocess.run([scanners.go(), "mod", "tidy"], cwd=source, env=scanners.environment(), check=True, capture_output=True)
    asked = re.search(r"golang.org/x/text (\S+)", (source / "go.mod").read_text())
    assert asked and asked[1] == text, "another module needs a newer golang.org/x/text"
    return source


def environment(*programs: str) -> dict[str, str]:
    """Return an environment in which a run finds these scanners and no others, and that keeps what they cache to itself."""
    found = {name: scanners.program(name) for name in programs}
    kept = [place for place in os.environ["PATH"].split(os.pathsep) if not any(Path(place, name).exists() for name in SCANNERS)]
    return {"PATH": os.pathsep.join([*(str(path.parent) for path in found.values()), *kept])}


SCANNERS = ("trivy", "grype", "govulncheck")
BUDGETS = itertools.count(60)


@pytest.fixture(scope="session", params=["cat", "modules", "buildx"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Services that differ in what is in them and in who builds them: nothing but Go's own library, real modules, and the same by BuildKit."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    source = PROJECT / "examples/cat-server" if name == "cat" else with_modules(folder, MENDED)
    told = variables(name, source, folder)
    client: dict[str, str] = {}
    if name == "buildx":
        told["go_service_builder"], client = "buildx", request.getfixturevalue("buildx")
    try:
        play("build", told, env={**environment(), **client})
        report = written(folder, name)
        dockerfile = folder / f"work/scan-{name}/context/Dockerfile"
        yield Built(told, report["image"]["reference"], report, written(folder, name, ".sbom"), dockerfile, client)
    finally:
        play("remove", told)


def trivy(*arguments: str | Path) -> list[dict[str, Any]]:
    """Run trivy with nothing but what it has in itself, and return its results."""
    command = [scanners.program("trivy"), *arguments, "--format", "json", "--quiet", "--skip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout).get("Results") or []


def misconfigured(results: list[dict[str, Any]]) -> dict[str, str]:
    """Return the grave misconfigurations, id -> what trivy says."""
    found = [item for result in results for item in result.get("Misconfigurations") or () if item["Status"] == "FAIL"]
    return {item["ID"]: f"{item['Severity']} {item['Title']}: {item.get('Message', '')}" for item in found if item["Severity"] in GRAVE}


def secrets_in(results: list[dict[str, Any]]) -> list[str]:
    """Return where trivy sees a secret."""
    return [f"{result['Target']}: {item['RuleID']}" for result in results for item in result.get("Secrets") or ()]


IMAGE = (
    "image",
    "--image-src",
    "docker",
    "--scanners",
    "misconfig,secret",
    "--image-config-scanners",
    "misconfig,secret",
    "--skip-check-update",
)


def accepted() -> set[str]:
    """Return the findings that stay, by the table in docs/security.md."""
    text = (PROJECT / "docs/security.md").read_text(encoding="utf-8")
    table = text.partition("<!-- BEGIN FINDINGS -->")[2].partition("<!-- END FINDINGS -->")[0]
    return set(re.findall(r"^\| `([^`]+)` \|", table, re.M))


def test_trivy_finds_no_misconfiguration_in_the_dockerfile(built: Built, tmp_path: Path) -> None:
    shutil.copy(built.dockerfile, tmp_path)
    found = misconfigured(trivy("config", "--skip-check-update", tmp_path))
    assert set(found) <= accepted(), found


def test_trivy_finds_no_misconfiguration_and_no_secret_in_the_image(built: Built) -> None:
    results = trivy(*IMAGE, built.image)
    found = misconfigured(results)
    assert set(found) <= accepted(), found
    assert secrets_in(results) == []


def test_trivy_would_find_them(tmp_path: Path) -> None:
    """Without its registry, too: a scan that cannot fail proves nothing."""
    (tmp_path / "Dockerfile").write_text("FROM stand-in/none:latest\nRUN sudo id\nADD https://example.com/x /x\nUSER root\n")
    assert set(misconfigured(trivy("config", "--skip-check-update", tmp_path))) - accepted()
    (tmp_path / "settings.ini").write_text(f"aws_access_key_id = AKIA{'Z3MQ7KD2XWVP5TLB'}\n")
    assert secrets_in(trivy("fs", "--scanners", "secret", tmp_path))


# Differences between syft's bill of materials and ours, each with its reason; what is asked: of a component of syft's.
def same_but_for_a_reason(theirs: Mapping[str, Any], ours: Mapping[str, Mapping[str, Any]], main: str) -> str:
    """Return why a component of syft's is not in ours as it is, "" for no reason."""
    lower = ours.get(theirs["purl"].lower())
    if theirs["name"] == main and ours.get(f"pkg:golang/{main}", {}) == {}:
        return "syft does not know the version of the service's own module, which is built without its repository"
    if theirs["name"] == "stdlib" and ours.get(theirs["purl"], {}).get("version") == theirs["version"].removeprefix("go"):
        return "syft writes Go's version with go before it, in the version and not in the purl"
    if lower and lower["version"] == theirs["version"]:
        return "the purl specification asks for lower case in the type golang, which syft leaves as it is"
    return ""


def test_every_component_of_syfts_is_in_our_bill_of_materials(built: Built) -> None:
    """With the same package URL and version, or with a reason; and the system of the same version."""
    command = [scanners.program("syft"), "scan", f"docker:{built.image}", "--quiet", "--output", "cyclonedx-json"]
    done = subprocess.run(command, capture_output=True, check=True, env={**os.environ, "SYFT_CHECK_FOR_APP_UPDATE": "false"})
    theirs = [component for component in json.loads(done.stdout)["components"] if component["type"] != "file"]
    ours = {component["purl"]: component for component in built.sbom["components"] if "purl" in component}
    main = built.report["binary"]["module"]
    systems = [component for component in theirs if component["type"] == "operating-system"]
    libraries = [component for component in theirs if component["type"] == "library"]
    assert len(libraries) > 15
    assert len(systems) + len(libraries) == len(theirs)
    wrong = [
        (component["purl"], component["version"])
        for component in libraries
        if ours.get(component["purl"], {}).get("version") != component["version"] and not same_but_for_a_reason(component, ours, main)
    ]
    assert wrong == []
    (system,) = systems
    assert [(one["name"], one["version"]) for one in built.sbom["components"] if one["type"] == "operating-system"] == [
        (system["name"], system["version"])
    ]


def test_modules_have_licenses_hashes_and_edges_wherever_the_builder_keeps_them(built: Built) -> None:
    """With either builder."""
    modules = [
        one
        for one in built.sbom["components"]
        if one["type"] == "library" and one.get("purl", "").startswith("pkg:golang/") and one["name"] != "stdlib"
    ]
    edges = {edge["ref"]: edge["dependsOn"] for edge in built.sbom["dependencies"]}
    assert all(one["hashes"][0]["content"] for one in modules)
    assert all("licenses" in one for one in modules), [one["name"] for one in modules if "licenses" not in one]
    assert set(edges) >= {one["bom-ref"] for one in modules}
    names = {one["bom-ref"]: one["name"] for one in modules}
    if modules:
        client = next(reference for reference, name in names.items() if name.endswith("/client_golang"))
        assert "github.com/prometheus/common" in {names[reference] for reference in edges[client] if reference in names}
        assert "github.com/prometheus/common" not in {names.get(reference) for reference in edges["binary"]}


def proven(told: dict[str, Any], folder: Path, *programs: str, client: Mapping[str, str] = {}, **more: Any) -> dict[str, Any]:
    """Deploy a service anew with these scanners on the host, and return its check of vulnerabilities with what the report says of them."""
    # Another budget each time: the image is held to the contract anew, and nothing is built.
    budget = {"go_service_budget": {"image_mb": next(BUDGETS)}}
    name = told["go_service_name"].removeprefix("scan-")
    succeeds = more.pop("succeeds", True)
    env = {**environment(*programs), **client, "XDG_CACHE_HOME": str(folder / "cache")}
    play("build", {**told, **budget, **more}, env=env, succeeds=succeeds)
    report = written(Path(told["go_service_report_dir"]).parent, name)
    (check,) = (check for check in report["checks"] if check["id"] == "vulnerabilities")
    return {"check": check, "report": report["vulnerabilities"]}


def test_govulncheck_finds_nothing_in_what_is_built(built: Built, tmp_path: Path) -> None:
    """In binary mode, against the real database, by the contract's own check."""
    database = {"go_service_vulnerability_database": str(scanners.go_database())}
    found = proven(built.variables, tmp_path, "govulncheck", client=built.client, **database)
    assert (found["check"]["verdict"], found["report"]["findings"]) == ("pass", []), found
    (scanner,) = found["report"]["scanners"]
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", scanner["database"])
    assert scanner["version"] == scanners.pinned()["golang.org/x/vuln/cmd/govulncheck"]


@pytest.fixture
def old(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The variables of a service with an old module of known vulnerability, which is removed in the end."""
    told = variables("old", with_modules(tmp_path, OLD, without="prom"), tmp_path)
    try:
        yield told
    finally:
        play("remove", told)


def test_a_service_with_a_module_of_known_vulnerability_is_not_deployed(old: dict[str, Any], tmp_path: Path) -> None:
    """Without any variable but where the database is: it is told which version mends it, and no container runs."""
    database = {"go_service_vulnerability_database": str(scanners.go_database())}
    found = proven(old, tmp_path, "govulncheck", succeeds=False, **database)
    assert found["check"]["verdict"] == "fail"
    assert "GO-2022-1059 in golang.org/x/text v0.3.7, fixed in v0.3.8" in found["check"]["reason"]
    running = [
        "docker",
        "ps",
        "--all",
        "--quiet",
        "--filter",
        "label=go-service.name=scan-old",
        "--filter",
        "label=go-service.kind=service",
    ]
    assert subprocess.check_output(running, text=True) == ""
    # With the reason why it does not matter, it is.
    waived = proven(old, tmp_path, "govulncheck", go_service_waivers={"vulnerabilities": "no such header is read"}, **database)
    assert waived["check"]["verdict"] == "waived"


@pytest.mark.parametrize("name", ["trivy", "grype"])
def test_a_scanner_without_its_database_is_never_a_pass(built: Built, tmp_path: Path, name: str) -> None:
    """Where the machine cannot reach the servers that have them."""
    if built.variables["go_service_name"] != "scan-cat":
        pytest.skip("once is enough")
    found = proven(built.variables, tmp_path, name)
    if found["report"]["counts"]:
        pytest.skip(f"{name} has a database on this machine: {found['report']['tool']}")
    assert found["check"]["verdict"] == "warn"
    assert f"{name}: it ended with 1" in found["report"]["problem"]
