"""Programs and their mutants through all commands of the command line, with options that anybody could think
of, and others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import tpc
from tests.attack.mutators import SOURCES, mutant
from tests.attack.trial import Attack, Outcome, judged

MOST = 60  # instructions of a program that is run: what is attacked is tpc, not the clock
PLAIN = ("check", "lower", "scale", "derive", "graph", "compile", "fmt", "explain", "examples", "new")
NUMERIC = ("run", "run", "simulate", "verify", "kernel", "corrections", "report")
ALONE = ("explain", "examples", "new")  # that take no program
VALUES = (
    "0",
    "1",
    "2",
    "-1",
    "3",
    "1/2",
    "1/0",
    "0.5",
    "1e300",
    "1e-300",
    "1e400",
    "nan",
    "inf",
    "-inf",
    "Infinity",
    "NaN",
    "",
    "x",
    "[]",
    "[1]",
    "[1, 2]",
    "[[1], [2, 3]]",
    "[1, null]",
    '"1"',
    "{}",
    "true",
    "[true]",
    "1e5",
    "10**3",
    "0x10",
    "9" * 50,
    "1" * 5000,
    "[" * 2000,
    "π",
    "½",
    "１",
)
SWEEPS = (
    "eta=0.1:1:2",
    "eta=1,2",
    "lr=0.1:10:log2",
    "eta=0:1:log3",
    "eta=1:2:0",
    "eta=",
    "y=1,2",
    "x=nan,1",
    "eta=1e400",
    "zz=1",
    "T=1,2",
    "eta=1:2:9999999",
)
SMALL = ("--samples", "16", "--repeats", "2")


def trial(number: int, folder: Path) -> Outcome:
    rng = Random(f"commands {number}")
    text = rng.choice(SOURCES[0]) if rng.random() < 0.35 else mutant(rng, soft=True)
    Path("p.tp").write_bytes(text.encode("utf-8", "surrogateescape" if _escaped(text) else "surrogatepass"))
    command = rng.choice(PLAIN if rng.random() < 0.5 or not _quick(text) else NUMERIC)
    about = [] if command in ALONE else ["p.tp"] if command == "fmt" else ["p.tp", *_settings(rng, text)]
    argv = [command, *about, *_options(rng, command), *rng.choice([[], ["--json"]])]
    if rng.random() < 0.03:
        rng.shuffle(argv)
    files: dict[str, str | bytes] = {path.name: path.read_bytes() for path in folder.iterdir()}
    outcome, _ = judged(argv, files)
    return outcome


def _escaped(text: str) -> bool:
    return any("\udc80" <= c <= "\udcff" for c in text)


def _parsed(text: str) -> tpc.Program | None:
    try:
        return tpc.parse(text)
    except Exception:  # what the command makes of it is what is looked at
        return None


def _quick(text: str) -> bool:
    program = _parsed(text)
    if program is None:
        return True
    from tpc.core.program import instructions
    from tpc.core.wellformed import instances

    return len(list(instructions(program.body))) <= MOST and instances(program.body) <= 50 * MOST


def _settings(rng: Random, text: str) -> list[str]:
    """Values of some inputs and dims, mostly such as are due; sometimes in a file."""
    program = _parsed(text)
    out: list[str] = []
    if program is not None and rng.random() < 0.85:
        data = {
            item.name: _fitting(rng, item)
            for item in program.inputs
            if item.default is None or rng.random() < 0.2
        }
        if data and rng.random() < 0.7:
            name = rng.choice(["d.json", "d.json", "d.npz", "d.csv"])
            if name == "d.csv":
                _table(rng, data)
            elif name == "d.npz":
                np.savez(
                    name, **{key: np.asarray(value) for key, value in data.items() if key.isidentifier()}
                )
            else:
                Path(name).write_text(json.dumps(data))
            out += ["--data", name]
        else:
            out += [part for key, value in data.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    for _ in range(rng.choice([0, 0, 0, 1, 2])):
        known = [item.name for item in program.inputs] if program else []
        name = rng.choice(["T", "d", "B", "N", "n", "a1", "b1", "c", "eta", "x", "zz", "", " T ", *known])
        out += ["--set", f"{name}={rng.choice(VALUES)}" if rng.random() < 0.95 else name]
    return out


def _table(rng: Random, data: Mapping[str, Any]) -> None:
    """A column for every input with one axis, and for every last index of one with two."""
    columns = {
        f"{name}[{k}]" if value.ndim == 2 else name: column
        for name, value in ((name, np.asarray(value)) for name, value in data.items())
        if value.ndim in (1, 2)
        for k, column in enumerate(value.T if value.ndim == 2 else [value])
    }
    rows = max((len(column) for column in columns.values()), default=0)
    cells = [
        [str(c[i]) if i < len(c) else rng.choice(["", "0"]) for c in columns.values()] for i in range(rows)
    ]
    lines = [list(columns), *cells]
    Path("d.csv").write_text("\n".join(",".join(line) for line in lines) + rng.choice(["", "\n", "\n\n"]))


def _fitting(rng: Random, item: Any) -> Any:
    random = np.random.default_rng(rng.randrange(1 << 30))
    if item.bound is not None:
        return random.integers(0, max(1, item.bound), item.shape).tolist()
    return (random.standard_normal(item.shape) * rng.choice([0, 1, 1, 1, 1e-6, 1e6, 1e200])).tolist()


def _options(rng: Random, command: str) -> list[str]:
    def some(*choices: list[str]) -> list[str]:
        return rng.choice([[], *choices])

    evaluation = [
        *SMALL,
        *some(["--method", rng.choice(["auto", "linear", "gram", "chaos", "nodes"])]),
        *some(["--dtype", rng.choice(["float64", "float32", "bfloat16"])]),
        *some(["--max-rank", rng.choice(["1", "3", "0"])]),
    ]
    matrices = ["--matrices", rng.choice(["free", "free", "dense", "auto"])]
    seed = some(["--seed", rng.choice(["0", "7", "999999999", "-1", "1e3", "٣"])])
    match command:
        case "lower":
            return some(
                ["--after", rng.choice(["networks", "autodiff", "updates"])],
                ["--stop-after", rng.choice(["parse", "networks", "updates", "resolve", "lower"])],
            )
        case "scale":
            exponent, value = (
                rng.choice(["a1", "b2", "c", "a99"]),
                rng.choice(["0", "1/4", "-3/2", "x", "1/0", "1e400", ""]),
            )
            return some(["--symbolic"], ["--set", f"{exponent}={value}"])
        case "derive":
            return [*some(["--format", rng.choice(["text", "latex", "json"])]), *some(["--unroll"])]
        case "graph":
            return ["-o", rng.choice(["g.dot", "g.dot", "g.svg", "g.png", "g.xyz", "no/g.svg"])]
        case "compile":
            written = ["-o", rng.choice(["m.py", "-", "no/m.py", "."])]
            stopped = ["--stop-after", rng.choice(["plan", "reorder", "emit"])]
            return [*rng.choice([written, written, stopped]), *evaluation]
        case "run":
            initial = [rng.choice(["seed=0", "zero", "integrate", "d.json", "no.npz", "seed=x"])]
            return [
                *evaluation,
                *seed,
                *some(["--initial", *initial]),
                *some(["--save", rng.choice(["s.npz", "s.csv", "no/s.npz", "."])]),
                *some(["--sweep", rng.choice(SWEEPS)]),
                *some(["--plot", rng.choice(["f.png", "f.xyz"])]),
                *some(["--checkpoint", "kept"]),
                *some(["--widths", rng.choice(["4", "4,8", "0", "x"]), "--seeds", "2"]),
                *some(["--error", rng.choice(["1", "50%", "0", "-1", "nan", "x%"])]),
            ]
        case "simulate":
            return [
                "--width",
                rng.choice(["8", "16", "1", "7"]),
                "--seeds",
                rng.choice(["2", "1"]),
                *seed,
                *some(["--save", "k.npz"]),
                *some(["--dtype", "float32"]),
                *some(matrices),
            ]
        case "verify":
            return [
                "--widths",
                rng.choice(["8,16", "4", "8,8"]),
                "--seeds",
                rng.choice(["2", "1", "4"]),
                *SMALL,
                *seed,
                *some(["--plot", "v.png"]),
                *some(matrices),
            ]
        case "corrections":
            return [
                *SMALL,
                *seed,
                *some(["--method", rng.choice(["auto", "linear", "nodes"])]),
                *some(["--signs", rng.choice(["2", "1", "0", "x"])]),
                *some(["--width", rng.choice(["64", "0", "1e3"])]),
                *some(["--within"], ["--within", rng.choice(["5%", "0%", "-1%", "nan%", "x"])]),
                *some(["--covariances"], ["--plot", rng.choice(["c.png", "c.xyz"])]),
            ]
        case "report":
            widths = rng.choice(["none", "4", "4,8", "0", "x"])
            return [
                "-o",
                rng.choice(["r.html", "r.html", "r.txt", "no/r.html"]),
                *evaluation,
                *seed,
                "--widths",
                widths,
                "--seeds",
                "2",
            ]
        case "fmt":
            return some(["--check"])
        case "explain":
            return rng.choice(
                [[], ["TP203"], ["tp203"], [f"TP{rng.randrange(1000)}"], [rng.choice(VALUES[:20])]]
            )
        case "examples":
            names = ["mlp2", "tune", "paper", "all", "no such", "../paper", "", "thm_6_4", "optimisers"]
            return [
                *rng.choice([[], [rng.choice(names)], rng.sample(names, 2)]),
                *some(["-o", rng.choice(["here", "p.tp", ".", "no/where"])]),
            ]
        case "new":
            return [
                rng.choice(["mine", "p", "p.tp", "a/b", "", ".", "ξ", "x" * 300, "1st", "a b", "-x", "for"])
            ]
        case "kernel":
            shape = rng.choice([(3, 1), (2, 2), (3, 10), (0, 3), (3,), (2, 4, 3)])
            inputs = np.random.default_rng(rng.randrange(1 << 30)).standard_normal(shape)
            np.save("x.npy", inputs.astype(rng.choice(["f8", "f4", "i4", "?"])))
            return [
                "-x",
                "x.npy",
                "-o",
                "K.npy",
                *some(["-z", "x.npy"]),
                *some(["--kind", "nngp"]),
                *some(["--strip", "1"]),
                *some(["--dtype", "float32"]),
            ]
    return []


ATTACK = Attack("commands", "programs and mutants through all commands", trial, seconds=40, renewed=150)
