"""Sizes of powers and functions: of what is untouched by training, of its change, and of itself."""

from dataclasses import dataclass
from fractions import Fraction

import pytest

import tpc
from tpc.core.exponent import Exponent
from tpc.scaling.equations import circuit
from tpc.scaling.open_exponents import NotWrittenError, Open
from tpc.scaling.sizes import Env, Numbers, PowerSize, SizeNode, Sizes
from tpc.scaling.training_sizes import at_first


@dataclass(frozen=True)
class Given(SizeNode):
    known: Sizes

    def sizes(self, env):
        return self.known


@pytest.mark.parametrize(
    ("k", "sizes", "expected"),
    [
        (2, (1, 0, 1), (2, 1, 2)),  # (n + 1)² − n² = 2n + 1
        (2, (None, 1, 1), (None, 2, 2)),
        (Fraction(1, 2), (2, 1, 2), (1, 0, 1)),  # √(n² + n) − n → 1/2
        (-1, (1, 0, 1), (-1, -2, -1)),  # 1/(n + 1) − 1/n = −1/(n² + n)
        (-1, (0, 1, 1), (0, 0, 0)),  # 1/(1 + n) − 1 → −1
        (Fraction(-1, 2), (2, 1, 2), (-1, -2, -1)),
        (-1, (None, 1, 1), (None, -1, -1)),
    ],
)
def test_powers(k, sizes, expected):
    found = PowerSize(Given(Sizes(*sizes)), Fraction(k)).sizes(Env(Numbers({}), {}, {}))
    assert found == expected


@pytest.mark.parametrize(
    ("text", "sizes", "expected"),
    [
        ("exp(-x^2)", (1, 1, 1), (0, 0, 0)),  # at most 1, however large x is
        ("exp(-2*x^4)", (0, -1, 0), (0, -1, 0)),
        ("exp(2*x^2)", (0, 1, 1), (0, 2, 2)),  # in the scale of its argument
        ("exp(-x)", (0, 1, 1), (0, 1, 1)),
        ("exp(x)", (0, 1, 1), (0, 1, 1)),
        ("gelu(2*x)", (-1, 1, 1), (-1, 1, 1)),
        ("softplus(2*x)", (-1, 1, 1), (0, 1, 1)),
        ("tanh(2*x)", (-1, 1, 1), (-1, 0, 0)),
        ("tanh(x^2)", (-1, -2, -1), (-2, -3, -2)),
        ("cos(2*x)", (-1, -1, -1), (0, -1, 0)),
        ("log(x)", (1, 0, 1), (0, -1, 0)),  # log(n + 1) − log(n) → 1/n
        ("log(x)", (0, 1, 1), (0, 0, 0)),
        ("log(2*x)", (1, -1, 1), (0, -2, 0)),
        ("step(x)", (1, 0, 1), (0, -1, 0)),
        ("step(2*x)", (0, 1, 1), (0, 0, 0)),
        ("where(x > 3, 3/x, 1)", (1, 1, 1), (-1, -1, -1)),  # as clipping does
        ("where(x > 3, 3/x, 1)", (1, None, 1), (-1, None, -1)),
        ("where(x > 3, x, 2)", (1, 1, 1), (1, 1, 1)),
        ("where(x > 3, x, 1)", (1, 1, 1), (1, 1, 1)),
        ("where(x < 3, 3/x, 1)", (1, 1, 1), (0, 0, 0)),
    ],
)
def test_functions(text, sizes, expected):
    program = tpc.parse(f"width n\nvector x : n ~ N(0, 1)\ny = {text}\noutput m = mean(y)\n")
    nodes = {d.family: d.node for d in circuit(program).definitions}
    assert nodes["y"].sizes(Env(Numbers({}), {"x": Sizes(*sizes)}, {})) == expected


@pytest.mark.parametrize(
    ("body", "size"),
    [
        ("x", "-1/2"),  # 0 by symmetry
        ("x^2", 0),
        ("x^3", "-1/2"),
        ("x^2*u", "-1/2"),
        ("x*u", "-1/2"),
        ("x^2*u^2", 0),
        ("tanh(x)", "-1/2"),
        ("cos(x)", 0),
        ("x*sign(x)", 0),
        ("x + 1", 0),
        ("relu(x)", 0),
        ("u*relu(x)", "-1/2"),
        ("y*x", "-1/2"),  # y = W x, and W is odd
        ("y^2", 0),
        ("z", "-1/2"),  # of the law N(0, 1) as u, of two that belong together
        ("z*w", 0),
        ("v", 0),  # has a mean
    ],
)
def test_means_that_are_0_by_symmetry_at_first(body, size):
    program = tpc.parse(
        "width n\nvector x : n ~ N(0, 1)\nvector u : n ~ N(0, 1)\nvector v : n ~ N(1, 1)\n"
        "vector (z, w) : n ~ N([0, 0], [[1, 1/2], [1/2, 1]])\nmatrix W : n x n ~ N(0, 1/n)\n"
        f"y = W @ x\nm = mean({body})\noutput q = m\n"
    )
    assert at_first(circuit(program), Numbers({}))["m"].full == Fraction(size)


def test_sizes_at_first_are_done_when_nothing_grows():
    """A chain is sized in one sweep, and one more sees that."""
    chain = "\n".join(f"x{k + 1} = tanh(x{k})" for k in range(9))
    found = circuit(tpc.parse(f"width n\nvector x0 : n ~ N(0, 1)\n{chain}\noutput m = mean(x9)\n"))
    sized = []
    at_first(found, Numbers({}), lambda name, sizes: (sized.append(name), sizes)[1])
    assert len(sized) == 2 * len(found.definitions)


def test_the_smaller_of_two_open_sizes_is_what_the_facts_say():
    a, b, c = (frozenset({Exponent.var(name)}) for name in "abc")
    algebra = Open()
    algebra.facts = {Exponent.var("a") - Exponent.var("b")}  # a − b ≤ 0
    assert algebra.smaller(a, b) == algebra.smaller(b, a) == a
    assert algebra.smaller(a | c, b | c) == a | c
    assert algebra.smaller(a, None) is algebra.smaller(None, a) is None
    for x, y in ((a, c), (c, a), (a | c, b)):
        with pytest.raises(NotWrittenError):
            algebra.smaller(x, y)
