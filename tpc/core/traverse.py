"""What variables stand in expressions and instructions, and how indices are put in their places.

One answer for the nodes of the core, of derivations and of covariances.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace as changed
from typing import TypeVar, cast

from tpc.core.affine import Affine
from tpc.core.expr import Expr, Gather, Index, Ref, Sum, Value, add, replace, summed, walk
from tpc.core.names import SplitName, numbered
from tpc.core.program import For, Instruction, MatMul, Op, OuterMul, Product

Indices = Mapping[str, Index]
T = TypeVar("T", bound=Op)


class NotWholeError(ValueError):
    """An index that is read from an input was to stand for a part of an index."""


# variables


def index_variables(index: Index) -> frozenset[str]:
    """The loop variables in an index, also in one that is read from an input."""
    return union(i.variables for i in index.index) if isinstance(index, Gather) else index.variables


def ref_variables(*refs: Ref) -> frozenset[str]:
    return union(index_variables(i) for ref in refs for i in ref.index)


def bound_variables(x: Expr) -> frozenset[str]:
    return frozenset(node.variable for node in walk(x) if isinstance(node, Sum))


def free_variables(x: Expr) -> frozenset[str]:
    """The loop variables that `x` depends on: in indices, as numbers and in counts of sums."""
    own, parts = x.indices, x.parts
    found = union(map(index_variables, own)) if own else frozenset[str]()
    if not parts:
        return found
    inner = union(map(free_variables, parts))
    return found | (inner - {x.variable} if isinstance(x, Sum) else inner)


def op_variables(op: Instruction) -> frozenset[str]:
    """The loop variables that what an instruction makes depends on."""
    if isinstance(op, MatMul):
        return ref_variables(op.matrix, op.operand)
    if isinstance(op, OuterMul):
        vectors = frozenset[str]() if op.vectors is None else free_variables(op.vectors)
        return ref_variables(op.table, op.operand) | vectors
    return free_variables(op.phi)


def indices(x: Expr) -> list[Index]:
    """Every index in `x`, in order."""
    return [index for node in walk(x) for index in node.indices]


def used_refs(op: Instruction) -> list[Ref]:
    """The members of families that an instruction is made from."""
    if isinstance(op, MatMul):
        return [op.operand]
    if isinstance(op, OuterMul):
        vectors = () if op.vectors is None else walk(op.vectors)
        return [op.table, op.operand, *(x.ref for x in vectors if isinstance(x, Value))]
    return [x.ref for x in walk(op.phi) if isinstance(x, Value)]


def union(parts: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*parts)


# indices put in


def _bound(variable: str, taken: Container[str]) -> str:
    return numbered(str(SplitName(SplitName.of(variable).base, "b")), taken)


def substitute(
    x: Expr, env: Indices, *, rename: Callable[[str, Container[str]], str] = _bound, short: int = 0
) -> Expr:
    """`x` with its free loop variables replaced by indices; bound ones are renamed where they would capture.

    short: a sum whose length becomes a number is written out up to this many terms. Raises NotWholeError
    where an index read from an input cannot stand.
    """
    if not env:
        return x
    memo: dict[int, Expr] = {}  # formulas share their parts, and to hash one goes through all of them

    def go(node: Expr) -> Expr:
        if id(node) not in memo:
            memo[id(node)] = at_sum(node) if isinstance(node, Sum) else rule(node)
        return memo[id(node)]

    def rule(node: Expr) -> Expr:
        if node.indices:
            return node.with_indices([substitute_index(i, env) for i in node.indices])
        parts = [go(part) for part in node.parts]
        return node if all(a is b for a, b in zip(parts, node.parts, strict=True)) else node.with_parts(parts)

    def at_sum(node: Sum) -> Expr:
        variable, count = node.variable, _affine(node.count, env)
        inner = {v: i for v, i in env.items() if v != variable}
        if node.count.terms and count.constant is not None and count.constant <= short:
            terms = [{**inner, variable: Affine(s)} for s in range(count.constant)]
            return add(*(substitute(node.body, at, rename=rename, short=short) for at in terms))
        if any(variable in index_variables(i) for i in inner.values()):
            free = free_variables(node.body)
            incoming = union(index_variables(i) for v, i in inner.items() if v in free)
            if variable in incoming:
                variable = rename(variable, incoming | free | bound_variables(node.body))
                inner[node.variable] = Affine.var(variable)
        return summed(variable, count, substitute(node.body, inner, rename=rename, short=short))

    return go(x)


def substitute_ref(ref: Ref, env: Indices) -> Ref:
    return Ref(ref.name, tuple(substitute_index(i, env) for i in ref.index)) if ref.index else ref


def substitute_index(index: Index, env: Indices) -> Index:
    """Raises NotWholeError where an index read from an input is to stand for a part of it."""
    if isinstance(index, Gather):
        return Gather(index.input, tuple(_affine(i, env) for i in index.index))
    whole = env.get(index.terms[0][0]) if len(index.terms) == 1 and index.terms[0][1] == 1 else None
    return whole if isinstance(whole, Gather) and not index.const else _affine(index, env)


def _affine(index: Affine, env: Indices) -> Affine:
    if any(isinstance(env.get(v), Gather) for v, _ in index.terms):
        raise NotWholeError(f"{index}")
    return index.substitute(cast(Mapping[str, Affine], env))


def at_round(op: T, env: Indices) -> T:
    """An instruction, or a loop with all that is in it, at values of loop variables."""
    if not env:
        return op
    if isinstance(op, For):
        inner = {v: i for v, i in env.items() if v != op.variable}
        return changed(op, count=_affine(op.count, env), body=tuple(at_round(o, inner) for o in op.body))
    out = substitute_ref(op.out, env)
    if isinstance(op, MatMul):
        matrix, operand = substitute_ref(op.matrix, env), substitute_ref(op.operand, env)
        return changed(op, out=out, matrix=matrix, operand=operand)
    if isinstance(op, OuterMul):
        table, operand = substitute_ref(op.table, env), substitute_ref(op.operand, env)
        vectors = None if op.vectors is None else substitute(op.vectors, env)
        return changed(op, out=out, table=table, operand=operand, vectors=vectors)
    return changed(op, out=out, phi=substitute(op.phi, env))


# other references, other functions


def map_phi(op: T, f: Callable[[Expr], Expr]) -> T:
    """`op`, or all that is in a loop, with other functions φ."""
    if isinstance(op, For):
        return changed(op, body=tuple(map_phi(inner, f) for inner in op.body))
    return op if isinstance(op, Product) else changed(op, phi=f(op.phi))


def map_used(op: T, f: Callable[[Ref], Ref]) -> T:
    """`op`, or all that is in a loop, made of other members of families."""
    if isinstance(op, For):
        return changed(op, body=tuple(map_used(inner, f) for inner in op.body))
    if isinstance(op, MatMul):
        return changed(op, operand=f(op.operand))
    if isinstance(op, OuterMul):
        vectors = None if op.vectors is None else map_values(op.vectors, f)
        return changed(op, table=f(op.table), operand=f(op.operand), vectors=vectors)
    return changed(op, phi=map_values(op.phi, f))


def map_refs(op: T, f: Callable[[Ref], Ref]) -> T:
    """`op`, or all that is in a loop, with every reference to a member of a family replaced."""
    if isinstance(op, For):
        return changed(op, body=tuple(map_refs(inner, f) for inner in op.body))
    return changed(map_used(op, f), out=f(op.out))


def map_values(x: Expr, f: Callable[[Ref], Ref]) -> Expr:
    return replace(x, lambda node: Value(f(node.ref), node.vector) if isinstance(node, Value) else None)


def expand_sums(x: Expr) -> Expr:
    """`x` with every sum of constant length written out."""

    def leaf(node: Expr) -> Expr | None:
        if not isinstance(node, Sum) or node.count.constant is None:
            return None
        rounds = range(node.count.constant)
        return add(*(expand_sums(substitute(node.body, {node.variable: Affine(s)})) for s in rounds))

    return replace(x, leaf)
