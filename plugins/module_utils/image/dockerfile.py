"""The variables from which the Dockerfile is written."""

from __future__ import annotations

import json
import posixpath
import re
import shlex
from collections.abc import Mapping
from typing import Any

from ..common.names import LABEL_DIGEST, OCI, TAG_LENGTH, caches_directory, caches_name
from ..common.places import CA_BUNDLE, OWN_CA
from ..common.secrets import MASK, escaped
from ..common.settings import DURATIONS, Settings
from ..common.text import one_line
from ..source.errors import SourceError
from .module_access import ARCHIVE, FETCH, instructions, trust, way

# Characters that mean nothing special to Docker or a shell. The brackets come from a pattern that is written here.
_PLAIN = re.compile(r"(?!-)[A-Za-z0-9_.@+/~-]*(?:go\.(?:work\.)?su\[m\])?")
# The packages of the shared layer for services that import net/http: net/http, which takes longest, and what most services also import, which costs
# no extra time, since another core compiles it meanwhile.
_HTTP_LAYER = ("embed", "encoding/json", "flag", "log/slog", "net/http", "os/signal")
# The packages that these always import (go list -deps, Go 1.24 and 1.27). If a package is missing here, it is needlessly listed a second time; if a release
# does not import one of these, it is compiled with the service.
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

# Build tags by which the standard library chooses among its files (its //go:build lines, Go 1.27), beside names of systems and processors.
_STD_TAGS = re.compile(
    r"asan|boringcrypto|compiler_bootstrap|debuglog|faketime|fips140.*|gccgo|generate|go1\..*|goexperiment\..*|libfuzzer|math_big_pure_go|msan|netcgo|"
    r"netgo|nethttpomithttp2|noopt|osusergo|purego|quicbasicnet|race|timetzdata|valgrind"
)
# Variables that what is compiled may depend on (https://pkg.go.dev/cmd/go#hdr-Environment_variables), and those of them that say only
# where modules come from.
_COMPILERS = re.compile(r"GO.*|CGO_.*|CC|CXX|AR|FC|LD_.*|PATH|PKG_CONFIG.*|HOME|TMPDIR")
_MODULES = re.compile(r"GO(AUTH|INSECURE|NOPROXY|NOSUMDB|PRIVATE|PROXY|SUMDB|VCS)")


def for_compiler(name: str) -> bool:
    """Say whether what Go makes of the standard library may depend on a variable of the build.

    A variable on which it cannot depend comes in the Dockerfile after the layers that services share.
    """
    return bool(_COMPILERS.fullmatch(name)) and not _MODULES.fullmatch(name)


def caches(project: Mapping[str, Any], settings: Settings) -> dict[str, str]:
    """Return the caches of the Engine that BuildKit mounts into a build: directory -> id (https://docs.docker.com/reference/dockerfile/#run---mounttypecache).

    Go's build cache is addressed by content and safe for parallel builds, so services share it. They also share the module cache, except for modules that
    need credentials, which are only in layers of their service. A service whose tests run in the build has separate caches: tests are code of that
    service, and could write anything there.
    """
    own = settings.name if settings.run_tests else ""
    kinds = ["build"] if way(settings, project) else ["build", "modules"]
    return {f"{caches_directory(own)}{kind}": f"{caches_name(own)}-{kind}" for kind in kinds}


def std_layers(packages: list[str]) -> list[list[str]]:
    """Return the packages of the standard library that are compiled together, layer by layer, the lowest first.

    What services have in common is in a layer that does not depend on their imports: for one more import, only the additional packages are compiled.
    """
    if "net/http" not in packages:
        return [packages] if packages else []
    rest = [package for package in packages if package not in _BROUGHT and package not in _HTTP_LAYER]
    return [list(_HTTP_LAYER), rest] if rest else [list(_HTTP_LAYER)]


def _workdir(path: str) -> str:
    """Return a path in the form for WORKDIR: quotes, blanks and variables stand for themselves. A slash ends it, since a backslash at the end would
    continue the line, and a blank at the end would be cut off."""
    return path if _PLAIN.fullmatch(path) else re.sub(r"([^\w./-])", r"\\\1", path, flags=re.ASCII) + "/"


def _copy(sources: list[str], target: str) -> str:
    """Return the arguments of COPY. An ordinary path is not changed; in other paths, the characters that are special to Docker are escaped.

    No pattern ends with a slash: the classic builder would find nothing with it.
    """
    if all(map(_PLAIN.fullmatch, sources)):
        return " ".join([*sources, target])
    paths = [*(source.rstrip("/") for source in sources), target]
    return json.dumps([re.sub(r"[\\\"'$]", r"\\\g<0>", path) for path in paths], ensure_ascii=False)


def _prefix(directory: str) -> str:
    """Return what the paths below a directory of the source begin with."""
    return "" if directory == "." else directory + "/"


def _pattern(path: str) -> str:
    """Return a path as a pattern of Docker's, where one is taken."""
    return re.sub(r"[*?\[\\]", r"[\g<0>]", path).replace("[\\]", "\\\\")


def module_files(project: Mapping[str, Any]) -> list[str]:
    """Return the arguments of the COPY instructions for everything that cmd/go needs before it downloads or compiles another module's package:
    go.mod and go.sum of the module and of those that it takes from directories, a workspace's go.work, and vendor/."""
    own, workspace = project["module_dir"], project["work_dir"]
    found = [_copy([f"{_pattern(_prefix(own))}go.mod", f"{_pattern(_prefix(own))}go.su[m]"], "./")]
    for directory in project["local_modules"]:
        if directory != own:
            pattern = _pattern(_prefix(directory))
            found.append(_copy([f"{pattern}go.mod", f"{pattern}go.su[m]"], f"/src/{_prefix(directory)}"))
    if workspace is not None:
        pattern = _pattern(_prefix(workspace))
        found.append(_copy([f"{pattern}go.work", f"{pattern}go.work.su[m]"], f"/src/{_prefix(workspace)}"))
    if project["vendored"] and workspace is None:
        found.append(_copy([f"{_pattern(_prefix(own))}vendor/"], "vendor/"))
    elif project["vendored"]:
        found.append(_copy([f"{_pattern(_prefix(workspace))}vendor/"], f"/src/{_prefix(workspace)}vendor/"))
    return found


def _copied_file(asked: Mapping[str, str]) -> str:
    """Return the arguments of COPY for one of go_service_files. What a directory holds is copied into a directory, a file under its name."""
    owner = "" if asked["owner"] == "root" else f"--chown={asked['owner']}:{asked['owner']} "
    slash = "/" if asked["kind"] == "directory" else ""
    if asked.get("mode"):
        # The classic builder knows no COPY --chmod: the builder's stage sets it.
        return f"--from=build {owner}" + _copy([f"/src/{_pattern(asked['src'])}{slash}"], asked["dest"] + slash)
    return owner + _copy([_pattern(asked["src"]) + slash], asked["dest"] + slash)


def _apk_add(settings: Settings) -> str:
    """Return the command that installs packages. If the image should not trust the authorities that the build trusts, only apk does."""
    add = f"apk add --no-cache {' '.join(map(shlex.quote, settings.packages))}"
    if not settings.ca_certificates or settings.ca_in_image:
        return add
    trusted = "/tmp/go-service-ca.pem"
    return f"cp {CA_BUNDLE} {trusted} && {trust(settings.ca_certificates, trusted)} \\\n && SSL_CERT_FILE={trusted} {add} && rm {trusted}"


def _with_mode(asked: Mapping[str, str]) -> str:
    """Return the command of the shell that gives one of go_service_files its mode in the builder's stage."""
    path = shlex.quote(f"/src/{asked['src']}")
    return f"find {path} -type f -exec chmod {asked['mode']} {{}} +"


def dockerfile_facts(project: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    """Return the variables of the Dockerfile template that follow from the Go facts."""
    warm = not project["profiled"]
    flags = ["-trimpath", "-buildvcs=false"]
    if {"-s", "-w"} & set(settings.ldflags.split()):
        # What the linker would drop, the compiler need not make (https://pkg.go.dev/cmd/compile).
        flags.append("-gcflags=all=-dwarf=false")
    given = {*settings.build_args, *settings.build_env}
    tags = ["-tags=" + ",".join(settings.build_tags)] if settings.build_tags else []
    if "GOFLAGS" in given or any(map(_STD_TAGS.fullmatch, settings.build_tags)):
        flags, tags = [*flags, *tags], []
    for path in (project["module_dir"], project["main_package"], *project["local_modules"], *(asked["src"] for asked in project["files"])):
        if not path.isprintable():
            raise SourceError(f"the path {path!r} has a line break or another character in its name that does not print", "Rename it.")
    return {
        "goflags": " ".join(flags),
        # What only the service's own packages and its modules are compiled with.
        "own_goflags": " ".join([*flags, *tags]) if tags else "",
        "for_compiler": sorted(filter(for_compiler, given)),
        "module_subdir": _workdir(("/" + _prefix(project["module_dir"])).rstrip("/")),
        "vendored": project["vendored"],
        "std_layers": std_layers(project["std_packages"]) if warm else [],
        "module_files": module_files(project) if project["has_requirements"] else [],
        "module_packages": project["module_packages"] if warm else [],
        "trust_in_build": trust(settings.ca_certificates),
        "trust_in_image": trust(settings.ca_certificates, kept=True) if settings.ca_in_image else "",
        "apk_add": _apk_add(settings),
        "module_download": instructions(way(settings, project)),
        "modules_archive": ARCHIVE if way(settings, project) == FETCH else "",
        "main_package": project["main_package"],
        **{name: settings.written(name) for name in DURATIONS},
        # A port without a protocol means TCP.
        "ports": [port.removesuffix("/tcp") for port in settings.exposed],
        "goarch": settings.goarch,
        "trusted_files": [CA_BUNDLE, OWN_CA],
        "image_labels": label_instruction(settings.image_labels) if settings.image_labels else "",
        "directories": [settings.in_image(path) for path in settings.directories],
        # For another platform, each is copied into the directory above it.
        "split_directories": [posixpath.split(settings.in_image(path)) for path in settings.directories],
        "file_modes": [_with_mode(asked) for asked in project["files"] if asked.get("mode")],
        "copied_files": [_copied_file(asked) for asked in project["files"]],
        "health_command": json.dumps(settings.health_test),
    }


# An instruction of the template that gives a secret value, also where a log quotes it.
_VALUE = re.compile(r'\b(ENV|ARG) ([A-Za-z_][A-Za-z0-9_]*)="((?:\\.|[^"\\])*)"')


def with_values(dockerfile: str, settings: Settings) -> str:
    """Return a Dockerfile of the template with the values of build_env and build_args in their places, as the builder gets it."""
    values = {"ENV": settings.build_env, "ARG": settings.build_args}

    def filled(found: re.Match) -> str:
        instruction, name = found[1], found[2]
        return f'{instruction} {name}="{escaped(values[instruction][name])}"' if name in values[instruction] else found[0]

    return _VALUE.sub(filled, dockerfile)


def without_values(text: str) -> str:
    """Return a Dockerfile, or a log that quotes it, without the values of build_env and build_args."""
    return _VALUE.sub(rf'\1 \2="{MASK}"', text)


def image_labels(project: Mapping[str, Any], settings: Settings, digest: str, base_digest: str) -> dict[str, str]:
    """Return the labels that say where an image comes from; they are not part of its digest.

    But a version that was given is part of it, since it is in the Dockerfile.
    """
    labels = {
        LABEL_DIGEST: digest,
        OCI + "version": "" if settings.version else digest[:TAG_LENGTH],
        OCI + "revision": project["origin"]["revision"],
        OCI + "created": project["origin"]["date"],
        OCI + "source": project["origin"]["url"],
        OCI + "base.digest": base_digest,
    }
    return {name: value for name, value in labels.items() if value}


def label_instruction(labels: Mapping[str, str]) -> str:
    """Return one LABEL instruction, since each instruction costs the classic builder a container and a commit.

    Any value stays within its quotes and on its line.
    """
    quoted = [f'{name}="{escaped(one_line(value))}"' for name, value in labels.items()]
    return "LABEL " + " \\\n      ".join(quoted) + "\n"
