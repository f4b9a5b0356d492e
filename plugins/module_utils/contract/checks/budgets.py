"""Checks of the budgets: size, start, build time, memory."""

from __future__ import annotations

from ...common.names import LABEL_PLATFORM
from ...common.places import below
from ...common.text import count, megabytes, seconds
from ..evidence.model import Evidence
from ..expected import Expected
from ..names import FAIL, PASS, WARN
from ..registry import Group, Outcome, failed, needs_container, needs_layers, passed, skipped
from .belongings import PACKAGE_MANAGER_PATHS, is_binary, matches, no_base, package_paths

GROUP = Group("budgets")

# What the image may have besides the base and the binary: an account and its group, and apk's own records.
MAX_OVERHEAD = 1_000_000
# Account, packages, working directory, binary.
MAX_LAYERS_ABOVE_BASE = 4


def within(amount: float, expected: Expected, budget: str, *, unit: str, shown: str, limit: str) -> Outcome:
    """Compare an amount with a budget; without a limit it is a skip that still shows what was measured; over a budget that only warns, a warning."""
    allowed = expected.budget(budget)
    if allowed is None:
        return Outcome("skip", shown, reason=f"no limit is set in go_service_budget.{budget}", amount=amount, unit=unit)
    if amount <= allowed:
        return Outcome(PASS, shown, limit, amount=amount, allowed=allowed, unit=unit)
    over = f"{(amount - allowed) / allowed:.0%}" if allowed else shown
    reason = f"over the budget by {over}"
    return Outcome(WARN if budget in expected.warn_only else FAIL, shown, limit, reason, amount=amount, allowed=allowed, unit=unit)


@GROUP.check(
    "image-size",
    "Image size",
    severity="high",
    remedy="Look at the largest layers in the report; exclude files with go_service_dockerignore, leave packages out of "
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


@GROUP.check(
    "image-overhead",
    "Size besides base, packages, binary and files",
    severity="medium",
    remedy="Look at the layers in the report for what else was copied or written, and keep it out of the final stage.",
    rules=("CIS 4.3", "Dockle DKL-LI-0003"),
)
@needs_layers
def image_overhead(evidence: Evidence, expected: Expected) -> Outcome:
    """The bytes of the layers above the base that are neither the binary nor belong to an installed package or to
    go_service_files; an account costs a few kilobytes. Limit: 1 MB."""
    if not evidence.base.matches:
        return skipped(no_base(evidence))
    owned = package_paths(evidence)
    size = sum(
        entry.size
        for entry in evidence.added_entries()
        if entry.path not in owned
        and not matches(entry.path, PACKAGE_MANAGER_PATHS)
        and not is_binary(evidence, entry)
        and not below(entry.path, expected.files)
    )
    if size > MAX_OVERHEAD:
        heaviest = sorted(evidence.added_entries(), key=lambda entry: -entry.size)
        names = [f"{entry.path} ({megabytes(entry.size)})" for entry in heaviest if not is_binary(evidence, entry)][:3]
        return failed(megabytes(size), megabytes(MAX_OVERHEAD), f"the heaviest: {', '.join(names)}")
    return passed(megabytes(size), megabytes(MAX_OVERHEAD))


@GROUP.check(
    "image-layers",
    "Layers",
    severity="low",
    remedy="Combine the RUN steps of the final stage into one.",
)
def image_layers(evidence: Evidence, expected: Expected) -> Outcome:
    """The layers above the base: one for the account, the packages, the working directory and the binary, which are 4,
    one for the directories of go_service_directories, one for the authorities of go_service_ca_in_image, and one for each of go_service_files. An image
    that was built on a host of another platform has one more for the account, and two for each of these directories and for the authorities."""
    if not evidence.base.matches:
        return skipped(no_base(evidence))
    total = len(evidence.image.layers)
    own = total - sum(layer.in_base for layer in evidence.image.layers)
    measured = f"{count(own, 'layer')} above the base, {total} in all"
    most = MAX_LAYERS_ABOVE_BASE + len(expected.files)
    if LABEL_PLATFORM in evidence.image.labels:
        most += 1 + 2 * len(expected.directories) + 2 * expected.ca_in_image
    else:
        most += bool(expected.directories) + expected.ca_in_image
    limit = f"{most} above the base"
    if own > most:
        return failed(measured, limit, f"{own - most} more than the Dockerfile needs")
    return passed(measured, limit)


@GROUP.check(
    "start-time",
    "Start until healthy",
    severity="high",
    remedy="Find out what the service does before it listens, and do it later or in parallel; or raise go_service_budget.start_seconds.",
)
def start_time(_evidence: Evidence, expected: Expected) -> Outcome:
    """From the container's start to the end of its first passing health check, both as the Engine recorded them.
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


@GROUP.check(
    "build-time",
    "Build time",
    severity="medium",
    remedy="Look at the steps in the report's timeline; keep what changes rarely above what changes often, and large "
    "files out of the "
    "context by go_service_dockerignore; or raise go_service_budget.first_build_seconds or cached_build_seconds.",
)
def build_time(_evidence: Evidence, expected: Expected) -> Outcome:
    """The seconds of the build. Two limits: go_service_budget.first_build_seconds for a build that could use no cached
    layer, go_service_budget.cached_build_seconds for one that could."""
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


@GROUP.check(
    "memory-use",
    "Memory when idle",
    severity="medium",
    remedy="Profile the service's heap after its start; or raise go_service_budget.memory_mb.",
)
@needs_container
def memory_use(evidence: Evidence, expected: Expected) -> Outcome:
    """What the healthy, idle container uses, as `docker stats` counts it: without the cache that the kernel can free
    at once; if the Engine has no figures, the resident set of the container's first process. Limit:
    go_service_budget.memory_mb, in millions of bytes."""
    allowed = expected.budget("memory_mb")
    resident = evidence.process.resident if evidence.process else 0
    amount = evidence.memory or resident
    if not amount:
        return skipped("neither the Engine nor the kernel gave memory figures for the container")
    shown = megabytes(amount) if evidence.memory else f"{megabytes(amount)} (resident set of the first process)"
    limit = "" if allowed is None else f"{allowed:g} MB"
    return within(amount / 1_000_000, expected, "memory_mb", unit="MB", shown=shown, limit=limit)
