"""From a source tree to all that decides its build: the Go facts, what the two generated files say, the manifest of the context.

The same code runs where the source is: on the controller, or on the target.
"""

from __future__ import annotations

import posixpath
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from . import context, go_source

# What the value of a Dockerfile instruction escapes within double quotes.
_SPECIAL = re.compile(r'[\\"$]')
# What a test binary is linked with beside the packages its tests import.
_TEST_PACKAGES = ("testing", "testing/internal/testdeps")
# What a service that imports net/http is compiled on: net/http, which takes longest, and what most services import beside it, which costs
# nothing more, since another core compiles it meanwhile.
_HTTP_LAYER = ("embed", "encoding/json", "flag", "log/slog", "net/http", "os/signal")
# What these bring in any case (go list -deps, Go 1.24 and 1.27). A package that is missing here is compiled once more for nothing; one
# that a release does not bring is compiled with the service.
_BROUGHT = frozenset(
    """
    bufio bytes cmp compress/flate compress/gzip container/list context crypto crypto/aes crypto/cipher crypto/ecdh
    crypto/ecdsa crypto/ed25519 crypto/elliptic crypto/hmac crypto/md5 crypto/rand crypto/rsa crypto/sha1 crypto/sha256
    crypto/sha512 crypto/subtle crypto/tls crypto/x509 crypto/x509/pkix encoding encoding/asn1 encoding/base64
    encoding/binary encoding/hex encoding/pem errors fmt hash hash/crc32 io io/fs log maps math math/big math/bits math/rand
    math/rand/v2 mime mime/multipart mime/quotedprintable net net/http/httptrace net/netip net/textproto net/url os path
    path/filepath reflect runtime slices sort strconv strings sync sync/atomic syscall time unicode unicode/utf16
    unicode/utf8 unique
    """.split()  # noqa: SIM905 - a list of literals would be a page long
)


def _escape(found: re.Match) -> str:
    return "\\" + found[0]


def builder_version(reference: str) -> str:
    """Return the Go version that the tag of a builder image names ("golang:1.27-alpine3.24" -> "1.27"), "" where it names none."""
    match = re.search(r":(?:go)?([0-9]+\.[0-9]+(?:\.[0-9]+|rc[0-9]+)?)(?:-[A-Za-z0-9._-]*)?(?:@|\Z)", reference)
    return match[1] if match else ""


def _numbers(version: str) -> tuple[int, ...] | None:
    return tuple(int(number) for number in re.findall(r"[0-9]+", version)[:2]) or None


def analyze(root: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Go facts that the generated files and the checks need, as plain data; raise go_source.SourceError."""
    version = builder_version(settings["builder_image"])
    project = go_source.analyze(
        root,
        name=settings["name"],
        main_package=settings["main_package"],
        module_dir=settings["module_dir"],
        build_tags=settings["build_tags"],
        go_version=_numbers(version),
        with_tests=settings["run_tests"],
    )
    if version:
        go_source.check_go_version(project, version)
    leaving = [replace for replace in project.local_replaces if replace.leaves_root]
    if leaving and not project.vendored:
        raise go_source.SourceError(
            f"go.mod replaces {leaving[0].module} by {leaving[0].target}, which is outside of the source {root}",
            "Make go_service_source the directory that holds both, with go_service_module_dir naming the module in it, or vendor the module "
            "(go mod vendor).",
            "go_service_source",
        )
    return {
        "module_path": project.module_path,
        "module_dir": project.module_dir,
        "go_directive": project.go_directive,
        "go_minimum": project.go_minimum,
        "main_package": project.main_package,
        "vendored": project.vendored,
        "workspace": project.workspace,
        "has_requirements": project.has_requirements,
        "local_replaces": bool(project.local_replaces),
        # A profile beside the main package changes how every package is compiled: https://go.dev/doc/pgo
        "profiled": (root / project.module_dir / project.main_package / "default.pgo").is_file(),
        "std_packages": sorted({*project.std_imports, *(_TEST_PACKAGES if settings["run_tests"] else ())}),
        "module_packages": list(project.third_party_imports),
        "embedded_files": list(project.embedded_files),
        "origin": origin(root),
    }


def origin(root: Path) -> dict[str, str]:
    """Return where a source comes from, as far as git tells: revision ("-dirty" behind it with uncommitted changes), date, url.

    Empty values where the source is in no git repository, or git is not there.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        try:
            return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return ""

    revision, _blank, date = git("log", "-1", "--format=%H %cI").partition(" ")
    if not revision:
        return {"revision": "", "date": "", "url": ""}
    dirty = "-dirty" if git("status", "--porcelain", "--untracked-files=no", "--", ".") else ""
    # A URL may hold a password: only the part behind it is shown.
    return {"revision": revision + dirty, "date": date, "url": re.sub(r"//[^/@]*@", "//", git("remote", "get-url", "origin"))}


def std_layers(packages: list[str]) -> list[list[str]]:
    """Return the packages of the standard library that are compiled together, layer by layer, the lowest first.

    What services have in common has a layer that does not depend on their imports: another import compiles only what it brings beyond.
    """
    if "net/http" not in packages:
        return [packages] if packages else []
    rest = [package for package in packages if package not in _BROUGHT and package not in _HTTP_LAYER]
    return [list(_HTTP_LAYER), rest] if rest else [list(_HTTP_LAYER)]


def dockerfile_facts(project: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables of the Dockerfile template that follow from the Go facts."""
    # Packages of other modules can be compiled above the source where go.mod, go.sum and vendor/ are all that it takes.
    alone = not project["workspace"] and not project["local_replaces"]
    warm = not project["profiled"]
    flags = ["-trimpath", "-buildvcs=false"]
    if {"-s", "-w"} & set(settings["ldflags"].split()):
        # What the linker would drop, the compiler need not make (https://pkg.go.dev/cmd/compile).
        flags.append("-gcflags=all=-dwarf=false")
    if settings["build_tags"]:
        flags.append("-tags=" + ",".join(settings["build_tags"]))
    prefix = "" if project["module_dir"] == "." else project["module_dir"] + "/"
    return {
        "goflags": " ".join(flags),
        "module_prefix": prefix,
        "module_subdir": ("/" + prefix).rstrip("/"),
        "vendored": project["vendored"],
        "std_layers": std_layers(project["std_packages"]) if warm else [],
        "module_files": alone and project["has_requirements"],
        "module_packages": project["module_packages"] if warm and alone else [],
        "main_package": project["main_package"],
    }


def image_labels(project: Mapping[str, Any], settings: Mapping[str, Any], digest: str, base_digest: str) -> dict[str, str]:
    """Return the labels that say where an image comes from; they are no part of its digest.

    A version that was given is part of it: it stands in the Dockerfile.
    Names: https://github.com/opencontainers/image-spec/blob/main/annotations.md
    """
    labels = {
        "go-service.digest": digest,
        "org.opencontainers.image.version": "" if settings["version"] else digest[: context.TAG_LENGTH],
        "org.opencontainers.image.revision": project["origin"]["revision"],
        "org.opencontainers.image.created": project["origin"]["date"],
        "org.opencontainers.image.source": project["origin"]["url"],
        "org.opencontainers.image.base.digest": base_digest,
    }
    return {name: value for name, value in labels.items() if value}


def label_instruction(labels: Mapping[str, str]) -> str:
    """Return one LABEL instruction: each instruction costs the classic builder a container and a commit."""
    quoted = [f'{name}="{_SPECIAL.sub(_escape, value)}"' for name, value in labels.items()]
    return "LABEL " + " \\\n      ".join(quoted) + "\n"


def let_back(project: Mapping[str, Any], dockerignore: str) -> list[str]:
    """Return the embedded files that a .dockerignore leaves out although the build needs them."""
    rules = context.IgnoreRules(dockerignore.splitlines())
    return [path for path in project["embedded_files"] if rules.ignored(path)]


def check_embedded(project: Mapping[str, Any], dockerignore: str) -> None:
    """Raise go_source.SourceError where the build needs a file that the .dockerignore leaves out after all."""
    missing = let_back(project, dockerignore)
    if missing:
        raise go_source.SourceError(
            f"the service embeds {', '.join(missing[:3])}, which looks like a credential and is kept out of the build",
            f'If it is none, let it in: go_service_dockerignore: ["!{missing[0]}"].',
            "go_service_dockerignore",
        )


def check_builder(project: Mapping[str, Any], version: str) -> None:
    """Raise go_source.SourceError where the builder image's own Go is too old for the module."""
    go_source.check_go_version(SimpleNamespace(**project), version)


def resolve(directory: str, candidates: list[str]) -> Path:
    """Return the first existing directory of `directory` below the candidates; raise go_source.SourceError naming all tried."""
    tried = [directory] if posixpath.isabs(directory) else [posixpath.normpath(posixpath.join(base, directory)) for base in candidates]
    for path in dict.fromkeys(tried):
        if Path(path).is_dir():
            return Path(path)
    files = [path for path in tried if Path(path).exists()]
    problem = f"{files[0]} is not a directory" if files else f"no such directory: {', '.join(dict.fromkeys(tried))}"
    raise go_source.SourceError(problem, "Set go_service_source to the directory that holds the service's source.", "go_service_source")
