"""Well-formedness of programs, run between passes. What it finds is a defect of ours, never the user's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from math import prod

from tpc.core.affine import Ranges, bounds
from tpc.core.dependence import references
from tpc.core.expr import (
    Expr,
    Gather,
    OuterProduct,
    Position,
    Ref,
    Sum,
    Value,
    children,
    values,
    walk,
)
from tpc.core.places import in_rounds
from tpc.core.program import (
    Family,
    For,
    Instruction,
    MatMul,
    Matrix,
    Moment,
    Nonlin,
    Op,
    OuterMul,
    OuterNonlin,
    Program,
    Scalar,
    all_families,
    instructions,
)
from tpc.core.spectral import SpectralMap
from tpc.core.traverse import used_refs

MAX_CHECKED = 20_000  # instructions and references whose order is checked one by one


class InternalError(Exception):
    """A defect of tpc: please report it with the program."""


def verified(program: Program) -> Program:
    """`program`, found well formed.

    Kinds, widths and sides fit, indices are in scope, everything is made once and before it is used.

    Raises InternalError. (Order is checked in small programs, reference by reference; resolve has checked it
    in all.)
    """
    families, matrices = all_families(program), {matrix.name: matrix for matrix in program.matrices}
    for op, loops in instructions(program.body):
        _check(matrices, op, families, {loop.variable for loop in loops})
    if instances(program.body) + sum(prod(item.shape) for item in program.inputs) <= MAX_CHECKED:
        _check_order(program)
    return program


def _require(condition: bool, op: Instruction, why: str) -> None:
    if not condition:
        from tpc.core.printer import print_op

        raise InternalError(f"{why}, in `{print_op(op)[0]}`")


def _check(
    matrices: Mapping[str, Matrix], op: Instruction, families: Mapping[str, Family], variables: set[str]
) -> None:
    out = families.get(op.out.name)
    _require(out is not None, op, f"{op.out.name} is no family")
    assert out is not None
    _check_index(op.out, out.shape, variables, op)
    if isinstance(op, MatMul):
        matrix = matrices.get(op.matrix.name)
        _require(matrix is not None, op, f"{op.matrix.name} is no matrix")
        assert matrix is not None
        rows, columns = (matrix.columns, matrix.rows) if op.transposed else (matrix.rows, matrix.columns)
        _check_index(op.matrix, tuple(count for _, count in matrix.axes), variables, op)
        _require(op.operand.name in families, op, f"{op.operand.name} is no family")
        _check_index(op.operand, families[op.operand.name].shape, variables, op)
        _require(out.width == rows and families[op.operand.name].width == columns, op, "the sides do not fit")
        return
    if isinstance(op, OuterMul):
        _check_table_product(op, out, families, variables)
        return
    _check_expr(op.phi, families, variables, op)
    _require(isinstance(op, Nonlin | Moment | Scalar | OuterNonlin), op, "an unknown instruction")
    kind = "vector" if isinstance(op, Nonlin) else "table" if isinstance(op, OuterNonlin) else "scalar"
    _require(out.kind == kind, op, "the family is of another kind")
    if isinstance(op, OuterNonlin):
        fits = out.columns is not None and all(_fits(v, out, families) for v in _entries(op.phi))
    else:
        sides = {families[v.ref.name].widths for v in values(op.phi) if v.vector}
        outer = any(isinstance(node, OuterProduct) for node in walk(op.phi))
        fits = not outer and (len(sides) == 1 if isinstance(op, Moment) else sides <= {out.widths} - {()})
    _require(fits, op, "widths are mixed, or a kind is wrong")


def _check_table_product(
    op: OuterMul, out: Family, families: Mapping[str, Family], variables: set[str]
) -> None:
    for ref in (op.table, op.operand):
        _require(ref.name in families, op, f"{ref.name} is no family")
        _check_index(ref, families[ref.name].shape, variables, op)
    table, operand = families[op.table.name], families[op.operand.name]
    _require(table.kind == "table" and operand.kind == out.kind == "vector", op, "a kind is wrong")
    far, near = (table.columns, table.width) if op.transposed else (table.width, table.columns)
    _require(out.width == far and operand.width == near, op, "the sides do not fit")


def _entries(phi: Expr) -> list[Value | OuterProduct | SpectralMap]:
    """The tables, outer products and functions of tables that a table is made of, those inside of none."""
    found, left = list[Value | OuterProduct | SpectralMap](), [phi]
    while left:
        node = left.pop()
        if isinstance(node, OuterProduct | SpectralMap) or (isinstance(node, Value) and node.vector):
            found.append(node)
        else:
            left += children(node)
    return found


def _fits(entry: Value | OuterProduct | SpectralMap, out: Family, families: Mapping[str, Family]) -> bool:
    """Whether a table, an outer product, or what a function makes, has the sides of `out`."""
    if isinstance(entry, Value):
        return families[entry.ref.name].widths == out.widths
    if isinstance(entry, SpectralMap):
        known = [families[v.ref.name].widths if isinstance(v, Value) else () for v in entry.tables]
        return bool(known[0]) and entry.signature.fits(known, out.widths)
    return all(
        {families[v.ref.name].widths for v in values(part) if v.vector} <= {(width,)}
        for part, width in ((entry.rows, out.width), (entry.columns, out.columns))
    )


def _check_expr(x: Expr, families: Mapping[str, Family], variables: set[str], op: Instruction) -> None:
    match x:
        case Value(ref, vector):
            right = ref.name in families and (families[ref.name].kind != "scalar") == vector
            _require(right, op, f"{ref} has the wrong kind")
            _check_index(ref, families[ref.name].shape, variables, op)
        case Position(index):
            _require(index.variables <= variables, op, f"{index} is out of scope")
        case Sum(variable, count, body):
            free = count.variables <= variables and variable not in variables
            _require(free, op, f"the bound variable {variable} is not free")
            _check_expr(body, families, variables | {variable}, op)
        case _:
            for part in children(x):
                _check_expr(part, families, variables, op)


def _check_index(ref: Ref, shape: tuple[int, ...], variables: set[str], op: Instruction) -> None:
    _require(
        len(ref.index) == len(shape), op, f"{ref} has {len(ref.index)} indices, and the family {len(shape)}"
    )
    for i in ref.index:
        for affine in i.index if isinstance(i, Gather) else (i,):
            _require(affine.variables <= variables, op, f"{ref} is out of scope")


def instances(body: tuple[Op, ...], ranges: Ranges = ()) -> int:
    """How many instructions and references the body comes to with loops and sums written out.

    Each is taken to have its largest count.
    """
    total = 0
    for op in body:
        if isinstance(op, For):
            total += instances(op.body, (*ranges, (op.variable, op.count)))
        else:
            total += sum(_rounds_of(inner) for _, inner in references(op, ranges)) + _rounds_of(ranges)
    return total


def _rounds_of(ranges: Ranges) -> int:
    return prod(max(0, bounds(count, ranges[:i])[1]) for i, (_, count) in enumerate(ranges))


Member = tuple[str, tuple[int, ...]]


def _check_order(program: Program) -> None:
    made: set[Member] = set()
    for item in program.inputs:
        made |= {(item.name, index) for index in product(*map(range, item.shape))}
    for group in program.gaussians:
        made |= {
            (name, index) for name in group.names for index in product(*(range(c) for _, c in group.axes))
        }
    for op, at in in_rounds(program.body, {}):
        for member in _members(op, at):
            _require(member in made, op, f"{member} is used before it is made")
        out = _at(op.out, at)
        _require(out is not None and out not in made, op, f"{out} is made twice")
        assert out is not None
        made.add(out)


def _at(ref: Ref, at: Mapping[str, int]) -> Member | None:
    if any(isinstance(i, Gather) for i in ref.index):
        return None
    return ref.name, tuple(i.at(at) for i in ref.index if not isinstance(i, Gather))


def _members(op: Instruction, at: Mapping[str, int]) -> Iterator[Member]:
    if isinstance(op, MatMul | OuterMul):
        members = (_at(ref, at) for ref in used_refs(op))
        yield from (member for member in members if member is not None)
    else:
        yield from _expr_members(op.phi, at)


def _expr_members(x: Expr, at: Mapping[str, int]) -> Iterator[Member]:
    if isinstance(x, Value):
        member = _at(x.ref, at)
        if member is not None:
            yield member
    elif isinstance(x, Sum):
        for s in range(x.count.at(at)):
            yield from _expr_members(x.body, {**at, x.variable: s})
    else:
        for part in children(x):
            yield from _expr_members(part, at)
