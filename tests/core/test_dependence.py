"""What instructions read of what others make, and which loops may be run at once: compared with all rounds
written out."""

import itertools
import random

import pytest

import tpc
from tpc.core.affine import Affine
from tpc.core.dependence import is_parallel, references, values_within
from tpc.core.expr import Ref, Sum, Value, mul
from tpc.core.places import in_rounds
from tpc.core.program import For, MatMul, Moment, Nonlin
from tpc.core.traverse import used_refs
from tpc.core.unroll import unroll

T, S, J = (Affine.var(v) for v in "tsi")
X = Value(Ref("x", (T,)), True)


def test_references_have_the_sums_around_them():
    inner = Sum("i", S + 1, mul(Value(Ref("y", (J,)), True), Value(Ref("c", (S, J)), False)))
    phi = mul(X, Sum("s", T + 1, inner))
    around = (("t", Affine(4)),)
    s, i = ("s", T + 1), ("i", S + 1)
    found = list(references(Moment(Ref("m", (T,)), phi), around))
    assert {ref.name: ranges for ref, ranges in found} == {
        "x": around,
        "y": (*around, s, i),
        "c": (*around, s, i),
    }
    assert [value.vector for value, _ in values_within(phi, ())] == [True, True, False]
    product = MatMul(Ref("h"), Ref("W"), Ref("x", (Affine(0),)))
    assert list(references(product, around)) == [(Ref("x", (Affine(0),)), around)]


def rounds_are_independent(loop):
    """By writing out all rounds: none reads what another one makes."""
    made, used = {}, {}
    for k in range(loop.count.const):
        ops = list(in_rounds(loop.body, {loop.variable: k}))
        made[k] = {(op.out.name, *(i.at(at) for i in op.out.index)) for op, at in ops}
        used[k] = {(ref.name, *(i.at(at) for i in ref.index)) for op, at in ops for ref in used_refs(op)}
    return not any(used[a] & made[b] for a, b in itertools.permutations(made, 2))


@pytest.mark.parametrize("seed", range(60))
def test_parallel_loops_are_independent(seed):
    """Never wrongly parallel; and what differs by a step of the loop alone is told exactly."""
    r = random.Random(seed)

    def ref(name, variables):
        return Ref(name, tuple(Affine.of(r.randint(0, 2), {r.choice(variables): 1}) for _ in range(2)))

    variables = ["t", "i"]
    lines = []
    for name in "xyz":
        out = Ref(name, (T + r.randint(0, 1), J))
        read = ref(r.choice("xyz"), variables)
        lines.append(Nonlin(out, Value(read, True)))
    loop = For("t", Affine(3), (For("i", Affine(2), tuple(lines)),))
    if is_parallel(loop, ()):
        assert rounds_are_independent(loop)


@pytest.mark.parametrize(
    ("read", "parallel"),
    [
        ("x[t]", True),
        ("x[t+1]", False),
        ("x[0]", False),
        ("x[5]", True),
        ("y[t]", True),
        ("sum(s < t: x[s])", False),
        ("sum(s < 2: y[s])", True),
    ],
)
def test_which_loops_may_be_run_at_once(read, parallel):
    """x[t], t < 4, is made in the loop; x[5] and y before it."""
    program = tpc.parse(f"""
width n
vector y[k < 4] : n ~ N(0, 1)
x[5] = 2*y[0]
x[4] = 3*y[0]
for t < 4:
    x[t] = 2*y[t]
    z[t] = tanh({read.replace("x[t+1]", "x[t]")})
output m = mean(z[0]*x[5])
""")
    loop = next(op for op in program.body if isinstance(op, For))
    if read == "x[t+1]":  # no program reads ahead of what it has made: the same loop, its line changed
        line = Nonlin(loop.body[-1].out, Value(Ref("x", (T + 1,)), True))
        loop = For("t", loop.count, (*loop.body[:-1], line))
    assert is_parallel(loop, ()) == parallel


def test_a_loop_around_tells_no_rounds_apart():
    """A chain in t for each i: i is parallel, t is not."""
    program = tpc.parse("""
width n
vector u : n ~ N(0, 1)
for i < 3:
    x[0, i] = u
for t < 3:
    for i < 3:
        x[t+1, i] = tanh(x[t, i])
output m = mean(x[3, 0]*u)
""")
    outer = program.body[1]
    assert not is_parallel(outer, ())
    assert is_parallel(outer.body[0], (("t", Affine(3)),))


@pytest.mark.parametrize("seed", range(8))
def test_unrolled_programs_have_the_same_members_in_order(seed):
    r = random.Random(seed)
    steps, batch, lag = r.randint(1, 3), r.randint(1, 3), r.randint(0, 1)
    program = tpc.parse(f"""
width n
vector u : n ~ N(0, 1)
vector v[i < {batch}] : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
x[0] = u
for t < {steps}:
    h[t] = W @ x[t]
    for i < {batch}:
        c[t, i] = mean(h[t]*v[i])
    x[t+1] = tanh(h[t]) + sum(s < t + {lag}: x[s]) + sum(i < {batch}: c[t, i]*v[i])
output m = mean(x[{steps}]*u)
""")
    flat = unroll(program)
    assert not any(isinstance(op, For) for op in flat.body)
    assert not any(isinstance(op, Nonlin) and "sum(" in str(op.phi) for op in flat.body)
    rolled = [(op.out.name, tuple(i.at(at) for i in op.out.index)) for op, at in in_rounds(program.body, {})]
    assert [(op.out.name, tuple(i.const for i in op.out.index)) for op in flat.body] == rolled
    assert unroll(flat) == flat
    assert flat.outputs == program.outputs


def test_a_mean_of_an_empty_sum_of_vectors_is_a_scalar():
    program = tpc.parse("""
width n
vector u : n ~ N(0, 1)
for t < 2:
    x[t] = tanh(u)
    m[t] = mean(sum(s < t: x[s]))
output m
""")
    first, second = (op for op in unroll(program).body if op.out.name == "m")
    assert (type(first).__name__, type(second).__name__) == ("Scalar", "Moment")
