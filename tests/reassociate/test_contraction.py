"""Orders of sums and products: terms are worth what expressions are, and the order that is found is the
cheapest of all."""

import itertools
import math
import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import scipy.special

import tpc
from tests.core.test_storage import random_program
from tests.values import values_only
from tpc.core.affine import Affine
from tpc.core.expr import Position, Ref, Sum, Value, add, call, mul, number, power
from tpc.core.numeric import Namespace, evaluate
from tpc.core.places import in_rounds
from tpc.core.program import instructions
from tpc.core.unroll import unroll
from tpc.core.wellformed import verified
from tpc.reassociate.contraction import WRITE, Pair, TermFactor, cheapest, pair_cost
from tpc.reassociate.levels import body_of, levels, opaque, single_terms, sites, without_single_rounds
from tpc.reassociate.products import (
    MultilinearExpansion,
    NotMultilinearError,
    Term,
    indices_of_onehots,
    meaning_at,
)

NUMPY = Namespace(np, scipy.special)
EXTENTS = {"i": 4, "j": 3, "k": 5, "l": 2}
TABLES = {name: np.random.default_rng(k).normal(size=(6, 6)) for k, name in enumerate("abcuvw")}


def scalar(name, *index):
    return Value(Ref(name, tuple(Affine.var(v) for v in index)), False)


def vector(name, *index):
    return Value(Ref(name, tuple(Affine.var(v) for v in index)), True)


def value(x, at):
    """A vector's members are numbers here: of one coordinate."""

    def leaf(node):
        match node:
            case Value(ref, _):
                return TABLES[ref.name][tuple([*(i.at(at) for i in ref.index), 0, 0][:2])]
            case Position(index):
                return index.at(at)
            case Sum(variable, count, body):
                return sum(value(body, {**at, variable: s}) for s in range(count.at(at)))
        return None

    return evaluate(x, leaf, NUMPY)


def worth(term, at):
    """Of a term, summed by brute force."""
    total = 0.0
    for choice in itertools.product(*(range(count.at(at)) for _, count in term.sums)):
        inner = {**at, **dict(zip((v for v, _ in term.sums), choice, strict=True))}
        factors = [value(x, inner) for x in (*term.scalars, *(Value(ref, True) for ref in term.vectors))]
        total += float(term.number) * math.prod(factors)
    return total


def random_linear(r, depth, scope):
    """An expression that is linear in vectors, with sums."""
    kind = r.choice(["sum", "add", "scaled", "vector"] if depth else ["vector"])
    if kind == "sum":
        free = [v for v in EXTENTS if v not in scope]
        if free:
            variable = r.choice(free)
            body = random_linear(r, depth - 1, [*scope, variable])
            return Sum(variable, Affine(EXTENTS[variable]), body)
    if kind == "add":
        return add(random_linear(r, depth - 1, scope), random_linear(r, depth - 1, scope))
    if kind == "scaled":
        factor = r.choice([number(Fraction(-2, 3)), scalar("a", *r.sample(scope, min(1, len(scope))))])
        return mul(factor, random_linear(r, depth - 1, scope))
    return vector(r.choice("uvw"), *r.sample(scope, min(len(scope), r.randint(0, 2))))


@pytest.mark.parametrize("seed", range(30))
def test_terms_are_worth_the_expression(seed):
    r = random.Random(seed)
    x = random_linear(r, 4, ["i"])
    if r.random() < 0.5:
        x = mul(x, random_linear(r, 2, ["i"]))
    terms = MultilinearExpansion(lambda ref: None).terms(x)
    for i in range(3):
        assert sum(worth(t, {"i": i}) for t in terms) == pytest.approx(value(x, {"i": i}), rel=1e-9)
    bound = [v for t in terms for v, _ in t.sums]
    assert all(len({v for v, _ in t.sums}) == len(t.sums) for t in terms)
    assert not {"i"} & set(bound)


def test_what_is_defined_is_put_in():
    meaning = {"w": add(vector("u"), mul(number(2), vector("v")))}
    terms = MultilinearExpansion(lambda ref: meaning.get(ref.name)).terms(mul(scalar("a"), vector("w")))
    assert {(t.number, t.vectors) for t in terms} == {(1, (Ref("u"),)), (2, (Ref("v"),))}


@pytest.mark.parametrize(
    "x",
    [
        call("tanh", vector("u")),
        power(vector("u"), number(3)),
        Sum("i", Affine(3), Sum("j", Affine.var("i"), vector("u", "j"))),
        mul(*(add(vector("u"), vector("v"), vector("w", k)) for k in ("i", "j", "k", "l"))),
    ],
)
def test_what_is_no_sum_of_few_products_is_left(x):
    with pytest.raises(NotMultilinearError):
        MultilinearExpansion(lambda ref: None).terms(x)


def test_sums_over_what_does_not_move_are_factors():
    (term,) = MultilinearExpansion(lambda ref: None).terms(Sum("i", Affine(7), vector("u")))
    assert (term.number, term.sums, term.vectors) == (7, (), (Ref("u"),))


def test_products_with_positions_are_no_products_of_arrays():
    term = Term(scalars=(Position(Affine.var("i")),), vectors=(Ref("u", (Affine.var("i"),)),))
    assert indices_of_onehots(term, frozenset("i"))
    assert not indices_of_onehots(term, frozenset("j"))


@pytest.mark.parametrize(
    ("out", "used", "expected"),
    [
        (("i", "j"), ("k", "l"), {"i": "k", "j": "l"}),
        (("i", "j"), ("j", "i"), {"i": "j", "j": "i"}),
        (("i", "i"), None, None),
    ],
)
def test_what_a_member_stands_for(out, used, expected):
    if used is None:
        numbered = Ref("w", (Affine(3),))
        assert meaning_at(numbered, vector("u"), numbered) == vector("u")
        assert meaning_at(numbered, vector("u"), Ref("w", (Affine(4),))) is None
        return
    phi = mul(scalar("a", "i", "j"), vector("u", "j"))
    found = meaning_at(Ref("w", tuple(map(Affine.var, out))), phi, Ref("w", tuple(map(Affine.var, used))))
    assert found == mul(scalar("a", expected["i"], expected["j"]), vector("u", expected["j"]))


# the cheapest order


def total_cost(node, size):
    if isinstance(node, TermFactor):
        return 0.0
    return total_cost(node.left, size) + total_cost(node.right, size) + pair_cost(node, EXTENTS, size)


def contracted(node):
    """The array of a node over its axes, one coordinate of vectors."""
    axes = sorted(node.moving)
    if isinstance(node, TermFactor):
        shape = [EXTENTS[v] for v in axes]
        made = [value(node.x, dict(zip(axes, at, strict=True))) for at in np.ndindex(*shape)]
        return np.reshape(made, shape)
    letters = {v: chr(97 + k) for k, v in enumerate(EXTENTS)}
    sides = [("".join(letters[v] for v in sorted(p.moving)), contracted(p)) for p in (node.left, node.right)]
    out = "".join(letters[v] for v in axes)
    return np.einsum(f"{sides[0][0]},{sides[1][0]}->{out}", sides[0][1], sides[1][1])


def random_term(r, factors, vectors):
    sums = r.sample(list(EXTENTS), r.randint(1, 3))
    scalars = tuple(
        scalar(r.choice("abc"), *r.sample(list(EXTENTS), r.randint(1, 2))) for _ in range(factors)
    )
    members = tuple(vector(r.choice("uvw"), *r.sample(list(EXTENTS), 1)).ref for _ in range(vectors))
    factors = (*scalars, *(Value(member, True) for member in members))
    moving = {v for x in factors for i in x.indices for v in i.variables}
    ranges = tuple((v, Affine(EXTENTS[v])) for v in sums if v in moving)
    return Term(Fraction(1), ranges, scalars, members), frozenset(moving - set(sums))


def every_order(leaves, out):
    """All ways of multiplying pairwise, with what nothing else needs summed at once."""
    if len(leaves) == 1:
        yield leaves[0]
        return
    for a, b in itertools.combinations(range(len(leaves)), 2):
        rest = [x for k, x in enumerate(leaves) if k not in (a, b)]
        needed = out.union(*(x.moving for x in rest))
        left, right = leaves[a], leaves[b]
        yield from every_order([*rest, Pair(left, right, (left.moving | right.moving) & needed)], out)


@pytest.mark.parametrize("seed", range(25))
def test_the_order_is_the_cheapest_and_worth_the_same(seed):
    r = random.Random(seed)
    term, out = random_term(r, r.randint(2, 3), r.randint(0, 1))
    size = r.choice([1, 100])
    still, node = cheapest(term, out, EXTENTS, size)
    assert still == ()
    assert node.moving == out
    found = contracted(node)
    for at in np.ndindex(*(EXTENTS[v] for v in sorted(out))):
        assert found[at] == pytest.approx(worth(term, dict(zip(sorted(out), at, strict=True))), rel=1e-9)
    leaves = leaves_of(node)
    assert total_cost(node, size) <= min(total_cost(n, size) for n in every_order(leaves, out)) + 1e-9


def leaves_of(node):
    """With those that are summed alone as one."""
    if isinstance(node, TermFactor):
        return [node]
    if isinstance(node.right, TermFactor) and node.right.x == number(1):
        return [node]
    return [*leaves_of(node.left), *leaves_of(node.right)]


def test_a_product_costs_what_it_multiplies_and_writes():
    rows, columns = (
        TermFactor(scalar("a", "i", "k"), frozenset("ik")),
        TermFactor(scalar("b", "k", "j"), frozenset("kj")),
    )
    product = Pair(rows, columns, frozenset("ij"))
    assert product.summed == {"k"}
    assert pair_cost(product, EXTENTS, 1000) == 4 * 3 * 5 + WRITE * 4 * 3
    left, right = (TermFactor(vector(name, v), frozenset(v)) for name, v in ("ui", "vj"))
    together = Pair(left, right, frozenset("ij"))
    assert together.inner
    assert pair_cost(together, EXTENTS, 1000) == 4 * 3 * 1000 + WRITE * 4 * 3


def test_too_many_factors_are_left():
    with pytest.raises(NotMultilinearError):
        cheapest(Term(scalars=tuple(scalar("a", "i") for _ in range(10))), frozenset("i"), EXTENTS, 1)


# levels


def members_in_order(program):
    return [(op.out.name, tuple(i.at(at) for i in op.out.index)) for op, at in in_rounds(program.body, {})]


@pytest.mark.parametrize("seed", range(20))
def test_loops_that_are_distributed_make_the_same(seed):
    """Each instruction in loops of its own, in an order in which nothing is read before it is made."""
    program = random_program(seed)
    top = levels(program.body)
    assert not list(opaque(top))
    again = verified(replace(program, body=body_of(top)))
    assert sorted(members_in_order(again)) == sorted(members_in_order(program))
    assert len(list(sites(top))) == len(list(instructions(program.body)))
    for nested in sites(top):
        assert {loop.variable for loop in nested.nest} <= {v for v, _ in nested.ranges}


def test_what_is_run_round_by_round_is_a_level():
    program = tpc.parse(
        "width n\nvector u : n ~ N(0, 1)\nmatrix W : n x n ~ N(0, 1/n)\nx[0] = u\nfor t < 3:\n"
        "    for i < 2:\n        c[t, i] = mean(x[t]*u)\n    x[t+1] = tanh(W @ x[t])\noutput c\n"
    )
    top = levels(program.body)
    (level,) = [item for item in top.items if hasattr(item, "items")]
    assert level.loop.variable == "t"
    assert [loop.variable for nested in sites(level) for loop in nested.nest] == ["i"]
    assert [v for v, _ in level.ranges] == ["t"]


@pytest.mark.parametrize("seed", range(10))
def test_single_rounds_are_written_out(seed):
    r = random.Random(seed)
    steps, batch = r.choice([(1, 3), (3, 1), (1, 1), (2, 2)])
    program = tpc.parse(f"""
width n
vector u : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
for i < {batch}:
    x[0, i] = u
for t < {steps}:
    for i < {batch}:
        h[t, i] = W @ x[t, i]
        x[t+1, i] = tanh(h[t, i]) + sum(s < {batch}: s*x[t, i])
output m[i] = mean(x[{steps}, i]*u) for i < {batch}
""")
    flat = verified(without_single_rounds(program))
    loops = [loop for _, around in instructions(flat.body) for loop in around]
    assert not any(loop.count.constant == 1 for loop in loops)
    assert [type(op) for op in unroll(flat).body] == [type(op) for op in unroll(program).body]
    one, other = (values_only(p.compile(samples=64, repeats=2))() for p in (program, flat))
    np.testing.assert_allclose(one["m"].value, other["m"].value, rtol=1e-9, atol=1e-12)


def test_sums_of_one_term_are_written_out():
    x = Sum("i", Affine(1), mul(scalar("a", "i"), Sum("j", Affine(2), vector("u", "j"))))
    assert single_terms(x) == mul(Value(Ref("a", (Affine(0),)), False), Sum("j", Affine(2), vector("u", "j")))
