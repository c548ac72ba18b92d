"""The share of random mutants of the compiler that its tests notice, by room.

    python -m tests.bench.mutation [--count 300] [--seed 0] [--rooms plan gram] [--processes 1] [--limit 120]

A mutant is the tree with one small change to one file: an operator exchanged, a constant changed, a
comparison flipped, a statement deleted, a condition negated, two arguments exchanged. Each is made in a copy
in a temporary folder, where the tests that belong to its room (`TESTS`) run until one fails; or, given a run
of the tests with coverage (`--coverage`, `--times`: `tests/bench/executed.py`), those of all tests that
execute the line. One that takes much longer than the same tests do without a change is killed and counts as
noticed.

Mutants are drawn in turn from the rooms, in an order that `--seed` fixes, and their results are kept in
`--results`, one a line: the command given again goes on where it stopped. Survivors are listed at the end.
"""

import argparse
import compileall
import dataclasses
import functools
import itertools
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.bench.executed import Executed
from tests.bench.mutants import Mutant, drawn

ROOT = Path(__file__).parents[2]
COPIED = ("tpc", "tests", "programs", "README.md", "pyproject.toml")
RECORDED = "tests/emit/test_modules.py::test_text_is_as_recorded"
SLOW_OF_EMIT = ("test_blocks", "test_claims", "test_modules", "test_standard_errors", "test_structures")


def of(room: str, *slow: str) -> list[str]:
    """The files of a folder of tests that are not slow."""
    files = sorted((ROOT / "tests" / room).glob("test_*.py"))
    return [str(file.relative_to(ROOT)) for file in files if file.stem not in slow]


TESTS = {  # the tests of a room, cheap ones first; slow ones that notice little more are left out
    "core": (
        "tests/derive/test_show.py",
        RECORDED,
        "tests/lower/test_lower.py",
        "tests/show",
        *of("core", "test_expr"),
        "tests/errors/test_errors.py::test_message[TP505_data]",
    ),
    "expand": ("tests/expand", "tests/lower/test_powers.py", RECORDED, "tests/scaling/test_theorems.py"),
    "scaling": (
        "tests/scaling/test_sizes.py",
        "tests/scaling/test_theorems.py",
        "tests/scaling/test_scale.py",
        "tests/scaling/test_scores.py",
        "tests/scaling/test_verdict_text.py",
        "tests/scaling/test_recorded_scales.py",
    ),
    "derive": (
        "tests/derive/test_recorded_limits.py",
        "tests/derive/test_show.py",
        "tests/derive/test_latex_blocks.py",
        "tests/derive/test_rules.py",
        "tests/derive/test_closed.py",
        "tests/depth/test_depth.py::test_many_products_with_one_matrix_have_one_law",
    ),
    "gram": (
        RECORDED,
        *(f"tests/gram/test_{name}.py" for name in ("recorded_covariances", "labels", "monomials")),
        *(f"tests/gram/test_{name}.py" for name in ("pairings", "cuts", "gaps", "rolled")),
    ),
    "plan": (
        RECORDED,
        "tests/plan/test_recorded_plans.py",
        "tests/plan/test_stages.py",
        "tests/plan/test_support.py",
        *of("plan", "test_chaos"),
    ),
    "emit": (
        RECORDED,
        "tests/emit/test_recorded_bodies.py",
        "tests/emit/test_packed.py",
        *of("emit", *SLOW_OF_EMIT),
    ),
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a mutant.

    verdict: "killed", "hung" or "survived"
    seconds: how long its tests took
    test: the one that failed, or the empty text
    """

    verdict: str
    seconds: float
    test: str


@dataclasses.dataclass
class Bench:
    """A copy of the tree in which mutants are tried one after the other.

    folder: where the copy stands
    compiled: where what XLA has compiled is kept, for all benches
    """

    folder: Path
    compiled: Path

    @classmethod
    def make(cls, folder: Path, compiled: Path, root: Path = ROOT) -> "Bench":
        left_out = shutil.ignore_patterns("__pycache__", ".hypothesis", ".*_cache")
        for source in (root / name for name in COPIED):
            if source.is_dir():
                shutil.copytree(source, folder / source.name, ignore=left_out)
            elif source.exists():
                shutil.copy2(source, folder / source.name)
        compileall.compile_dir(folder / "tpc", quiet=1)
        return cls(folder, compiled)

    def attempt(self, mutant: Mutant, tests: Sequence[str], limit: float) -> Outcome:
        """Run tests on a mutant; the copy is as before afterwards."""
        file = self.folder / mutant.path
        source, times = file.read_bytes(), file.stat()
        file.write_bytes(mutant.apply(source))
        try:
            return self.run(tests, limit)
        finally:
            file.write_bytes(source)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    def run(self, tests: Sequence[str], limit: float) -> Outcome:
        """Run tests until one fails, in a group of processes of their own, which ends with them."""
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            "--tb=no",
            f"@{self.listed(tests)}",
        ]
        start = time.perf_counter()
        with subprocess.Popen(
            command,
            cwd=self.folder,
            env=os.environ | self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,  # of the same session, so that being nice is of use
        ) as process:
            try:
                output, _ = process.communicate(timeout=limit)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return Outcome("hung", time.perf_counter() - start, "")
        failed = [line.split()[1] for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
        verdict = "survived" if process.returncode == 0 else "killed"
        return Outcome(verdict, time.perf_counter() - start, "".join(failed[:1]))

    def listed(self, tests: Sequence[str]) -> Path:
        """A file that names them: they may be more than a command line holds."""
        there = [test for test in tests if (self.folder / test.split("::")[0]).exists()]
        file = self.folder / "chosen_tests.txt"
        file.write_text("\n".join(there), encoding="utf-8")
        return file

    def environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(self.folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "JAX_COMPILATION_CACHE_DIR": str(self.compiled),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }


def room_of(mutant: Mutant) -> str:
    return Path(mutant.path).parts[1]


def chosen_for(mutant: Mutant, executed: Executed | None, most: float) -> Sequence[str]:
    """The tests that execute it, in `most` seconds; those of its room if none do, or if that is not known."""
    lines = range(mutant.line, mutant.line + mutant.before.count("\n") + 1)
    able = [] if executed is None else executed.tests(mutant.path, lines, most)
    return able or TESTS[room_of(mutant)]


def trial(
    task: tuple[Mutant, Sequence[str]], place: Path, limits: dict[str, float]
) -> tuple[Mutant, Outcome]:
    """Try tests on a mutant, on the bench of this process."""
    mutant, tests = task
    return mutant, own_bench(place, os.getpid()).attempt(mutant, tests, limits[room_of(mutant)])


@functools.cache
def own_bench(place: Path, process: int) -> Bench:
    """That of a process: forked ones must not share what others have made."""
    return Bench.make(Path(tempfile.mkdtemp(dir=place)), place / "compiled")


def time_limits(rooms: Sequence[str], place: Path, least: float, results: Path) -> dict[str, float]:
    """How long the tests of each room may take: thrice what they take without a change, which is measured
    once, and a little more."""
    known = read(results)
    for room in rooms:
        if room not in known:
            outcome = own_bench(place, os.getpid()).run(TESTS[room], 10 * least)
            if outcome.verdict != "survived":
                raise SystemExit(f"the tests of {room} fail without a mutant: {outcome}")
            keep(results, known, {"key": room, **dataclasses.asdict(outcome)})
            print(f"{room:8s} without a change: {outcome.seconds:.0f} s", flush=True)
    return {room: max(least, 3 * known[room]["seconds"] + 20) for room in rooms}


def keep(results: Path, known: dict[str, dict[str, Any]], line: dict[str, Any]) -> None:
    with results.open("a", encoding="utf-8") as file:
        print(json.dumps(line, ensure_ascii=False), file=file)
    known[line["key"]] = line


def read(results: Path) -> dict[str, dict[str, Any]]:
    if not results.exists():
        return {}
    lines = map(json.loads, results.read_text(encoding="utf-8").splitlines())
    return {line["key"]: line for line in lines}


def report(lines: Sequence[dict[str, Any]]) -> str:
    """The share noticed by room, and the survivors."""
    text = []
    for room in sorted({line["room"] for line in lines}):
        own = [line for line in lines if line["room"] == room]
        noticed = sum(line["verdict"] != "survived" for line in own)
        text.append(f"{room:8s} {noticed:4d} of {len(own):4d} noticed ({100 * noticed / len(own):.0f} %)")
    survivors = [line for line in lines if line["verdict"] == "survived"]
    text.append(f"all      {len(lines) - len(survivors):4d} of {len(lines):4d} noticed")
    text += [
        f"{line['path']}:{line['line']} ({line['kind']})\n    {line['before']}\n  → {line['after']}"
        for line in survivors
    ]
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rooms", nargs="+", choices=TESTS, default=list(TESTS))
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds that every mutant has at least")
    parser.add_argument("--coverage", type=Path, help="coverage.py's file of a run of the tests")
    parser.add_argument("--times", type=Path, help="JUnit's XML of that run")
    parser.add_argument("--results", type=Path, default=Path("mutation.jsonl"))
    options = parser.parse_args()
    if (options.coverage is None) != (options.times is None):
        parser.error("--coverage and --times are of one run, and given together")
    chosen = list(itertools.islice(drawn(options.rooms, options.seed), options.count))
    known = read(options.results)
    waiting = [mutant for mutant in chosen if mutant.key not in known]
    with tempfile.TemporaryDirectory(prefix="tpc-mutants-") as name:
        place = Path(name)
        rooms = sorted(set(map(room_of, waiting)))
        if options.coverage:
            executed, limits = (
                Executed(options.coverage, options.times),
                dict.fromkeys(rooms, 3 * options.limit),
            )
        else:
            executed, limits = None, time_limits(rooms, place, options.limit, options.results)
        tasks = [(mutant, chosen_for(mutant, executed, options.limit)) for mutant in waiting]
        tried = functools.partial(trial, place=place, limits=limits)
        with multiprocessing.get_context("fork").Pool(options.processes) as pool:
            for mutant, outcome in pool.imap_unordered(tried, tasks):
                line = dataclasses.asdict(mutant) | dataclasses.asdict(outcome)
                keep(options.results, known, {"key": mutant.key, "room": room_of(mutant), **line})
                print(
                    f"{outcome.verdict:8s} {outcome.seconds:4.0f} s {mutant.path}:{mutant.line}", flush=True
                )
    print(report([known[mutant.key] for mutant in chosen]))


if __name__ == "__main__":
    main()
