"""Damaged files of every kind that tpc reads: data, and what runs have kept to go on from.

Of what a run has kept, nothing that is damaged is taken for good: the run that goes on ends with the bits of
one that was never interrupted, or is refused. Data have check sums in archives alone: where those are whole,
or there are none, other data are other data.
"""

from __future__ import annotations

import gzip
import json
import lzma
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.attack.damage import damage
from tests.attack.trial import Attack, Outcome, judged, through_main

DATA = (
    "width n\n"
    "dim d = 3\n"
    "input y[4], s, k[2] : index(5)\n"
    "vector v : n ~ N(0, 1)\n"
    "output psi[i] = y[i]*s*mean(v^2) for i < 4\n"
    "output o[i] = k[i]*mean(v^2) for i < 2\n"
)
TABLE = (
    "width n\n"
    "input y[4], c[4] : index(2), x[4, 2]\n"
    "vector v : n ~ N(0, 1)\n"
    "output o[i] = (y[i] + x[i, 0] + x[i, 1] + c[i])*mean(v^2) for i < 4\n"
)
NODES = (
    "width n\n"
    "dim T = 2\n"
    "input y[T] = 1, a = 1\n"
    "matrix W : n x n ~ N(0, 1/n)\n"
    "vector v : n ~ N(0, 1)\n"
    "x[0] = v\n"
    "for t < T:\n"
    "    x[t+1] = a*tanh(W @ x[t]) + y[t]*tanh(W.T @ x[t])\n"
    "output q[t] = mean(x[t+1]^2) for t < T\n"
)
KERNEL = "width n\nweight U : n x 3\nweight V : 1 x n\nnetwork f(x) = V @ relu(U @ x)\n"
RANDOM = (
    "width n\nvector V : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\ns = n^(1/2)*mean(V*tanh(v))\noutput q = s^2\n"
)
MAML = (
    "--set",
    "batches=2",
    "--set",
    "tasks=2",
    "--set",
    "validation_tasks=4",
    "--set",
    "test_tasks=4",
    "--set",
    "ways=2",
    "--set",
    "adapting_steps=2",
)


@dataclass(frozen=True)
class Reader:
    """argv: the command that reads the files. made: makes them in the working folder; those that match
    `which` are damaged. kept: whether they are what a run has kept, so that the command has to end as it does
    without them: what it shows is compared by `shown`, and files by `result`."""

    name: str
    argv: tuple[str, ...]
    made: Callable[[], None]
    which: str
    kept: bool = False
    result: str = ""
    weight: int = 1


def data() -> None:
    Path("p.tp").write_text(DATA)
    arrays: dict[str, Any] = {"y": np.array([1.0, -2, 3, 0.5]), "s": np.array(2.0), "k": np.array([1, 4])}
    np.savez("d.npz", **arrays)
    np.savez_compressed("e.npz", **arrays)
    plain, text = (
        Path("d.npz").read_bytes(),
        json.dumps({name: array.tolist() for name, array in arrays.items()}).encode(),
    )
    Path("d.json").write_bytes(text)
    for name, content in (("d.npz", plain), ("d.json", text)):
        Path(f"{name}.gz").write_bytes(gzip.compress(content))
        Path(f"{name}.xz").write_bytes(lzma.compress(content))


def table() -> None:
    Path("p.tp").write_text(TABLE)
    Path("d.csv").write_text("y,c,x[0],x[1]\n" + "".join(f"{k}.5,{k % 2},1e{k},-2\n" for k in range(4)))


def swept() -> None:
    """What a sweep has written, which another one is to write over."""
    nodes()
    for name in ("s.npz", "s.csv"):
        ran, fault = through_main((*SWEEP, "--save", name))
        assert ran.status == 0, (ran, fault)


def initial() -> None:
    Path("p.tp").write_text(RANDOM)
    np.savez("i.npz", s=np.array(0.5))


def points() -> None:
    Path("p.tp").write_text(KERNEL)
    np.save("x.npy", np.random.default_rng(0).standard_normal((5, 3)))


def drawings() -> None:
    rng = np.random.default_rng(0)
    np.savez(
        "d.npz",
        images=rng.integers(0, 256, (9, 4, 3, 3), dtype=np.uint8),
        split=np.repeat(["train", "val", "test"], 3),
    )


def corpus() -> None:
    rng = Random(0)
    Path("c.txt").write_text(
        "\n".join(
            " ".join(rng.choice(["red", "blue", "green", "sky", "sea"]) for _ in range(9)) for _ in range(60)
        )
    )
    Path("c.txt.gz").write_bytes(gzip.compress(Path("c.txt").read_bytes()))
    Path("c.txt.xz").write_bytes(lzma.compress(Path("c.txt").read_bytes()))
    Path("q.txt").write_text(": colours\nred blue green sky\nblue red sky green\n")


def begun(argv: tuple[str, ...], made: Callable[[], None]) -> Callable[[], None]:
    """What a run leaves in its folder."""

    def make() -> None:
        made()
        ran, fault = through_main(argv)
        assert ran.status == 0, (ran, fault)

    return make


def nodes() -> None:
    Path("p.tp").write_text(NODES)


def strips() -> None:
    """A kernel of which two strips of three are written."""
    points()
    from tpc import load
    from tpc.kernels.stream import stream

    def stop(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    try:
        stream(load("p.tp").kernels().ntk, np.load("x.npy"), out=Path("K.npy"), strip=2, progress=stop)
    except KeyboardInterrupt:
        return
    raise AssertionError("it was to be interrupted")


RUN = ("run", "p.tp", "--samples", "16", "--repeats", "3", "--checkpoint", "kept", "--json")
SEEDS = ("simulate", "p.tp", "--width", "6", "--seeds", "3", "--save", "k.npz", "--json")
FREE = (
    "simulate",
    "p.tp",
    "--width",
    "20",
    "--seeds",
    "3",
    "--matrices",
    "free",
    "--save",
    "k.npz",
    "--json",
)
SWEEP = ("run", "p.tp", "--samples", "16", "--repeats", "2", "--sweep", "a=1,2", "--json")
FEW = ("experiment", "maml", "--data", "d.npz", "--epochs", "2", *MAML, "--out", "kept", "--json")
WORDS = (
    "experiment",
    "word2vec",
    "--corpus",
    "c.txt",
    "--epochs",
    "1",
    "--min-count",
    "1",
    "--out",
    "kept",
    "--json",
)
ASKED = ("--questions", "q.txt", "--epochs", "1", "--min-count", "1", "--json")
STRIPS = ("kernel", "p.tp", "-x", "x.npy", "-o", "K.npy", "--strip", "2", "--json")
READERS = (
    *(
        Reader(f"data {name}", ("check", "p.tp", "--data", name, "--json"), data, name, weight=3)
        for name in ("d.npz", "e.npz", "d.npz.gz", "d.npz.xz", "d.json", "d.json.gz", "d.json.xz")
    ),
    Reader("data d.csv", ("check", "p.tp", "--data", "d.csv", "--json"), table, r"d\.csv", weight=4),
    Reader("laid out", ("fmt", "p.tp", "--json"), points, r"p\.tp"),
    *(
        Reader(f"swept {name}", (*SWEEP, "--save", name), swept, re.escape(name))
        for name in ("s.npz", "s.csv")
    ),
    Reader("initial scalars", ("run", "p.tp", "--initial", "i.npz", "--json"), initial, "i.npz"),
    Reader("inputs of a kernel", ("kernel", "p.tp", "-x", "x.npy", "-o", "K.npy", "--json"), points, "x.npy"),
    Reader("drawings", FEW, drawings, "d.npz"),
    *(
        Reader(f"text {name}", ("experiment", "word2vec", "--corpus", name, *ASKED), corpus, name)
        for name in ("c.txt", "c.txt.gz", "c.txt.xz")
    ),
    Reader("questions", ("experiment", "word2vec", "--corpus", "c.txt", *ASKED), corpus, "q.txt"),
    Reader("kept repeats", RUN, begun(RUN, nodes), r"kept/.*\.npz", kept=True, weight=6),
    Reader("kept seeds", SEEDS, begun(SEEDS, nodes), r"k\.npz", kept=True, weight=3),
    Reader("kept seeds without matrices", FREE, begun(FREE, nodes), r"k\.npz", kept=True, weight=3),
    Reader("a kernel's strips", STRIPS, strips, r"K\.npy(\.json)?", kept=True, result="K.npy", weight=4),
    Reader(
        "kept epochs", (*FEW, "--resume"), begun(FEW, drawings), r"kept/training\.npz", kept=True, weight=2
    ),
    Reader(
        "kept words", (*WORDS, "--resume"), begun(WORDS, corpus), r"kept/training\.npz", kept=True, weight=2
    ),
)


@cache
def prepared(name: str) -> tuple[Path, str]:
    """A folder with the files of a reader, made once in a process, and what the command shows of them."""
    import os

    reader = next(r for r in READERS if r.name == name)
    folder, before = Path(tempfile.mkdtemp(prefix="attack-")), Path.cwd()
    try:
        os.chdir(folder)
        reader.made()
        shutil.copytree(folder, folder / "copy")
        os.chdir(folder / "copy")
        ran, fault = through_main(reader.argv)
        assert ran.status == 0, (reader.name, ran, fault)
        found = shown(ran.out, reader)
        os.chdir(folder)
        shutil.rmtree(folder / "copy")
        return folder, found
    finally:
        os.chdir(before)


def shown(out: str, reader: Reader) -> str:
    """What is printed, but for notes and times, and what is written."""
    printed = json.loads(out)
    for name in ("notes", "meta_batches_per_second", "words_per_second"):
        printed.pop(name, None)
    written = Path(reader.result).read_bytes().hex() if reader.result else ""
    return json.dumps(printed) + written


def trial(number: int, folder: Path) -> Outcome:
    rng = Random(f"damaged {number}")
    reader = rng.choices(READERS, [r.weight for r in READERS])[0]
    return damaged(reader, rng, folder)


def damaged(reader: Reader, rng: Random, folder: Path) -> Outcome:
    whole, expected = prepared(reader.name)
    shutil.copytree(whole, folder, dirs_exist_ok=True)
    files = sorted(
        p for p in folder.rglob("*") if p.is_file() and re.fullmatch(reader.which, str(p.relative_to(folder)))
    )
    chosen = rng.choice(files)
    damage(rng, chosen)
    content: Mapping[str, str | bytes] = {chosen.name: chosen.read_bytes()}
    outcome, ran = judged(reader.argv, content)
    label = f"{reader.name}: {outcome.label.partition(': ')[2]}"
    if reader.kept and not outcome.bad and ran.status == 0:
        if shown(ran.out, reader) != expected:
            return Outcome(
                f"{reader.name}: damaged, and taken for good",
                True,
                content,
                f"{chosen}\n{ran.out}\n{expected}",
            )
        label += " with a note" if json.loads(ran.out).get("notes") else " as if nothing had been"
    return Outcome(label, outcome.bad, outcome.files, outcome.detail)


ATTACK = Attack("damaged", "damaged data and kept runs", trial, seconds=20, renewed=500)
