"""The scopes of the emitted function.

They say which values are at hand under which names, and which of them an inner function changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tpc.core.expr import Index, Ref
from tpc.emit import python as py
from tpc.emit.python import Assign, Py, Statement


@dataclass(eq=False, slots=True)
class MemberArray:
    """Members of a family under one name: those whose index on the axes `fixed` is the given one."""

    name: str
    family: str
    vector: bool
    fixed: Mapping[int, Index]
    # the other axes, those of the array
    kept: tuple[int, ...]
    shape: tuple[int, ...]
    frame: Frame
    writers: int = 1
    # not assigned yet; an array that is filled in parts begins as a constant
    pending: bool = False
    store: bool = True
    # the names of the length of a vector, or of the two of a table
    sizes: tuple[str, ...] = ("size",)
    # kept in blocks of steps, as a history
    blocks: bool = False
    # in 16 bits a number, to be restored when read
    packed: bool = False

    def holds(self, ref: Ref) -> bool:
        return ref.name == self.family and all(ref.index[axis] == index for axis, index in self.fixed.items())

    def ready(self) -> None:
        """An array that is filled in parts starts as zeros.

        Scalars as ones, of which logarithms and inverses exist.
        """
        if self.pending:
            extents = [py.integer(self.shape[axis]) for axis in self.kept]
            extents += map(py.name, self.sizes if self.vector else ())
            make = "history" if self.blocks else "jnp.zeros" if self.vector else "jnp.ones"
            value = py.call(make, py.tuple_of(extents) if extents else Py("()"), py.name("dtype"))
            comment = "" if self.vector else "set below; ones, which have logarithms"
            self.frame.prologue.append(Assign((self.name,), value, comment))
            self.pending = False

    @property
    def whole(self) -> Py:
        """All of it as one array."""
        if self.packed:
            return py.call("restored", py.name(f"{self.name}.bits"))
        return py.call("whole", py.name(self.name)) if self.blocks else py.name(self.name)

    def part(self, index: Sequence[Py]) -> Py:
        """The part of that array at an index."""
        if self.packed:
            return py.call("restored", py.subscript(py.name(f"{self.name}.bits"), list(index)))
        return py.subscript(self.whole, list(index))

    def rest(self, ref: Ref) -> tuple[Index, ...]:
        return tuple(ref.index[axis] for axis in self.kept)

    def read(self, ref: Ref, index: Sequence[Py]) -> MemberArray:
        """The part of it at an index as what `ref` means, where nothing is stored."""
        fixed = dict(enumerate(ref.index))
        text = self.part(index).text
        return MemberArray(text, self.family, self.vector, fixed, (), self.shape, self.frame, store=False)


@dataclass(eq=False, slots=True)
class BasisChain:
    """The bases of one side of a matrix, under one name."""

    name: str
    frame: Frame


@dataclass(eq=False, slots=True)
class Frame:
    """One emitted function, or a round of it."""

    parent: Frame | None = None
    # loop variables to Python names
    variables: dict[str, str] = field(default_factory=dict)
    held: dict[str, list[MemberArray]] = field(default_factory=dict)  # by family
    chains: dict[tuple[str, bool], BasisChain] = field(default_factory=dict)
    prologue: list[Statement] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    changed: dict[MemberArray | BasisChain, None] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    turn: str | None = None  # what numbers the rounds, where vectors are packed

    def outward(self) -> Iterator[Frame]:
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.parent

    def variable(self, name: str) -> str:
        for frame in self.outward():
            frame.used.add(name)
            if name in frame.variables:
                return frame.variables[name]
        raise KeyError(name)

    def hold(self, member: MemberArray) -> None:
        self.held.setdefault(member.family, []).append(member)

    def find(self, ref: Ref) -> MemberArray:
        """Where a member can be read."""
        held = self.find_or_none(ref)
        if held is None:
            raise KeyError(str(ref))
        return held

    def find_or_none(self, ref: Ref) -> MemberArray | None:
        """The innermost and latest place that has a member, None if it is not made yet."""
        for frame in self.outward():
            for held in reversed(frame.held.get(ref.name, ())):
                if held.holds(ref) and not (held.pending and not held.kept):
                    held.ready()
                    return held
        return None

    def target(self, ref: Ref) -> MemberArray | None:
        """What a member that is made now has to be stored in, if anything was set aside for it."""
        for frame in self.outward():
            for held in reversed(frame.held.get(ref.name, ())):
                if held.holds(ref) and held.store:
                    return held
        return None

    def turns(self) -> Py | None:
        """The number of the round that this is in, if it has one."""
        return next((py.name(frame.turn) for frame in self.outward() if frame.turn is not None), None)

    def chain(self, side: tuple[str, bool]) -> BasisChain | None:
        return next((frame.chains[side] for frame in self.outward() if side in frame.chains), None)

    def changes(self, item: MemberArray | BasisChain) -> None:
        """Notes that `item` is assigned here.

        Every function between here and where it lives passes it through.
        """
        for frame in self.outward():
            if frame is item.frame:
                return
            frame.changed[item] = None
