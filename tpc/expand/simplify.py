"""What a series leaves behind, cleared away.

What is 0, axes along which a family does not change, second names, what is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tpc.core.affine import Affine, Ranges, bounds
from tpc.core.expr import (
    ZERO,
    Expr,
    Gather,
    Index,
    Position,
    Ref,
    Sum,
    Value,
    is_vector,
    substitute,
    substitute_index,
    substitute_ref,
    summed,
    values,
    walk,
)
from tpc.core.expr import replace as replaced
from tpc.core.program import For, Instruction, MatMul, Moment, Nonlin, Op, Scalar, instructions
from tpc.expand.series import folded

Body = tuple[Op, ...]


# what is 0


@dataclass(frozen=True, slots=True)
class MemberPlace:
    """An instruction and the loops around it, outermost first."""

    op: Instruction
    loops: tuple[For, ...]

    @property
    def ranges(self) -> Ranges:
        return tuple((loop.variable, loop.count) for loop in self.loops)


class Zeros:
    """Which instructions make nothing but zeros: all, but for those that something speaks against.

    A member is 0 if all that may make it do.
    """

    def __init__(self, body: Body) -> None:
        self.places = [MemberPlace(op, loops) for op, loops in instructions(body)]
        self.made: dict[str, list[MemberPlace]] = {}
        for place in self.places:
            self.made.setdefault(place.op.out.name, []).append(place)
        self.zero = {id(place.op) for place in self.places}
        while other := {
            id(place.op) for place in self.places if id(place.op) in self.zero and not self._vanishes(place)
        }:
            self.zero -= other

    def family(self, name: str) -> bool:
        return all(id(place.op) in self.zero for place in self.made[name])

    def member(self, ref: Ref, ranges: Ranges) -> bool:
        made = self.made.get(ref.name, ())
        return bool(made) and all(id(place.op) in self.zero or _apart(ref, ranges, place) for place in made)

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

    def _vanishes(self, place: MemberPlace) -> bool:
        op = place.op
        return (
            self.member(op.operand, place.ranges)
            if isinstance(op, MatMul)
            else self.cleared(op.phi, place.ranges) == ZERO
        )

    def without(self, place: MemberPlace, keep: Collection[str]) -> Instruction | None:
        op = place.op
        if self.family(op.out.name) and op.out.name not in keep:
            return None
        if isinstance(op, MatMul):
            return Nonlin(op.out, ZERO, origin=op.origin) if id(op) in self.zero else op
        phi = self.cleared(op.phi, place.ranges)
        return (
            Scalar(op.out, phi, origin=op.origin)
            if isinstance(op, Moment) and not is_vector(phi)
            else replace(op, phi=phi)
        )


def _apart(ref: Ref, ranges: Ranges, place: MemberPlace) -> bool:
    """Whether a reference is certainly not to what is made at `place`."""
    for i, j in zip(ref.index, place.op.out.index, strict=True):
        if isinstance(i, Affine) and isinstance(j, Affine):
            (low, high), (least, greatest) = bounds(i, ranges), bounds(j, place.ranges)
            if high < least or greatest < low:
                return True
    return False


def without_zeros(body: Body, keep: Collection[str]) -> Body:
    """`body` with 0 in place of all that is 0, and without families that are; those in `keep` stay."""
    facts = Zeros(body)
    places = {id(place.op): place for place in facts.places}
    return rewritten(body, lambda op: facts.without(places[id(op)], keep))


def rewritten(body: Body, rule: Callable[[Instruction], Instruction | None]) -> Body:
    """`body` with another instruction for each, or none; loops that are left empty go."""
    out: list[Op] = []
    for op in body:
        if isinstance(op, For):
            inner = rewritten(op.body, rule)
            if inner:
                out.append(replace(op, body=inner))
        elif (new := rule(op)) is not None:
            out.append(new)
    return tuple(out)


# axes along which nothing changes


class ConstantAxes:
    """For each family the axes along which all members are equal.

    All, but for those that something speaks against.
    """

    def __init__(self, body: Body, fixed: Collection[str]) -> None:
        self.places = [MemberPlace(op, loops) for op, loops in instructions(body)]
        self.made: dict[str, list[MemberPlace]] = {}
        for place in self.places:
            self.made.setdefault(place.op.out.name, []).append(place)
        self.axes = {
            name: set() if name in fixed else set(range(len(places[0].op.out.index)))
            for name, places in self.made.items()
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
        if isinstance(op, MatMul):
            return replace(op, out=self.ref(op.out), operand=self.ref(op.operand))
        phi = replaced(
            op.phi, lambda node: Value(self.ref(node.ref), node.vector) if isinstance(node, Value) else None
        )
        return replace(op, out=self.ref(op.out), phi=phi)

    def copies(self, op: Instruction) -> bool:
        """Whether the instruction says no more than that a member is equal to itself."""
        return isinstance(op, Nonlin | Scalar) and op.phi == Value(op.out, isinstance(op, Nonlin))

    def leaves(self, place: MemberPlace) -> frozenset[str]:
        """The variables of loops that the instruction can be taken out of: it neither mentions them nor tells
        members apart by them."""
        mentioned = _mentioned(self.op(place.op))
        return (
            frozenset(
                v for axis in self.axes[place.op.out.name] for v in _variables(place.op.out.index[axis])
            )
            - mentioned
        )

    def _refuted(self, name: str) -> bool:
        """Takes away axes of a family that matter after all."""
        axes = self.axes[name]
        against: set[int] = set()
        seen: dict[Ref, tuple[Instruction, MemberPlace]] = {}
        for place in self.made[name]:
            op = self.op(place.op)
            if self.copies(op):
                continue
            mentioned = _mentioned(op) | frozenset(
                v for loop in place.loops if loop.variable in _mentioned(op) for v in loop.count.variables
            )
            against |= {axis for axis in axes if _variables(place.op.out.index[axis]) & mentioned}
            if not self._available(place, op):
                against |= axes
            own = canonical(op)
            for other, there in seen.values():
                if other != own:
                    against |= {axis for axis in axes if place.op.out.index[axis] != there.op.out.index[axis]}
            seen[own.out] = own, place
        if not seen:
            against |= axes
        axes -= against
        return bool(against)

    def _available(self, place: MemberPlace, op: Instruction) -> bool:
        """Whether all that `op` uses is there before the loops that it is taken out of."""
        leaving = self.leaves(place)
        for loop in place.loops:
            if loop.variable in leaving:
                if (loop.count.constant or 0) < 1:  # it may have no rounds, and then nothing to make
                    return False
                inside = [
                    made
                    for used in used_by(op)
                    for made in self.made.get(used.name, ())
                    if any(loop is around for around in made.loops)
                ]
                if any(
                    loop.variable not in self.leaves(made) and not self.copies(self.op(made.op))
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
    out = substitute_ref(op.out, names)
    if isinstance(op, MatMul):
        return replace(
            op, out=out, matrix=substitute_ref(op.matrix, names), operand=substitute_ref(op.operand, names)
        )
    return replace(op, out=out, phi=substitute(op.phi, names))


def _variables(index: Index) -> frozenset[str]:
    return (
        frozenset(v for i in index.index for v in i.variables)
        if isinstance(index, Gather)
        else index.variables
    )


def _mentioned(op: Instruction) -> frozenset[str]:
    """The loop variables that an instruction mentions, in its out index included."""
    found = {v for i in op.out.index for v in _variables(i)}
    if isinstance(op, MatMul):
        return frozenset(
            found | {v for ref in (op.matrix, op.operand) for i in ref.index for v in _variables(i)}
        )
    bound = set()
    for node in walk(op.phi):
        if isinstance(node, Value):
            found |= {v for i in node.ref.index for v in _variables(i)}
        elif isinstance(node, Position):
            found |= node.index.variables
        elif isinstance(node, Sum):
            found |= node.count.variables
            bound.add(node.variable)
    return frozenset(found - bound)


def used_by(op: Instruction) -> Iterator[Ref]:
    """The members that an instruction is made from."""
    if isinstance(op, MatMul):
        yield op.operand
    else:
        yield from (v.ref for v in values(op.phi))


def without_constant_axes(body: Body, fixed: Collection[str]) -> tuple[Body, Mapping[str, set[int]]]:
    """`body` with families that do not change along an axis made once, without it; and these axes.

    Those in `fixed` keep theirs.
    """
    facts = ConstantAxes(body, fixed)
    if not any(facts.axes.values()):
        return body, facts.axes
    done: set[tuple[str, str]] = set()

    def visit(ops: Sequence[Op], around: tuple[For, ...]) -> list[tuple[Op, frozenset[str]]]:
        """What stands for `ops`, each with the variables of the loops that it leaves."""
        out: list[tuple[Op, frozenset[str]]] = []
        for op in ops:
            if not isinstance(op, For):
                place = MemberPlace(op, around)
                new = facts.op(op)
                if facts.copies(new):
                    continue
                leaving = facts.leaves(place) & {loop.variable for loop in around}
                own = str(canonical(new).out), str(canonical(new))
                if facts.axes[op.out.name]:
                    if own in done:
                        continue
                    done.add(own)
                out.append((new, leaving))
                continue
            stays: list[Op] = []
            groups: dict[frozenset[str], list[Op]] = {}
            for inner, leaving in visit(op.body, (*around, op)):
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

    return tuple(op for op, _ in visit(body, ())), facts.axes


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
            and op.phi == Value(next(used_by(op), op.out), isinstance(op, Nonlin))
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
            ref = at_index(of, variables, ref.index)
        return ref

    def rule(op: Instruction) -> Instruction | None:
        if op.out.name in copies:
            return None
        if isinstance(op, MatMul):
            return replace(op, operand=original(op.operand))
        return replace(
            op,
            phi=replaced(
                op.phi,
                lambda node: Value(original(node.ref), node.vector) if isinstance(node, Value) else None,
            ),
        )

    return rewritten(body, rule)


def at_index(of: Ref, variables: Sequence[str], index: Sequence[Index]) -> Ref:
    """`of` with its variables at the indices given.

    One that is read from an input can stand for a whole index only.
    """
    gathers = {v: i for v, i in zip(variables, index, strict=True) if isinstance(i, Gather)}
    affine = {v: i for v, i in zip(variables, index, strict=True) if isinstance(i, Affine)}
    whole = {Affine.var(v): g for v, g in gathers.items()}
    return Ref(
        of.name,
        tuple(
            whole[i] if isinstance(i, Affine) and i in whole else substitute_index(i, affine)
            for i in of.index
        ),
    )


# what is not used


def without_unused(body: Body, wanted: Collection[str]) -> Body:
    needed = set(wanted)
    ops = [op for op, _ in instructions(body)]
    while True:
        new = {ref.name for op in ops if op.out.name in needed for ref in used_by(op)} - needed
        if not new:
            break
        needed |= new
    return rewritten(body, lambda op: op if op.out.name in needed else None)
