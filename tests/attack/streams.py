"""Closed, full and narrow streams, and folders that are absent, read-only or full, for every option that
names an output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.attack.damaged import MAML, NODES, corpus, drawings, points
from tests.attack.trial import Attack, Outcome, judged

ROOT = Path(__file__).parents[2]
FEW = ("--samples", "16", "--repeats", "2")


def nodes() -> None:
    Path("p.tp").write_text(
        NODES.replace("input y", "input \u03be").replace("y[t]", "\u03be[t]"), encoding="utf-8"
    )


# option, its ending ("" for a folder), whether numbers are to be printed all the same
OUTPUTS: tuple[tuple[Callable[[], None], tuple[str, ...], str, bool], ...] = (
    (nodes, ("run", "p.tp", *FEW, "--save"), ".npz", True),
    (nodes, ("run", "p.tp", *FEW, "--plot"), ".png", True),
    (nodes, ("run", "p.tp", *FEW, "--checkpoint"), "", False),
    (nodes, ("simulate", "p.tp", "--width", "4", "--seeds", "2", "--save"), ".npz", False),
    (nodes, ("verify", "p.tp", "--widths", "4,8", "--seeds", "2", *FEW, "--plot"), ".png", True),
    (nodes, ("graph", "p.tp", "-o"), ".svg", False),
    (nodes, ("graph", "p.tp", "-o"), ".dot", False),
    (nodes, ("compile", "p.tp", "-o"), ".py", False),
    (points, ("kernel", "p.tp", "-x", "x.npy", "-o"), ".npy", False),
    (drawings, ("experiment", "maml", "--data", "d.npz", "--epochs", "1", *MAML, "--out"), "", False),
    (
        corpus,
        ("experiment", "word2vec", "--corpus", "c.txt", "--epochs", "1", "--min-count", "1", "--out"),
        "",
        False,
    ),
)
PRINTED = (
    ("check", "p.tp"),
    ("lower", "p.tp"),
    ("derive", "p.tp"),
    ("derive", "p.tp", "--format", "latex"),
    ("scale", "p.tp"),
    ("run", "p.tp", *FEW),
    ("run", "p.tp", *FEW, "--json"),
    ("simulate", "p.tp", "--width", "4", "--seeds", "2"),
    ("compile", "p.tp", "-o", "-"),
    ("check", "absent.tp"),
    ("--version",),
    ("--help",),
    ("verify", "p.tp", "--widths", "4,8", "--seeds", "2", *FEW),
)
REDIRECTED = {
    "closed output": ">&-",
    "closed errors": "2>&-",
    "closed input": "<&-",
    "both closed": ">&- 2>&-",
    "full output": "> /dev/full",
    "full errors": "2> /dev/full",
    "both full": "> /dev/full 2> /dev/full",
    "a reader that is gone": "| true",
    "a reader of a line": "| head -1",
}
NARROW = ("ascii", "latin1", "cp1252", "utf-16", "shift_jis")


def trial(number: int, folder: Path) -> Outcome:
    rng = Random(f"streams {number}")
    return written(rng, folder) if number % 2 else printed(rng, folder)


def written(rng: Random, folder: Path) -> Outcome:
    make, argv, ending, numbers = rng.choice(OUTPUTS)
    make()
    kind = rng.choice(
        (
            "absent",
            "read-only",
            "no place for files",
            "full",
            "a folder",
            "a file for a folder",
            "a link to nowhere",
            "a name too long",
            "good",
        )
    )
    name = f"o{ending}"
    match kind:
        case "absent":
            name = f"no/where/{name}"
        case "read-only":
            Path("ro").mkdir()
            Path("ro").chmod(0o500)
            name = f"ro/{name}"
        case "no place for files":
            name = f"/proc/{name}"
        case "full":
            name = f"full{ending}"
            Path(name).symlink_to("/dev/full")
        case "a folder":
            Path(name).mkdir()
        case "a file for a folder":
            Path("f").write_text("")
            name = f"f/{name}"
        case "a link to nowhere":
            Path(name).symlink_to("no/where")
        case "a name too long":
            name = "o" * 300 + ending
    outcome, ran = judged((*argv, name, "--json"), {})
    label = f"{argv[0]} {argv[-1]} {kind}: {outcome.label.partition(': ')[2]}"
    refused = ran.status == 2
    if kind == "full" and refused and numbers and not json.loads(ran.out).keys() - {"errors"}:
        return Outcome(f"{label}, and the numbers are lost", True, outcome.files, outcome.detail)
    left = [str(p) for p in folder.rglob("*.part*")]
    if left:
        return Outcome(f"{label}, and leaves {left[0]}", True, outcome.files, outcome.detail)
    return Outcome(label, outcome.bad or (kind == "good" and refused), outcome.files, outcome.detail)


def printed(rng: Random, folder: Path) -> Outcome:
    nodes()
    argv = rng.choice(PRINTED)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
    if rng.random() < 0.35:
        where, redirected = rng.choice(NARROW), ""
        env |= {"PYTHONIOENCODING": where, "PYTHONUTF8": "0"}
    else:
        where = rng.choice(list(REDIRECTED))
        redirected = REDIRECTED[where]
    command = f'"{sys.executable}" -m tpc.cli.main {" ".join(argv)} {redirected}'
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, env=env, check=False, timeout=300
    )
    printed = done.stdout.decode(errors="replace")[:2000]
    said = f"{command}\n{where}\n{done.returncode}\n{done.stderr.decode(errors='replace')}\n{printed}"
    good = {0, 1, 2} if argv[0] == "verify" else {0, 2}
    narrow = b"Traceback" not in done.stderr + done.stdout and b"defect" not in done.stderr
    return Outcome(
        f"{argv[0]}, {where}: {done.returncode}",
        done.returncode not in good or not narrow,
        {"said.txt": said},
        said,
    )


ATTACK = Attack("streams", "streams and folders that cannot be written to", trial, seconds=30, renewed=200)
