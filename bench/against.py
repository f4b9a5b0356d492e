"""Two commits side by side: the plays of this checkout against those of an earlier commit, interleaved in one run."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.contestants import Role
from bench.engine import WORK, clean, command
from bench.figures import rotated
from bench.measure import find_bases, prepare_directory, say
from bench.plays import ROOT

NOW, BEFORE = "now", "before"


@contextmanager
def checkout_of(revision: str) -> Iterator[Path]:
    """Yield a checkout of a commit, which is gone afterwards.

    Raises:
        BenchError: there is no such commit.
    """
    place = WORK / "against"
    command("git", "-C", str(ROOT), "worktree", "remove", "--force", str(place), check=False)
    command("git", "-C", str(ROOT), "worktree", "add", "--detach", str(place), revision)
    try:
        yield place
    finally:
        command("git", "-C", str(ROOT), "worktree", "remove", "--force", str(place), check=False)


def compare(revision: str, rounds: int) -> str:
    """Measure the play that changes nothing and the play after an edit, by both commits in turns; return the medians as a table."""
    samples: dict[tuple[str, str], list[float]] = {}
    prepare_directory()
    bases = find_bases()
    try:
        with checkout_of(revision) as earlier:
            roles = {NOW: Role(bases, name=NOW), BEFORE: Role(bases, name=BEFORE, checkout=earlier)}
            for who, role in roles.items():
                role.write()
                role.edit("0")
                role.first(who)
            for turn in range(rounds):
                for who in rotated(list(roles), turn):
                    role = roles[who]
                    role.edit(f"{turn}.1")
                    edit = role.change()["whole-edit"]
                    _play, values = role.look_again()
                    say(f"round {turn + 1} of {rounds}: {who}: edit {edit:.2f} s, nothing changed {values['whole-nothing']:.2f} s")
                    samples.setdefault((who, "edit"), []).append(edit)
                    samples.setdefault((who, "nothing changed"), []).append(values["whole-nothing"])
    finally:
        clean()
    lines = [f"medians of {rounds} interleaved rounds, seconds   {revision[:12]:>12}   this checkout   ratio"]
    for what in ("nothing changed", "edit"):
        before, now = (statistics.median(samples[who, what]) for who in (BEFORE, NOW))
        lines.append(f"{'whole play, ' + what:<46} {before:>12.2f}   {now:>13.2f}   {now / before:>5.2f}")
    return "\n".join(lines)
