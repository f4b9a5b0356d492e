"""What of the benchmark needs no machine: the services it makes, what it counts, and what it writes."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from plays import PROJECT

sys.path.append(str(PROJECT))

from bench import engine, figures, modules, plays, render, services

SVG = "{http://www.w3.org/2000/svg}"


def sample_figures(**samples: Any) -> dict[str, Any]:
    """Return figures of a measurement, with changes to the samples."""
    whole = {
        "build-first": {"hand": [30.0, 32.0, 31.0], "role": [30.0, 31.0, 29.0]},
        "build-edit": {"hand": [20.0, 22.0, 21.0], "role": [1.8, 2.0, 1.9]},
        "whole-edit": {"hand": [50.0, 52.0, 51.0], "script": [22.0, 23.0, 22.5], "role": [5.0, 6.0, 5.5]},
        "whole-nothing": {"hand": [0.1] * 3, "script": [0.2] * 3, "role": [2.0, 2.2, 2.1], "ping": [1.0, 1.2, 1.1]},
        "image-bytes": {"hand": [9_400_000] * 3, "role": [9_300_000] * 3},
        "touched": {"role": [0, 0, 0]},
        "files-nothing": {"30": [3.0, 3.1], "4500": [3.5, 3.7]},
        "files-ansible-peak": {"30": [60e6], "4500": [61e6]},
        "files-peak": {"30": [100e6], "4500": [101e6]},
        "hosts-edit": {"1": [8.0], "2": [10.0], "4": [16.0]},
    }
    machine = {
        key: "x"
        for key in ("project", "engine", "client", "storage", "ansible", "community_docker", "python", "go", "builder", "runtime", "cpu")
    }
    return {
        "began": "2026-01-02T03:04:05Z",
        "ended": "2026-01-02T03:24:05Z",
        "rounds": 3,
        "growth_rounds": 2,
        "parts": ["main", "files", "hosts"],
        "machine": {**machine, "cores": 2, "system": "Debian", "load": 0.1},
        "samples": {**whole, **samples},
        "profiles": {"role": [["Start", [0.5, 0.7]], ["Look | at it", [2.0, 2.2]], ["Skip", [0.001, 0.002]]], "ping": [["Start", [0.5]]]},
    }


@pytest.mark.parametrize("count", figures.SIZES)
def test_services_have_the_files_they_are_asked_for(count: int, tmp_path: Path) -> None:
    services.write(tmp_path, count)
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(found) == count
    assert (tmp_path / "go.mod").exists()


def test_a_service_is_the_same_each_time() -> None:
    assert services.files(500) == services.files(500)


def test_a_service_imports_only_packages_that_are_there() -> None:
    found = services.files(500)
    there = {f"{services.MODULE}/{Path(path).parent}" for path in found}
    imported = {line.strip('\t"') for text in found.values() for line in text.splitlines() if line.startswith(f'\t"{services.MODULE}/')}
    assert imported
    assert imported <= there


def test_a_larger_service_links_all_its_packages_in() -> None:
    found = services.files(4500)
    packages = {str(Path(path).parent) for path in found if path.startswith("internal/parts/")}
    assert len(packages) > 100
    assert all(f'"{services.MODULE}/{package}"' in found["parts.go"] for package in packages)


def test_a_service_smaller_than_the_smallest_is_refused() -> None:
    with pytest.raises(ValueError, match="30 files, 29 were asked for"):
        services.files(29)


def test_an_edit_changes_one_line(tmp_path: Path) -> None:
    services.write(tmp_path, services.SMALLEST)
    before = {path: path.read_text() for path in tmp_path.rglob("*.go")}
    services.edit(tmp_path, "7")
    changed = [path for path, text in before.items() if path.read_text() != text]
    assert [path.name for path in changed] == ["version.go"]
    old, new = before[changed[0]].splitlines(), changed[0].read_text().splitlines()
    assert [(a, b) for a, b in zip(old, new) if a != b] == [('const Version = "0"', 'const Version = "7"')]


def test_the_added_file_imports_what_nothing_else_does(tmp_path: Path) -> None:
    services.write(tmp_path, services.SMALLEST)
    assert not [path for path in tmp_path.rglob("*.go") if services.IMPORTED in path.read_text()]
    services.add_import(tmp_path)
    assert [path.name for path in tmp_path.rglob("*.go") if f'"{services.IMPORTED}"' in path.read_text()] == ["page.go"]


def test_writing_a_service_leaves_nothing_of_the_one_before(tmp_path: Path) -> None:
    services.write(tmp_path / "service", 500)
    services.write(tmp_path / "service", 30)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 30


def test_figures_of_one_part_take_the_place_of_its_own_alone() -> None:
    """All of them, also those that are not measured any more; the page says when that was."""
    later = sample_figures() | {
        "began": "2026-02-03T04:05:06Z",
        "parts": ["files"],
        "samples": {"files-nothing": {"30": [7.0]}},
    }
    whole = figures.merged(sample_figures(), later)
    assert {what: values for what, values in whole["samples"].items() if what.startswith("files-")} == later["samples"]
    assert whole["samples"]["hosts-edit"] == sample_figures()["samples"]["hosts-edit"]
    assert whole["samples"]["build-edit"] == sample_figures()["samples"]["build-edit"]
    assert "The part *files* was measured again on 2026-02-03, at 04:05 UTC, with x, in 2 rounds." in render.page(whole)
    assert "measured again" not in render.page(sample_figures())


def test_the_spread_of_values() -> None:
    assert figures.Spread.of([3.0, 1.0, 10.0, 2.0]) == figures.Spread(1.0, 2.5, 10.0, 4)


@pytest.mark.parametrize(
    ("how", "limit", "values", "others", "reached", "held"),
    [
        ("ratio", 0.25, [2.0, 3.0, 2.5], [10.0, 10.0, 10.0], 0.25, True),
        ("ratio", 0.24, [2.0, 3.0, 2.5], [10.0, 10.0, 10.0], 0.25, False),
        ("difference", 1.0, [4.0, 4.2], [3.2, 3.0], 1.0, True),
        ("difference", 0.9, [4.0, 4.2], [3.2, 3.0], 1.0, False),
        ("value", 0.5, [0.4, 0.6, 0.5], [], 0.5, True),
        ("value", 0.0, [0, 1, 1], [], 1, False),
        ("ratio", 1.0, [], [1.0], None, False),
        ("ratio", 1.0, [1.0], [], None, False),
    ],
)
def test_a_goal_is_judged_by_medians(
    how: str, limit: float, values: list[float], others: list[float], *, reached: float | None, held: bool
) -> None:
    goal = figures.Goal("it", ("what", "role"), None if how == "value" else ("what", "hand"), how, limit)
    verdict = figures.judge(goal, {"what": {"role": values, "hand": others}})
    assert verdict.reached == (None if reached is None else pytest.approx(reached))
    assert verdict.held is held


def test_the_noise_of_a_ratio_compares_values_of_one_round() -> None:
    goal = figures.Goal("it", ("what", "role"), ("what", "hand"), "ratio", 1.0)
    verdict = figures.judge(goal, {"what": {"role": [1.0, 4.0], "hand": [10.0, 20.0]}})
    assert verdict.noise == pytest.approx((0.1, 0.2))


def test_every_goal_and_row_of_the_picture_has_its_own_place() -> None:
    assert {key for key in render.PICTURED} <= {row.key for row in figures.ROWS}
    assert len({goal.title for goal in figures.GOALS}) == len(figures.GOALS)


def test_rounds_begin_with_another_contestant_each_time() -> None:
    assert [figures.rotated("abc", turn) for turn in range(4)] == [list("abc"), list("bca"), list("cab"), list("abc")]


def test_profiles_keep_the_order_and_all_runs() -> None:
    profiles: dict[str, list] = {}
    figures.add_profile(profiles, "role", [("a", 1.0), ("b", 2.0)])
    figures.add_profile(profiles, "role", [("a", 3.0), ("b", 4.0)])
    assert profiles == {"role": [["a", [1.0, 3.0]], ["b", [2.0, 4.0]]]}


def event(name: str, at: str, task: str = "", path: str = "", **more: Any) -> str:
    """Return a line as the callback ansible.posix.jsonl prints it."""
    return json.dumps({"_event": name, "_timestamp": f"2026-01-02T03:04:{at}Z", "task": {"name": task, "path": path}, **more})


RUN = "\n".join(
    [
        "[localhost]: Waiting for another run on this host",
        event("v2_playbook_on_play_start", "00.000000"),
        event("v2_playbook_on_task_start", "01.000000", "look", "/r/go_service/tasks/stages/prepare.yml:14"),
        event("v2_runner_on_ok", "02.000000", "look", hosts={"localhost": {}}),
        event("v2_playbook_on_task_start", "02.500000", "begin", "/r/go_service/tasks/stages/build.yml:3"),
        event("v2_playbook_on_task_start", "02.750000", "build", "/r/go_service/tasks/stages/build.yml:7"),
        event("v2_playbook_on_task_start", "05.500000", "end", "/r/go_service/tasks/stages/summary.yml:3"),
        event("v2_playbook_on_stats", "06.000000", stats={"localhost": {"changed": 1}}),
    ]
)


def test_tasks_last_until_the_next_one() -> None:
    found = plays.tasks(plays.events(RUN))
    assert [(task.name, pytest.approx(task.seconds)) for task in found] == [("look", 1.5), ("begin", 0.25), ("build", 2.75), ("end", 0.5)]


def test_the_build_of_a_play_is_all_tasks_of_its_file() -> None:
    began = plays.moment("2026-01-02T03:04:00.000000Z")
    play = plays.Play(began, began + 7, 0, 0, plays.tasks(plays.events(RUN)))
    assert play.seconds_of("tasks/stages/build.yml") == pytest.approx(3.0)
    assert play.profile()[0] == (plays.STARTING, pytest.approx(1.0))
    assert play.profile()[-1] == (plays.ENDING, pytest.approx(1.0))
    assert sum(seconds for _name, seconds in play.profile()) == pytest.approx(play.seconds)
    with pytest.raises(plays.BenchError, match=r"no task of tasks/build\.yml"):
        play.of("tasks/build.yml")


def test_the_cause_of_a_failed_play_is_told() -> None:
    failed = event("v2_runner_on_failed", "03.000000", "build", hosts={"debian12": {"msg": "no space left"}})
    assert plays.failure(plays.events(f"{RUN}\n{failed}")) == "debian12: build: no space left"
    assert plays.failure(plays.events(RUN)) == ""


def engine_event(name: str, action: str, at: float) -> dict[str, Any]:
    """Return an event as the Engine notes it."""
    return {"Action": action, "timeNano": int(at * 1e9), "Actor": {"Attributes": {"name": name}}}


def test_health_is_read_from_the_events_of_the_very_container() -> None:
    noted = [
        engine_event("bench-role", "start", 1.0),
        engine_event("bench-role-candidate", "start", 2.0),
        engine_event("bench-role", "health_status: healthy", 2.1),
        engine_event("bench-role-candidate", "health_status: healthy", 2.5),
    ]
    assert engine.health_moments(noted, "bench-role-candidate") == (2.0, 2.5, 0.0)
    later = engine_event("sha256:0123", "save", 3.6)
    assert engine.health_moments([*noted, later], "bench-role-candidate") == (2.0, 2.5, 3.6)
    with pytest.raises(engine.BenchError, match="bench-other"):
        engine.health_moments(noted, "bench-other")


def test_two_benchmarks_do_not_run_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.tempfile, "gettempdir", lambda: str(tmp_path))
    with engine.alone(), pytest.raises(plays.BenchError, match="Another benchmark runs"), engine.alone():
        pass
    with engine.alone():
        pass


def test_what_a_killed_benchmark_started_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.tempfile, "gettempdir", lambda: str(tmp_path))
    with engine.alone():
        orphan = subprocess.Popen(["sleep", "60"], close_fds=False)
    with pytest.raises(plays.BenchError, match="a play that a killed one had begun"), engine.alone():
        pass
    orphan.kill()
    orphan.wait()
    with engine.alone():
        pass


def test_steps_of_a_build_are_found_the_newest_first() -> None:
    log = "Step 1/3 : FROM a\n ---> 0123456789ab\nStep 2/3 : RUN b\n ---> Running in ffffffffffff\n ---> ba9876543210\nSuccessfully built ba9876543210\n"
    assert engine.layers(log) == ["ba9876543210", "0123456789ab"]


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.138, "s", "0.14 s"),
        (22.44, "s", "22.4 s"),
        (9_356_904, "bytes", "9.4 MB"),
        (751, "bytes", "751 B"),
        (0.1234, "", "0.12"),
        (3, "events", "3 events"),
    ],
)
def test_amounts_are_written_for_people(value: float, unit: str, shown: str) -> None:
    assert render.amount(value, unit) == shown


def test_a_spread_shows_its_noise_where_there_is_any() -> None:
    assert render.spread([2.0, 2.4, 2.1]) == "**2.10 s** (2.00 – 2.40)"  # noqa: RUF001
    assert render.spread([751, 751], "bytes") == "751 B"
    assert render.spread([]) == ""


def test_tables_have_as_many_cells_in_each_line() -> None:
    lines = render.table(["a", "b"], [["1", "x|y"]]).splitlines()
    assert lines == ["| a | b |", "| --- | --- |", "| 1 | x\\|y |"]


def test_the_page_says_which_goals_are_held_and_which_are_not() -> None:
    held = render.page(sample_figures())
    assert "| image build after an edit, against by hand | ≤ 0.10 | 0.09 | 0.09 – 0.09 | **held**, 10% below |" in held  # noqa: RUF001
    assert "Why not:" not in held
    missed = render.page(sample_figures(**{"build-edit": {"hand": [10.0], "role": [2.4]}}))
    assert "| 0.24 | 0.24 – 0.24 | **not held**, 140% above |" in missed  # noqa: RUF001
    assert "*image build after an edit, against by hand*" in missed


def test_the_page_sums_up_what_takes_next_to_nothing() -> None:
    page = render.page(sample_figures())
    assert "| Look \\| at it | 2.10 s | 78% |" in page
    assert "| steps below 1% each: 1 |" in page


@pytest.fixture
def picture() -> Callable[..., ElementTree.Element]:
    """Return what makes the picture's elements from changes to the samples."""
    return lambda **samples: ElementTree.fromstring(render.picture(sample_figures(**samples)))


def test_bars_are_as_long_as_what_they_show(picture: Callable[..., ElementTree.Element]) -> None:
    drawn = [(bar.get("class"), float(bar.get("width"))) for bar in picture().iter(f"{SVG}rect") if bar.get("class") != "card"]
    scale = (render.WIDTH - render.LEFT - render.RIGHT) / 52.0
    wanted = [("hand", 31.0), ("role", 30.0), ("hand", 21.0), ("role", 1.9), ("hand", 51.0), ("script", 22.5), ("role", 5.5)]
    wanted += [("hand", 0.1), ("script", 0.2), ("role", 2.1)]
    assert drawn == [(who, pytest.approx(seconds * scale, abs=0.1)) for who, seconds in wanted]


def test_everything_drawn_is_inside_the_picture(picture: Callable[..., ElementTree.Element]) -> None:
    drawing = picture()
    width, height = float(drawing.get("width")), float(drawing.get("height"))
    assert all(float(text.get("y")) < height and float(text.get("x")) < width for text in drawing.iter(f"{SVG}text"))
    assert all(float(line.get("x2")) <= width - render.RIGHT + 0.1 for line in drawing.iter(f"{SVG}line"))


def test_the_picture_stands_alone_and_knows_dark_pages() -> None:
    text = render.picture(sample_figures())
    assert "prefers-color-scheme: dark" in text
    assert "<script" not in text
    assert not re.findall(r"(?:href|src|url)\s*[=(]", text)


def test_what_was_not_measured_is_said(tmp_path: Path) -> None:
    (tmp_path / render.FIGURES).write_text(json.dumps({**sample_figures(), "samples": {}, "profiles": {}}))
    render.write(tmp_path)
    assert (tmp_path / render.PAGE).read_text().count("not measured") == len(figures.GOALS)
    ElementTree.fromstring((tmp_path / render.PICTURE).read_text())


def test_without_figures_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(plays.BenchError, match="make bench"):
        render.write(tmp_path)


def test_modules_have_the_hashes_that_go_computes(tmp_path: Path, go_binary: Path) -> None:
    """The go command takes the modules from the proxy's files, and holds them to the sums."""
    proxy = tmp_path / "proxy"
    for number, what in itertools.product(range(2), ("list", "v1.0.0.info", "v1.0.0.mod", "v1.0.0.zip")):
        file = proxy / modules.path(number) / "@v" / what
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(modules.answer(f"/{modules.path(number)}/@v/{what}"))
    services.write(tmp_path / "service", services.SMALLEST)
    services.require(tmp_path / "service", 2)
    environment = {
        **os.environ,
        "GOPROXY": proxy.as_uri(),
        "GOSUMDB": "off",
        "GOMODCACHE": str(tmp_path / "modules"),
        "GOCACHE": str(tmp_path / "cache"),
        "GOFLAGS": "-modcacherw",
    }
    verified = subprocess.run(
        [go_binary, "mod", "verify"], cwd=tmp_path / "service", env=environment, capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stdout.strip()) == (0, "all modules verified"), verified.stderr
    assert modules.answer("/elsewhere.example/m001/@v/list") is None
