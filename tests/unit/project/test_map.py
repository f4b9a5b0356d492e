"""docs/map.md names for each behaviour the file that holds it: every row leads to a file that has the name, by at most two steps from the README."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from plays import PROJECT

MAP = PROJECT / "docs/map.md"
ROW = r"^\| (.+?) \| \[(.+?)\]\((.+?)\) \| `(.+?)` \|$"
ROWS = re.findall(ROW, MAP.read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize(("what", "shown", "link", "name"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_leads_to_the_place(what: str, shown: str, link: str, name: str) -> None:
    file = (MAP.parent / link).resolve()
    assert file == PROJECT / shown, what
    assert name in file.read_text(encoding="utf-8"), f"{shown} has no {name}"


def test_no_row_is_left_unread() -> None:
    lines = [line for line in MAP.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "---" not in line]
    assert len(lines) - len(ROWS) == len(re.findall(r"\| file \| name \|$", MAP.read_text(encoding="utf-8"), re.M))


def printed(tasks: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the names of the tasks that Ansible prints: neither those of blocks nor those of imports."""
    for task in tasks:
        for part in ("block", "rescue", "always"):
            yield from printed(task.get(part, []))
        if not {"block", "ansible.builtin.import_tasks"} & set(task):
            yield task["name"]


def test_what_is_read_on_the_screen_is_where_the_map_says() -> None:
    tasks = PROJECT / "roles/go_service/tasks"
    files = (tasks / "main.yml", *tasks.glob("stages/*.yml"), *tasks.glob("sources/*.yml"))
    said = {(name, str(file.relative_to(PROJECT))) for file in files for name in printed(yaml.safe_load(file.read_text(encoding="utf-8")))}
    section = MAP.read_text(encoding="utf-8").partition("## What you read on the screen\n")[2].partition("\n## ")[0]
    rows = {(what, shown) for what, shown, _link, _name in re.findall(ROW, section, re.M)}
    assert not said - rows, f'docs/map.md, "What you read on the screen": a row is missing for {sorted(said - rows)}'
    assert not rows - said, f'docs/map.md, "What you read on the screen": no task is called so in that file: {sorted(rows - said)}'


def test_the_readme_leads_to_the_map_and_to_how_to_change_it() -> None:
    assert "](CONTRIBUTING.md)" in (PROJECT / "README.md").read_text(encoding="utf-8")
    assert "](docs/map.md)" in (PROJECT / "README.md").read_text(encoding="utf-8")


def test_every_module_utility_has_a_row_or_a_neighbour_with_one() -> None:
    rooms = {str(Path(shown).parent) for _what, shown, _link, _name in ROWS}
    without = {str(path.parent.relative_to(PROJECT)) for path in (PROJECT / "plugins/module_utils").rglob("*.py")} - rooms
    assert without <= {"plugins/module_utils"}
