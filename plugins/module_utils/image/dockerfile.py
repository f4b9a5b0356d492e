"""What the Dockerfile is written from."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from ..common.names import LABEL_DIGEST, OCI, TAG_LENGTH, caches_directory, caches_name
from ..common.places import CA_BUNDLE
from ..common.secrets import MASK, escaped
from ..common.settings import DURATIONS, Settings
from ..common.text import one_line
from ..source.errors import SourceError
from .module_access import ARCHIVE, FETCH, instructions, trust, way

# What neither Docker nor a shell reads anything into. The brackets are of a pattern of ours.
_PLAIN = re.compile(r"(?!-)[A-Za-z0-9_.@+/~-]*(?:go\.(?:work\.)?su\[m\])?")
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

    One that it cannot depend on stands below the layers that services share.
    """
    return bool(_COMPILERS.fullmatch(name)) and not _MODULES.fullmatch(name)


def caches(project: Mapping[str, Any], settings: Settings) -> dict[str, str]:
    """Return the caches of the Engine that BuildKit mounts into a build: directory -> id (https://docs.docker.com/reference/dockerfile/#run---mounttypecache).

    Go's build cache is addressed by content and safe for builds at the same time, so that services share it; the module cache as well, but for modules that
    need credentials, which the layers of one service alone hold. A service whose tests run in the build has caches of its own: they are code of that
    service, and could write anything there.
    """
    own = settings.name if settings.run_tests else ""
    kinds = ["build"] if way(settings, project) else ["build", "modules"]
    return {f"{caches_directory(own)}{kind}": f"{caches_name(own)}-{kind}" for kind in kinds}


def std_layers(packages: list[str]) -> list[list[str]]:
    """Return the packages of the standard library that are compiled together, layer by layer, the lowest first.

    What services have in common has a layer that does not depend on their imports: another import compiles only what it brings beyond.
    """
    if "net/http" not in packages:
        return [packages] if packages else []
    rest = [package for package in packages if package not in _BROUGHT and package not in _HTTP_LAYER]
    return [list(_HTTP_LAYER), rest] if rest else [list(_HTTP_LAYER)]


def _workdir(path: str) -> str:
    """Return a path as WORKDIR takes it: quotes, blanks and variables stand for themselves. A slash ends it, since a backslash there would
    go on to the next line, and a blank there would be cut off."""
    return path if _PLAIN.fullmatch(path) else re.sub(r"([^\w./-])", r"\\\1", path, flags=re.ASCII) + "/"


def _copy(sources: list[str], target: str) -> str:
    """Return the arguments of COPY. An ordinary path stands as it is; what Docker would read in another one is escaped.

    No pattern ends in a slash: the classic builder finds nothing by it.
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
    """Return the arguments of the COPY instructions for all that cmd/go wants to see before it downloads or compiles another module's package:
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
    """Return the command that adds packages. Where the image is not to trust the authorities that the build trusts, apk alone does."""
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
        # TCP is what a port without a word is.
        "ports": [port.removesuffix("/tcp") for port in settings.exposed],
        "image_labels": label_instruction(settings.image_labels) if settings.image_labels else "",
        "directories": [settings.in_image(path) for path in settings.directories],
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
    """Return the labels that say where an image comes from; they are no part of its digest.

    A version that was given is part of it: it stands in the Dockerfile.
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
    """Return one LABEL instruction: each instruction costs the classic builder a container and a commit.

    Whatever a value is, it stays within its quotes and on its line.
    """
    quoted = [f'{name}="{escaped(one_line(value))}"' for name, value in labels.items()]
    return "LABEL " + " \\\n      ".join(quoted) + "\n"
