"""python -m tests.attack mutants|commands|damaged|hostile|streams|kills|programs --count N [--from K]
[--processes P] [--folder build/attack]

Counts by outcome, the slowest and the largest trial are printed; what tpc is to blame for is kept in the
folder, one folder each, with all that is needed to do it again. Trials are drawn from their numbers alone. A
command that was stopped goes on where it was; the exit status is 1 if any was bad.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.attack import pool
from tests.attack.attacks import ATTACKS


def main() -> int:
    options = argparse.ArgumentParser(
        prog="python -m tests.attack",
        description="; ".join(f"{name}: {a.what}" for name, a in ATTACKS.items()),
    )
    options.add_argument("attack", choices=ATTACKS)
    options.add_argument("--count", type=int, required=True, help="trials")
    options.add_argument("--from", type=int, default=0, dest="first", help="the number of the first one")
    options.add_argument("--processes", type=int, default=1)
    options.add_argument("--folder", type=Path, default=Path("build/attack"), help="what is noted and found")
    options.add_argument(
        "--only", action="store_true", help="one trial, FROM, in this process, with all that it says"
    )
    chosen = options.parse_args()
    attack = ATTACKS[chosen.attack]
    if chosen.only:
        outcome, seconds, memory = pool.tried(attack, chosen.first, chosen.folder.resolve() / "only")
        print(f"{outcome.label}\n{outcome.detail}\n{seconds:.1f} s, {memory / 1e6:.0f} MB")
        return int(outcome.bad)
    journal = pool.run(
        attack, range(chosen.first, chosen.first + chosen.count), chosen.folder.resolve(), chosen.processes
    )
    print(journal)
    return int(any(note.bad for note in journal.notes.values()))


if __name__ == "__main__":
    raise SystemExit(main())
