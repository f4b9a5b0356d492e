"""Private modules: how a build can read them without leaving a trace of the credentials.

A shell script (`program`) writes the credentials to a file system in memory, configures go, git and ssh to use them, and runs a command. BuildKit
mounts the script into the one step that downloads modules. The classic builder does not support such mounts: with it, the modules are downloaded
before the build, in a container of the builder image, and enter the build as an archive in the build context.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import posixpath
import re
import shlex
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..common.places import CA_BUNDLE, OWN_CA
from ..common.settings import BUILDX, Settings

# The only name in go_service_build_secrets that is not a host.
NETRC = "netrc"
# How a build that needs credentials gets its modules: the step that downloads them gets the credentials, or the modules were downloaded before.
MOUNT, FETCH = "mount", "fetch"
# In the container: the directory of the credentials, in memory; the script; the module cache of a container that downloads before a build.
PLACE = "/run/go-service"
PROGRAM = f"{PLACE}/access"
CACHE = "/go-service-modules"
# BuildKit's id for the script, and the archive of modules in the build context.
SECRET_ID = "go-service-access"
ARCHIVE = "go-service-modules.tar"
# The file in an archive of modules that says for which source it was made.
KEY = "comment"
DOWNLOAD = "go mod download"
_MODULE_FILES = ("go.mod", "go.sum", "go.work", "go.work.sum")
_DEFAULT_USER = "git"
_SSH_PORT = "22"

_BEGIN = f"""\
set -u
umask 077
place={PLACE}
git_configs=${{GIT_CONFIG_COUNT:-0}}
git_config() {{
  export "GIT_CONFIG_KEY_$git_configs=$1" "GIT_CONFIG_VALUE_$git_configs=$2"
  git_configs=$((git_configs + 1))
}}
missing=""
needs() {{
  command -v "$1" >/dev/null || missing="$missing $2"
}}
asked() {{
  git_config "credential.$1.helper" "!f() {{ test \\"\\$1\\" != get || cat $2; }}; f"
}}
"""
# The official golang:alpine has no git, which go does not need for modules from a proxy. For a repository that the module's path names, go hides git's message.
_END = r"""export GIT_CONFIG_COUNT=$git_configs GIT_TERMINAL_PROMPT=0
try() {
  "$@" 2>$place/said
  status=$?
  cat $place/said >&2
}
try "$@"
if grep -q "missing Git command" $place/said || { test $status != 0 && test "$missing" = " openssh-client"; }; then
  if command -v apk >/dev/null; then
    echo "once more, with$missing, which the builder image lacks" >&2
    apk add --no-cache $missing >&2 && try "$@"
  fi
fi
test $status = 0 && exit
hidden='s/^go: \([^ @]*\)@[^ ]*: no secure protocol found for repository$/\1/p'
for repository in $(sed -n "$hidden" $place/said | sed 's,\.git/.*,.git,' | sort -u); do
  git ls-remote "https://$repository" HEAD >/dev/null
done
exit $status
"""


def trust(certificates: str, bundle: str = CA_BUNDLE, *, kept: bool = False) -> str:
    """Return the command of the shell by which go, git, apk and what else reads the bundle trust certificates (PEM), "" for none.

    kept: also where the package ca-certificates makes the bundle anew.
    """
    if not certificates:
        return ""
    lines = " \\\n    ".join(f"'{line}'" for line in certificates.splitlines())
    written = f"printf '%s\\n' \\\n    {lines} \\\n    >>"
    if kept:
        return f"mkdir -p {posixpath.dirname(OWN_CA)} && {written}{OWN_CA} && cat {OWN_CA} >>{bundle}"
    return f"{written}{bundle}"


def needs_modules(project: Mapping[str, Any]) -> bool:
    """Say whether a build needs modules that are not in the source; project: the Go facts of the source."""
    return bool(project["has_requirements"] and not project["vendored"])


def way(settings: Settings, project: Mapping[str, Any]) -> str:
    """Return how modules reach a build that needs credentials for them or has them in an archive, "" if it downloads them itself or needs none.

    project: the Go facts of the source.
    """
    if not (settings.build_modules or settings.build_secrets) or not needs_modules(project):
        return ""
    if settings.build_modules:
        return FETCH
    return MOUNT if settings.builder == BUILDX else FETCH


def instructions(way_of_modules: str) -> str:
    """Return the instructions of the Dockerfile that put modules into the module cache. They do not depend on any credential."""
    if way_of_modules == MOUNT:
        mounts = f"--mount=type=secret,id={SECRET_ID},required=true --mount=type=tmpfs,target={PLACE}"
        return f"RUN {mounts} \\\n    sh /run/secrets/{SECRET_ID} {DOWNLOAD}"
    if way_of_modules == FETCH:
        cache = '"$(go env GOMODCACHE)"'
        return (
            f"COPY {ARCHIVE} /tmp/\n"
            "# Not ADD: the module cache may be anywhere. Nothing is downloaded here, by nobody's credentials.\n"
            "# hadolint ignore=DL3010\n"
            f"RUN mkdir -p {cache} && tar -xf /tmp/{ARCHIVE} -C {cache} \\\n"
            f" && GOPROXY=off GONOPROXY=none GOSUMDB=off {DOWNLOAD}"
        )
    return f"RUN {DOWNLOAD}"


def machines(netrc: str) -> list[tuple[str, str, str]]:
    """Return (host, user, password) of each machine in a .netrc file, as cmd/go reads it."""
    found: list[tuple[str, str, str]] = []
    held: dict[str, str] = {}
    in_macro = False
    for line in netrc.splitlines():
        words = line.split()
        if in_macro:
            in_macro = bool(words)
            continue
        for name, value in zip(words[::2], words[1::2]):
            if name == "machine":
                held = {}
            in_macro = in_macro or name == "macdef"
            held[name] = value
            if {"machine", "login", "password"} <= set(held):
                found.append((held["machine"], held["login"], held["password"]))
                held = {}
    return found


def encrypted(ssh_key: str) -> bool:
    """Say whether a private key has a passphrase, which nobody could enter."""
    if "ENCRYPTED" in ssh_key:
        return True
    body = re.sub(r"-----[^-]*-----|\s", "", ssh_key)
    try:
        raw = base64.b64decode(body)
    except ValueError:
        return False
    # https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key: a magic word, then the name of the cipher with its length.
    magic = b"openssh-key-v1\0"
    return raw.startswith(magic) and raw[len(magic) + 4 :][: int.from_bytes(raw[len(magic) :][:4], "big")] != b"none"


def _write(name: str, text: str) -> str:
    # printf is part of the shell: no process has the text as an argument.
    return f"printf '%s' {shlex.quote(text)} >$place/{name}\n"


def _by_password(number: int, host: str, user: str, password: str) -> str:
    """Return the lines with which git gets a password for a host, from a helper; over http only if Go is allowed to use it."""
    name = f"git-{number}"
    lines = _write(name, f"username={user}\npassword={password}\n")
    lines += f"asked https://{host} $place/{name}\n"
    return lines + f'test -z "${{GOINSECURE:-}}" || asked http://{host} $place/{name}\n'


def _by_key(number: int, where: str, given: Mapping[str, str]) -> tuple[str, str]:
    """Return the lines with which git reads repositories with a key, and the matching part of ssh's configuration.

    where: a host, or a path on it that has a separate key, like a deploy key: then its part of the configuration needs a separate name.
    """
    # Of a path that ends so Go asks without it.
    where = where.removesuffix(".git")
    host, slash, _path = where.partition("/")
    port, user = given.get("port", _SSH_PORT), given.get("user", _DEFAULT_USER)
    known_as = host if port == _SSH_PORT else f"[{host}]:{port}"
    name = f"{host}.key{number}" if slash else host
    address = f"ssh://{user}@{name}:{port}" + where[len(host) :]
    lines = _write(f"key-{number}", given["ssh_key"].replace("\r", "").strip() + "\n")
    lines += _write(f"known-{number}", given["known_hosts"].replace("\r", "").strip() + "\n")
    end = "" if slash else "/"
    lines += f"git_config url.{shlex.quote(address + end)}.insteadOf {shlex.quote(f'https://{where}{end}')}\n"
    config = {
        "HostName": host,
        "HostKeyAlias": known_as,
        "IdentityFile": f"{PLACE}/key-{number}",
        "UserKnownHostsFile": f"{PLACE}/known-{number}",
    }
    return lines, f"Host {name}\n" + "".join(f"  {option} {value}\n" for option, value in config.items())


_SSH = """\
Host *
  BatchMode yes
  IdentitiesOnly yes
  StrictHostKeyChecking yes
  GlobalKnownHostsFile /dev/null
  UpdateHostKeys no
  ConnectTimeout 30
"""


def program(secrets: Mapping[str, Mapping[str, str]]) -> str:
    """Return the script that runs a command with the credentials of go_service_build_secrets.

    They are neither in an argument nor in the environment, which contains only paths.
    """
    lines, ssh = _BEGIN, ""
    by_password: list[tuple[str, str, str]] = []
    for number, (where, given) in enumerate(secrets.items()):
        if "ssh_key" in given:
            more, config = _by_key(number, where, given)
            lines, ssh = lines + more, ssh + config
        elif where == NETRC:
            by_password += machines(given[NETRC])
        else:
            by_password.append((where, given.get("user", _DEFAULT_USER), given["token"]))
    lines += "".join(_by_password(number, *one) for number, one in enumerate(by_password))
    if by_password:
        lines += _write("netrc", "".join(f"machine {host} login {user} password {word}\n" for host, user, word in by_password))
        lines += "export NETRC=$place/netrc\n"
    if ssh:
        lines += _write("ssh_config", ssh + _SSH)
        lines += 'export GIT_SSH_COMMAND="ssh -F $place/ssh_config"\n'
        lines += "needs ssh openssh-client\n"
    return lines + "needs git git\n" + _END


def module_files(context: Path) -> Iterator[tuple[str, bytes]]:
    """Yield (path, content) of all files of a staged context that determine the modules, sorted."""
    for directory, below, names in os.walk(context):
        below.sort()
        for name in sorted(names):
            path = Path(directory, name)
            if name in _MODULE_FILES and path.is_file() and not path.is_symlink():
                yield path.relative_to(context).as_posix(), path.read_bytes()


def key_of(archive: Path) -> str:
    """Return what an archive of modules was made for, "" if there is none that can be read."""
    try:
        with tarfile.open(archive) as opened:
            return opened.pax_headers.get(KEY, "")
    except (OSError, tarfile.TarError):
        return ""


def modules_key(files: Mapping[str, bytes], module_dir: str) -> str:
    """Return a fingerprint that tells whether other modules must be downloaded: go.sum has a hash of each. It does not depend on credentials."""
    hashes = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    return hashlib.sha256(json.dumps([hashes, module_dir], sort_keys=True).encode()).hexdigest()
