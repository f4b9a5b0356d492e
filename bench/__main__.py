"""The command of the benchmark.

    python -m bench [--rounds N] [--only main,files,hosts [--replace]]   measure, then write docs/benchmarks.{json,md,svg}
    python -m bench render                                   write the page and the picture again from docs/benchmarks.json
    python -m bench against REVISION [--rounds N]            the plays of this checkout against those of an earlier commit, interleaved
    python -m bench clean                                    take away what a killed run left

The page, the picture and the figures are written by a complete measurement; with --only they are left in .cache/, unless --replace is given too.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from bench import engine, render
from bench.against import compare
from bench.figures import PARTS, merged
from bench.measure import Measurement, say
from bench.plays import ROOT, BenchError

DOCUMENTS = ROOT / "docs"
# Of a measurement that is not complete.
DRAFTS = ROOT / ".cache/bench-partial"
# What has to be alike of two machines whose figures stand on one page.
SAME = ("cpu", "cores", "system", "engine", "storage", "go", "runtime")


def arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=["measure", "render", "against", "clean"], default="measure")
    parser.add_argument("revision", nargs="?", default="", help="of `against`: the earlier commit")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (3)")
    parser.add_argument("--only", default=",".join(PARTS), help=f"parts to measure, of {','.join(PARTS)} (all)")
    parser.add_argument(
        "--replace", action="store_true", help="with --only: put the figures in the place of theirs in docs/, if the machine is the same"
    )
    given = parser.parse_args()
    given.only = given.only.split(",")
    unknown = sorted(set(given.only) - set(PARTS))
    if unknown:
        parser.error(f"--only: there is no {', '.join(unknown)}; choose of {', '.join(PARTS)}")
    if (given.action == "against") != bool(given.revision):
        parser.error("against takes a REVISION, and nothing else does")
    if given.rounds < 1:
        parser.error("--rounds: give 1 or more")
    return given


def measure(rounds: int, parts: list[str], replace: bool) -> Path:
    """Measure and write the documents; return the directory that they are in.

    Raises:
        BenchError: the figures of some parts are to replace others, which were measured elsewhere.
    """
    whole = set(parts) == set(PARTS)
    directory = DOCUMENTS if whole or replace else DRAFTS
    DRAFTS.mkdir(parents=True, exist_ok=True)
    file = DRAFTS / render.FIGURES
    with engine.alone():
        Measurement(file, rounds, parts).run()
    if directory != DRAFTS:
        figures = json.loads(file.read_text(encoding="utf-8"))
        if not whole:
            before = json.loads((directory / render.FIGURES).read_text(encoding="utf-8"))
            differs = [name for name in SAME if before["machine"][name] != figures["machine"][name]]
            if differs:
                raise BenchError(
                    f"docs/ has figures of another machine ({', '.join(differs)}). These are left in {DRAFTS.relative_to(ROOT)}."
                )
            figures = merged(before, figures)
        (directory / render.FIGURES).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    render.write(directory)
    return directory


def main() -> int:
    """Run one action."""
    given = arguments()
    # As the Makefile sets them: the project's own tools, and scratch files that no other checkout shares.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    os.environ.setdefault("ANSIBLE_HOME", str(ROOT / ".ansible"))
    try:
        if given.action == "clean":
            with engine.alone():
                engine.clean()
        elif given.action == "render":
            render.write(DOCUMENTS)
        elif given.action == "against":
            with engine.alone():
                print(compare(given.revision, given.rounds))
        else:
            directory = measure(given.rounds, given.only, given.replace)
            say(f"Written: {directory.relative_to(ROOT)}/{render.PAGE}, {render.PICTURE} and {render.FIGURES}")
    except BenchError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
