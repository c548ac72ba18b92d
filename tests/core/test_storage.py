"""Where members are kept: what is told of a program is enough to run it, forgetting all else."""

import random

import numpy as np
import pytest

import tpc
from tpc.core.expr import Sum, Value, walk
from tpc.core.program import For, MatMul
from tpc.core.storage import analyse, build, inner_regions, leaves

HEAD = "width n\nvector u : n ~ N(0, 1)\nmatrix W : n x n ~ N(0, 1/n)\n"


def kept(text):
    program = tpc.parse(HEAD + text)
    return analyse(program, build(program.body))


def test_what_is_used_in_its_own_round_is_a_variable():
    storage = kept("""
for t < 4:
    h[t] = W @ tanh(u)
    m[t] = mean(h[t]^2)
output m
""")
    h, m = storage["h"], storage["m"]
    assert (h.kept, h.carry, list(h.dropped)) == ((), None, [0])
    assert h.plain
    assert h.scope.variable == "t"
    assert (m.kept, m.carry, m.dropped) == ((0,), None, {})
    assert m.scope is None


def test_what_the_next_round_reads_is_carried():
    storage = kept("""
x[0] = u
for t < 4:
    x[t+1] = tanh(W @ x[t])
output m = mean(x[4]*u)
""")
    x = storage["x"]
    assert x.carry is not None
    assert (x.carry.axis, x.carry.first, x.carry.region.variable, x.kept) == (0, 0, "t", ())
    assert not x.plain
    assert x.writers == 2


@pytest.mark.parametrize(
    "line",
    [
        "output m = mean(x[3]*u)",  # a round that is not the last one
        "output m = mean(sum(s < 5: x[s])*u)",
        "for t < 4:\n    y[t] = 2*x[t]\noutput m = mean(y[1]*u)",
    ],
)
def test_what_is_read_later_is_an_array(line):
    storage = kept(f"x[0] = u\nfor t < 4:\n    x[t+1] = tanh(W @ x[t])\n{line}\n")
    assert storage["x"].carry is None
    assert storage["x"].kept == (0,)


def test_axes_are_told_one_by_one():
    """i is of the round, t is carried, k is an array's."""
    storage = kept("""
for i < 3:
    for k < 2:
        x[i, 0, k] = u
    for t < 4:
        for k < 2:
            x[i, t+1, k] = tanh(W @ x[i, t, k])
    m[i] = mean(x[i, 4, 1]*u)
output m
""")
    x = storage["x"]
    assert list(x.dropped) == [0]
    assert x.carry.axis == 1
    assert x.kept == (2,)
    assert x.scope.variable == "i"


def test_empty_loops_and_sums_are_left_out():
    program = tpc.parse(
        HEAD + "dim T = 0\nfor t < T:\n    x[t] = 2*u\ny = u + sum(t < T: x[t])\noutput m = mean(y^2)\n"
    )
    nodes = build(program.body)
    assert not list(inner_regions(nodes))
    made = {leaf.op.out.name: leaf.op for leaf in leaves(nodes)}
    assert not any(isinstance(node, Sum) for node in walk(made["y"].phi))
    assert "x" not in analyse(program, nodes)


def test_regions_know_their_place():
    program = tpc.parse(
        HEAD + "for t < 3:\n    for s < t + 1:\n        c[t, s] = mean(u^2)\noutput m = c[2, 1]\n"
    )
    outer, inner = inner_regions(build(program.body))
    assert inner.around == (outer,)
    assert inner.loops == (outer, inner)
    assert (outer.greatest, inner.greatest) == (3, 3)


class Forgetful:
    """Runs a program's instructions for what they read, and keeps only what `analyse` says has to be kept.

    That is one slot per member over the kept axes; of a carried family what it starts from, the member of the
    last round, and that of this one.
    """

    def __init__(self, program):
        self.nodes = build(program.body)
        self.storage = analyse(program, self.nodes)
        self.slots = {}
        self.given = {name for group in program.gaussians for name in group.names}
        self.run(self.nodes, {})
        for output in program.outputs:
            for index in indices(output.axes):
                self.read(output.ref, index)

    def member(self, ref, at):
        return tuple(i.at(at) for i in ref.index)

    def place(self, name, member):
        storage = self.storage[name]
        starts = storage.carry is not None and member[storage.carry.axis] == storage.carry.first
        return name, starts, tuple(member[axis] for axis in storage.kept)

    def read(self, ref, at):
        if ref.name in self.given:
            return
        member = self.member(ref, at)
        assert member in self.slots.get(self.place(ref.name, member), ()), f"{ref} at {at} is gone"

    def write(self, ref, at):
        """The slot's new member; one that is carried stays readable while the round lasts."""
        member, storage = self.member(ref, at), self.storage[ref.name]
        old = self.slots.get(self.place(ref.name, member), ())
        lasting = [m for m in old[-1:] if storage.carry is not None]
        self.slots[self.place(ref.name, member)] = [*lasting, member]

    def run(self, nodes, at):
        for node in nodes:
            if hasattr(node, "loop"):
                for k in range(node.loop.count.at(at)):
                    self.run(node.body, {**at, node.variable: k})
            elif isinstance(node.op, MatMul):
                self.read(node.op.operand, at)
                self.write(node.op.out, at)
            else:
                self.read_all(node.op.phi, at)
                self.write(node.op.out, at)

    def read_all(self, x, at):
        if isinstance(x, Value):
            self.read(x.ref, at)
        if isinstance(x, Sum):
            for k in range(x.count.at(at)):
                self.read_all(x.body, {**at, x.variable: k})
        else:
            for part in x.parts:
                self.read_all(part, at)


def indices(axes):
    found = [{}]
    for variable, count in axes:
        found = [{**at, variable: k} for at in found for k in range(count)]
    return found


def random_program(seed):
    """Chains in t for each i, with reads of this round, of the last, of all so far, and afterwards."""
    r = random.Random(seed)
    steps, batch = r.randint(1, 4), r.randint(1, 3)
    now = ["h[t, i]", "x[t, i]", "u"]
    reads = [*now, "x[0, i]", "sum(s < t: h[s, i])", "sum(s < t + 1: x[s, i])", "sum(j < i: h[t, j])"]
    after = [
        f"x[{steps}, i]",
        f"x[{r.randint(0, steps)}, 0]",
        f"sum(s < {steps}: h[s, i])",
        f"h[{steps - 1}, 0]",
    ]
    return tpc.parse(f"""{HEAD}
for i < {batch}:
    x[0, i] = {r.choice(("u", "tanh(u)"))}
for t < {steps}:
    for i < {batch}:
        h[t, i] = W @ x[t, i]
        x[t+1, i] = tanh({r.choice(now)}) + {r.choice(reads)}
        c[t, i] = mean(x[t+1, i]*{r.choice(reads)})
for i < {batch}:
    y[i] = {r.choice(after)} + c[{r.randint(0, steps - 1)}, i]*u
output m[i] = mean(y[i]*{r.choice(after)}) for i < {batch}
""")


@pytest.mark.parametrize("seed", range(80))
def test_what_is_kept_is_enough(seed):
    Forgetful(random_program(seed))


def test_something_is_forgotten():
    found = [s for seed in range(80) for s in Forgetful(random_program(seed)).storage.values()]
    assert any(s.carry for s in found)
    assert any(s.dropped for s in found)
    assert any(s.plain for s in found)
    assert any(s.kept for s in found)


def test_loops_stay_those_of_the_program():
    program = random_program(3)
    loops = [op for op in program.body if isinstance(op, For)]
    regions = [node for node in build(program.body) if hasattr(node, "loop")]
    assert [region.loop for region in regions] == loops
    assert all(r.loop.count.constant == r.greatest for r in inner_regions(regions))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            "for t < 3:\n    for i < 3:\n        h[t, i] = 2*y[i]\n"
            "        x[t, i] = u + sum(s < t: h[s, i])\n",
            [1, 3, 5],
        ),
        (
            "for i < 3:\n    z[i, 0] = u\n    for t < 2:\n"
            "        z[i, t+1] = z[i, t] + sum(j < i: z[j, t+1])\n    x[2, i] = z[i, 2]\n",
            [1, 3, 8],
        ),
        (
            "for i < 3:\n    z[i, 0] = u\n    for t < 2:\n        z[i, t+1] = 2*z[i, t]\n"
            "    x[2, i] = sum(j < i + 1: z[j, 2])\n",
            [4, 8, 12],
        ),
    ],
    ids=["a history in each round", "a chain that reads earlier chains", "ends of earlier chains"],
)
def test_loops_that_later_rounds_run_again_keep_what_these_read(body, expected):
    """An inner loop is another one in each round of the loop around it: what a later one reads is no variable
    of the round, and not carried over it."""
    shown = "x[t, 0] for t < 3" if "h[t, i]" in body else "x[2, i] for i < 3"
    of, loops = shown.split(" for ")
    start = "for i < 3:\n    y[i] = u\n"
    program = tpc.parse(f"{HEAD}{start}{body}output m[{loops[0]}] = mean({of}*u) for {loops}\n")
    for method in ("linear", "nodes"):
        np.testing.assert_allclose(program.compile(method=method)()["m"].value, expected, rtol=1e-12)
