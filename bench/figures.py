"""What was measured, and how it is judged: medians with the noise around them, ratios, goals."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# what is measured -> by whom, or for what size -> the values, one a round
Samples = dict[str, dict[str, list[float]]]

CONTESTANTS = {
    "hand": "by hand",
    "script": "script",
    "expert": "expert",
    "role": "role",
    "role-buildx": "role, BuildKit",
    "ping": "one `ping`",
}
SIZES = (30, 500, 4500)
HOSTS = (1, 2, 4)
PARTS = ("main", "files", "large", "modules", "services", "hosts")
# Runs of fleet.yml, and the batches in which they deploy to all hosts but the one that builds (go_service_fleet_serial).
FLEETS: dict[str, tuple[str | int, ...]] = {"hosts-fleet": (1, "100%"), "hosts-fleet-at-once": ("100%",)}
SERVICES = (1, 2, 5, 10)
MODULES = (0, 30, 100)


@dataclass(frozen=True)
class Spread:
    """Values of one thing over all rounds."""

    low: float
    median: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Sum up one value or more."""
        return cls(min(values), statistics.median(values), max(values), len(values))


@dataclass(frozen=True)
class Row:
    """A row of the main table. unit: "s", "bytes", or "" for a plain number."""

    key: str
    title: str
    unit: str = "s"


ROWS = (
    Row("build-first", "first image build, nothing cached"),
    Row("build-nothing", "image build, nothing changed"),
    Row("build-edit", "image build after a one-line edit"),
    Row("build-import", "image build after adding a file that imports another standard package"),
    Row("whole-edit", "edit -> new version answering: build, run, wait"),
    Row("whole-nothing", "the whole, nothing changed"),
    Row("start-healthy", "start -> healthy"),
    Row("notice", "healthy -> noticed"),
    Row("image-bytes", "image size", "bytes"),
    Row("image-overhead", "bytes above base image and binary", "bytes"),
)


@dataclass(frozen=True)
class Goal:
    """A goal of the project for what the role does.

    value: (what, who) that is held to it; against: (what, who) that it is compared with, None for none; how: "ratio" or "difference" to that, or
    "value" alone; limit: the highest that holds; unit: of the limit; why: where it is missed, what stands
    in the way.
    """

    title: str
    value: tuple[str, str]
    against: tuple[str, str] | None
    how: str
    limit: float
    unit: str = ""
    why: str = ""


# The project's goals for its speed. "Flat" is put into a number: five percent, which is more than runs of one size differ by.
GOALS = (
    Goal(
        "image build after an edit, against by hand",
        ("build-edit", "role"),
        ("build-edit", "hand"),
        "ratio",
        0.10,
        why="About a third of it is not the build but the run of the module docker_image: Ansible packs the module, starts Python for it, and imports the "
        "Engine's client; packing it uncompressed was tried and gains nothing. The build is down to one step each for the source, the compiler, the binary "
        "and the labels, which are a container and a commit each. A service of fewer than ten packages has all of its own compiled, as an edit of "
        "one comes with a copy of the whole source; with more, a build goes on from the last one's stage. "
        "A build without network was tried, for a container that starts sooner; it gains some hundredths of a second.",
    ),
    Goal("image build after a new import, against by hand", ("build-import", "role"), ("build-import", "hand"), "ratio", 0.5),
    Goal(
        "first image build, against by hand",
        ("build-first", "role"),
        ("build-first", "hand"),
        "ratio",
        1.05,
        why="A part of it is the run of the module docker_image. The rest is a step of its own for the service above the packages it imports, and some "
        "more lines in the Dockerfile, each of which is a container and a commit to the classic builder. More compilers at once (`-p`) and another setting of "
        "the compiler's garbage collector (`GOGC`) were tried and gain nothing.",
    ),
    Goal(
        "edit -> new version answering, the whole play, against by hand",
        ("whole-edit", "role"),
        ("whole-edit", "hand"),
        "ratio",
        0.12,
        why="Besides the build, the play proves the new version twice: as a candidate that has to stay healthy for a second and to keep the contract, "
        "and again in the place of the old one. Of its deploy of about four seconds, traced call by call, two are these two seconds, 0.6 s the start of the module and its imports, 0.6 s the "
        "starts and the stop of containers. The contract is examined while the candidate has to stay healthy.",
    ),
    Goal(
        "whole play, nothing changed, against a play of one `ping`",
        ("whole-nothing", "role"),
        ("whole-nothing", "ping"),
        "ratio",
        2.0,
        why="Each run of a module costs as much as the `ping`; the one of the look asks the Engine besides. What Python's garbage collector took of it is saved.",
    ),
    Goal(
        "whole play, nothing changed, five services of one host against one",
        ("services-nothing", "5"),
        ("services-nothing", "1"),
        "ratio",
        1.5,
    ),
    Goal(
        "first image build of a second service with other imports, against that of the first",
        ("services-first", "2"),
        ("services-first", "1"),
        "ratio",
        0.3,
    ),
    Goal(
        "image build after an edit, builder buildx, against BuildKit with cache mounts",
        ("build-edit", "role-buildx"),
        ("build-edit", "expert"),
        "ratio",
        1.1,
        why="Ansible's share of the step is a module run, which costs about as much as the whole build does.",
    ),
    Goal(
        "edit -> new version answering, the whole play, against an expert's script",
        ("whole-edit", "role"),
        ("whole-edit", "expert"),
        "ratio",
        4.0,
        why="The play holds image and container to the contract, has the candidate stay healthy for a second, and writes a report and a bill of materials. "
        "The script does none of that.",
    ),
    Goal(
        "first image build, builder buildx, against BuildKit with cache mounts",
        ("build-first", "role-buildx"),
        ("build-first", "expert"),
        "ratio",
        1.05,
    ),
    Goal(
        "image build after an edit, 4,500 files and 100 modules, classic builder, against BuildKit with cache mounts",
        ("large-edit", "role"),
        ("large-edit", "expert"),
        "ratio",
        1.3,
    ),
    Goal(
        "image build after an edit, 4,500 files and 100 modules, builder buildx, against BuildKit with cache mounts",
        ("large-edit", "role-buildx"),
        ("large-edit", "expert"),
        "ratio",
        1.3,
        why="Ansible's share of the step is a module run, as with a small service; that module also starts the Docker client several times, to look for the image before and after the build. "
        "The classic builder, which goes on from the last build's stage and gets the changed files alone, takes less.",
    ),
    Goal(
        "image build after adding a third-party module to 100, classic builder, against that after an edit",
        ("modules-add-role", "100"),
        ("modules-edit-role", "100"),
        "ratio",
        1.2,
        why="The build goes on from the stage of the last one, where the other modules lie compiled. What it takes beyond an edit is the download and the "
        "compiling of the new module.",
    ),
    Goal(
        "image build after adding a third-party module to 100, builder buildx, against that after an edit",
        ("modules-add-role-buildx", "100"),
        ("modules-edit-role-buildx", "100"),
        "ratio",
        1.2,
    ),
    Goal(
        "fleet.yml after an edit, all others at once: 4 hosts against 1",
        ("hosts-fleet-at-once", "4"),
        ("hosts-fleet-at-once", "1"),
        "ratio",
        1.6,
        why="The others begin when the first host has proven the image, and prove it in their own place: that is a second deploy after the first one. All machines "
        "of this measurement share the processors of one.",
    ),
    Goal("Engine events about the service in a play that changes nothing", ("touched", "role"), None, "value", 0.0, "events"),
    Goal("nothing changed: 4,500 files above 30 files", ("files-nothing", "4500"), ("files-nothing", "30"), "difference", 1.0, "s"),
    Goal("start -> healthy, as the Engine recorded it", ("start-healthy", "role"), None, "value", 0.6, "s"),
    Goal("healthy -> noticed by the play", ("notice", "role"), None, "value", 1.0, "s"),
    Goal(
        "peak memory of the controller, 4,500 files against 30 files",
        ("files-ansible-peak", "4500"),
        ("files-ansible-peak", "30"),
        "ratio",
        1.05,
    ),
)


@dataclass(frozen=True)
class Verdict:
    """How a goal stands. reached: None where it was not measured; noise: the lowest and the highest of single rounds."""

    goal: Goal
    reached: float | None
    noise: tuple[float, float] | None = None

    @property
    def held(self) -> bool:
        """Whether the goal is reached."""
        return self.reached is not None and self.reached <= self.goal.limit


def compare(how: str, value: float, other: float | None) -> float:
    """Return a value as a goal wants it: its ratio or difference to another, or itself."""
    if how == "value" or other is None:
        return value
    return value / other if how == "ratio" else value - other


def judge(goal: Goal, samples: Samples) -> Verdict:
    """Compare the medians, and, for the noise, the values that were measured in the same round."""
    values = samples.get(goal.value[0], {}).get(goal.value[1], [])
    others = samples.get(goal.against[0], {}).get(goal.against[1], []) if goal.against else []
    if not values or (goal.against and not others):
        return Verdict(goal, None)
    other = statistics.median(others) if others else None
    rounds = [compare(goal.how, value, base) for value, base in zip(values, others or [None] * len(values))]
    return Verdict(goal, compare(goal.how, statistics.median(values), other), (min(rounds), max(rounds)))


def part_of(what: str) -> str:
    """Return the part of the benchmark that measures something."""
    part = what.partition("-")[0]
    return part if part in PARTS else "main"


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a whole measurement with those of a later one, of some parts, in their place; `later` says when each of these was measured."""
    samples = {what: values for what, values in old["samples"].items() if part_of(what) not in new["parts"]}
    how = {"began": new["began"], "project": new["machine"]["project"], "rounds": new["growth_rounds"]}
    later = {part: how for part in new["parts"]}
    return {**old, "samples": {**samples, **new["samples"]}, "later": {**old.get("later", {}), **later}}


def add(samples: Samples, who: str, values: Mapping[str, float]) -> None:
    """Add the values of one round."""
    for what, value in values.items():
        samples.setdefault(what, {}).setdefault(who, []).append(value)


def rotated(items: Sequence[Any], turn: int) -> list[Any]:
    """Return the items in an order that begins with another one each turn."""
    start = turn % len(items)
    return [*items[start:], *items[:start]]


def add_profile(profiles: dict[str, list[list[Any]]], who: str, profile: Sequence[tuple[str, float]]) -> None:
    """Add the profile of one run: [[step, [seconds, ...]], ...] in the order of the first run's steps."""
    kept = profiles.setdefault(who, [[name, []] for name, _seconds in profile])
    for entry, (_name, seconds) in zip(kept, profile):
        entry[1].append(seconds)
