"""A program's body with an instruction in each loop nest.

What is run round by round, and what in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tpc.core.affine import Affine, Ranges
from tpc.core.dependence import is_parallel
from tpc.core.expr import Expr, Index, Ref, Sum, summed
from tpc.core.expr import replace as replaced
from tpc.core.names import part
from tpc.core.program import For, Instruction, Op, Program, instructions
from tpc.core.traverse import at_round, map_phi, map_refs, substitute, used_refs


@dataclass(eq=False, slots=True)
class Level:
    """The body of a loop that is run round by round, or of the program."""

    loop: For | None
    # the levels it is in, outermost first
    around: tuple[Level, ...]
    items: list[Nested | Level | Opaque] = field(default_factory=list)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels around, and itself."""
        return (*self.around, self)

    @property
    def ranges(self) -> Ranges:
        return tuple(
            (level.loop.variable, level.loop.count) for level in self.levels if level.loop is not None
        )


@dataclass(eq=False, slots=True)
class Nested:
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


Item = Nested | Level | Opaque


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


def sites(level: Level) -> Iterator[Nested]:
    """Every instruction but those in loops that are left as they are, in program order."""
    return (item for item in _items(level) if isinstance(item, Nested))


def _items(level: Level) -> Iterator[Item]:
    for item in level.items:
        yield from _items(item) if isinstance(item, Level) else (item,)


def put_before(level: Level, made: Mapping[Item, Sequence[Nested]]) -> None:
    """Puts instructions where they belong. made: what comes before each item."""
    items: list[Item] = []
    for item in level.items:
        if isinstance(item, Level):
            put_before(item, made)
        items += [*made.get(item, []), item]
    level.items = items


def opaque(level: Level) -> Iterator[Opaque]:
    return (item for item in _items(level) if isinstance(item, Opaque))


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
    """The loop around one part of its body.

    Inside, if the part is a loop that is run round by round and allows it.
    """
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
            level.items.append(Nested(inner, tuple(nest), level))
        elif not nest:
            deeper = Level(inner, level.levels)
            level.items.append(deeper)
            _fill(deeper, inner.body)
        else:
            assert isinstance(op, For)
            level.items.append(Opaque(op, level))


# loops and sums of one round


def without_single_rounds(program: Program) -> Program:
    """Loops and sums of one round written out, and members at numbers alone by families of their own.

    These are the members of an axis along which all indices are numbers.
    """
    body = tuple(inner for op in program.body for inner in _written_out(op))
    return _split(replace(program, body=body))


def _written_out(op: Op) -> Iterator[Op]:
    if not isinstance(op, For):
        yield map_phi(op, single_terms)
        return
    body = tuple(inner for part in op.body for inner in _written_out(part))
    if op.count.constant == 1:
        yield from (map_phi(at_round(inner, {op.variable: Affine(0)}), single_terms) for inner in body)
    else:
        yield replace(op, body=body)


def single_terms(x: Expr) -> Expr:
    """Sums of one term written out."""

    def leaf(node: Expr) -> Expr | None:
        if not isinstance(node, Sum):
            return None
        body = single_terms(node.body)
        if node.count.constant == 1:
            return substitute(body, {node.variable: Affine(0)})
        return summed(node.variable, node.count, body)

    return replaced(x, leaf)


def _split(program: Program) -> Program:
    """A family for each member of an axis that only numbers index; axes of such families are left out."""
    used: dict[str, list[Ref]] = {family.name: [] for family in program.families}
    for op, _ in instructions(program.body):
        for ref in (op.out, *used_refs(op)):
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
    taken = set(program.names)
    names: dict[tuple[str, tuple[int | None, ...]], str] = {}

    def ref_of(ref: Ref) -> Ref:
        if ref.name not in constant:
            return ref
        key = ref.name, tuple(_number(ref.index[axis]) for axis in constant[ref.name])
        if key not in names:
            names[key] = part(ref.name, taken)
        return Ref(names[key], tuple(i for axis, i in enumerate(ref.index) if axis not in constant[ref.name]))

    body = tuple(map_refs(op, ref_of) for op in program.body)
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


def _number(index: Index) -> int | None:
    return index.constant if isinstance(index, Affine) else None
