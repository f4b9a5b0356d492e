"""Put small faults into the code one at a time, and see whether the tests of that file notice.

Usage: make mutants [ARGS="--sample 40 --only lock"]

Each fault is made by cosmic-ray in a copy of the checkout: a comparison turned, a condition negated, a number moved, a loop never
entered, an exception not caught. A file's faults are tried by its own tests: those without an Engine first, then, where
`Subject.engine` names them, those on the Engine, for what nothing else can notice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import WorkerOutcome, WorkItem, WorkResult

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache/mutants"
BIN = Path(sys.executable).parent
GUARDS, REPORT = 0.9, 0.8


@dataclass(frozen=True)
class Subject:
    """A file below plugins/ and what tries its faults. wanted: the share to notice. further: tests beside its own. engine: those on the Engine."""

    path: str
    wanted: float = GUARDS
    further: tuple[str, ...] = ()
    engine: tuple[str, ...] = ()

    @property
    def own(self) -> str:
        """Its own test file, below tests/unit."""
        directory, _slash, name = self.path.rpartition("/")
        return f"{directory}/test_{name}"

    def command(self) -> str:
        """Return what runs its tests, the first that fails ends it."""
        python = shlex.quote(str(ROOT / ".venv/bin/python"))
        run = f"{python} -m pytest -x -q -p no:cacheprovider -m"
        parts = [f"{run} 'not engine' {' '.join(f'tests/unit/{test}' for test in (self.own, *self.further))}"]
        if self.engine:
            parts.append(f"{run} engine {' '.join(f'tests/unit/{test}' for test in self.engine)}")
        return " && ".join(parts)


DEPLOY = "module_utils/deploy"
SUBJECTS = (
    Subject(f"{DEPLOY}/lock.py", further=("plugin_utils/test_turn.py",)),
    Subject(f"{DEPLOY}/swap.py", further=(f"{DEPLOY}/test_recovery.py",), engine=(f"{DEPLOY}/test_swap.py",)),
    Subject(f"{DEPLOY}/images.py"),
    Subject(f"{DEPLOY}/ownership.py"),
    Subject("module_utils/image/ignore.py"),
    Subject("module_utils/common/settings.py", further=("plugin_utils/test_variables.py",)),
    Subject("module_utils/common/secrets.py"),
    Subject("plugin_utils/variables.py"),
    Subject("plugin_utils/report/document.py", REPORT),
    Subject("plugin_utils/report/page.py", REPORT),
)
# The faults that are tried, by the names of cosmic-ray's operators. Not among them: what changes an annotation alone (`str | None`), and what
# is no fault in the language (`==` and `is` of small numbers).
OPERATORS = {
    *(
        f"core/ReplaceComparisonOperator_{pair}"
        for pair in ("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is", "Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt")
    ),
    *(f"core/ReplaceComparisonOperator_{pair}" for pair in ("Lt_GtE", "LtE_Gt", "Gt_LtE", "GtE_Lt")),
    *(f"core/ReplaceBinaryOperator_{pair}" for pair in ("Add_Sub", "Sub_Add", "Div_Mul", "BitAnd_BitOr", "RShift_LShift")),
    *(f"core/{name}" for name in ("AddNot", "ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_USub", "NumberReplacer")),
    *(f"core/{name}" for name in ("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd")),
    *(f"core/{name}" for name in ("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "ExceptionReplacer", "ZeroIterationForLoop")),
}


@dataclass(frozen=True)
class Outcome:
    """How the faults of a file went. unnoticed: a sentence each."""

    subject: Subject
    tried: int
    unnoticed: tuple[str, ...]
    seconds: float

    @property
    def share(self) -> float:
        """Return which part was noticed."""
        return 1 - len(self.unnoticed) / self.tried if self.tried else 1.0

    def row(self) -> str:
        """Return the table's row."""
        noticed = self.tried - len(self.unnoticed)
        verdict = "" if self.share >= self.subject.wanted else "  too few"
        return (
            f"{self.subject.path:42} {self.tried:6} {noticed:8} {self.share:7.0%} {self.subject.wanted:7.0%} {self.seconds:6.0f} s{verdict}"
        )


def copy_of_the_checkout(place: Path) -> None:
    """Copy what git knows or would take into a directory, which uses the same environment."""
    shutil.rmtree(place, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_symlink() or (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name, follow_symlinks=False)


def run(*command: str | Path, cwd: Path) -> None:
    """Run a command; end with what it printed where it fails."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}")


def chosen(items: Iterable[WorkItem], sample: int, seed: int) -> set[str]:
    """Return the ids of the faults to try: as many as asked for, each at another place of the file as far as there are enough."""
    places: dict[tuple[int, int], list[WorkItem]] = {}
    for item in items:
        (fault,) = item.mutations
        if fault.operator_name in OPERATORS:
            places.setdefault(fault.start_pos, []).append(item)
    dice = random.Random(seed)
    columns = [dice.sample(found, len(found)) for _place, found in sorted(places.items())]
    dice.shuffle(columns)
    rounds = [column[depth] for depth in range(max(map(len, columns), default=0)) for column in columns if depth < len(column)]
    return {item.job_id for item in rounds[: sample or None]}


def told(item: WorkItem, result: WorkResult) -> str:
    """Return a fault that nobody noticed, for people."""
    (fault,) = item.mutations
    lines = [line for line in (result.diff or "").splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    name = fault.operator_name.removeprefix("core/")
    return f"{fault.module_path}:{fault.start_pos[0]}: {name}" + "".join(f"\n    {line[0]} {line[1:].strip()}" for line in lines)


def tried(subject: Subject, place: Path, sample: int, seed: int) -> Outcome:
    """Try the faults of a file in a copy of the checkout."""
    began = time.monotonic()
    command = f"sh -c {shlex.quote(subject.command())}"
    run(*shlex.split(command), cwd=place)
    own = time.monotonic() - began
    config, session = place / "mutants.toml", place / "mutants.sqlite"
    session.unlink(missing_ok=True)
    config.write_text(
        f'[cosmic-ray]\nmodule-path = "plugins/{subject.path}"\ntimeout = {3 * own + 20:.0f}\nexcluded-modules = []\n'
        f'test-command = {json.dumps(command)}\n[cosmic-ray.distributor]\nname = "local"\n'
    )
    run(BIN / "cosmic-ray", "init", config, session, cwd=place)
    with use_db(str(session), WorkDB.Mode.open) as db:
        wanted = chosen(db.work_items, sample, seed)
        db.set_multiple_results(
            [item.job_id for item in db.work_items if item.job_id not in wanted], WorkResult(worker_outcome=WorkerOutcome.SKIPPED)
        )
    run(BIN / "cosmic-ray", "exec", config, session, cwd=place)
    with use_db(str(session), WorkDB.Mode.open) as db:
        results = [(item, result) for item, result in db.completed_work_items if item.job_id in wanted]
    unnoticed = tuple(sorted(told(item, result) for item, result in results if not result.is_killed))
    return Outcome(subject, len(results), unnoticed, time.monotonic() - began)


def main() -> int:
    """Try all, print the table, and return 1 where too few were noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=20, help="how many faults a file at the most; 0 tries all")
    parser.add_argument("--seed", type=int, default=1, help="another number chooses other faults")
    parser.add_argument("--only", default="", help="the files whose path has this")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="how many files at once")
    args = parser.parse_args()
    subjects = [subject for subject in SUBJECTS if args.only in subject.path]
    places: SimpleQueue[Path] = SimpleQueue()
    for number in range(min(args.workers, len(subjects))):
        copy_of_the_checkout(CACHE / str(number))
        places.put(CACHE / str(number))

    def work(subject: Subject) -> Outcome:
        place = places.get()
        try:
            outcome = tried(subject, place, args.sample, args.seed)
        finally:
            places.put(place)
        print(outcome.row(), flush=True)
        return outcome

    print(f"{'file below plugins/':42} {'faults':>6} {'noticed':>8} {'share':>7} {'wanted':>7} {'time':>8}")
    with ThreadPoolExecutor(max(args.workers, 1)) as pool:
        outcomes = list(pool.map(work, subjects))
    for line in (line for outcome in outcomes for line in outcome.unnoticed):
        print(line)
    few = [outcome.subject.path for outcome in outcomes if outcome.share < outcome.subject.wanted]
    print(f"too few faults noticed: {', '.join(few)}" if few else "enough faults noticed in every file")
    return int(bool(few))


if __name__ == "__main__":
    sys.exit(main())
