"""What to do about a service that failed: according to what the Engine refused, what its health checks printed, and last what its log says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..common.failure import FULL
from ..common.secrets import SECRET
from ..common.settings import Settings
from ..engine.records import remapped

# What the last lines of a failed service usually mean, if nothing could be measured: where a line must be (in the output of its health checks, or anywhere),
# its pattern, and the remedy. "Connection refused" means the service itself only in a health check; in its log it means other services.
_TEST, _ANY = "test", "any"
PIDS = (
    "Raise go_service_pids_limit: a Go program has at least one thread for each processor, and a health check needs two or three processes more. Otherwise find "
    "out which part of the service starts so many."
)
_REMEDIES = (
    (
        _TEST,
        # It writes there what it is to start.
        rf"runtime exec failed: [^\n]*(?:{FULL})",
        "The Engine could not start the health check, since a file system of the host is full: the line names the path. Free space there (df shows how much), then run again.",
    ),
    (
        _ANY,
        FULL,
        "A file system that the service writes to is full: free space on the host (df shows what is full), or give the service more (size= in go_service_tmpfs, another volume).",
    ),
    (
        _TEST,
        # Whatever becomes of the second request, its host was not asked for by anybody but the service.
        r"connecting to (?P<asked>\S+) [^\n]*\n(?:wget: bad address|connecting to (?!(?P=asked) ))",
        "The page of the health check redirects to another address, which the health check then asks. Set go_service_health_path to a page that the service answers itself, "
        "or go_service_health_command; a service that redirects to TLS often answers with go_service_health_headers: {X-Forwarded-Proto: https}.",
    ),
    (
        _ANY,
        r"read-only file system",
        "The service writes to its own file system, which is read-only. Give it a place: go_service_volumes for data that must stay, "
        "go_service_tmpfs for scratch space (or go_service_read_only: false, which gives the protection up). A relative path begins in go_service_workdir; "
        "go_service_directories makes an empty directory there that belongs to the service's user.",
    ),
    (
        _ANY,
        r"unable to open database file|readonly database",
        "SQLite cannot make or write its file: the service's own file system is read-only. Mount a volume for it (go_service_volumes) at a directory that go_service_directories makes "
        "(a new named volume takes over the owner of that directory), and tell the service that path if it looks for another one (go_service_args, go_service_env).",
    ),
    (
        _ANY,
        r"failed to create new os thread|newosproc|(?:can't|cannot) fork|(?:fork|clone|thread)[^\n]*resource temporarily unavailable",
        PIDS,
    ),
    (
        _ANY,
        r"exec format error",
        "The binary is for another system or processor than this host's. Leave GOOS and GOARCH out of go_service_build_env.",
    ),
    (
        _TEST,
        r"wget: (?:not found|executable file)|\"wget\": executable file not found|env: .*\bwget\b",
        "The runtime image has no wget, which the health check runs. Choose a go_service_runtime_image that has BusyBox.",
    ),
    (
        _TEST,
        r"ssl_client|not an http or ftp url: https:|no openssl",
        "The runtime image's wget does not support TLS. Install what it needs (go_service_packages: [ssl_client]), choose a go_service_runtime_image whose "
        "BusyBox supports it, or check the health with a command of the service itself (go_service_health_command).",
    ),
    (
        _TEST,
        # Not for every failure to start the command: in a container that is about to end, nothing can be started.
        r"executable file not found|\bexec:? \"?[^\"\s]+\"?: (?:stat [^:]*: )?no such file or directory",
        "The image does not have the command that go_service_health_command runs. The service's binary is /usr/local/bin/<go_service_name>.",
    ),
    (
        _ANY,
        r"(?m:^log: .*\bexec: \"[^\"\n]+\": (?:executable file not found|(?:stat [^:\n]*: )?no such file or directory))|(?m:^log: .*\bfork/exec [^:\n]+: no such file or directory)",
        "The service runs another program, which its image does not have. If Alpine has a package of it, go_service_packages installs it; otherwise make the service work "
        "without it, by go_service_args, go_service_env or its configuration.",
    ),
    (
        _ANY,
        r"(?m:^log: .*\b(?:listen|bind)\b.*(?:cannot assign requested address|address family not supported))",
        "The service listens on an address that its container does not have: one of the host's, or one of IPv6, which a network of the Engine has only if it was created with IPv6. Make it "
        "listen only on 0.0.0.0, by go_service_args, go_service_env or its configuration.",
    ),
    (
        _TEST,
        r"connection refused|can't connect",
        "Nothing listens where the health check asks. Check go_service_port and that the service takes its port from PORT or go_service_args; "
        "a service that listens only on IPv4 may need go_service_health_host: 127.0.0.1.",
    ),
    (
        _ANY,
        r"tls handshake error.*(?:http request|does not look like a tls handshake)",
        "The service speaks TLS, but the health check uses plain HTTP. Set go_service_health_scheme to https, or make the service speak plain HTTP on "
        "go_service_port, by go_service_args or go_service_env.",
    ),
    (
        _TEST,
        r"server returned error: http/1\.\d 404|404 not found",
        "The service runs, but has no page at that path. Set go_service_health_path to one it has. If it has none for a health check, set "
        'go_service_health_command instead, for instance to [nc, -z, localhost, "8080"], which sees only that it listens.',
    ),
    (
        _TEST,
        r"server returned error: http/1\.\d (\d+)",
        "The service runs, but answers the health check with an error. Read its log lines, and check go_service_health_path and go_service_env.",
    ),
    (
        _ANY,
        r"(?:requir\w+|needs?|without|enable) cgo\b|\bcgo (?:is )?(?:required|disabled|not (?:enabled|available|supported))|cgo_enabled ?=",
        "The service needs cgo for what it is configured to do, and a static build switches cgo off. Choose another way if the service has one (another database or "
        "storage, by go_service_args, go_service_env or its configuration file); in your own source use a pure Go package (for SQLite modernc.org/sqlite).",
    ),
    (
        _ANY,
        r"pattern matches no files|(?:open|stat|lstat) \S*(?:\.(?:html?|tmpl|gohtml|tpl)|templates?\b|static\b|views\b)\S*: no such file",
        "The service looks for files that its image does not have. Put them into the image with go_service_files, embed them (//go:embed), or mount "
        "their directory with go_service_volumes where the service looks for it; a relative path begins in go_service_workdir.",
    ),
    (
        _ANY,
        r"\b(?:open|stat|lstat|chdir|readdir|fdopendir|scandir|readdirent|mkdir|directory)[ :\"']+(?:\./)?[^/\s:\"'][^\s:\"']*[\"']?: no such file or directory",
        "The service looks for a path in its working directory, which is go_service_workdir. go_service_files puts files of the source there; "
        "go_service_directories makes an empty directory for the service's user; go_service_volumes mounts data of the host there.",
    ),
    (
        _ANY,
        r"\b(?:open|stat|lstat|readdir|read|file|directory)[ :\"'`]+/[^\s:\"'`]+[\"'`]?: no such file or directory",
        "The service looks for a path that its image does not have. If the host has it, mount it with go_service_volumes (a configuration with :ro); if the source "
        "has it, use go_service_files (dest is the path in the image); if it is a secret, use go_service_secret_files; or tell the service another path with "
        "go_service_args or go_service_env.",
    ),
    (
        _ANY,
        r"address already in use",
        "The service listens on an address that is taken. Check go_service_args, go_service_env, and go_service_network if it is host.",
    ),
    (
        _ANY,
        r"flag provided but not defined|unknown (?:shorthand )?(?:flag|command)|(?m:^(?:log: )?usage(?: of .*)?:)",
        "The service did not understand its arguments. Check go_service_args.",
    ),
    (
        _ANY,
        r"permission denied",
        "The service may not read or write something. It runs as go_service_user (user id 1000, or go_service_uid) without any capability: check "
        "the owner and mode of what go_service_volumes mounts (a new named volume belongs to root, unless it is mounted on one of go_service_directories), "
        "and go_service_cap_add.",
    ),
    (
        _ANY,
        r"no such host|lookup .* on ",
        "The service cannot resolve a host name that it needs. Check go_service_network and go_service_env.",
    ),
    (
        _ANY,
        r"connection refused",
        "According to its log, another server that the service needs does not answer. Make sure that it runs, and check go_service_network and go_service_env.",
    ),
)
_CHECK = "heck go_service_args, go_service_env and go_service_volumes, correct the service, run again."

# Where an Engine from a snap has its directory.
_SNAP = "/var/snap/"

# What the Engine says when it refuses a request, and the variables from which the refused value comes. The first pattern that matches counts.
_REFUSED = (
    (r"range of cpus|nano ?cpus|cpu cfs", ("cpus",)),
    (r"pids\.max|/pids/|pids ?limit", ("pids_limit",)),
    (r"memory limit|memory\.(?:limit|max)|memory\.memsw|oom-killed", ("memory",)),
    (r"capadd", ("cap_add",)),
    (r"capdrop", ("cap_drop",)),
    (r"capabilit", ("cap_add", "cap_drop")),
    (r"duplicate mount point", ("volumes", "tmpfs")),
    (r"tmpfs", ("tmpfs",)),
    (r"logging driver|log[- ]?opt|max-size|max-file", ("log_max_size", "log_max_file")),
    (r"port is already allocated|bind: |userland proxy|port binding|hostport", ("publish", "publish_more")),
    (
        r"network \S+ not found|network-scoped|external connectivity|network mode|joining network|connecting \S+ to the network",
        ("network", "networks", "publish"),
    ),
    (r"unable to find (?:user|group)|no matching entries in (?:passwd|group)", ("user", "uid")),
    (r"mount|volume|bind source|invalid mode|\bsource \S+ is not (?:a )?directory", ("volumes", "tmpfs", "secret_files")),
    (r"restart policy|restart count", ("restart_policy",)),
    (
        r"health ?check|interval in healthcheck|timeout in healthcheck|start period",
        ("health_interval", "health_timeout", "health_start_period", "health_retries"),
    ),
    (r"stop ?timeout", ("stop_timeout",)),
    (r"stop ?signal|invalid signal", ("stop_signal",)),
    (r"environment variable", ("env",)),
    (r"\blabels?\b", ("labels",)),
)


def refused(words: str, settings: Settings, otherwise: str) -> str:
    """Return what to do if the Engine refused to create or start a container; otherwise: the remedy if its message matches no variable."""
    for pattern, names in _REFUSED:
        if re.search(pattern, words, re.I):
            # If there are several, those whose value the Engine quotes.
            given = {name: settings.written(name) for name in names}
            quoted = [name for name in names if any(value in words for value in _values(given[name]))]
            asked = [f"go_service_{name}{_shown(name, given[name])}" for name in quoted or names if given[name]]
            if asked:
                return f"The Engine refuses {' or '.join(asked)}: correct it as its message says, then run again."
    if re.search(r"exec format error", words, re.I):
        return remedy_for([words])
    return otherwise


def of_engine(info: Mapping[str, Any], settings: Settings, words: Iterable[str], otherwise: str) -> str:
    """Return what to do if a failure comes from the kind of Engine, and not from the service; otherwise: the remedy in all other cases.

    info: the Engine's system record; words: the message of the failure, and the last lines of the service.
    """
    said = "\n".join(words)
    if re.search(r"apparmor_parser|apparmor.*(?:not found|could not be loaded|unable to)", said, re.I):
        return (
            "The kernel has AppArmor, but the Engine's machine lacks AppArmor's parser: install the package apparmor there, and restart the Engine "
            "(systemctl restart docker)."
        )
    if _SNAP in f"{info.get('DockerRootDir')}/" and re.search(r"operation not permitted|permission denied", said, re.I):
        return (
            "The Engine comes from a snap, whose confinement prevents containers with no-new-privileges from starting a program: install "
            "the distribution's Engine (docker.io), or Docker's own, and remove the snap."
        )
    numbers, bound = remapped(info), [volume for volume in settings.volumes if volume.startswith("/")]
    if numbers and bound and re.search(r"permission denied", said, re.I):
        return (
            f"The Engine maps the users of its containers (userns-remap): user and group 0 are {numbers[0]} and {numbers[1]} on the host, and the id of "
            f"{settings.user} there is {numbers[0]} more than in the image. Give {', '.join(bound)} to that id (chown), or use a named volume. {otherwise}"
        )
    return otherwise


def _values(value: Any) -> list[str]:
    """Return the words of a value that a message would quote."""
    if isinstance(value, Mapping):
        return [word for pair in value.items() for part in pair for word in _values(part)]
    if isinstance(value, (list, tuple)):
        return [word for part in value for word in _values(part)]
    return [word for word in re.split(r"[:,]", str(value)) if len(word) > 1]


def _shown(name: str, value: Any) -> str:
    return "" if name in SECRET else f" ({value if isinstance(value, str) else json.dumps(value)})"


def remedy_for(evidence: list[str], otherwise: str = "") -> str:
    """Return what to do about the last lines of a service; otherwise: what to do if they match no known pattern."""
    said = {_ANY: "\n".join(evidence), _TEST: "\n".join(line for line in evidence if not line.startswith("log: "))}
    for source, pattern, remedy in _REMEDIES:
        if re.search(pattern, said[source], re.I):
            return remedy
    if otherwise:
        return otherwise
    return (
        f"Read the log lines above; c{_CHECK}"
        if any(line.startswith("log: ") for line in evidence)
        else f"It wrote no log lines. C{_CHECK}"
    )
