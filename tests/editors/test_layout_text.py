"""`tpc fmt`: one layout, in which a program is the same, comments are kept, and nothing changes twice."""

import random
import re
from pathlib import Path

import pytest

import tpc
from tests.syntax.mutations import mutated
from tpc.editors.layout_text import laid_out
from tpc.syntax.highlight import TextKind, pieces
from tpc.syntax.parse import parse_file

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted((ROOT / "programs").rglob("*.tp"))
EXAMPLES = re.findall(
    r"```tp\n(.*?)```", (ROOT / "programs/README.md").read_text(encoding="utf-8"), re.DOTALL
)
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in PROGRAMS}
TEXTS |= {f"example {k}": text for k, text in enumerate(EXAMPLES)}


def ragged(text, seed):
    """The same program with other spaces, indentation, blank lines, and comments of its own."""
    rng = random.Random(seed)
    step = rng.choice([1, 2, 3, 8])
    lines = [""] * rng.randrange(3)
    depth = 0
    for line in text.split("\n"):
        indent = len(line) - len(line.lstrip(" "))
        around = "" if not depth else " "
        made = ""
        for piece in pieces(line.strip()):
            if piece.kind is TextKind.SPACE:
                made += " " * rng.randrange(1, 4)
            elif piece.text in ("*", "+", "=", ",", "@", "<"):
                made += " " * rng.randrange(3) + piece.text + " " * rng.randrange(3)
            else:
                made += piece.text
            depth += (piece.text in "([") - (piece.text in ")]")
        lines.append((around or " " * (indent // 4 * step)) + made + " " * rng.randrange(2))
        if rng.random() < 0.2 and not depth and line.strip():
            lines += rng.choice([[""], ["", "", ""], ["   # a comment"], ["\t"]])
    return "\n".join(lines)


@pytest.mark.parametrize("name", TEXTS)
def test_a_program_laid_out_is_the_same(name):
    text = TEXTS[name]
    made = laid_out(text, name)
    assert laid_out(made, name) == made
    assert made == text
    for seed in range(3):
        other = ragged(text, seed)
        assert parse_file(other, name) == parse_file(text, name)
        again = laid_out(other, name)
        assert laid_out(again, name) == again
        assert parse_file(again, name) == parse_file(text, name)

        def comments(source):
            return [p.text.rstrip() for p in pieces(source) if p.kind is TextKind.COMMENT]

        assert comments(again) == comments(other)
        code = [line.split("#")[0].rstrip() for line in again.split("\n")]
        plain = [line.split("#")[0].rstrip() for line in text.split("\n")]
        if not any("(" in line and ")" not in line for line in plain):  # lines in brackets keep their columns
            assert [line for line in code if line] == [line for line in plain if line]


@pytest.mark.parametrize("path", PROGRAMS[::6], ids=lambda path: path.stem)
def test_it_lowers_to_the_same_program(path):
    text = path.read_text(encoding="utf-8")
    assert tpc.parse(laid_out(ragged(text, 7), "p"), name=path.stem) == tpc.parse(text, name=path.stem)


CASES = """
a=b+ c*- d^ -2           | a = b + c*-d^-2
x[ t+1 ]=W.T@( y [t]-z)  | x[t+1] = W.T @ (y[t] - z)
g[i,j]=mean( u*v )for i<k for j<k | g[i, j] = mean(u*v) for i < k for j < k
v [t+1]=-x ' (s)         | v[t+1] = -x'(s)
s=sum( i<k,j<k :x[i , - j+1] ) | s = sum(i < k, j < k: x[i, -j+1])
y=x ²+A⊤ @z              | y = x² + A⊤ @ z
b = where(a<= 1,2,- 3 )  | b = where(a <= 1, 2, -3)
c = f.h ( x ) [ k ]      | c = f.h(x)[k]
d=(1) .T                 | d = (1).T
W+=-eta*outer( a,b )     | W += -eta*outer(a, b)
e=2 ** 3**- x·y          | e = 2**3**-x·y
x = 1 # c                | x = 1  # c
x = 1          # c       | x = 1          # c
"""


@pytest.mark.parametrize("case", CASES.strip().split("\n"))
def test_spaces(case):
    given, _, wanted = (part.rstrip() for part in case.partition(" |"))
    assert laid_out(given, "case") == wanted.removeprefix(" ") + "\n"


def test_blocks_and_comments():
    text = (
        "\n\n# first\nwidth   n\n\n\n\nfor t<3 :\n  # inside\n  x[t]=1\n   # deep\n  for s<2:\n"
        "          y[t,s]=(a+\n                   b)\n  # between\n# out\nz=2\n   # last\n"
    )
    assert laid_out(text, "case") == (
        "# first\nwidth n\n\nfor t < 3:\n    # inside\n    x[t] = 1\n    # deep\n    for s < 2:\n"
        "        y[t, s] = (a +\n                 b)\n    # between\n# out\nz = 2\n# last\n"
    )
    assert laid_out("width n\r\nx = 1\r", "case") == "width n\nx = 1\n"
    assert laid_out("", "case") == ""


def test_what_does_not_parse_is_refused():
    with pytest.raises(tpc.TpcError):
        laid_out("width n\nx = (1\n", "case")


def test_mutants_are_refused_or_stay_what_they_are():
    """Odd letters of all kinds among them; `laid_out` itself compares the trees."""
    done = 0
    for seed in range(150):
        try:
            made = laid_out(mutated(seed), "mutant")
        except tpc.TpcError:
            continue
        assert laid_out(made, "mutant") == made
        done += 1
    assert done > 20
