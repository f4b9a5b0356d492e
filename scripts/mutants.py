"""Put small faults into the code one at a time, and see whether the tests of that file notice.

Usage: make mutants [SAMPLE=40] [ARGS="--only lock,swap --write"]

Each fault is made by cosmic-ray in a copy of the checkout: a comparison turned, a condition negated, a number moved, a loop never
entered, an exception not caught. A file's faults are tried by its own tests: those without an Engine first, then, where
`Subject.engine` names them, those on the Engine, for what nothing else can notice. Python and the libraries are started once for a file
(scripts/forked_tests.py); a fault by which a test never ends is ended by its CPU time, so that a busy machine measures the same.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache/mutants"
GUARDS, REPORT = 0.9, 0.8
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
MARKED = re.compile(r"(?<=<!-- BEGIN MUTANTS -->\n).*(?=<!-- END MUTANTS -->)", re.S)
ROW = re.compile(r"^(\| `([^`]+)` \|.*\|)$", re.M)


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

    def runs(self) -> list[list[str]]:
        """Return the arguments of pytest for each of its runs; the first test that fails ends one."""
        runs = [["-m", "not engine", *(f"tests/unit/{test}" for test in (self.own, *self.further))]]
        if self.engine:
            runs.append(["-m", "engine", *(f"tests/unit/{test}" for test in self.engine)])
        return [["-x", "-q", "-p", "no:cacheprovider", *run] for run in runs]


DEPLOY = "module_utils/deploy"
SUBJECTS = (
    Subject(f"{DEPLOY}/lock.py", further=("plugin_utils/test_turn.py",)),
    Subject(f"{DEPLOY}/swap.py", further=(f"{DEPLOY}/test_recovery.py",), engine=(f"{DEPLOY}/test_swap.py",)),
    Subject(f"{DEPLOY}/images.py"),
    Subject(f"{DEPLOY}/ownership.py"),
    *(Subject(f"{DEPLOY}/{name}.py") for name in ("earlier", "history", "judgement", "port", "recovery")),
    *(Subject(f"module_utils/image/{name}.py") for name in ("ignore", "leftovers", "manifest")),
    *(Subject(f"module_utils/source/{name}.py") for name in ("address", "gitignore")),
    *(Subject(f"module_utils/common/{name}.py") for name in ("places", "secrets", "settings")),
    *(Subject(f"plugin_utils/{name}.py") for name in ("units", "variables")),
    Subject("plugin_utils/report/document.py", REPORT),
    Subject("plugin_utils/report/page.py", REPORT),
    Subject("plugin_utils/summary.py", REPORT),
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
    """How the faults of a file went. there: how many there are; unnoticed: a sentence each."""

    subject: Subject
    there: int
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


def recorded(text: str, outcomes: Iterable[Outcome], day: str) -> str:
    """Return the text of CONTRIBUTING.md with these outcomes in its table, beside those of the other files that are there."""
    (table,) = MARKED.findall(text)
    rows = {path: row for row, path in ROW.findall(table)}
    for outcome in outcomes:
        noticed = outcome.tried - len(outcome.unnoticed)
        cells = (
            f"`{outcome.subject.path}`",
            outcome.there,
            outcome.tried,
            noticed,
            f"{outcome.share:.0%}",
            f"{outcome.subject.wanted:.0%}",
            day,
        )
        rows[outcome.subject.path] = f"| {' | '.join(map(str, cells))} |"
    known = [rows[subject.path] for subject in SUBJECTS if subject.path in rows]
    head = "| file below plugins/ | faults | tried | noticed | share | wanted | measured |\n| --- | --- | --- | --- | --- | --- | --- |\n"
    return MARKED.sub(lambda _old: head + "".join(f"{row}\n" for row in known), text)


class Tests:
    """The tests of a file in a copy of the checkout, in a process that has imported what they need (scripts/forked_tests.py)."""

    def __init__(self, subject: Subject, place: Path) -> None:
        """Run the tests once, without any fault; end with what they printed where they fail."""
        self._runs, self._log = subject.runs(), place / "mutants.log"
        command = [ROOT / ".venv/bin/python", ROOT / "scripts/forked_tests.py", self._log]
        self._process = subprocess.Popen(command, cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._cpu = [0.0] * len(self._runs)
        # Twice: the first time much is imported.
        for number in [*range(len(self._runs)), *range(len(self._runs))]:
            status, self._cpu[number] = self._run(number, 3600)
            if status:
                raise SystemExit(f"{subject.path}: its tests fail without a fault:\n{self._log.read_text(errors='replace')[-4000:]}")

    def _run(self, number: int, cpu: float) -> tuple[int, float]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([cpu, self._runs[number]]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return answer["status"], answer["cpu"]

    def fail(self) -> bool:
        """Say whether they notice what is in the file now: one fails, or they need three times as long as without a fault."""
        return any(self._run(number, 3 * cpu + 2)[0] for number, cpu in enumerate(self._cpu))

    def end(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()


@dataclass(frozen=True)
class Fault:
    """An operator of cosmic-ray at one of its places in a file. position: line and column."""

    operator: str
    occurrence: int
    position: tuple[int, int]

    def told(self, path: str, before: str, after: str) -> str:
        """Return it for people, who want to know why nobody noticed."""
        changed = [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[:1] in "+-"]
        return f"{path}:{self.position[0]}: {self.operator.removeprefix('core/')}" + "".join(
            f"\n    {line[0]} {line[1:].strip()}" for line in changed
        )


def faults(code: str) -> list[Fault]:
    """Return all faults that can be put into a file."""
    nodes = list(ast_nodes(get_ast(code)))
    return [
        Fault(name, occurrence, start)
        for name in sorted(OPERATORS)
        for occurrence, (start, _end) in enumerate(place for node in nodes for place in get_operator(name)().mutation_positions(node))
    ]


def chosen(found: Iterable[Fault], sample: int, seed: int) -> list[Fault]:
    """Return the faults to try: as many as asked for, each at another place of the file as far as there are enough."""
    places: dict[tuple[int, int], list[Fault]] = {}
    for fault in found:
        places.setdefault(fault.position, []).append(fault)
    dice = random.Random(seed)
    columns = [dice.sample(there, len(there)) for _place, there in sorted(places.items())]
    dice.shuffle(columns)
    return [column[depth] for depth in range(max(map(len, columns), default=0)) for column in columns if depth < len(column)][
        : sample or None
    ]


def tried(subject: Subject, place: Path, sample: int, seed: int) -> Outcome:
    """Try the faults of a file in a copy of the checkout."""
    began = time.monotonic()
    path = place / "plugins" / subject.path
    code = path.read_text(encoding="utf-8")
    found = faults(code)
    wanted = chosen(found, sample, seed)
    unnoticed, made = [], 0
    tests = Tests(subject, place)
    try:
        for fault in wanted:
            try:
                wrong = mutate_code(code, get_operator(fault.operator)(), fault.occurrence)
            except AttributeError:
                # Of an exception with a dotted name cosmic-ray cannot make another one.
                continue
            made += 1
            path.write_text(wrong, encoding="utf-8")
            if not tests.fail():
                unnoticed.append((fault.position, fault.told(f"plugins/{subject.path}", code, wrong)))
    finally:
        tests.end()
        path.write_text(code, encoding="utf-8")
    return Outcome(subject, len(found), made, tuple(line for _position, line in sorted(unnoticed)), time.monotonic() - began)


def main() -> int:
    """Try all, print the table, and return 1 where too few were noticed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=20, help="how many faults a file at the most; 0 tries all")
    parser.add_argument("--seed", type=int, default=1, help="another number chooses other faults")
    parser.add_argument("--only", default="", help="the files whose path has one of these, parted by commas")
    parser.add_argument("--write", action="store_true", help="write what was measured into the table of CONTRIBUTING.md")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="how many files at once")
    args = parser.parse_args()
    subjects = [subject for subject in SUBJECTS if any(part in subject.path for part in args.only.split(","))]
    places: SimpleQueue[Path] = SimpleQueue()
    writing = Lock()
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
        if args.write:
            with writing:
                text = CONTRIBUTING.read_text(encoding="utf-8")
                CONTRIBUTING.write_text(recorded(text, [outcome], time.strftime("%Y-%m-%d")), encoding="utf-8")
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
