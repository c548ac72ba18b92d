"""Changes of `.tp` sources that often leave a program: of tokens, names, numbers, functions. Rougher ones are
those of tests.syntax.mutations."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from tests.attack import seeds
from tests.syntax.mutations import MUTATIONS

ROOT = Path(__file__).parents[2]
TOKEN = re.compile(r"\s+|#[^\n]*|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[^\W\d]\w*'?|\*\*|[<>]=|\+=|-=|.", re.DOTALL)
NAME = re.compile(r"[^\W\d]\w*'?")
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
NUMBERS = (
    "0",
    "1",
    "2",
    "3",
    "-1",
    "1/2",
    "1/3",
    "0.5",
    "1e-3",
    "1e300",
    "1e-300",
    "1e400",
    "10^20",
    "2^(-t)",
    "1e-320",
    "7",
    "100",
    "100000",
    "999999999999",
    "0.1e1",
    "00",
    "1.",
    ".5",
    "n",
    "T",
    "n^(1/2)",
    "n^(-1/2)",
    "pi",
    "e",
)
OPERATORS = ("+", "-", "*", "/", "^", "**", "@", "<", "<=", ">", ">=", "=", "+=", "~", ",", ":")
FUNCTIONS = (
    "relu",
    "step",
    "sign",
    "abs",
    "tanh",
    "sigmoid",
    "erf",
    "gelu",
    "softplus",
    "exp",
    "log",
    "sin",
    "cos",
    "sinh",
    "cosh",
    "sqrt",
    "square",
    "max",
    "min",
    "where",
    "mean",
    "sum",
    "tanh'",
    "relu'",
    "abs'",
    "exp'",
    "onehot",
    "pad",
    "outer",
    "nngp",
    "ntk",
    "adapt",
    "over",
    "polar",
    "newton_schulz",
)
WORDS = (
    "width",
    "dim",
    "input",
    "vector",
    "matrix",
    "weight",
    "bias",
    "network",
    "activation",
    "train",
    "for",
    "output",
    "program",
    "return",
    "batch",
    "loss",
    "update",
    "gradient",
    "sgd",
    "mse",
    "xent",
    "hinge",
    "logistic",
    "huber",
    "std",
    "scale",
    "lr",
    "optimizer",
    "adam",
    "adamw",
    "nadam",
    "adamax",
    "adadelta",
    "rprop",
    "rmsprop",
    "adagrad",
    "signsgd",
    "lion",
    "muon",
    "shampoo",
    "of",
    "otherwise",
    "limit",
    "eps",
    "root",
    "beta1",
    "rho",
    "eta_plus",
    "table",
    "check",
    "frozen",
    "decoupled",
    "momentum",
    "decay",
    "clip",
    "index",
    "as",
    "N",
    "xi",
    "phi",
)
LINES = (
    "output {0}",
    "output q{2} = mean({0}*{1})",
    "output q{2}[i] = {0}[i] for i < 2",
    "output q{2} = {0}({1})",
    "q{2} = tanh({0}) + {1}",
    "q{2} = {0} @ {1}",
    "q{2} = {0}.T @ {1}",
    "q{2} = n^(1/2)*mean({0}*{1})",
    "for t < T:\n    q{2}[t] = {0}[t] + {1}[t]",
    "{0} = {1}",
    "{0} += outer({1}, {1})",
    "vector q{2} : n ~ N(0, {0})",
    "matrix q{2} : n x n ~ N(0, 1/n)",
    "weight q{2} : n x n, std = {0}",
    "output q{2} = ntk({0})(1, 1)",
    "output q{2} = where({0} > {1}, {0}, {1})",
    "input q{2}[{0}]",
    "dim q{2} = 0",
    "width q{2} = n/{0}",
    "output q{2} = sum(i < 3: {0}[i]*mean({1}))",
    "output q{2} = mean({0}^({1}))",
    "output q{2} = mean(log({0})/{1})",
    "table q{2} : n x n = outer({0}, {1})",
    "table q{2}[t] : n x n = {0}[t]/(abs({1}[t]) + 1) for t < T",
    "output q{2} = mean({0}^2*{1})",
    "check {0} : {1}",
    "optimizer q{2}(a = 0.9):\n    m = a*m + g\n    return m/(abs({0}) + {1})",
    "    update lion(lr = {0}) of {1}",
    "    update adamw(lr = 0.1, eps = {0}, decay = {1}) otherwise",
    "    update muon(lr = {0}, steps = {1})",
    "    update shampoo(lr = {0}, eps = {1}, beta = {0})",
    "table q{2} : n x n = polar(outer({0}, {1}))",
)


def tokens(text: str) -> list[str]:
    return TOKEN.findall(text)


def sources() -> tuple[list[str], list[str]]:
    """The programs, those of the documents and of tests.attack.seeds, and the recorded wrong ones."""

    def read(paths: Sequence[Path]) -> list[str]:
        return [path.read_bytes().decode("utf-8", "surrogateescape") for path in sorted(paths)]

    programs = read([*(ROOT / "programs").rglob("*.tp")]) + seeds.written() + seeds.documented()
    return programs, read([*(ROOT / "tests" / "errors" / "cases").glob("*.tp")])


# of tokens


def _place(rng: Random, found: list[str], wanted: Callable[[str], bool]) -> int | None:
    places = [k for k, token in enumerate(found) if wanted(token)]
    return rng.choice(places) if places else None


def _word(token: str) -> bool:
    return not token.isspace() and not token.startswith("#")


def token(rng: Random, text: str, other: str) -> str:
    found = tokens(text)
    i = _place(rng, found, _word)
    if i is None:
        return other
    match rng.randrange(7):
        case 0:
            found[i] = ""
        case 1:
            found[i] += found[i]
        case 2:
            j = _place(rng, found, _word)
            assert j is not None
            found[i], found[j] = found[j], found[i]
        case 3:
            found[i] = rng.choice([t for t in tokens(other) if _word(t)] or ["x"])
        case 4:
            found[i] = rng.choice(WORDS + FUNCTIONS + OPERATORS + NUMBERS)
        case 5:
            found[i] = f"({found[i]})"
        case _:
            found[i] += rng.choice(
                ["[0]", "[t]", "[t+1]", "[-1]", ".T", "'", "(x)", "[0, 0]", "*", f"^{rng.choice(NUMBERS)}"]
            )
    return "".join(found)


def number(rng: Random, text: str, other: str) -> str:
    found = tokens(text)
    i = _place(rng, found, lambda t: NUMBER.fullmatch(t) is not None)
    if i is not None:
        found[i] = rng.choice(NUMBERS)
    return "".join(found)


def name(rng: Random, text: str, other: str) -> str:
    """A name of the text in the place of another one."""
    found = tokens(text)
    i, j = (_place(rng, found, lambda t: NAME.fullmatch(t) is not None) for _ in range(2))
    if i is not None and j is not None:
        found[i] = found[j]
    return "".join(found)


def function(rng: Random, text: str, other: str) -> str:
    """Another function, or one around a name."""
    found = tokens(text)
    i = _place(rng, found, lambda t: t in FUNCTIONS)
    if i is not None and rng.random() < 0.6:
        found[i] = rng.choice(FUNCTIONS)
    elif (i := _place(rng, found, lambda t: NAME.fullmatch(t) is not None and t not in WORDS)) is not None:
        found[i] = (
            f"{rng.choice(FUNCTIONS)}({found[i]}{rng.choice(['', '', ', ' + found[i], ', 0', ', 1/2, 3'])})"
        )
    return "".join(found)


def operator(rng: Random, text: str, other: str) -> str:
    found = tokens(text)
    i = _place(rng, found, lambda t: t in OPERATORS)
    if i is not None:
        found[i] = rng.choice(OPERATORS)
    return "".join(found)


def added(rng: Random, text: str, other: str) -> str:
    """A line that says something with names of the text."""
    names = sorted({t for t in tokens(text) if NAME.fullmatch(t) and t not in WORDS}) or ["x"]
    new = rng.choice(LINES).format(rng.choice(names), rng.choice(names), rng.randrange(10))
    if rng.random() < 0.7:
        return f"{text.rstrip()}\n{new}\n"
    lines = text.split("\n")
    i = rng.randrange(len(lines))
    lines.insert(i, " " * (len(lines[i]) - len(lines[i].lstrip())) + new)
    return "\n".join(lines)


def bits(rng: Random, text: str, other: str) -> str:
    raw = bytearray(text.encode("utf-8", "surrogatepass") or b" ")
    for _ in range(rng.choice([1, 1, 3])):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return raw.decode("utf-8", "surrogateescape")


SOFT = (number, name, function, operator, added, token)


def mutant(rng: Random, *, soft: bool) -> str:
    """A source with one to three changes. soft: of the kind that often leaves a program."""
    programs, wrong = SOURCES
    text = rng.choice(programs if soft or rng.random() < 0.7 else wrong)
    for _ in range(rng.choice([1, 1, 2, 3])):
        change = rng.choice(SOFT if soft else (*MUTATIONS, bits, token))
        text = change(text, rng) if change in MUTATIONS else change(rng, text, rng.choice(programs))
    return text


SOURCES = sources()
