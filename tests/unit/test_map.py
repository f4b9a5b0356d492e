"""docs/map.md names for each behaviour the file that holds it: every row leads to a file that has the name, by at most two steps from the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAP = ROOT / "docs/map.md"
ROWS = re.findall(r"^\| (.+?) \| \[(.+?)\]\((.+?)\) \| `(.+?)` \|$", MAP.read_text(encoding="utf-8"), re.M)


@pytest.mark.parametrize(("what", "shown", "link", "name"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row_leads_to_the_place(what: str, shown: str, link: str, name: str) -> None:
    file = (MAP.parent / link).resolve()
    assert file == ROOT / shown, what
    assert name in file.read_text(encoding="utf-8"), f"{shown} has no {name}"


def test_no_row_is_left_unread() -> None:
    lines = [line for line in MAP.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "---" not in line]
    assert len(lines) - len(ROWS) == len(re.findall(r"\| file \| name \|$", MAP.read_text(encoding="utf-8"), re.M))


def test_the_readme_leads_to_the_map() -> None:
    assert "](docs/map.md)" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_module_utility_has_a_row_or_a_neighbour_with_one() -> None:
    rooms = {str(Path(shown).parent) for _what, shown, _link, _name in ROWS}
    without = {str(path.parent.relative_to(ROOT)) for path in (ROOT / "plugins/module_utils").rglob("*.py")} - rooms
    assert without <= {"plugins/module_utils"}
