"""Free variables and indices put in their places, of all kinds of nodes."""

import itertools
import random

import numpy as np
import pytest
import scipy.special

from tpc.core.affine import Affine
from tpc.core.expr import Delta, Gather, Position, Ref, Sum, Value, add, delta, mul, number, summed, walk
from tpc.core.numeric import Namespace, evaluate
from tpc.core.program import For, MatMul, Nonlin
from tpc.core.traverse import (
    NotWholeError,
    at_round,
    bound_variables,
    free_variables,
    map_refs,
    op_variables,
    substitute,
    used_refs,
)
from tpc.derive.nodes import Expectation, Partial, Ring, Z, at

NUMPY = Namespace(np, scipy.special)
VARIABLES = ("i", "j", "k")
TABLE = np.random.default_rng(0).normal(size=(40, 40))
ROWS = [3, 0, 2, 1, 4, 2, 0, 1]


def index(r, scope):
    terms = dict.fromkeys(r.sample(scope, min(len(scope), r.randint(0, 2))), 1)
    return Affine.of(r.randint(0, 2), terms)


def expression(r, depth, scope=VARIABLES):
    kind = r.choice(["sum", "add", "mul"] if depth else ["value", "position", "delta", "read"])
    if kind == "sum":
        variable = r.choice(VARIABLES)
        count = Affine(r.randint(1, 3)) if r.random() < 0.5 else index(r, scope)
        inner = tuple(dict.fromkeys((*scope, variable)))
        return summed(variable, count, expression(r, depth - 1, inner))
    if kind in ("add", "mul"):
        parts = [expression(r, depth - 1, scope) for _ in range(2)]
        return add(*parts) if kind == "add" else mul(*parts)
    if kind == "value":
        return Value(Ref("a", (index(r, scope), index(r, scope))), False)
    if kind == "read":
        return Value(Ref("a", (Gather("row", (index(r, scope),)), index(r, scope))), False)
    if kind == "delta":
        return delta(index(r, scope), index(r, scope))
    return add(number(1), Position(Affine.var(r.choice(scope))))


def whole(i, at):
    return ROWS[whole(i.index[0], at) % 8] if isinstance(i, Gather) else i.at(at)


def value(x, at):
    """What `x` is worth where its free variables have values."""

    def leaf(node):
        match node:
            case Value(Ref("row", (i,)), _):
                return ROWS[whole(i, at) % 8]
            case Value(ref, _):
                return TABLE[tuple(whole(i, at) for i in ref.index)]
            case Position(i):
                return i.at(at)
            case Delta(left, right):
                return float(whole(left, at) == whole(right, at))
            case Sum(variable, count, body):
                return sum(value(body, {**at, variable: t}) for t in range(count.at(at)))
        return None

    return evaluate(x, leaf, NUMPY)


@pytest.mark.parametrize("seed", range(60))
def test_what_is_put_in_is_worth_the_same(seed):
    r = random.Random(seed)
    x = expression(r, 4)
    env = {v: index(r, VARIABLES) for v in r.sample(VARIABLES, r.randint(1, 3))}
    values = {v: r.randint(0, 2) for v in VARIABLES}
    expected = value(x, {**values, **{v: i.at(values) for v, i in env.items()}})
    for moved in (substitute(x, env), at(x, env)):
        assert value(moved, values) == pytest.approx(expected, rel=1e-12)
        kept = free_variables(x) - env.keys()
        assert free_variables(moved) <= kept | {v for i in env.values() for v in i.variables}
    others = VARIABLES if not free_variables(x) else sorted(set(VARIABLES) - free_variables(x))
    for v in others:  # what is not free does not matter
        assert value(x, {**values, v: 7}) == pytest.approx(value(x, values), rel=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_an_index_that_is_read_stands_for_a_whole_one(seed):
    r = random.Random(seed)
    x = add(
        *(Value(Ref("a", (Affine.var(v), index(r, ("j", "k")))), False) for v in VARIABLES),
        Position(Affine.var("i")),
    )
    read = Gather("row", (index(r, ("j", "k")),))
    values = {v: r.randint(0, 2) for v in VARIABLES}
    moved = substitute(summed("j", Affine(2), x), {"i": read})
    expected = value(summed("j", Affine(2), x), {**values, "i": whole(read, values)})
    assert value(moved, values) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(NotWholeError):
        substitute(Value(Ref("a", (Affine.var("i") + 1,)), False), {"i": read})


def test_nodes_of_derivations_are_walked_as_others_are():
    i, j = Affine.var("i"), Affine.var("j")
    x = Expectation(
        mul(Z(Ref("x", (i,))), Partial(Ref("x", (i,)), Ref("h", (j,)), 3), Sum("j", i, Ring(Ref("c", (j,)))))
    )
    assert free_variables(x) == {"i", "j"}
    assert bound_variables(x) == {"j"}
    moved = substitute(x, {"i": j, "j": Affine(2)})
    assert free_variables(moved) == {"j"}
    assert next(node for node in walk(moved) if isinstance(node, Partial)).product == 3


def test_instructions():
    i, t = Affine.var("i"), Affine.var("t")
    product = MatMul(Ref("h", (i,)), Ref("W", (t,)), Ref("x", (i + 1,)))
    line = Nonlin(Ref("x", (t,)), Sum("i", t, Value(Ref("h", (i,)), True)))
    assert op_variables(product) == {"i", "t"}
    assert op_variables(line) == {"t"}
    loop = For("t", Affine.var("i"), (product, line))
    assert at_round(loop, {"i": Affine(3), "t": Affine(9)}).count == Affine(3)
    assert at_round(loop, {"i": Affine(3), "t": Affine(9)}).body[1] == line
    new = map_refs(loop, lambda ref: Ref(f"{ref.name}_", ref.index))
    assert [op.out.name for op in new.body] == ["h_", "x_"]
    assert [ref.name for op in new.body for ref in used_refs(op)] == ["x_", "h_"]
    assert new.body[0].matrix == product.matrix


def test_deltas_are_of_one_form():
    i, j = Affine.var("i"), Affine.var("j")
    for a, b in itertools.product(range(3), repeat=2):
        assert delta(i + a, j + b) == delta(i + (a + 1), j + (b + 1))
    assert delta(i, i + 1) == number(0)
    assert delta(i, i) == number(1)
