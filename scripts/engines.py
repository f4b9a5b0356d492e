#!/usr/bin/env python3
"""Write the README's table of Engines from what the Molecule scenario `engines` has found out: .cache/engines.json. `make engines` does both."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOUND = ROOT / ".cache/engines.json"
README = ROOT / "README.md"
MACHINES = {
    "docker20": "Debian 12's",
    "docker26": "Debian 13's",
    "docker28": "Debian sid's, on 13",
    "containerd": "the same, with containerd's image store",
    "remapped": "Debian 13's, with `userns-remap`",
    "rootless": "Debian 13's, rootless, without any right of root",
    "podman": "Podman's socket, Debian 13's",
}
COLUMNS = ("Engine", "main job", "second run", "edit", "broken edit", "way back", "removal")
MARKED = re.compile(r"(?<=<!-- BEGIN ENGINES -->\n).*(?=<!-- END ENGINES -->)", re.S)


def table(found: dict[str, dict[str, str]]) -> str:
    """Return the table of what was found; a step that a machine has not done has no cell."""
    rows = [("where it is from", *COLUMNS), ("---",) * (len(COLUMNS) + 1)]
    rows += [(title, *(found.get(machine, {}).get(column, "") for column in COLUMNS)) for machine, title in MACHINES.items()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> int:
    """Write it."""
    found = json.loads(FOUND.read_text(encoding="utf-8"))
    missing = sorted(set(MACHINES) - set(found))
    if missing:
        print(f"Nothing is known of {', '.join(missing)}: run the whole scenario, make scenarios SCENARIOS=engines.", file=sys.stderr)
        return 1
    README.write_text(MARKED.sub(lambda _old: table(found), README.read_text(encoding="utf-8")), encoding="utf-8")
    print(table(found))
    return int("FAILED" in json.dumps(found))


if __name__ == "__main__":
    sys.exit(main())
