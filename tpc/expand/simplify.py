"""What a series leaves behind, cleared away.

What is 0, axes along which a family does not change, second names, what is not used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from tpc.core.affine import Affine, Ranges
from tpc.core.expr import (
    ZERO,
    Expr,
    Ref,
    Sum,
    Value,
    is_vector,
    summed,
)
from tpc.core.expr import replace as replaced
from tpc.core.passes import Body, rewrite
from tpc.core.places import Site, by_family, may_make, shared, sites_of
from tpc.core.program import (
    For,
    Instruction,
    MatMul,
    Moment,
    Nonlin,
    Op,
    OuterMul,
    Product,
    Scalar,
    instructions,
)
from tpc.core.traverse import (
    at_round,
    index_variables,
    map_refs,
    map_used,
    op_variables,
    ref_variables,
    substitute_ref,
    union,
    used_refs,
)
from tpc.expand.terms import folded

# what is 0


class Zeros:
    """Which instructions make nothing but zeros: all, but for those that something speaks against.

    A member is 0 if all that may make it do.
    """

    def __init__(self, body: Body) -> None:
        self.sites = sites_of(body)
        self.made = by_family(self.sites)
        self.zero = {site.number for site in self.sites}
        while other := {k for k in self.zero if not self._vanishes(self.sites[k])}:
            self.zero -= other

    def family(self, name: str) -> bool:
        return all(site.number in self.zero for site in self.made[name])

    def member(self, ref: Ref, ranges: Ranges) -> bool:
        made = self.made.get(ref.name, ())
        return bool(made) and all(
            site.number in self.zero or not may_make(site, ref, ranges) for site in made
        )

    def cleared(self, x: Expr, ranges: Ranges) -> Expr:
        """`x` with 0 for what is 0."""

        def leaf(node: Expr) -> Expr | None:
            if isinstance(node, Value):
                return ZERO if self.member(node.ref, ranges) else None
            if isinstance(node, Sum):
                return summed(
                    node.variable, node.count, self.cleared(node.body, (*ranges, (node.variable, node.count)))
                )
            return None

        return folded(replaced(x, leaf))

    def _vanishes(self, site: Site) -> bool:
        op = site.op
        return (
            self.member(op.operand, site.loops)
            if isinstance(op, MatMul)
            else any(self.member(ref, site.loops) for ref in (op.table, op.operand))
            if isinstance(op, OuterMul)
            else self.cleared(op.phi, site.loops) == ZERO
        )

    def without(self, site: Site, keep: Collection[str]) -> Instruction | None:
        op = site.op
        if self.family(op.out.name) and op.out.name not in keep:
            return None
        if isinstance(op, Product):
            return Nonlin(op.out, ZERO, origin=op.origin) if site.number in self.zero else op
        phi = self.cleared(op.phi, site.loops)
        return (
            Scalar(op.out, phi, origin=op.origin)
            if isinstance(op, Moment) and not is_vector(phi)
            else replace(op, phi=phi)
        )


def without_zeros(body: Body, keep: Collection[str]) -> Body:
    """`body` with 0 in place of all that is 0, and without families that are; those in `keep` stay."""
    facts = Zeros(body)
    sites = iter(facts.sites)
    return rewrite(body, lambda op: facts.without(next(sites), keep))


# axes along which nothing changes


class ConstantAxes:
    """For each family the axes along which all members are equal.

    All, but for those that something speaks against.
    """

    def __init__(self, body: Body, fixed: Collection[str]) -> None:
        self.made = by_family(sites_of(body))
        self.axes = {
            name: set() if name in fixed else set(range(len(sites[0].out.index)))
            for name, sites in self.made.items()
        }
        changed = True
        while changed:
            changed = False
            for name in self.made:
                changed |= self._refuted(name)

    def ref(self, ref: Ref) -> Ref:
        """`ref` without the axes that do not matter."""
        gone = self.axes.get(ref.name, set())
        return Ref(ref.name, tuple(i for k, i in enumerate(ref.index) if k not in gone)) if gone else ref

    def op(self, op: Instruction) -> Instruction:
        return map_refs(op, self.ref)

    def copies(self, op: Instruction) -> bool:
        """Whether the instruction says no more than that a member is equal to itself."""
        return isinstance(op, Nonlin | Scalar) and op.phi == Value(op.out, isinstance(op, Nonlin))

    def leaves(self, op: Instruction) -> frozenset[str]:
        """The variables of loops that the instruction can be taken out of.

        It neither mentions them nor tells members apart by them.
        """
        return union(index_variables(op.out.index[axis]) for axis in self.axes[op.out.name]) - _mentioned(
            self.op(op)
        )

    def _refuted(self, name: str) -> bool:
        """Takes away axes of a family that matter after all: those that are mentioned first, by which others
        would seem to tell members apart."""
        axes = self.axes[name]
        sites = [site for site in self.made[name] if not self.copies(self.op(site.op))]
        against = self._told_by_place(sites, axes) or self._told_by_what_is_made(sites, axes)
        axes -= against
        return bool(against)

    def _told_by_place(self, sites: Sequence[Site], axes: set[int]) -> set[int]:
        against: set[int] = set()
        for site in sites:
            op = self.op(site.op)
            mentioned = _mentioned(op) | frozenset(
                v for loop in site.loops if loop.variable in _mentioned(op) for v in loop.count.variables
            )
            against |= {axis for axis in axes if index_variables(site.out.index[axis]) & mentioned}
        return against

    def _told_by_what_is_made(self, sites: Sequence[Site], axes: set[int]) -> set[int]:
        if not sites:
            return set(axes)
        against: set[int] = set()
        seen: dict[Ref, tuple[Instruction, Site]] = {}
        for site in sites:
            op = self.op(site.op)
            if not self._available(site, op):
                against |= axes
            own = canonical(op)
            for other, there in seen.values():
                if other != own:
                    against |= {axis for axis in axes if site.out.index[axis] != there.out.index[axis]}
            seen[own.out] = own, site
        return against

    def _available(self, site: Site, op: Instruction) -> bool:
        """Whether all that `op` uses is there before the loops that it is taken out of."""
        leaving = self.leaves(site.op)
        for k, loop in enumerate(site.loops):
            if loop.variable in leaving:
                if (loop.count.constant or 0) < 1:  # it may have no rounds, and then nothing to make
                    return False
                inside = [
                    made
                    for used in used_refs(op)
                    for made in self.made.get(used.name, ())
                    if shared(site, made) > k
                ]
                if any(
                    loop.variable not in self.leaves(made.op) and not self.copies(self.op(made.op))
                    for made in inside
                ):
                    return False
        return True


def canonical(op: Instruction) -> Instruction:
    """`op` with the variables in its out index named by their places, to compare."""
    names = {
        i.terms[0][0]: Affine.var(f"·{k}")
        for k, i in enumerate(op.out.index)
        if isinstance(i, Affine) and len(i.terms) == 1
    }
    return at_round(op, names)


def _mentioned(op: Instruction) -> frozenset[str]:
    """The loop variables that an instruction mentions, in its out index included."""
    return ref_variables(op.out) | op_variables(op)


def without_constant_axes(body: Body, fixed: Collection[str]) -> tuple[Body, Mapping[str, set[int]]]:
    """`body` with families that do not change along an axis made once, without it; and these axes.

    Those in `fixed` keep theirs.
    """
    facts = ConstantAxes(body, fixed)
    if not any(facts.axes.values()):
        return body, facts.axes
    done: set[tuple[str, str]] = set()

    def visit(ops: Sequence[Op], around: frozenset[str]) -> list[tuple[Op, frozenset[str]]]:
        """What stands for `ops`, each with the variables of the loops that it leaves."""
        out: list[tuple[Op, frozenset[str]]] = []
        for op in ops:
            if not isinstance(op, For):
                new = facts.op(op)
                if facts.copies(new):
                    continue
                leaving = facts.leaves(op) & around
                own = str(canonical(new).out), str(canonical(new))
                if facts.axes[op.out.name]:
                    if own in done:
                        continue
                    done.add(own)
                out.append((new, leaving))
                continue
            stays: list[Op] = []
            groups: dict[frozenset[str], list[Op]] = {}
            for inner, leaving in visit(op.body, around | {op.variable}):
                if op.variable in leaving:
                    out.append((inner, leaving - {op.variable}))
                elif leaving:
                    groups.setdefault(leaving, []).append(inner)
                else:
                    stays.append(inner)
            out += [(replace(op, body=tuple(inner)), leaving) for leaving, inner in groups.items()]
            if stays:
                out.append((replace(op, body=tuple(stays)), frozenset()))
        return out

    return tuple(op for op, _ in visit(body, frozenset())), facts.axes


# second names


def without_copies(body: Body, keep: Collection[str]) -> Body:
    """`body` without families that only repeat another one; those in `keep` stay."""
    made: dict[str, list[Instruction]] = {}
    for op, _ in instructions(body):
        made.setdefault(op.out.name, []).append(op)
    copies: dict[str, tuple[tuple[str, ...], Ref]] = {}
    for name, (op, *others) in made.items():
        if (
            not others
            and name not in keep
            and isinstance(op, Nonlin | Scalar)
            and op.phi == Value(next(iter(used_refs(op)), op.out), isinstance(op, Nonlin))
        ):
            assert isinstance(op.phi, Value)
            variables = tuple(
                i.terms[0][0]
                for i in op.out.index
                if isinstance(i, Affine) and i.terms and i == Affine.var(i.terms[0][0])
            )
            if len(set(variables)) == len(op.out.index):
                copies[name] = variables, op.phi.ref
    if not copies:
        return body

    def original(ref: Ref) -> Ref:
        while ref.name in copies:
            variables, of = copies[ref.name]
            ref = substitute_ref(of, dict(zip(variables, ref.index, strict=True)))
        return ref

    def rule(op: Instruction) -> Instruction | None:
        if op.out.name in copies:
            return None
        return map_used(op, original)

    return rewrite(body, rule)
