"""What networks may do to arrays besides elementwise work.

One-hot arrays, zeros around an array, sums over members.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.tree import Tree
from tpc.syntax.walk import names_in, walk
from tpc.train.build import Maker, replaced, substituted
from tpc.train.checks import ARRAYS, check_index
from tpc.train.naming import ACTIVATION, Names
from tpc.train.padding import plus
from tpc.train.records import ArrayExpr, PaddedStep
from tpc.train.scene import Scene

if TYPE_CHECKING:
    from tpc.train.forward import Env, Forward


def array_function(scene: Scene, node: tree.Applied) -> str:
    """The function of arrays that is applied, "" if none is."""
    name = node.function.name if isinstance(node.function, tree.Name) else ""
    return name if name in ARRAYS and name not in scene.functions and name not in scene.networks else ""


def apart(network: tree.Network, used: Collection[str], names: Names) -> tree.Network:
    """The network with other variables of clauses, loops and sums.

    They stand in the place of those that mean something where it is called.
    """
    bound = {part.variable.name for part in walk(network) if isinstance(part, tree.Range)}
    fresh: dict[str, str] = {}
    for variable in sorted(bound.intersection(used)):
        fresh[variable] = names.another(variable, [*used, *bound, *fresh.values()])

    def leaf(x: Tree) -> Tree | None:
        return replace(x, name=fresh[x.name]) if isinstance(x, tree.Name) and x.name in fresh else None

    return cast(tree.Network, replaced(cast(Tree, network), leaf)) if fresh else network


def picks_members(node: tree.Summation, env: Env) -> bool:
    """Whether the variables of a sum pick members of a family that is made member by member."""
    variables = {r.variable.name for r in node.ranges}
    indexed = [
        part
        for part in walk(node.body)
        if isinstance(part, tree.Indexed)
        and isinstance(part.base, tree.Name)
        and part.base.name in env
        and env[part.base.name].members is not None
    ]
    return any(name.name in variables for part in indexed for i in part.index for name in names_in(i))


def term_by_term(forward: Forward, node: tree.Summation, env: Env) -> ArrayExpr:
    """A sum with each of its terms made by itself."""
    first, *rest = node.ranges
    m = Maker(node.span)
    body: Tree = tree.Summation(node.span, tuple(rest), node.body) if rest else node.body
    terms = [
        substituted(body, {first.variable.name: m.number(k)}) for k in range(forward.count(first.count, 1))
    ]
    return forward.joined(
        node, terms, [forward.expr(term, env) for term in terms], lambda parts: m.add(*parts)
    )


def onehot(forward: Forward, node: tree.Applied, env: Env) -> ArrayExpr:
    """`onehot(j[t])`, of an input declared `: index(d)`: the array of d entries that is 1 at j[t].

    `onehot(k)` of a loop variable has an entry for each round, `onehot(k + 1, d)` of any index has d entries.
    """
    value = forward.expr(node.args[0], env)
    entry = value.at(()) if not value.shape else node.args[0]
    base = entry.base if isinstance(entry, tree.Indexed) else entry
    known = forward.scene.outer.get(base.name) if isinstance(base, tree.Name) else None
    count = known.bound if known is not None else _rounds(forward, entry)
    if known is not None and count is not None and value.shape:
        raise RefusedError(
            catalogue.indices.index_count(
                node.args[0].span, "this", len(known.axes), len(known.axes) - len(value.shape)
            )
        )
    if len(node.args) == 2 and (count is not None or _is_index(forward, entry)):
        least, count = count, forward.index(node.args[1], env)
        _check_entries(forward, node, least if known is not None else None, count)
    if value.width is not None or value.shape or count is None or len(node.args) > 2:
        raise RefusedError(catalogue.networks.onehot_needs(node.span))
    check_index(forward.scene, node.args[0], "onehot", 0, entry, forward.scene.integer(count), forward.loops)
    m = Maker(node.span)
    return ArrayExpr(None, (count,), lambda i: m.equal(i[0], entry), picked=entry)


def _rounds(forward: Forward, index: Tree) -> Tree | None:
    """How many rounds the loop has whose variable an index is.

    None if it is none, or they are not known here.
    """
    loops = {r.variable.name: r.count for r in forward.loops}
    return loops.get(index.name) if isinstance(index, tree.Name) else None


def _is_index(forward: Forward, index: Tree) -> bool:
    """Whether an index is made of numbers, dims and the variables of loops around."""
    parts = [
        part
        for part in walk(index)
        if not isinstance(part, tree.Name | tree.Literal | tree.Chain | tree.Negated)
    ]
    return not parts and all(
        name.name in forward.scope() or forward.scene.is_constant(name.name) for name in names_in(index)
    )


def _check_entries(forward: Forward, node: tree.Applied, least: Tree | None, count: Tree) -> None:
    """Whether a number of entries is one, and enough for the members of an input."""
    size, needed = forward.scene.integer(count), 1 if least is None else forward.scene.integer(least)
    if size is None or size < 1:
        raise RefusedError(catalogue.networks.onehot_needs(node.args[1].span))
    if needed is not None and needed > size:
        raise RefusedError(
            catalogue.indices.out_of_range(node.args[0].span, "onehot", 0, needed - 1, size, "")
        )


def pad(forward: Forward, node: tree.Applied, env: Env, wish: str = ACTIVATION) -> ArrayExpr:
    """`pad(x, a, b, …)`: x with `a` zeros before and after it along its first axis, `b` along the next."""
    value, amounts = forward.expr(node.args[0], env), node.args[1:]
    if not amounts or len(amounts) > len(value.shape):
        raise RefusedError(catalogue.networks.pad_needs(node.span, len(value.shape)))
    sizes: list[Tree] = []
    for amount in amounts:
        size = forward.scene.integer(forward.index(amount, env))
        if size is None or size < 0:
            raise RefusedError(catalogue.networks.pad_amount(amount.span))
        sizes.append(Maker(amount.span).number(size))
    empty = next(
        (
            axis
            for axis, count in enumerate(value.shape)
            if count is not None and forward.scene.integer(count) == 0
        ),
        None,
    )
    if value.width is not None and empty is not None:
        raise RefusedError(catalogue.networks.pad_empty(node.span, empty))
    if forward.has_variables(value) and not forward.is_leaf(value):
        value = forward.named(value, ACTIVATION, node.args[0])
    with forward.within_sums(node):
        m, given = Maker(node.span), len(forward.axes)
        own = forward.own_axes(value.shape, node)
        margins = tuple((size, size) for size in (*sizes, *(m.number(0) for _ in own[len(sizes) :])))
        out = forward.var(
            forward.numbered(wish),
            value.width,
            [plus(m, a.count, *margin) for a, margin in zip(own, margins, strict=True)],
        )
        forward.steps.append(PaddedStep(out, (*forward.axes, *own), value, margins, node.span, given))
        return forward.of_var(out)


def sum_of(forward: Forward, node: tree.Summation, env: Env) -> ArrayExpr:
    """A sum, one expression with the variables of its ranges, or term by term where they pick members."""
    if picks_members(node, env):
        return term_by_term(forward, node, env)
    inner, ranges = dict(env), list[tree.Range]()
    outer, loops = forward.sums, forward.loops
    for item in node.ranges:
        ranges.append(replace(item, count=forward.index(item.count, inner)))
        inner[item.variable.name] = forward.position(item.variable.name)
        forward.sums = (*forward.sums, item.variable.name)
        forward.loops = (*forward.loops, ranges[-1])
    value = forward.expr(node.body, inner)
    forward.sums, forward.loops = outer, loops
    return ArrayExpr(
        value.width, value.shape, lambda i: replace(node, ranges=tuple(ranges), body=value.at(i))
    )
