"""Sectors: vectors that never meet, and so are functions of different Gaussians.

They meet in one nonlinearity, one mean or one side of a matrix.

A product with a matrix leads from one sector to another by inner products only. In the two hidden layers of
TP4 Thm 6.4, U, x and dx are functions of Z^{U_0} and of the Gaussians of Wᵀ, V, h and dh of Z^{V_0} and of
those of W: points of T + 1 dimensions twice, in place of 2T + 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tpc.core.expr import Value, walk
from tpc.core.program import MatMul, Moment, Nonlin, Program, all_families, instructions
from tpc.plan.gaussians import Layout, Rows, Side

Key = tuple[str, str]  # "vector", "rows" or "columns", and of what


@dataclass(frozen=True, slots=True)
class Sectors:
    """Which vectors are functions of which Gaussians."""

    count: int = 1
    # the sector of every family of vectors
    vectors: Mapping[str, int] = field(default_factory=dict)
    # the sector of what comes out of a side of a matrix
    outputs: Mapping[Side, int] = field(default_factory=dict)
    # the sector of what a side of a matrix multiplies
    operands: Mapping[Side, int] = field(default_factory=dict)
    # the sector of the columns of every family of tables; that of the rows is in `vectors`
    columns: Mapping[str, int] = field(default_factory=dict)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What is appended, in emitted code, to the names of the points, weights, … of every sector."""
        return ("",) if self.count == 1 else tuple(f"_{k + 1}" for k in range(self.count))

    def suffix(self, families: Iterable[str]) -> str:
        """The suffix of the sector in which the first of `families` lives."""
        return self.suffixes[self.vectors.get(next(iter(families), ""), 0)]

    def columns_suffix(self, table: str) -> str:
        """The suffix of the sector in which the columns of a family of tables live."""
        return self.suffixes[self.columns.get(table, 0)]

    def product_suffix(self, side: Side, *, exact: bool) -> str:
        """The suffix of products by a side of a matrix.

        It is that of its operands' sector and, where inner products are not exact, of the other sector that
        comes out.
        """
        operand, out = self.operands.get(side, 0), self.outputs.get(side, 0)
        return self.suffixes[operand] + (self.suffixes[out] if out != operand and not exact else "")

    def layout(self, whole: Layout, sector: int) -> Layout:
        """The Gaussians of one sector, in the order of the whole."""

        def own(table: Mapping[Side, int]) -> dict[Side, int]:
            return {side: k for side, k in table.items() if self.outputs.get(side, 0) == sector}

        if self.count == 1:
            return whole
        initial: dict[str, Rows] = {}
        for name, rows in whole.initial.items():
            if self.vectors[name] == sector:
                initial[name] = Rows(max((r.stop for r in initial.values()), default=0), rows.count)
        return Layout(initial, own(whole.capacity), own(whole.extra), whole.members)


def by_width(program: Program) -> Sectors:
    """Every width as a sector of its own, so that its points have weights of their own."""
    numbers = {width.name: k for k, width in enumerate(program.widths)}
    families = all_families(program).values()
    sides = {(m.name, t): (m.rows, m.columns)[t] for m in program.matrices for t in (False, True)}
    outputs = {side: numbers[width] for side, width in sides.items()}
    return Sectors(
        len(numbers),
        {family.name: numbers[family.width] for family in families if family.width is not None},
        outputs,
        {(name, transposed): outputs[name, not transposed] for name, transposed in outputs},
        {family.name: numbers[family.columns] for family in families if family.columns is not None},
    )


def separate(program: Program) -> Sectors:
    """The sectors of a program, numbered in the order in which it meets them."""
    numbers, sides = _groups_of(program)
    return Sectors(
        max(1, len(set(numbers.values()))),
        {name: k for (kind, name), k in numbers.items() if kind == "vector"},
        {side: numbers[out] for side, (out, _) in sides.items()},
        {side: numbers[operand] for side, (_, operand) in sides.items()},
    )


def _groups_of(program: Program) -> tuple[dict[Key, int], dict[Side, tuple[Key, Key]]]:
    """The group of each vector and side of a matrix, and what comes out of products and goes into them."""
    groups = _Groups()
    for group in program.gaussians:
        groups.join([("vector", name) for name in group.names])
    sides: dict[Side, tuple[Key, Key]] = {}
    for op, _ in instructions(program.body):
        if isinstance(op, MatMul):
            name = op.matrix.name
            rows, columns = ("rows", name), ("columns", name)
            out, operand = (columns, rows) if op.transposed else (rows, columns)
            groups.join([("vector", op.out.name), out])
            groups.join([("vector", op.operand.name), operand])
            sides[name, op.transposed] = out, operand
        elif isinstance(op, Nonlin | Moment):
            own = [op.out.name] if isinstance(op, Nonlin) else []
            met = [node.ref.name for node in walk(op.phi) if isinstance(node, Value) and node.vector]
            groups.join([("vector", name) for name in (*own, *met)])
    return groups.numbers(), sides


class _Groups:
    """Things that belong together (union by a parent)."""

    def __init__(self) -> None:
        self.parents: dict[Key, Key] = {}

    def root(self, key: Key) -> Key:
        self.parents.setdefault(key, key)
        while self.parents[key] != key:
            self.parents[key] = self.parents[self.parents[key]]
            key = self.parents[key]
        return key

    def join(self, keys: list[Key]) -> None:
        for key in keys:
            self.parents[self.root(key)] = self.root(keys[0])

    def numbers(self) -> dict[Key, int]:
        """Every key's group, groups numbered as they first occur."""
        order = {root: k for k, root in enumerate(dict.fromkeys(self.root(key) for key in self.parents))}
        return {key: order[self.root(key)] for key in self.parents}
