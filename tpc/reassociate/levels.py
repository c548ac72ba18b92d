"""A program's body with an instruction in each loop nest: what is run round by round, and what in any
order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tpc.core.affine import Affine, Ranges
from tpc.core.dependence import is_parallel, references
from tpc.core.expr import (
    Expr,
    Gather,
    Index,
    Position,
    Ref,
    Sum,
    Value,
    children,
    rebuild,
    substitute,
    substitute_ref,
    summed,
)
from tpc.core.program import For, Instruction, MatMul, Op, Program


@dataclass(eq=False, slots=True)
class Level:
    """The body of a loop that is run round by round, or of the program. around: the levels it is in,
    outermost first."""

    loop: For | None
    around: tuple[Level, ...]
    items: list[Site | Level | Opaque] = field(default_factory=list)

    @property
    def levels(self) -> tuple[Level, ...]:
        """Those around and itself."""
        return (*self.around, self)

    @property
    def ranges(self) -> Ranges:
        return tuple(
            (level.loop.variable, level.loop.count) for level in self.levels if level.loop is not None
        )


@dataclass(eq=False, slots=True)
class Site:
    """One instruction in `nest`, loops whose rounds do not depend on each other."""

    op: Instruction
    nest: tuple[For, ...]
    level: Level

    @property
    def ranges(self) -> Ranges:
        return (*self.level.ranges, *((loop.variable, loop.count) for loop in self.nest))


@dataclass(eq=False, slots=True)
class Opaque:
    """A loop that is left as it is."""

    op: For
    level: Level


def levels(body: Sequence[Op]) -> Level:
    """`body` with loops distributed over their instructions."""
    top = Level(None, ())
    _fill(top, _distributed(body, ()))
    return top


def body_of(level: Level) -> tuple[Op, ...]:
    """The instructions and loops again."""
    out: list[Op] = []
    for item in level.items:
        if isinstance(item, Level):
            assert item.loop is not None
            out.append(replace(item.loop, body=body_of(item)))
        elif isinstance(item, Opaque):
            out.append(item.op)
        else:
            op: Op = item.op
            for loop in reversed(item.nest):
                op = replace(loop, body=(op,))
            out.append(op)
    return tuple(out)


def sites(level: Level) -> Iterator[Site]:
    """Every instruction but those in loops that are left as they are, in program order."""
    for item in level.items:
        if isinstance(item, Level):
            yield from sites(item)
        elif isinstance(item, Site):
            yield item


def put_before(level: Level, made: Mapping[int, Sequence[Site]]) -> None:
    """Puts instructions where they belong. made: what comes before each item, by its `id`."""
    items: list[Site | Level | Opaque] = []
    for item in level.items:
        if isinstance(item, Level):
            put_before(item, made)
        items += [*made.get(id(item), []), item]
    level.items = items


def opaque(level: Level) -> Iterator[Opaque]:
    for item in level.items:
        if isinstance(item, Level):
            yield from opaque(item)
        elif isinstance(item, Opaque):
            yield item


def _distributed(body: Sequence[Op], around: Ranges) -> list[Op]:
    """Every loop whose rounds are independent around one instruction, or around other such loops."""
    out: list[Op] = []
    for op in body:
        if not isinstance(op, For):
            out.append(op)
            continue
        inner = _distributed(op.body, (*around, (op.variable, op.count)))
        if is_parallel(op, around):
            out += [_wrapped(op, part, around) for part in inner]
        else:
            out.append(replace(op, body=tuple(inner)))
    return out


def _wrapped(loop: For, part: Op, around: Ranges) -> For:
    """The loop around one part of its body; inside, if the part is a loop that is run round by round and
    allows it."""
    if (
        isinstance(part, For)
        and loop.variable not in part.count.variables
        and not is_parallel(part, (*around, (loop.variable, loop.count)))
    ):
        return replace(
            part,
            body=tuple(_wrapped(loop, inner, (*around, (part.variable, part.count))) for inner in part.body),
        )
    return replace(loop, body=(part,))


def _fill(level: Level, body: Sequence[Op]) -> None:
    for op in body:
        nest: list[For] = []
        inner: Op = op
        while (
            isinstance(inner, For)
            and len(inner.body) == 1
            and is_parallel(inner, (*level.ranges, *((r.variable, r.count) for r in nest)))
        ):
            nest.append(inner)
            inner = inner.body[0]
        if not isinstance(inner, For):
            level.items.append(Site(inner, tuple(nest), level))
        elif not nest:
            deeper = Level(inner, level.levels)
            level.items.append(deeper)
            _fill(deeper, inner.body)
        else:
            assert isinstance(op, For)
            level.items.append(Opaque(op, level))


# what an instruction mentions


def free(x: Expr) -> frozenset[str]:
    """The variables of loops in an expression: in indices, as numbers and in counts of sums."""
    match x:
        case Value(ref, _):
            return ref_variables(ref)
        case Position(index):
            return index.variables
        case Sum(variable, count, body):
            return count.variables | (free(body) - {variable})
    return frozenset().union(*(free(part) for part in children(x)))


def ref_variables(ref: Ref) -> frozenset[str]:
    return frozenset(
        v for i in ref.index for j in (i.index if isinstance(i, Gather) else (i,)) for v in j.variables
    )


def mentioned(op: Instruction) -> list[Ref]:
    return [ref for ref, _ in references(op, ())]


def rewritten(op: Op, ref: Callable[[Ref], Ref]) -> Op:
    """`op` with every reference to a family replaced."""
    if isinstance(op, For):
        return replace(op, body=tuple(rewritten(inner, ref) for inner in op.body))
    if isinstance(op, MatMul):
        return replace(op, out=ref(op.out), operand=ref(op.operand))
    return replace(op, out=ref(op.out), phi=_rewritten(op.phi, ref))


def _rewritten(x: Expr, ref: Callable[[Ref], Ref]) -> Expr:
    if isinstance(x, Value):
        return Value(ref(x.ref), x.vector)
    parts = children(x)
    changed = [_rewritten(part, ref) for part in parts]
    return x if all(a is b for a, b in zip(parts, changed, strict=True)) else rebuild(x, changed)


# loops and sums of one round


def without_single_rounds(program: Program) -> Program:
    """Loops and sums of one round written out, and each member of an axis along which all indices are numbers
    a family of its own."""
    body = tuple(inner for op in program.body for inner in _written_out(op))
    return _split(replace(program, body=body))


def _written_out(op: Op) -> Iterator[Op]:
    if not isinstance(op, For):
        yield op if isinstance(op, MatMul) else replace(op, phi=single_terms(op.phi))
        return
    body = tuple(inner for part in op.body for inner in _written_out(part))
    if op.count.constant == 1:
        yield from (_at(inner, {op.variable: Affine(0)}) for inner in body)
    else:
        yield replace(op, body=body)


def _at(op: Op, at: dict[str, Affine]) -> Op:
    if isinstance(op, For):
        return replace(op, count=op.count.substitute(at), body=tuple(_at(inner, at) for inner in op.body))
    if isinstance(op, MatMul):
        return replace(
            op,
            out=substitute_ref(op.out, at),
            matrix=substitute_ref(op.matrix, at),
            operand=substitute_ref(op.operand, at),
        )
    return replace(op, out=substitute_ref(op.out, at), phi=single_terms(substitute(op.phi, at)))


def single_terms(x: Expr) -> Expr:
    """Sums of one term written out."""
    if isinstance(x, Sum):
        body = single_terms(x.body)
        return (
            substitute(body, {x.variable: Affine(0)})
            if x.count.constant == 1
            else summed(x.variable, x.count, body)
        )
    parts = children(x)
    changed = [single_terms(part) for part in parts]
    return x if all(a is b for a, b in zip(parts, changed, strict=True)) else rebuild(x, changed)


def _split(program: Program) -> Program:
    """A family for each member of an axis that only numbers index; axes of such families are left out."""
    used: dict[str, list[Ref]] = {family.name: [] for family in program.families}
    for op in _instructions(program.body):
        for ref in (op.out, *mentioned(op)):
            if ref.name in used:
                used[ref.name].append(ref)
    for output in program.outputs:
        if output.ref.name in used:
            used[output.ref.name].append(output.ref)
    constant = {
        name: [
            axis
            for axis in range(len(refs[0].index))
            if all(_number(ref.index[axis]) is not None for ref in refs)
        ]
        for name, refs in used.items()
        if refs
    }
    constant = {name: axes for name, axes in constant.items() if axes}
    if not constant:
        return program
    taken = (
        {family.name for family in program.families}
        | {i.name for i in program.inputs}
        | {n for g in program.gaussians for n in g.names}
    )
    names: dict[tuple[str, tuple[int | None, ...]], str] = {}

    def ref_of(ref: Ref) -> Ref:
        if ref.name not in constant:
            return ref
        key = ref.name, tuple(_number(ref.index[axis]) for axis in constant[ref.name])
        if key not in names:
            names[key] = unused(ref.name, taken)
        return Ref(names[key], tuple(i for axis, i in enumerate(ref.index) if axis not in constant[ref.name]))

    body = tuple(rewritten(op, ref_of) for op in program.body)
    outputs = tuple(replace(o, ref=ref_of(o.ref)) for o in program.outputs)
    families = {family.name: family for family in program.families}
    split = [
        replace(
            families[old],
            name=new,
            shape=tuple(n for axis, n in enumerate(families[old].shape) if axis not in constant[old]),
        )
        for (old, _), new in names.items()
    ]
    return replace(
        program,
        body=body,
        outputs=outputs,
        families=(*(f for f in program.families if f.name not in constant), *split),
    )


def unused(name: str, taken: set[str]) -> str:
    """A name that is not taken, and is now: `name$1`, `name$2`, …"""
    base, k = name.split("$")[0], 1
    while f"{base}${k}" in taken:
        k += 1
    taken.add(f"{base}${k}")
    return f"{base}${k}"


def _number(index: Index) -> int | None:
    return index.constant if isinstance(index, Affine) else None


def _instructions(body: Sequence[Op]) -> Iterator[Instruction]:
    for op in body:
        if isinstance(op, For):
            yield from _instructions(op.body)
        else:
            yield op
