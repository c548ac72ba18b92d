"""Loops in loops that read this round, rounds before, and other rounds of the loop around: rolled and
unrolled they give the same numbers.

A few programs in the suite; `TPC_RANDOM=300 pytest tests/emit/test_nests.py` runs 300.
"""

import os
import random

import numpy as np
import pytest

import tpc

COUNT = int(os.environ.get("TPC_RANDOM", "8"))


class Nest:
    """Chains x[a, b], a the variable of the outer loop: every round of the inner loop makes a step of one, h
    of it, and a mean."""

    def __init__(self, seed):
        self.choice = (r := random.Random(seed)).choice
        self.outer, self.inner = self.choice([("t", "i"), ("i", "t")])
        self.rounds = r.randint(2, 3)
        self.steps = self.choice(["2", "3", f"{self.outer} + 1"])
        self.swapped = self.choice([False, True])

    def member(self, name, a, b):
        return f"{name}[{b}, {a}]" if self.swapped else f"{name}[{a}, {b}]"

    def read(self):
        """A member, or a sum of members, that is made by the time that this round's h is."""
        a, b, m = self.outer, self.inner, self.member
        earlier = self.steps if self.steps.isdigit() else "q + 1"
        return self.choice(
            [
                "u",
                f"y[{a}]",
                m("h", a, b),
                m("x", a, b),
                m("x", a, "0"),
                f"sum(r < {b}: {m('h', a, 'r')})",
                f"sum(r < {b} + 1: {m('x', a, 'r')})",
                f"sum(q < {a}: {m('h', 'q', '0')})",
                f"sum(q < {a}: {m('x', 'q', earlier)})",
                f"sum(q < {a}: sum(r < {earlier}: {m('h', 'q', 'r')}))",
                *[f"sum(q < {a}: {m(name, 'q', b)})" for name in "hx" if self.steps.isdigit()],
            ]
        )

    def text(self):
        a, b, m = self.outer, self.inner, self.member
        last = self.steps if self.steps.isdigit() else str(self.rounds)
        shown = self.choice(["", f"output last[k] = mean({m('x', self.rounds - 1, 'k')}*u) for k < {last}\n"])
        return f"""width n
vector u : n ~ N(0, 1)
vector y[i < 4] : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
for {a} < {self.rounds}:
    {m("x", a, "0")} = {self.choice(("u", f"y[{a}]"))}
    for {b} < {self.steps}:
        {m("h", a, b)} = {self.choice(("W @ ", "2*", "W.T @ "))}{m("x", a, b)}
        {m("x", a, f"{b} + 1")} = {self.read()} + {self.read()}/2
        {m("c", a, b)} = mean(({m("x", a, f"{b} + 1")} + {self.read()})*{self.read()})
    z[{a}] = mean({m("x", a, self.steps)}*{self.choice(("u", "y[0]", m("x", "0", "1")))})
output z
output means[k] = {m("c", self.rounds - 1, "k")} for k < {last}
{shown}"""


@pytest.mark.parametrize("seed", range(COUNT))
def test_rolled_and_unrolled_agree(seed):
    program = tpc.parse(Nest(seed).text())
    rolled, flat = (p.compile(method="linear")() for p in (program, program.unroll()))
    for name, outcome in rolled.outputs.items():
        np.testing.assert_allclose(outcome.value, flat[name].value, rtol=1e-12, atol=1e-13, err_msg=name)


def test_products_of_all_rounds_are_named_by_what_is_outside():
    """Names are for readers: of a batch that is multiplied at once the index of the step, not the batch's."""
    program = tpc.parse("""width n
vector u[i < 3] : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
for i < 3:
    x[0, i] = tanh(u[i])
for t < 4:
    for i < 3:
        h[t, i] = W @ x[t, i]
    for i < 3:
        x[t+1, i] = tanh(h[t, i])
output m[t, i] = mean(h[t, i]*u[0]) for t < 4 for i < 3
""")
    assert "h_t, W = product_all(W, (), x_t)" in program.compile(method="nodes").source
