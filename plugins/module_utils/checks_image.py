"""The checks of the image: budgets, binary, identity, file system and configuration."""

from __future__ import annotations

import fnmatch
import posixpath
import re
import shlex
from collections.abc import Iterable
from datetime import datetime

from . import archive
from .archive import FileEntry
from .evidence import APK_DATABASES, Evidence
from .expected import Expected
from .registry import (
    FAIL,
    PASS,
    WARN,
    Outcome,
    check,
    failed,
    needs_binary,
    needs_container,
    needs_layers,
    passed,
    skipped,
    warned,
)

# What may lie above the base and the binary: an account and its group, and apk's own book-keeping.
MAX_OVERHEAD = 1_000_000
# Account, packages, working directory, binary.
MAX_LAYERS_ABOVE_BASE = 4
_SHOWN = 8

_NO_LOGIN = ("/sbin/nologin", "/usr/sbin/nologin", "/bin/false", "/usr/bin/false")
_ACCOUNT_FILES = tuple(f"/etc/{name}{suffix}" for name in ("passwd", "group", "shadow", "gshadow") for suffix in ("", "-"))
# What the package manager changes besides the packages' own files.
_PACKAGE_MANAGER_PATHS = (
    "/etc/apk/*",
    "/lib/apk/*",
    "/usr/lib/apk/*",
    "/var/cache/misc/*",
    "/etc/ssl/certs/*",
    "/var/log/apk.log",
    *APK_DATABASES,
)
# Where a builder mounts something of its own into each step, which leaves an empty file or directory behind (BuildKit's RUN does).
_MOUNT_POINTS = (
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/etc/mtab",
    "/.dockerenv",
    "/dev",
    "/dev/console",
    "/dev/mqueue",
    "/dev/pts",
    "/dev/shm",
    "/proc",
    "/sys",
)
_CERTIFICATES = (
    "/etc/ssl/certs/",
    "/etc/ssl/cert.pem",
    "/usr/share/ca-certificates/",
    "/etc/ssl1.1/",
    "/etc/pki/tls/certs/",
)
_SECRET_DIRECTORIES = (".git", ".svn", ".hg", ".ssh", ".aws", ".azure", ".gnupg", ".kube", ".docker")
_SECRET_FILES = (
    ".env",
    ".env.*",
    ".envrc",
    "id_rsa",
    "id_dsa",
    "id_ecdsa",
    "id_ed25519",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.kdbx",
    "*.ovpn",
    "*.secret",
    "*.private_key",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".htpasswd",
    ".git-credentials",
    "credentials",
    "credentials.json",
    "credential.json",
    "password.txt",
    "terraform.tfstate",
)
_LEFTOVER_FILES = (
    "go.mod",
    "go.sum",
    "go.work",
    "*.go",
    "Dockerfile",
    "Dockerfile.*",
    ".dockerignore",
    ".gitignore",
    "docker-compose*.yml",
    "docker-compose*.yaml",
    "compose.yml",
    "compose.yaml",
    "APKINDEX.*.tar.gz",
)
_LEFTOVER_DIRECTORIES = ("/root/.cache", "/root/go", "/go", "/usr/local/go", "/src", "/var/cache/apk", "/var/cache/apt")
_SECRET_NAME = re.compile(
    r"(?:\A|_)(?:PASS|PASSWD|PASSWORD|PASSPHRASE|SECRET|SECRETS|TOKEN|CREDENTIAL|CREDENTIALS|APIKEY|KEY)(?:_|\Z)", re.I
)
_HARMLESS_NAMES = ("GPG_KEY", "GPG_KEYS")
_URL_WITH_PASSWORD = re.compile(r"://[^/\s:@]+:[^/\s@]+@")
_BUILD_ARGUMENTS = re.compile(r"\A\|\d+ (.*?) /bin/sh -c ", re.S)
_OCI = "org.opencontainers.image."
# A source that is no git checkout has no date, no address and no revision; the rest is always known.
_LABELS_REQUIRED = tuple(_OCI + name for name in ("title", "version", "base.name", "base.digest"))
_LABELS_WISHED = tuple(_OCI + name for name in ("created", "source", "revision"))
_SENSITIVE_VOLUMES = ("/", "/boot", "/dev", "/etc", "/lib", "/proc", "/sys", "/usr", "/bin", "/sbin")


def megabytes(size: float) -> str:
    """A size for readers, in the units `docker images` uses (millions of bytes)."""
    if size < 1000:
        return f"{size:.0f} B"
    if size < 100_000:
        return f"{size / 1000:.1f} kB"
    return f"{size / 1_000_000:.1f} MB"


def seconds(value: float) -> str:
    """A time for readers."""
    return f"{value:.2f} s" if value < 10 else f"{value:.1f} s"


def listed(items: Iterable[str]) -> str:
    """The first of many, and how many more there are."""
    found = list(items)
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def within(amount: float, expected: Expected, budget: str, *, unit: str, shown: str, limit: str) -> Outcome:
    """Hold an amount against a budget; no limit is a skip that still shows what was measured. Over a budget that only warns is a warning."""
    allowed = expected.budget(budget)
    if allowed is None:
        return Outcome("skip", shown, reason=f"no limit is set in go_service_budget.{budget}", amount=amount, unit=unit)
    if amount <= allowed:
        return Outcome(PASS, shown, limit, amount=amount, allowed=allowed, unit=unit)
    over = f"{(amount - allowed) / allowed:.0%}" if allowed else shown
    reason = f"over the budget by {over}"
    return Outcome(WARN if budget in expected.warn_only else FAIL, shown, limit, reason, amount=amount, allowed=allowed, unit=unit)


# --- Budgets
# -----------------------------------------------------------------------------------------------------------


@check(
    "image-size",
    "Image size",
    group="budgets",
    severity="high",
    remedy="Look at the largest layers in the report; leave files out by go_service_dockerignore, packages out of "
    "go_service_packages, "
    "or raise go_service_budget.image_mb.",
    rules=("CIS 4.3",),
)
def image_size(evidence: Evidence, expected: Expected) -> Outcome:
    """The uncompressed bytes of all files in all layers, counted in the layers themselves: `docker images` shows the
    same on overlay2, and the compressed size on the containerd image store. Limit: go_service_budget.image_mb, in
    millions of bytes."""
    allowed = expected.budget("image_mb")
    size = evidence.image.size / 1_000_000
    limit = "" if allowed is None else f"{allowed:g} MB"
    return within(size, expected, "image_mb", unit="MB", shown=megabytes(evidence.image.size), limit=limit)


@check(
    "image-overhead",
    "Weight beside base, packages and binary",
    group="budgets",
    severity="medium",
    remedy="Look at the layers in the report for what else was copied or written, and keep it out of the final stage.",
    rules=("CIS 4.3", "Dockle DKL-LI-0003"),
)
@needs_layers
def image_overhead(evidence: Evidence, _expected: Expected) -> Outcome:
    """The bytes of the layers above the base that are neither the binary nor belong to an installed package; an account
    costs a few kilobytes. Limit: 1 MB."""
    if not evidence.base.matches:
        return skipped(_no_base(evidence))
    owned = _package_paths(evidence)
    size = sum(
        entry.size
        for entry in evidence.added_entries()
        if entry.path not in owned and not _matches(entry.path, _PACKAGE_MANAGER_PATHS) and not _is_binary(evidence, entry)
    )
    if size > MAX_OVERHEAD:
        heaviest = sorted(evidence.added_entries(), key=lambda entry: -entry.size)
        names = [f"{entry.path} ({megabytes(entry.size)})" for entry in heaviest if not _is_binary(evidence, entry)][:3]
        return failed(megabytes(size), megabytes(MAX_OVERHEAD), f"the heaviest: {', '.join(names)}")
    return passed(megabytes(size), megabytes(MAX_OVERHEAD))


@check(
    "image-layers",
    "Layers",
    group="budgets",
    severity="low",
    remedy="Bring several RUN steps of the final stage together in one.",
)
def image_layers(evidence: Evidence, _expected: Expected) -> Outcome:
    """The layers above the base: one for the account, the packages, the working directory and the binary. Limit: 4."""
    if not evidence.base.matches:
        return skipped(_no_base(evidence))
    total = len(evidence.image.layers)
    own = total - sum(layer.in_base for layer in evidence.image.layers)
    measured = f"{count(own, 'layer')} above the base, {total} in all"
    limit = f"{MAX_LAYERS_ABOVE_BASE} above the base"
    if own > MAX_LAYERS_ABOVE_BASE:
        return failed(measured, limit, f"{own - MAX_LAYERS_ABOVE_BASE} more than the Dockerfile needs")
    return passed(measured, limit)


@check(
    "start-time",
    "Start until healthy",
    group="budgets",
    severity="high",
    remedy="Find out what the service does before it listens, and do it later or beside it; or raise go_service_budget.start_seconds.",
)
def start_time(_evidence: Evidence, expected: Expected) -> Outcome:
    """From the container's start to the end of its first passing health test, both as the Engine recorded them.
    Limit: go_service_budget.start_seconds."""
    if expected.start_seconds is None:
        return skipped("no start was measured")
    allowed = expected.budget("start_seconds")
    limit = "" if allowed is None else seconds(allowed)
    return within(
        expected.start_seconds,
        expected,
        "start_seconds",
        unit="s",
        shown=seconds(expected.start_seconds),
        limit=limit,
    )


@check(
    "build-time",
    "Build time",
    group="budgets",
    severity="medium",
    remedy="Look at the steps in the report's timeline; keep what changes rarely above what changes often, and large "
    "files out of the "
    "context by go_service_dockerignore; or raise go_service_budget.first_build_seconds or cached_build_seconds.",
)
def build_time(_evidence: Evidence, expected: Expected) -> Outcome:
    """The seconds of the build. Two limits: go_service_budget.first_build_seconds for one that found no layer to use
    again, go_service_budget.cached_build_seconds for one that did."""
    if expected.build_seconds is None:
        return skipped("nothing was built in this run: the image of this content was there")
    budget = "cached_build_seconds" if expected.build_cached else "first_build_seconds"
    kind = "with a cache" if expected.build_cached else "first build"
    allowed = expected.budget(budget)
    limit = "" if allowed is None else f"{seconds(allowed)} ({kind})"
    return within(
        expected.build_seconds,
        expected,
        budget,
        unit="s",
        shown=f"{seconds(expected.build_seconds)} ({kind})",
        limit=limit,
    )


@check(
    "memory-use",
    "Memory when idle",
    group="budgets",
    severity="medium",
    remedy="Profile the service's heap after its start; or raise go_service_budget.memory_mb.",
)
@needs_container
def memory_use(evidence: Evidence, expected: Expected) -> Outcome:
    """What the healthy, idle container uses, as `docker stats` counts it: without the cache that the kernel gives back
    at once; where the Engine has no figures, the resident set of the container's first process. Limit:
    go_service_budget.memory_mb, in millions of bytes."""
    allowed = expected.budget("memory_mb")
    resident = evidence.process.resident if evidence.process else 0
    amount = evidence.memory or resident
    if not amount:
        return skipped("neither the Engine nor the kernel gave memory figures for the container")
    shown = megabytes(amount) if evidence.memory else f"{megabytes(amount)} (resident set of the first process)"
    limit = "" if allowed is None else f"{allowed:g} MB"
    return within(amount / 1_000_000, expected, "memory_mb", unit="MB", shown=shown, limit=limit)


# --- Binary
# ------------------------------------------------------------------------------------------------------------


@check(
    "binary-elf",
    "Executable",
    group="binary",
    severity="critical",
    remedy="Check go_service_main_package: a package that is not main builds into an archive, without an error.",
)
def binary_elf(evidence: Evidence, _expected: Expected) -> Outcome:
    """There is a file at the binary's path, it is an ELF executable, and its execute bits are set."""
    binary = evidence.binary
    limit = f"an ELF executable at {evidence.binary_path}"
    if binary is None:
        return failed("no file", limit, f"the image has nothing at {evidence.binary_path}")
    if binary.elf is None:
        return failed(megabytes(binary.entry.size), limit, binary.problem)
    measured = f"{megabytes(binary.entry.size)}, {binary.elf.type}"
    if binary.elf.type not in ("executable", "position independent"):
        return failed(measured, limit, f"it is a {binary.elf.type} file, which cannot be run")
    if binary.entry.mode & 0o111 != 0o111:
        return failed(f"{measured}, mode {binary.entry.mode:04o}", limit, "not everybody may execute it")
    return passed(measured, limit)


@check(
    "binary-static",
    "Static linking",
    group="binary",
    severity="high",
    remedy='Build with CGO_ENABLED=0 (remove it from go_service_build_env if it is set to "1").',
)
@needs_binary
def binary_static(evidence: Evidence, _expected: Expected) -> Outcome:
    """No program interpreter (PT_INTERP) and no shared library (DT_NEEDED): it runs on any Linux userland, or none."""
    elf = evidence.binary.elf  # type: ignore[union-attr]
    if elf.static:
        return passed("static", "static")
    libraries = listed(elf.needed) or "none by name"
    reason = f"it is loaded by {elf.interpreter or 'nothing'} and needs the libraries {libraries}"
    return failed("dynamic", "static", reason)


@check(
    "binary-stripped",
    "Symbols",
    group="binary",
    severity="low",
    remedy="Build with go_service_ldflags: -w -s.",
)
@needs_binary
def binary_stripped(evidence: Evidence, _expected: Expected) -> Outcome:
    """No symbol table (.symtab) and no debugging sections (.debug_*): about a third smaller, with stack traces
    unharmed."""
    sections = evidence.binary.elf.symbol_sections  # type: ignore[union-attr]
    if sections:
        return failed(count(len(sections), "symbol section"), "stripped", listed(sections))
    return passed("stripped", "stripped")


@check(
    "binary-architecture",
    "Architecture",
    group="binary",
    severity="critical",
    remedy="Remove GOARCH and GOOS from go_service_build_env.",
)
@needs_binary
def binary_architecture(evidence: Evidence, _expected: Expected) -> Outcome:
    """The ELF header's machine is the architecture that the image is declared for."""
    measured, limit = evidence.binary.elf.architecture, evidence.image.architecture  # type: ignore[union-attr]
    if measured != limit:
        return failed(measured, limit, f"an {measured} binary in an image for {limit}")
    return passed(measured, limit)


@check(
    "binary-single-copy",
    "Copies of the binary",
    group="binary",
    severity="medium",
    remedy="Set owner and mode in the COPY itself (--chown); a later RUN chown or chmod copies the whole file into another layer.",
)
@needs_binary
@needs_layers
def binary_single_copy(evidence: Evidence, _expected: Expected) -> Outcome:
    """No other file in any layer has the binary's content, and no other layer holds another version of it."""
    copies = evidence.binary.copies  # type: ignore[union-attr]
    if copies:
        return failed(count(len(copies) + 1, "copy", "copies"), "1 copy", f"also {listed(copies)}")
    return passed("1 copy", "1 copy")


@check(
    "binary-build-info",
    "Go build information",
    group="binary",
    severity="medium",
    remedy="Build in module mode with Go 1.18 or newer, and do not strip the .go.buildinfo section.",
    rules=("OWASP #13",),
)
@needs_binary
def binary_build_info(evidence: Evidence, _expected: Expected) -> Outcome:
    """Go's embedded build information can be read: main module, Go version and dependencies, of which the SBOM is
    made."""
    binary = evidence.binary
    info = binary.build_info  # type: ignore[union-attr]
    if info is None:
        return warned("none", "module, Go version, dependencies", binary.problem)  # type: ignore[union-attr]
    if info.main is None:
        return warned(info.go_version, "module, Go version, dependencies", "it was built without module mode")
    measured = f"{info.main.path}, {info.go_version}, {count(len(info.deps), 'dependency', 'dependencies')}"
    return passed(measured, "module, Go version, dependencies")


# --- Identity
# ----------------------------------------------------------------------------------------------------------


@check(
    "user-not-root",
    "User of the service",
    group="identity",
    severity="critical",
    remedy="Give the Dockerfile's final stage a USER that is not root, as the role's own does (go_service_user).",
    rules=(
        "CIS 4.1",
        "Dockle CIS-DI-0001",
        "hadolint DL3002",
        "trivy AVD-DS-0002",
        "checkov CKV_DOCKER_3",
        "checkov CKV_DOCKER_8",
        "OWASP #2",
    ),
)
def user_not_root(evidence: Evidence, expected: Expected) -> Outcome:
    """The image's USER is the account that was asked for and not uid 0, the container does not override it, and the
    kernel shows no uid 0 for the container's first process."""
    limit = f"{expected.user}, not uid 0"
    uid, _gid = evidence.user_ids
    user = evidence.image.user
    measured = f"USER {user or '(none)'}" + ("" if uid is None else f", uid {uid}")
    if uid == 0:
        return failed(measured, limit, "the image runs as root")
    if uid is None:
        return failed(measured, limit, f"the image has no account {user!r}")
    account = evidence.account
    wanted = (expected.user, str(uid if expected.uid is None else expected.uid))
    if user.partition(":")[0] not in wanted or (account and account.name != expected.user):
        return failed(measured, limit, f"USER is {user}, not {expected.user}")
    overridden = ((evidence.container or {}).get("Config") or {}).get("User", user)
    if overridden != user:
        return failed(
            f"{measured}, container as {overridden or 'root'}",
            limit,
            "the container runs as another user than the image's",
        )
    if evidence.process and evidence.process.uid == 0:
        return failed(f"{measured}, process as uid 0", limit, "the kernel shows the container's first process as root")
    return passed(measured, limit)


@check(
    "user-no-login",
    "Login shell",
    group="identity",
    severity="medium",
    remedy="Create the account with `adduser -D -H -s /sbin/nologin`.",
)
def user_no_login(evidence: Evidence, _expected: Expected) -> Outcome:
    """The account's shell is nologin or false."""
    account = evidence.account
    if account is None:
        return passed("no account", reason="a number without an account cannot log in")
    if account.shell not in _NO_LOGIN:
        return failed(
            account.shell or "/bin/sh",
            "nologin",
            f"the account {account.name} has the shell {account.shell or '/bin/sh'}",
        )
    return passed(account.shell, "nologin")


@check(
    "user-groups",
    "Groups of the user",
    group="identity",
    severity="medium",
    remedy="Create the account without further groups, and give volumes the service's own group.",
)
def user_groups(evidence: Evidence, _expected: Expected) -> Outcome:
    """The account's group is not root's, no line of /etc/group lists it in another group, and the kernel shows no
    further group for the container's first process."""
    limit = "its own group"
    account = evidence.account
    _uid, gid = evidence.user_ids
    if account is None and gid is None:
        return skipped("the image's user has no account and no group that could be told")
    names = {group.gid: group.name for group in evidence.groups}
    own = names.get(gid, str(gid)) if gid is not None else ""
    if gid == 0:
        return failed("root", limit, "its group is root's, gid 0")
    others = [group.name for group in evidence.groups if account and account.name in group.members and group.gid != gid]
    if evidence.process:
        others += [names.get(other, str(other)) for other in evidence.process.groups if other != gid and names.get(other) not in others]
    if others:
        return failed(listed([own, *others]), limit, f"it is also in {listed(others)}")
    return passed(own, limit)


@check(
    "user-uid",
    "Number of the user",
    group="identity",
    severity="low",
    remedy="Set go_service_uid; a fixed number keeps the ownership of volumes the same after a rebuild.",
)
def user_uid(evidence: Evidence, expected: Expected) -> Outcome:
    """The uid of the service's account is go_service_uid, in the image and, where the kernel's record can be read, in
    the running process."""
    uid, _gid = evidence.user_ids
    measured = "unknown" if uid is None else f"uid {uid}"
    if expected.uid is None:
        return skipped("no number is asked for: go_service_uid is empty", measured)
    limit = f"uid {expected.uid}"
    if uid != expected.uid:
        return failed(measured, limit, "the account has another number")
    if evidence.process and evidence.process.uid != expected.uid:
        return failed(f"{measured}, process uid {evidence.process.uid}", limit, "the process runs under another number")
    return passed(measured, limit)


@check(
    "user-numeric",
    "USER as a number",
    group="identity",
    severity="low",
    remedy="Set go_service_numeric_user: true together with go_service_uid.",
    rules=("hadolint DL3066", "Kubernetes Restricted"),
)
def user_numeric(evidence: Evidence, expected: Expected) -> Outcome:
    """Kubernetes cannot look into an image's /etc/passwd, so it refuses a user name under runAsNonRoot. Only judged
    with go_service_numeric_user: true."""
    user = evidence.image.user
    if not expected.numeric_user:
        return skipped("not asked for: go_service_numeric_user is false", f"USER {user or '(none)'}")
    if not all(part.isdigit() for part in user.split(":")):
        return failed(f"USER {user or '(none)'}", "a number", "USER is a name")
    return passed(f"USER {user}", "a number")


@check(
    "accounts",
    "Accounts and passwords",
    group="identity",
    severity="high",
    remedy="Lock the account's password (`passwd -l`), or choose another go_service_runtime_image; choose another "
    "go_service_uid for a "
    "number that is taken.",
    rules=("Dockle DKL-LI-0001", "Dockle DKL-LI-0002"),
)
def accounts(evidence: Evidence, _expected: Expected) -> Outcome:
    """No account in the image has an empty password, and no other account shares the number of the service's."""
    limit = "no empty password, no shared number"
    if not evidence.accounts:
        return passed("no account", limit)
    open_ones = [account.name for account in evidence.accounts if account.password == ""]
    if open_ones:
        return failed(count(len(open_ones), "open account"), limit, f"no password is needed for {listed(open_ones)}")
    uid, _gid = evidence.user_ids
    same = [account.name for account in evidence.accounts if account.uid == uid]
    if len(same) > 1:
        return failed(f"{len(same)} accounts with uid {uid}", limit, f"{listed(same)} share the number {uid}")
    return passed(count(len(evidence.accounts), "account"), limit)


# --- File system
# -------------------------------------------------------------------------------------------------------


@check(
    "files-setuid",
    "Setuid files and file capabilities",
    group="files",
    severity="high",
    remedy="Remove the bits in the step that brings the file (`chmod a-s`), or the package that brings it.",
    rules=("CIS 4.8", "Dockle CIS-DI-0008"),
)
def files_setuid(evidence: Evidence, _expected: Expected) -> Outcome:
    """No file is setuid or setgid or has file capabilities, except those that the base image already has."""
    found = [entry for entry in evidence.files.values() if _raises_privileges(entry)]
    if evidence.gaps and found:
        return skipped("which of them the base brings is unknown: " + "; ".join(evidence.gaps), listed(e.path for e in found))
    new = [entry for entry in found if not _in_base(evidence, entry)]
    limit = "none beyond the base's"
    if new:
        described = [f"{entry.path} ({entry.mode:04o}{', capabilities' if entry.capabilities else ''})" for entry in new]
        return failed(count(len(new), "file"), limit, listed(described))
    return passed(f"none; {len(found)} of the base" if found else "none", limit)


@check(
    "files-world-writable",
    "World-writable paths",
    group="files",
    severity="medium",
    remedy="Take the write permission for others away (`chmod o-w`) in the step that brings the file.",
)
def files_world_writable(evidence: Evidence, _expected: Expected) -> Outcome:
    """No file or directory outside /tmp and /var/tmp has the write bit for others."""
    kinds = (archive.FILE, archive.HARDLINK, archive.DIRECTORY)
    found = [
        entry.path
        for entry in evidence.files.values()
        if entry.type in kinds
        and entry.mode & 0o002
        and entry.path not in ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue")
        and not entry.path.startswith("/tmp/")
    ]
    if found:
        return failed(count(len(found), "path"), "none outside /tmp", listed(found))
    return passed("none", "none outside /tmp")


@check(
    "files-secrets",
    "Secrets in the layers",
    group="files",
    severity="critical",
    remedy="Keep the file out of the context (go_service_dockerignore) and hand secrets over at run time, by a "
    "mounted file. If the image "
    "has left this machine, change the secret.",
    rules=("CIS 4.10", "Dockle CIS-DI-0010", "trivy AVD-DS-0031", "OWASP #12"),
)
@needs_layers
def files_secrets(evidence: Evidence, _expected: Expected) -> Outcome:
    """No path in any layer above the base looks like a secret (keys, .env, .git, credentials and the like), not even
    one that a later layer hides again. Certificates of the base and of installed packages do not count."""
    owned = _package_paths(evidence)
    found = []
    for entry in evidence.added_entries():
        if _in_base(evidence, entry) or entry.path in owned or entry.path.startswith(_CERTIFICATES):
            continue
        folders, name = entry.path.split("/")[1:-1], posixpath.basename(entry.path)
        if any(folder in _SECRET_DIRECTORIES for folder in folders):
            continue  # its directory is named already
        if name in _SECRET_DIRECTORIES or (entry.type != archive.DIRECTORY and _matches(name, _SECRET_FILES)):
            hidden = "" if entry.path in evidence.files else f" (hidden again after layer {entry.layer + 1}, still in the image)"
            found.append(entry.path + hidden)
    if found:
        return failed(count(len(found), "path"), "none", listed(found))
    return passed("none", "none")


@check(
    "files-leftovers",
    "Build leftovers",
    group="files",
    severity="medium",
    remedy="Copy nothing but the binary into the final stage; use `apk add --no-cache`.",
    rules=("CIS 4.3", "Dockle DKL-LI-0003", "trivy AVD-DS-0025"),
)
@needs_layers
def files_leftovers(evidence: Evidence, _expected: Expected) -> Outcome:
    """No Go sources, module files, Dockerfile, toolchain or cache in any layer above the base."""
    owned = _package_paths(evidence)
    found = []
    for entry in evidence.added_entries():
        if _in_base(evidence, entry) or entry.path in owned:
            continue
        inside = next((folder for folder in _LEFTOVER_DIRECTORIES if entry.path.startswith(folder + "/")), "")
        if inside:
            found.append(inside)
        elif entry.type != archive.DIRECTORY and _matches(posixpath.basename(entry.path), _LEFTOVER_FILES):
            found.append(entry.path)
    unique = list(dict.fromkeys(found))
    if unique:
        return failed(count(len(unique), "path"), "none", listed(unique))
    return passed("none", "none")


@check(
    "files-binary-writable",
    "Write access to the binary",
    group="files",
    severity="medium",
    remedy="Run with go_service_read_only: true, and keep the binary's mode at 0755.",
    rules=("OWASP #8",),
)
@needs_binary
def files_binary_writable(evidence: Evidence, expected: Expected) -> Outcome:
    """The service's user may not write the binary; where the design's `COPY --chown` makes it the owner, the read-only
    root file system is what keeps it from doing so, and the result says so."""
    entry = evidence.binary.entry  # type: ignore[union-attr]
    uid, gid = evidence.user_ids
    measured = f"mode {entry.mode:04o}, owner {entry.uid}:{entry.gid}"
    limit = "not writable for the service"
    if entry.mode & 0o002 or (entry.mode & 0o020 and entry.gid == gid):
        return failed(measured, limit, "the service's user may write it by the mode bits")
    if entry.uid != uid or not entry.mode & 0o200:
        return passed(measured, limit)
    if not expected.chown:
        return failed(measured, limit, "the binary belongs to the service's user")
    owner = "it belongs to the service's user, as the design's COPY --chown asks"
    read_only = ((evidence.container or {}).get("HostConfig") or {}).get("ReadonlyRootfs")
    if evidence.container is not None and not read_only:
        return warned(measured, limit, f"{owner}, and the root file system is writable")
    return passed(measured, limit, f"{owner}; the read-only root file system protects it")


@check(
    "files-differences",
    "Differences from the base",
    group="files",
    severity="medium",
    remedy="Look at which step of the final stage brings or removes it.",
    rules=("CIS 4.3", "Dockle DKL-LI-0003"),
)
@needs_layers
def files_differences(evidence: Evidence, expected: Expected) -> Outcome:
    """Against the base, the layers add the binary, the account files, the working directory /srv and what installed
    packages own, and change or remove nothing else."""
    if not evidence.base.matches:
        return skipped(_no_base(evidence))
    allowed = (evidence.binary_path, "/srv", *_ACCOUNT_FILES, *expected.allowed_paths)
    owned = _package_paths(evidence)
    if evidence.added_packages:
        allowed += _PACKAGE_MANAGER_PATHS
    parents = {parent for path in (*allowed, *owned) for parent in _parents(path)}
    changed = []
    for path, entry in evidence.files.items():
        new = path not in evidence.base_files
        if _in_base(evidence, entry) or path in owned or _matches(path, allowed):
            continue
        if new and path in _MOUNT_POINTS and not entry.size:
            continue
        if entry.type == archive.DIRECTORY and path in parents and new:
            continue
        if evidence.added_packages and entry.type == archive.SYMLINK and "busybox" in entry.target:
            continue  # apk's trigger renews BusyBox' links
        changed.append(f"{'+' if new else '~'} {path}")
    changed += [f"- {path}" for path in evidence.base_files if path not in evidence.files and path not in owned]
    if changed:
        return failed(count(len(changed), "difference"), "the binary, the account, packages", listed(sorted(changed)))
    differing = sum(not _in_base(evidence, entry) for entry in evidence.files.values() if entry.type != archive.DIRECTORY)
    return passed(count(differing, "file"), "the binary, the account, packages")


# --- Configuration
# -----------------------------------------------------------------------------------------------------


@check(
    "config-healthcheck",
    "Health check",
    group="configuration",
    severity="high",
    remedy="Build the image with this role, or give its Dockerfile the HEALTHCHECK with the go_service_health_* values.",
    rules=(
        "CIS 4.6",
        "CIS 5.27",
        "Dockle CIS-DI-0006",
        "hadolint DL3057",
        "trivy AVD-DS-0026",
        "checkov CKV_DOCKER_2",
    ),
)
def config_healthcheck(evidence: Evidence, expected: Expected) -> Outcome:
    """The image's HEALTHCHECK has the command, interval, timeout, start period and retries of the go_service_health_*
    variables, and the container does not switch it off."""
    wanted_times = (
        expected.health_interval,
        expected.health_timeout,
        expected.health_start_period,
        expected.health_retries,
    )
    limit = f"{shlex.join(expected.health_test)}, {_times(wanted_times)}"
    declared = evidence.image.config.get("Healthcheck") or {}
    test = declared.get("Test") or []
    if not test or test[0] == "NONE":
        return failed("none", limit, "the image has no health check")
    command = _health_command(test)
    # Zero stands for the Engine's defaults (docs.docker.com/reference/dockerfile/#healthcheck).
    times = (
        (declared.get("Interval") or 30_000_000_000) / 1e9,
        (declared.get("Timeout") or 30_000_000_000) / 1e9,
        (declared.get("StartPeriod") or 0) / 1e9,
        declared.get("Retries") or 3,
    )
    measured = f"{shlex.join(command)}, {_times(times)}"
    if command != list(expected.health_test):
        return failed(measured, limit, "the command differs")
    if times != wanted_times:
        return failed(measured, limit, "the times differ")
    in_use = (((evidence.container or {}).get("Config") or {}).get("Healthcheck") or declared).get("Test") or test
    if in_use[0] == "NONE":
        return failed(measured, limit, "the container switches the health check off")
    return passed(measured, limit)


@check(
    "config-port",
    "Exposed port",
    group="configuration",
    severity="low",
    remedy="Set go_service_port to the port the service listens on; the Dockerfile exposes that one alone.",
    rules=("CIS 5.9",),
)
def config_port(evidence: Evidence, expected: Expected) -> Outcome:
    """The image's EXPOSE is go_service_port over TCP; a base image's own ports count too."""
    exposed = sorted(evidence.image.config.get("ExposedPorts") or {})
    limit = f"{expected.port}/tcp"
    measured = listed(exposed) or "none"
    if exposed != [limit]:
        return failed(measured, limit, "other ports are exposed" if limit in exposed else "the port is not exposed")
    return passed(measured, limit)


@check(
    "config-env-secrets",
    "Secrets in environment and history",
    group="configuration",
    severity="critical",
    remedy="Take it out of go_service_build_args and go_service_build_env and hand it over at run time, by a mounted "
    "file. If the image has "
    "left this machine, change the secret.",
    rules=("CIS 4.10", "Dockle CIS-DI-0010", "trivy AVD-DS-0031", "OWASP #12"),
)
def config_env_secrets(evidence: Evidence, _expected: Expected) -> Outcome:
    """No variable of the image, and no build argument that its history keeps, has a name like PASSWORD, SECRET, TOKEN
    or KEY, or holds an address with a password."""
    pairs = list(evidence.image.config.get("Env") or ())
    for step in evidence.image.history:
        kept = _BUILD_ARGUMENTS.match(step)
        pairs += kept[1].split(" ") if kept else []
    found = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name in _HARMLESS_NAMES:
            continue
        if _SECRET_NAME.search(name) or _URL_WITH_PASSWORD.search(value):
            found.append(name)
    names = list(dict.fromkeys(found))
    if names:
        return failed(count(len(names), "variable"), "none", listed(names))
    return passed("none", "none")


@check(
    "config-labels",
    "Labels",
    group="configuration",
    severity="low",
    remedy="Build the image with this role, which sets them; go_service_labels may not replace them by empty ones.",
    rules=("OCI annotations", "OWASP #13"),
)
def config_labels(evidence: Evidence, expected: Expected) -> Outcome:
    """The OCI labels title, version, base.name and base.digest are set, created, source and revision too where the
    source is a git checkout, and every label of the role has the value that was asked for. `created` is the source's
    date, not the build's."""
    labels = evidence.image.labels
    limit = "title, version, created, source, revision, base"
    missing = [name for name in _LABELS_REQUIRED if not labels.get(name)]
    different = [name for name, value in expected.labels.items() if labels.get(name) != value]
    created = labels.get(_OCI + "created", "")
    measured = count(len(labels), "label")
    if missing:
        return failed(measured, limit, f"missing: {listed(missing)}")
    if different:
        return failed(measured, limit, f"not as asked for: {listed(different)}")
    if created and not _is_rfc3339(created):
        return failed(measured, limit, f"{_OCI}created is {created!r}, not a date of RFC 3339")
    if expected.source_date and created != expected.source_date:
        return failed(measured, limit, f"{_OCI}created is {created}, but the source's date is {expected.source_date}")
    unknown = [name.removeprefix(_OCI) for name in _LABELS_WISHED if not labels.get(name)]
    if unknown:
        return passed(measured, limit, f"without {' and '.join(unknown)}: the source is no git checkout with a remote")
    return passed(measured, limit)


@check(
    "config-base",
    "Base image",
    group="configuration",
    severity="medium",
    remedy='Set go_service_runtime_image to an image with a release tag, like "alpine:3.24", or a digest.',
    rules=("CIS 4.2", "hadolint DL3006", "hadolint DL3007", "trivy AVD-DS-0001", "checkov CKV_DOCKER_7"),
)
def config_base(evidence: Evidence, expected: Expected) -> Outcome:
    """The base's reference has a tag other than latest or a digest, and the image's lowest layers are the base's."""
    base = evidence.base
    wanted = expected.base_name or base.reference
    measured = wanted if wanted == base.reference else f"{base.reference} in the place of {wanted}"
    limit = "a release tag or a digest"
    name, at, _digest = wanted.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if not at and tag in ("", "latest"):
        return failed(measured, limit, f"{wanted} is whatever is the latest on the day")
    if not base.found:
        return warned(measured, limit, f"the base {base.reference} is no longer on this host, so its layers cannot be compared")
    if not base.matches:
        return failed(measured, limit, f"the image is not built on the {base.reference} of this host", "Build the image again.")
    return passed(measured, limit)


@check(
    "config-command",
    "Entry point",
    group="configuration",
    severity="medium",
    remedy='Write ENTRYPOINT as a list, like ["/usr/local/bin/name"]. A shell in between swallows the stop signal.',
    rules=("hadolint DL3025",),
)
def config_command(evidence: Evidence, _expected: Expected) -> Outcome:
    """The first word of ENTRYPOINT and CMD is the binary itself, so that it is process 1 and gets the Engine's
    signals."""
    words = [*(evidence.image.config.get("Entrypoint") or ()), *(evidence.image.config.get("Cmd") or ())]
    measured = shlex.join(words) or "none"
    if not words or words[0] != evidence.binary_path:
        return failed(measured, evidence.binary_path, "process 1 is not the binary")
    return passed(measured, evidence.binary_path)


@check(
    "config-volumes",
    "Declared volumes",
    group="configuration",
    severity="low",
    remedy="Remove the VOLUME from the Dockerfile, or choose another go_service_runtime_image.",
    rules=("Dockle DKL-DI-0002",),
)
def config_volumes(evidence: Evidence, _expected: Expected) -> Outcome:
    """No VOLUME of the image lies over /, /boot, /dev, /etc, /lib, /proc, /sys or /usr."""
    volumes = sorted(evidence.image.config.get("Volumes") or {})
    sensitive = [path for path in volumes if path.rstrip("/") in {name.rstrip("/") for name in _SENSITIVE_VOLUMES}]
    if sensitive:
        return failed(listed(volumes), "no system directory", listed(sensitive))
    return passed(listed(volumes) or "none", "no system directory")


# --- Helpers
# -----------------------------------------------------------------------------------------------------------


def _no_base(evidence: Evidence) -> str:
    if not evidence.base.found:
        return f"the base image {evidence.base.reference} is not on this host"
    return f"the image is not built on {evidence.base.reference}"


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _parents(path: str) -> Iterable[str]:
    parent = posixpath.dirname(path)
    while parent not in ("", "/"):
        yield parent
        parent = posixpath.dirname(parent)


def _package_paths(evidence: Evidence) -> frozenset[str]:
    return frozenset().union(*(package.files for package in evidence.added_packages))


def _in_base(evidence: Evidence, entry: FileEntry) -> bool:
    base = evidence.base_files.get(entry.path)
    return base is not None and base.same_as(entry)


def _is_binary(evidence: Evidence, entry: FileEntry) -> bool:
    binary = evidence.binary
    return binary is not None and (entry.path, entry.layer) == (binary.entry.path, binary.entry.layer)


def _raises_privileges(entry: FileEntry) -> bool:
    return entry.type in (archive.FILE, archive.HARDLINK) and bool(entry.mode & 0o6000 or entry.capabilities)


def _health_command(test: list[str]) -> list[str]:
    """The words of a health check's command, in whichever form it is written; `|| exit 1` is what a non-zero code means
    anyway."""
    if test[0] != "CMD-SHELL":
        return test[1:]
    try:
        words = shlex.split(" ".join(test[1:]))
    except ValueError:
        return test[1:]
    return words[:-3] if words[-3:] == ["||", "exit", "1"] else words


def _times(times: tuple[float, float, float, float]) -> str:
    interval, timeout, start_period, retries = times
    tries = count(int(retries), "retry", "retries")
    return f"every {interval:g} s, timeout {timeout:g} s, start period {start_period:g} s, {tries}"


def _is_rfc3339(text: str) -> bool:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).tzinfo is not None and "T" in text
    except ValueError:
        return False
