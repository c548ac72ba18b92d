"""The program being made.

The block that instructions go to, the loops around it, fresh names for parts of a line.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tpc.core.affine import Affine
from tpc.core.expr import Expr, Ref, Value, values, walk
from tpc.core.names import SplitName, Together, free_part
from tpc.core.program import (
    Family,
    For,
    Instruction,
    MatMul,
    Moment,
    Nonlin,
    Op,
    Origin,
    OuterMul,
    OuterNonlin,
    Product,
    Scalar,
)
from tpc.core.traverse import op_variables
from tpc.syntax.order import greatest
from tpc.syntax.scope import Loop


@dataclass(frozen=True, slots=True)
class Binding:
    """What a name means inside an expression: its value, and as an index if it is one."""

    value: Expr
    index: Affine | None = None


Env = Mapping[str, Binding]


class Block:
    """Collects instructions. `loops`: the regions around; `sums`: the sums whose bodies are being lowered."""

    def __init__(self, taken: Container[str] = ()) -> None:
        self.taken = taken  # the names that the program declares
        self.ops: list[Op] = []
        self.loops: list[Loop] = []
        self.newest = ""  # the part last made for the line being lowered
        self.sums: list[Loop] = []
        self.made: dict[str, Family] = {}
        self.base = ""
        self.origin = Origin()
        self.counts: dict[str, int] = {}
        self.grown: For | None = None  # the region last made for parts of a sum, which may still grow

    @contextmanager
    def region(self, loop: Loop, origin: Origin) -> Iterator[None]:
        outer, self.ops = self.ops, []
        self.loops.append(loop)
        yield
        self.loops.pop()
        outer.append(For(loop.variable, loop.count, tuple(self.ops), origin=origin))
        self.ops = outer

    @contextmanager
    def summing(self, loops: list[Loop]) -> Iterator[None]:
        self.sums += loops
        yield
        del self.sums[len(self.sums) - len(loops) :]

    def variables(self) -> set[str]:
        return {loop.variable for loop in (*self.loops, *self.sums)}

    def unused(self, variable: str) -> str:
        """A name for a bound variable that means nothing yet."""
        used = self.variables()
        return free_part(variable, Together((used, self.taken))) if variable in used else variable

    def fresh(self, base: str) -> str:
        """A name that is not taken, of the form reserved for what lowering makes.

        A program once lowered has such names itself.
        """
        while True:
            self.counts[base] = self.counts.get(base, 0) + 1
            name = str(SplitName(base, str(self.counts[base])))
            if name not in self.made and name not in self.taken:
                return name

    def part(self, make: Instruction, kind: Family) -> Value:
        """Adds an instruction for a part of the line being lowered, under a fresh name.

        It is made once per index of the sums that it depends on.

        `make` and `kind` come without a name: the fresh one is put in.
        """
        needed = self.needed(op_variables(make))
        around = [*self.loops, *needed]
        name = self.fresh(self.base)
        out = Ref(name, tuple(Affine.var(loop.variable) for loop in around))
        shape = tuple(greatest(loop.count, around[:i]) for i, loop in enumerate(around))
        self.made[name] = replace(kind, name=name, shape=shape)
        self.append(needed, replace(make, out=out))
        self.newest = name
        return Value(out, kind.kind != "scalar")

    def needed(self, free: frozenset[str]) -> list[Loop]:
        """The sums that something with these free variables depends on, also by their counts."""
        found: list[Loop] = []
        for loop in reversed(self.sums):
            if loop.variable in free:
                free = free | loop.count.variables
                found.insert(0, loop)
        return found

    def append(self, needed: list[Loop], op: Op) -> None:
        if not needed:
            self.ops.append(op)
            return
        last = self.ops[-1] if self.ops else None
        if (
            last is not None
            and last is self.grown
            and len(needed) == 1
            and (last.variable, last.count) == (needed[0].variable, needed[0].count)
        ):
            region = replace(last, body=(*last.body, op))  # one region for all parts of one sum
            self.ops[-1] = region
        else:
            region = For(needed[-1].variable, needed[-1].count, (op,), origin=self.origin)
            for loop in reversed(needed[:-1]):
                region = For(loop.variable, loop.count, (region,), origin=self.origin)
            self.ops.append(region)
        self.grown = region

    def finish(self, target: Ref, value: Expr) -> None:
        """Defines `target` as `value`.

        The instruction that has just made a part gets the target's name, if that is all there is.
        """
        last = self.ops[-1] if self.ops else None
        newest, self.newest = self.newest, ""
        if (
            isinstance(value, Value)
            and isinstance(last, MatMul | Moment | OuterMul)
            and last.out == value.ref
            and value.ref.name == newest
            and newest not in values_of(self.ops[:-1])
        ):
            family = self.made.pop(value.ref.name)
            self.counts[self.base] -= 1
            self.ops[-1] = replace(last, out=target)
            self.made.setdefault(target.name, replace(family, name=target.name))
            return
        kind = self.made[target.name].kind
        make = Nonlin if kind == "vector" else OuterNonlin if kind == "table" else Scalar
        self.ops.append(make(target, value, origin=self.origin))


def values_of(ops: list[Op]) -> set[str]:
    """The names of fresh parts that instructions refer to.

    Parts are only used on the line that made them, so this looks at few.
    """
    names: set[str] = set()
    for op in ops[-8:]:
        if not isinstance(op, For | Product):
            names |= {v.ref.name for v in values(op.phi)}
    return names


def size(x: Expr, limit: int) -> int:
    """The number of nodes, counted up to `limit`."""
    count = 0
    for _ in walk(x):
        count += 1
        if count >= limit:
            break
    return count
