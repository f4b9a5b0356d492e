"""The page and the picture, made from the figures alone: docs/benchmarks.md and docs/benchmarks.svg from docs/benchmarks.json."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from bench.figures import CONTESTANTS, GOALS, HOSTS, MODULES, ROWS, SERVICES, SIZES, Samples, Spread, Verdict, judge
from bench.plays import BenchError

FIGURES, PAGE, PICTURE = "benchmarks.json", "benchmarks.md", "benchmarks.svg"
# Rows of the picture: what a user waits for, on one scale.
PICTURED = ("build-first", "build-edit", "build-import", "whole-edit", "whole-nothing")
# The columns of the main table, and the bars.
COMPARED = ("hand", "script", "expert", "role", "role-buildx")
# Geometry of the picture, in pixels.
WIDTH, LEFT, RIGHT, TOP = 860, 124, 150, 70
BAR, GAP, HEADING, BETWEEN = 18, 5, 26, 18
# A step of a profile below this share of the whole is summed up with the others of its kind.
SMALL = 0.01


def amount(value: float, unit: str) -> str:
    """Return a value for people: "0.14 s", "22.4 s", "9.4 MB", "751 B", "0.12"."""
    if unit == "s":
        return f"{value:.2f} s" if abs(value) < 10 else f"{value:.1f} s"
    if unit == "bytes":
        return f"{value / 1e6:.1f} MB" if value >= 1e5 else f"{value:,.0f} B"
    return f"{value:,.0f} {unit}" if unit else f"{value:.2f}"


def spread(values: Sequence[float] | None, unit: str = "s") -> str:
    """Return the median with the lowest and the highest value: "22.4 s (22.1 - 23.0)"; one number where they are all the same."""
    if not values:
        return ""
    found = Spread.of(values)
    median = amount(found.median, unit)
    low, high = (amount(value, unit).removesuffix(" s").removesuffix(" MB").removesuffix(" B") for value in (found.low, found.high))
    return median if low == high else f"**{median}** ({low} – {high})"  # noqa: RUF001


def ratio(samples: Samples, what: str, who: str = "role", against: str = "hand") -> str:
    """Return how the medians of two compare, "" where one was not measured."""
    found = samples.get(what, {})
    if not found.get(who) or not found.get(against) or not statistics.median(found[against]):
        return ""
    return f"{statistics.median(found[who]) / statistics.median(found[against]):.2f}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; a "|" in a cell is escaped."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main_table(samples: Samples) -> str:
    """Return the table of the contestants."""
    rows = []
    for row in ROWS:
        found = samples.get(row.key, {})
        if found:
            compared = ratio(samples, row.key) if row.unit == "s" and row.key != "notice" else ""
            rows.append([row.title, *(spread(found.get(who), row.unit) for who in COMPARED), compared])
    return table(["what", *(CONTESTANTS[who] for who in COMPARED), "role / by hand"], rows)


def standing(verdict: Verdict) -> str:
    """Return whether a goal is held, and by how much."""
    goal = verdict.goal
    if verdict.reached is None:
        return "not measured"
    if not goal.limit:
        return "**held**" if verdict.held else f"**not held**, {amount(verdict.reached, goal.unit)} too many"
    share = abs(verdict.reached - goal.limit) / goal.limit
    return f"**held**, {share:.0%} below" if verdict.held else f"**not held**, {share:.0%} above"


def goals_table(verdicts: Sequence[Verdict]) -> str:
    """Return the table of the goals."""
    rows = []
    for verdict in verdicts:
        unit = verdict.goal.unit
        reached = "" if verdict.reached is None else amount(verdict.reached, unit)
        noise = "" if verdict.noise is None else " – ".join(amount(value, unit) for value in verdict.noise)  # noqa: RUF001
        rows.append([verdict.goal.title, f"≤ {amount(verdict.goal.limit, unit)}", reached, noise, standing(verdict)])
    return table(["goal", "limit", "reached", "single rounds", "verdict"], rows)


def growth_table(samples: Samples, rows: Mapping[str, tuple[str, str]], columns: Sequence[int], unit: str) -> str:
    """Return a table of how figures grow; rows: what -> (title, unit of the value)."""
    lines = [[title, *(spread(samples.get(what, {}).get(str(column)), kind) for column in columns)] for what, (title, kind) in rows.items()]
    return table(["", *(f"{column:,} {unit}{'s' if column != 1 else ''}" for column in columns)], lines)


def contestants_table(samples: Samples, rows: Mapping[str, tuple[str, str]], contestants: Sequence[str]) -> str:
    """Return a table of contestants side by side; rows: what -> (title, unit of the value)."""
    lines = [[title, *(spread(samples.get(what, {}).get(who), kind) for who in contestants)] for what, (title, kind) in rows.items()]
    return table(["", *(CONTESTANTS[who] for who in contestants)], lines)


def profile_table(profile: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Return the profile of a play: each step, its median, its share; what takes next to nothing is one line."""
    medians = [(name, statistics.median(seconds)) for name, seconds in profile]
    whole = sum(seconds for _name, seconds in medians)
    large = [(name, seconds) for name, seconds in medians if seconds >= SMALL * whole]
    small = [seconds for _name, seconds in medians if seconds < SMALL * whole]
    rows = [[name.replace("`", ""), amount(seconds, "s"), f"{seconds / whole:.0%}"] for name, seconds in large]
    if small:
        rows.append([f"steps below {SMALL:.0%} each: {len(small)}", amount(sum(small), "s"), f"{sum(small) / whole:.0%}"])
    return table(["step", "median", "share"], [*rows, ["**the whole**", amount(whole, "s"), ""]])


def bars(samples: Samples) -> dict[str, Any]:
    """Return the geometry of the picture: groups of bars on one scale, with a fine line from the lowest to the highest value."""
    shown = [row for row in ROWS if row.key in PICTURED and samples.get(row.key)]
    longest = max((max(values) for row in shown for values in samples[row.key].values()), default=1.0)
    scale = (WIDTH - LEFT - RIGHT) / longest
    groups: list[dict[str, Any]] = []
    top = TOP
    for row in shown:
        group: dict[str, Any] = {"title": row.title, "y": top + 14, "bars": [], "faster": ""}
        top += HEADING
        for who in COMPARED:
            values = samples[row.key].get(who)
            if not values:
                continue
            found = Spread.of(values)
            group["bars"].append(
                {
                    "who": who,
                    "label": CONTESTANTS[who],
                    "y": top,
                    "width": round(max(found.median * scale, 1), 1),
                    "low": round(LEFT + found.low * scale, 1),
                    "high": round(LEFT + found.high * scale, 1),
                    "text": amount(found.median, "s"),
                }
            )
            top += BAR + GAP
        times = ratio(samples, row.key)
        if times and float(times) < 0.9:
            group["faster"] = f"{1 / float(times):.0f} times faster" if float(times) < 0.4 else f"{1 / float(times):.1f} times faster"
        groups.append(group)
        top += BETWEEN
    return {"groups": groups, "height": top + 22, "width": WIDTH, "left": LEFT, "bar": BAR, "longest": longest}


def environment() -> jinja2.Environment:
    """Return the templates."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    return jinja2.Environment(
        loader=loader, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )


def picture(figures: Mapping[str, Any]) -> str:
    """Return the picture."""
    template = environment().get_template("benchmarks.svg.j2")
    return template.render(picture=bars(figures["samples"]), figures=figures)


def page(figures: Mapping[str, Any]) -> str:
    """Return the page."""
    samples = figures["samples"]
    verdicts = [judge(goal, samples) for goal in GOALS]
    by_files = {
        "files-first": ("first image build", "s"),
        "files-edit": ("whole play after an edit", "s"),
        "files-nothing": ("whole play, nothing changed", "s"),
        "files-look": ("of it, the look that decides that nothing changed", "s"),
        "files-ansible-peak": ("peak memory of Ansible's largest process, first build and edits", "bytes"),
        "files-peak": ("peak memory of the largest process of all, linters included", "bytes"),
    }
    large = {
        "large-first": ("first image build", "s"),
        "large-edit": ("image build after an edit", "s"),
        "large-whole": ("edit -> new version answering", "s"),
    }
    by_services = {
        "services-first": ("first image build of the last one", "s"),
        "services-nothing": ("whole play, nothing changed", "s"),
        "services-edit": ("whole play after an edit of the last one", "s"),
    }
    by_modules = {
        f"modules-{step}-{who}": (f"{CONTESTANTS[who]}: {title}", "s")
        for who in ("role", "role-buildx")
        for step, title in {
            "first": "first image build",
            "edit": "image build after an edit",
            "add": "image build after adding one module",
        }.items()
    }
    by_hosts = {
        "hosts-edit": ("each builds for itself: whole play after an edit", "s"),
        "hosts-nothing": ("whole play, nothing changed", "s"),
        "hosts-fleet": ("one builds for all: fleet.yml after an edit, one of the others first, then the rest", "s"),
        "hosts-fleet-at-once": ("the same, all others at once", "s"),
    }
    return (
        environment()
        .get_template("benchmarks.md.j2")
        .render(
            figures=figures,
            machine=figures["machine"],
            main=main_table(samples),
            goals=goals_table(verdicts),
            reasons=[verdict.goal for verdict in verdicts if not verdict.held and verdict.reached is not None],
            sizes=SIZES,
            most_modules=max(MODULES),
            files=growth_table(samples, by_files, SIZES, "file"),
            large=contestants_table(samples, large, ("expert", "role", "role-buildx")),
            modules=growth_table(samples, by_modules, MODULES, "module"),
            services=growth_table(samples, by_services, SERVICES, "service"),
            hosts=growth_table(samples, by_hosts, HOSTS, "host"),
            profiles={who: profile_table(profile) for who, profile in figures["profiles"].items()},
        )
    )


def write(directory: Path) -> None:
    """Write page and picture from the figures in a directory.

    Raises:
        BenchError: there are none.
    """
    try:
        figures = json.loads((directory / FIGURES).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BenchError(f"There are no figures in {directory / FIGURES}. Measure first: make bench") from error
    (directory / PAGE).write_text(page(figures), encoding="utf-8")
    (directory / PICTURE).write_text(picture(figures), encoding="utf-8")
