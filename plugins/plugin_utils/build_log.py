"""What a build printed: its steps, and why it failed."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..module_utils.common.failure import DISK_FULL, FULL, OWN_STORE, UNTOUCHED, Failure, folded
from ..module_utils.common.names import APPLYING
from ..module_utils.common.stages import BUILD
from ..module_utils.image.dockerfile import without_values
from ..module_utils.image.module_access import NETRC

STEP = re.compile(r"^Step (\d+)/(\d+) : (.*)")
_LINES = 30


def shown(instruction: str) -> str:
    """Return an instruction as a person may see it: without the values of variables, and as it is in the service's Dockerfile."""
    return without_values(instruction).replace(APPLYING, "")


def steps(output: str) -> list[dict[str, Any]]:
    """Return the steps of the classic builder's output: [{"instruction": ..., "cached": bool}]."""
    found: list[dict[str, Any]] = []
    for line in output.splitlines():
        match = STEP.match(line)
        if match:
            found.append({"instruction": shown(match[3]), "cached": False})
        elif found and line.strip() == "---> Using cache":
            found[-1]["cached"] = True
    return found


# What Go says about a package that it cannot find, or about modules whose files do not agree.
_ABSENT = r"(?:no required module provides package|cannot find module providing package) ([^\s;:]+)|package (\S+) is not in std"
# What Go writes before the name of a module: only its own name, or the line that imports the module.
_OF = r"^(?:go: (?:downloading )?|\S+\.go:\d+(?::\d+)?: )"
_CGO = "a static build switches cgo off (CGO_ENABLED=0)"
ENGINE_ENDED = "The Engine ended or was restarted meanwhile. Make sure that it runs (docker info), look at its log, then run again."
# What to look for in the failed instruction and the last lines of a failed build, and what to do about it, with {0}, {1} for what was found.
_REMEDIES = (
    (FULL, DISK_FULL),
    (
        r"buildx plugin|unknown command: docker buildx",
        "Install the buildx plugin of the Docker client on the host, or build without it: go_service_builder: docker_image.",
    ),
    (r"booting buildkit|moby/buildkit|docker-container driver", OWN_STORE),
    (
        r"Read timed out|timed out \(read timeout",
        "The builder printed nothing during go_service_build_timeout, and the work of that step is lost. Raise the timeout if the machine needs that long to compile the packages of the "
        "service (which prints nothing); or find out for what the build waits.",
    ),
    (
        r"Error connecting|Error while fetching server API version|Cannot connect to the Docker daemon",
        "Start the Engine of the host (systemctl start docker, or the role docker_engine), then run again.",
    ),
    # The words of the Docker SDK, which nothing in a build prints.
    (r"\('Connection aborted\.', |RemoteDisconnected\(|Connection broken: ", ENGINE_ENDED),
    (r"no test files|--- FAIL|^FAIL\b", "A test failed. Correct it, or build without tests: go_service_run_tests: false."),
    (
        r"^go: (?:module )?((?!\S*go\.(?:mod|work)\b)\S+)[^\n]*? requires go ?>= ?([0-9][0-9.a-z]*)",
        "{0}, on which the source depends, needs Go {1}. Set go_service_builder_image to an image that has it, or require an older version of that module.",
    ),
    (
        r"go\.mod requires go >= |requires go1\.|requires go >= |toolchain not available",
        "The module needs a newer Go. Set go_service_builder_image to an image that has it.",
    ),
    (
        r"\"git\": executable file not found|git: (?:command )?not found|missing Git command",
        "The builder image has no git, which Go needs to get modules that no proxy has. Set go_service_builder_image to an image that has git, set GOPROXY "
        "in go_service_build_env to a proxy that has these modules, or vendor them (go mod vendor).",
    ),
    (
        r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED",
        "known_hosts in go_service_build_secrets has no key of the git host, or another key than the host shows. Get the host's key with ssh-keyscan, compare "
        "it with the key that the host's owner has published, and correct known_hosts.",
    ),
    (
        r"Load key [^\n]*: (?:error in libcrypto|invalid format)",
        "ssh cannot read the key: give the whole content of its file as ssh_key in go_service_build_secrets, with all line breaks.",
    ),
    (
        r"Permission denied \(publickey",
        "The git host does not accept the key, or got none: the public key must be registered there, with the right to read the repository (a deploy key). Correct ssh_key, user or "
        "port of that host in go_service_build_secrets.",
    ),
    (
        r"cannot run ssh|ssh: not found",
        "The builder image has no ssh. Set go_service_builder_image to an image that has openssh-client and git, or give a token for HTTPS.",
    ),
    (
        rf"{_OF}([^\s/@]+)[^\s@]*@\S+: (?:reading https://proxy\.golang\.org/\S+: 4|verifying [^\n]*(?:\n[^\n]*)?sum\.golang\.org)",
        "A public proxy, or the public checksum database, was asked for a module of {0} and does not have it. If it is a private module, set GOPRIVATE in "
        "go_service_build_env to {0}, or to the common beginning of the paths of your private modules, and give the credentials in go_service_build_secrets.",
    ),
    (
        r"certificate signed by unknown authority|unable to get local issuer certificate|self.signed certificate|certificate not trusted|SSL certificate problem",
        "A server's certificate is signed by an authority that the build does not trust, for instance that of a company's proxy. Give the authority's certificate in "
        "go_service_ca_certificates.",
    ),
    (
        rf"{_OF}([^\s/@]+)[^\s@]*@\S+: no secure protocol found for repository",
        "go cannot read a repository of {0}: it is private, does not exist, or cannot be reached from the build. Give the credentials for {0} in "
        "go_service_build_secrets; or vendor the module (go mod vendor), or set GOPROXY in go_service_build_env to a proxy that has it.",
    ),
    (
        r"^(?:WARNING|ERROR): [^\n]*(?:https?://|temporary error|network error|DNS: |could not connect|TLS: |mentioned in index not found)",
        "apk does not reach the address of its packages. Set go_service_build_network to a network that does, or a proxy in ~/.docker/config.json of the user who builds (docs/company.md); or "
        "choose a go_service_runtime_image that has the packages, and empty go_service_packages.",
    ),
    (
        r"pull access denied|failed to resolve source metadata|manifest unknown|toomanyrequests",
        "The builder looks for a base image in a registry, but cannot get it from there. Get the image onto the host (role base_images), or correct "
        "go_service_builder_image and go_service_runtime_image.",
    ),
    (
        r"network (\S+) not found",
        "The Engine has no network {0}. Set go_service_build_network to default, host, none or a network that docker network ls shows.",
    ),
    (
        r"unsupported GOOS/GOARCH|cmd/go: unsupported|unknown architecture",
        "Go knows no such system or processor. Leave GOOS and GOARCH out of go_service_build_env: the image is for the host's own.",
    ),
    (
        r"dial tcp|module lookup disabled by GOPROXY|i/o timeout|proxyconnect|no such host|tls: failed|connection refused|Forbidden",
        "The builder cannot download modules. Set GOPROXY in go_service_build_env, set go_service_build_network, or vendor them (go mod vendor).",
    ),
    (
        r"missing go\.sum entry|updates to go\.(?:mod|sum) needed|inconsistent vendoring"
        r"|no required module provides package|cannot find module providing package",
        "Run go mod tidy (and go mod vendor) in the source.",
    ),
    (
        r"pattern .*: no matching files found",
        "A //go:embed pattern matches nothing in the build context: check the files, and go_service_dockerignore.",
    ),
    (
        r"malformed import path|invalid input directory name",
        "Go builds no package in a directory of that name. Rename it: letters, digits and . _ ~ + - are allowed.",
    ),
    (
        r"C source files not allowed",
        f"The service needs cgo, and {_CGO}. Use a pure Go package instead.",
    ),
    (
        r"build constraints exclude all Go files in (\S+)",
        'No file of {0} is part of this build: its files import "C", and '
        + _CGO
        + ", or they are for other systems or go_service_build_tags. "
        "Use a pure Go package instead, or set the tags.",
    ),
    (
        r"signal: killed|cannot allocate memory",
        "The compiler ran out of memory. Give the host more of it, or compile one package at a time, with GOMAXPROCS: 1 in go_service_build_env.",
    ),
    (r"apk: not found", "The runtime base has no apk. Empty go_service_packages, or use an Alpine base."),
    (
        r"unable to select packages|no such package|not a valid world dependency",
        "Check the names and versions in go_service_packages: for each release, Alpine keeps only the newest version of a package.",
    ),
    (
        r"Unable to lock database|Failed to open apk database|adduser: [^\n]*(?:ermission denied|not permitted)",
        "The runtime base image runs as a user other than root, who may not add packages and users. Choose a go_service_runtime_image that runs as root.",
    ),
    (
        r"adduser: .*in use|already exists",
        "The user or its id already exists in the base image. Choose another go_service_user or go_service_uid.",
    ),
    # A published module does compile: with the Go version of its time, and with cgo.
    (
        r"^\S*(?:/pkg/mod|vendor)/(\S+?)/[^/\s]+\.go:\d+(?::\d+)?: undefined: (\w+)\.(\w+)",
        "{0}, which comes from another module, uses {1}.{2}, which the package {1} does not have as it is built here. Most likely one of the two modules is older than the builder's "
        "Go, and does not work with it: require newer versions of both (go get), or set go_service_builder_image to an image with the Go that go.mod names. Otherwise "
        'the name is in a file that imports "C", and ' + _CGO + ".",
    ),
    (
        r"^\S*(?:/pkg/mod|vendor)/(\S+?)/[^/\s]+\.go:\d+(?::\d+)?: undefined: ",
        'Names are missing in {0}, which comes from another module: most likely its files that import "C" have them, and '
        + _CGO
        + ". Use a pure Go package instead, or another version of it.",
    ),
    (
        r"^\S+\.go:\d+(?::\d+)?: undefined: (\w+)\.\w+",
        'Correct the source at the lines named, then run again. If the package {0} does define that name, it is in a file that imports "C", and '
        + _CGO
        + ": use a pure Go package instead.",
    ),
    (r"^\S+\.go:\d+", "Correct the source at the lines named, then run again."),
)


# What the compiler says about a name that the service's own source lacks: file, package or "", as Go writes the paths of a module's own files.
_UNDEFINED = re.compile(r"^(?!/|\.\./|vendor/)(?:\./)?(\S+\.go):\d+(?::\d+)?: undefined: (?:(\w+)\.)?\w", re.M)


def _left_out_by_tags(text: str, project: Mapping[str, Any]) -> Sequence[str]:
    """Return the file that is left out, for build tags, of the package in which a name is missing, and those tags; () if there is none."""
    for file, named in _UNDEFINED.findall(text):
        here = posixpath.dirname(posixpath.normpath(posixpath.join(str(project.get("module_dir") or "."), file)))
        for path, package, tags in project.get("tagged_files") or ():
            if package == named or (not named and posixpath.dirname(path) == here):
                return path, tags.replace(",", ", ")
    return ()


def _of_the_source(text: str, project: Mapping[str, Any]) -> str:
    """Return what to do about a failure in the source's own module, by what is known about the source; "" for other failures."""
    own = str(project.get("module_path") or "\0")
    named = [found or other for found, other in re.findall(_ABSENT, text)]
    absent = [path for path in named if path == own or path.startswith(f"{own}/")]
    if absent:
        return (
            f"The package {absent[0]} belongs to the source's own module, but no file of it is in the build context. If it is generated, generate it "
            "before the run (go generate); otherwise make sure that it is in the source, and that go_service_dockerignore does not exclude it."
        )
    if project.get("work_dir") and re.search(rf"(?:^|\s){re.escape(own)}@\S+: ", text):
        return (
            f"A module of the workspace (go.work) requires a version of {own}, which is the source's own module, and go looks for that version elsewhere. "
            'If the service needs nothing else of the workspace, build only its module: GOWORK: "off" in go_service_build_env. Otherwise require versions '
            "in their go.mod files that can be downloaded (go work sync)."
        )
    tagged = _left_out_by_tags(text, project)
    if tagged:
        return (
            f"{tagged[0]} is left out of the build, since it asks for build tags: if what is missing is in it, go_service_build_tags: [{tagged[1]}]. If it is "
            "in a file that a tool makes, make that before the run (go generate). Otherwise correct the source at the lines named."
        )
    left_out = list(project.get("cgo_files") or ())
    if left_out and re.search(r"undefined: |build constraints exclude all Go files", text):
        return (
            f'{", ".join(left_out)} of the source is left out, since it imports "C", and {_CGO}. If what is missing is in it: write it in pure Go, '
            "or use a pure Go package instead. Otherwise correct the source at the lines named."
        )
    return ""


# What go and git print about a host that asks for a password, or refuses the one that it got.
_REFUSING = re.compile(
    r"(?:reading https?://(?!proxy\.golang\.org)(?=\S+: 40[13] )|(?:Authentication failed|could not read (?:Username|Password)) for 'https?://|repository 'https?://(?=\S+ not found))"
    r"(?:[^/'@\s]*@)?([^/'\s]+)"
)


def _of_credentials(text: str, project: Mapping[str, Any]) -> str:
    """Return what to do about a host that refuses to let a module be read, by whether it got a credential; "" if no host refuses."""
    found = _REFUSING.search(text)
    if not found:
        return ""
    host = found[1]
    given = [name for name in project.get("credentials") or () if name.partition("/")[0] in (host, NETRC)]
    if given:
        return (
            f"{host} refuses the user or the token that go_service_build_secrets has for it, or the repository does not exist for this user. Check that the token is complete, has not expired, "
            f"and may read the repository ({given[0]})."
        )
    return (
        f"{host} lets nobody read a module without a credential. Give one in go_service_build_secrets, like {{{host}: {{user: ..., token: ...}}}}; or vendor "
        "the module (go mod vendor), or set GOPROXY in go_service_build_env to a proxy that has it."
    )


def explain(head: str, instruction: str, printed: Iterable[str], project: Mapping[str, Any] | None = None) -> Failure:
    """Return the failure of a build.

    head: what the module said; instruction: the failed instruction, "" if it is not known; printed: the output of that instruction; project: the Go facts
    of the source.
    """
    # A builder quotes the Dockerfile, which contains the values of build_env and build_args.
    head, instruction = shown(head), shown(instruction)
    # What prints nothing hides no line of the last ones; folding takes colours off, which may be all that a line has.
    lines = [line for line in folded(line for line in map(without_values, printed) if line.strip()) if line][-_LINES:]
    text = "\n".join([*lines, head])
    remedy = _of_the_source(text, project or {}) or _of_credentials(text, project or {})
    for pattern, words in () if remedy else _REMEDIES:
        found = re.search(pattern, text, re.M)
        if found:
            remedy = words.format(*found.groups())
            break
    reason = re.search(r"message: (.*)", head)
    cause = "the connection to the Engine broke" if remedy == ENGINE_ENDED else reason[1] if reason else head
    message = f"the build failed at: {instruction}" if instruction else f"the build failed: {cause}"
    return Failure(BUILD, message, remedy or "Read the lines above, correct the cause, run again.", UNTOUCHED, lines or [head])
