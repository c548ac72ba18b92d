"""Mutated programs: shipped ones with a few characters, words, lines or numbers changed, as a typing error or
an attacker would."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

ROOT = Path(__file__).parents[2]
SOURCES = [
    path.read_text(encoding="utf-8")
    for path in (
        *sorted((ROOT / "programs").glob("*/*.tp")),
        *sorted((ROOT / "tests" / "emit" / "structures").glob("*.tp")),
    )
]
WORD = re.compile(r"[^\W\d]\w*|\d+(?:\.\d+)?|\S")
NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?")
UNICODE = (
    "\u0000",
    "\u00a0",
    "\u200b",
    "\u202e",
    "\ufeff",
    "\u2028",
    "\u0301",
    "\x0c",
    "\x0b",
    "\x85",
    "\ud800",
    "\U0001f600",
    "²",
    "¹⁰",
    "⊤",
    "ᵀ",
    "ϕ",
    "ﬁ",
    "Ⅷ",
    "١",
    "½",
    "−",
    "·",
    "≤",
    "∞",
    "′",
    "“",
    "$",
    "`",
    "\\",
    "\t",
    "\r",
    '"""',
    "K",
    "ß",
    "º",
)
NUMBERS = (
    "0",
    "-1",
    "1e300",
    "1e-300",
    "1e999",
    "9" * 70,
    "1e99999",
    "10^10^10^10",
    "2^-2^70",
    "(1/0)",
    "0.1",
    "1/3",
    "1_000",
    "0x10",
    "1.",
    ".5",
    "1e",
    "2.5",
)
SIZES = (
    "0",
    "1",
    "-3",
    "64",
    "100000",
    "1000000000",
    "10^9",
    "10^18",
    "10^10^10^10",
    "9" * 40,
    "2^31",
    "2^63",
    "T",
    "T*T",
    "1.5",
)
LINES = (
    "for t < 10000:",
    "output x",
    "width n",
    "    x[t+1] = x[t]",
    "dim T = 10^9",
    "def φ(s) = φ(s)",
    "def φ(s):\n    return s'",
    "output q = mean(exp(exp(exp(V0))))",
    "input ξ[i < 3, j < i]",
    "x[i, j, k] = 1 for i < 1000 for j < 1000 for k < 1000",
    "matrix W : n x 3 ~ N(0, -1)",
)


def characters(text: str, random: Random) -> str:
    """A run of characters dropped, doubled, moved, or replaced by another part of the text."""
    a = random.randrange(len(text) + 1)
    b = min(len(text), a + random.choice((1, 1, 1, 2, 5, 40)))
    c = random.randrange(len(text) + 1)
    piece = random.choice(
        ("", text[a:b] * 2, text[a:b][::-1], text[c : c + 5], random.choice("()[]{}'.,:=<>~@^*/+-# \n0a_\""))
    )
    return text[:a] + piece + text[b:]


def words(text: str, random: Random) -> str:
    """A word or sign dropped, doubled, swapped with the next, or replaced by one from a program."""
    found = list(WORD.finditer(text))
    if len(found) < 2:
        return text
    k = random.randrange(len(found) - 1)
    a, b = found[k], found[k + 1]
    between = text[a.end() : b.start()]
    other = random.choice(WORD.findall(random.choice(SOURCES)))
    new = random.choice(
        (
            b[0],
            a[0] + " " + a[0] + between + b[0],
            b[0] + between + a[0],
            other + between + b[0],
            f"({a[0]}){between}{b[0]}",
        )
    )
    return text[: a.start()] + new + text[b.end() :]


def names(text: str, random: Random) -> str:
    """A name or number replaced by another one of the same text: what still parses, but means something
    else."""
    found = [m for m in WORD.finditer(text) if m[0][0].isalnum()]
    return (
        _replaced(
            text,
            re.compile(rf"(?<!\w){re.escape(random.choice(found)[0])}(?!\w)"),
            random.choice(found)[0],
            random,
        )
        if found
        else text
    )


def lines(text: str, random: Random) -> str:
    """A line dropped, doubled, swapped, indented otherwise, or taken from another program."""
    split = text.split("\n")
    a, b = random.randrange(len(split)), random.randrange(len(split))
    match random.randrange(6):
        case 0:
            del split[a]
        case 1:
            split.insert(b, split[a])
        case 2:
            split[a], split[b] = split[b], split[a]
        case 3:
            split[a] = random.choice(("", " ", "    ", "\t", "        ")) + split[a].lstrip()
        case 4:
            split.insert(a, random.choice(random.choice(SOURCES).split("\n")))
        case _:
            split.insert(a, random.choice(("", "    ")) + random.choice(LINES))
    return "\n".join(split)


def letters(text: str, random: Random) -> str:
    """An odd character somewhere."""
    a = random.randrange(len(text) + 1)
    return text[:a] + random.choice(UNICODE) + text[a + random.randrange(2) :]


def numbers(text: str, random: Random) -> str:
    """A number replaced by an odd one."""
    return _replaced(text, NUMBER, random.choice(NUMBERS), random)


def sizes(text: str, random: Random) -> str:
    """A dim or an extent replaced by a huge or impossible one."""
    return _replaced(text, re.compile(r"(?<=< )[\w+*]+|(?<=[TdNBkKL] = )\d+"), random.choice(SIZES), random)


def _replaced(text: str, pattern: re.Pattern[str], new: str, random: Random) -> str:
    found = list(pattern.finditer(text))
    if not found:
        return text
    at = random.choice(found)
    return text[: at.start()] + new + text[at.end() :]


def nesting(text: str, random: Random) -> str:
    """A word inside many brackets, under many signs or powers, or blocks in blocks."""
    deep = random.choice((2, 20, 58, 100, 1000, 10_000))
    match random.randrange(5):
        case 0:
            return _wrapped(text, random, "(" * deep, ")" * random.choice((deep, deep - 1)))
        case 1:
            return _wrapped(text, random, "-" * deep, "")
        case 2:
            return _wrapped(
                text, random, random.choice(("tanh(", "mean(", "relu'(", "sum(s < 3: ")) * deep, ")" * deep
            )
        case 3:
            return _wrapped(
                text, random, "", random.choice(("^2", "[0]", "'", ".T", " + 1", " @ W", "*2")) * deep
            )
    return (
        text
        + "".join(" " * i + f"for a{i} < 2:\n" for i in range(min(deep, 300)))
        + " " * min(deep, 300)
        + "z = 1\n"
    )


def _wrapped(text: str, random: Random, before: str, after: str) -> str:
    found = list(WORD.finditer(text))
    at = random.choice(found) if found else None
    return text[: at.start()] + before + at[0] + after + text[at.end() :] if at else before + after


MUTATIONS: tuple[Callable[[str, Random], str], ...] = (
    characters,
    words,
    words,
    names,
    names,
    names,
    lines,
    lines,
    letters,
    numbers,
    sizes,
    nesting,
)


def mutated(seed: int) -> str:
    """One program, changed in one to four places."""
    random = Random(seed)
    text = random.choice(SOURCES)
    for _ in range(random.choice((1, 1, 2, 4))):
        text = random.choice(MUTATIONS)(text, random)
    return text
