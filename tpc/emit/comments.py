"""Comments of emitted lines: what the code does not say, the user's line first."""

from __future__ import annotations

from collections.abc import Sequence

from tpc.core.expr import Sum, walk
from tpc.core.names import LINK
from tpc.core.program import Instruction, MatMul, Origin, OuterMul, Program
from tpc.core.storage import Region

LONGEST = 60  # characters of a user's line that are shown


class Comments:
    """The comments of one program.

    told: the user's lines, and what was made of them, that a comment has named.
    """

    def __init__(self, program: Program) -> None:
        self.lines = program.source.text.splitlines() if program.source is not None else []
        self.told: set[tuple[int, str]] = set()

    def of(self, op: Instruction, nest: Sequence[Region] = (), *, dot: bool = True) -> str:
        """The comment on the code for an instruction, in loops that it does at once.

        dot: whether a product has a Ż.
        """
        parts = [self._origin(op.origin)]
        if isinstance(op, MatMul):
            z = plain(op.out.name)
            parts.append(f"Z^{z} = Ẑ^{z} + Ż^{z}" if dot else f"Z^{z} = Ẑ^{z}")
        elif not isinstance(op, OuterMul):
            sums = dict.fromkeys(
                plain(f"{x.variable} < {x.count}") for x in walk(op.phi) if isinstance(x, Sum)
            )
            parts.append(f"sum over {', '.join(sums)}" if sums else "")
        parts.append(loops(nest))
        return "; ".join(filter(None, parts))

    def _origin(self, origin: Origin) -> str:
        """The line, once for every thing that was made of it."""
        key = origin.line, origin.what
        if key in self.told or not 0 < origin.line <= len(self.lines):
            return ""
        self.told.add(key)
        if origin.what:
            return origin.what
        text = " ".join(self.lines[origin.line - 1].split("#")[0].split()).removesuffix(":")
        return f"line {origin.line}: {text if len(text) <= LONGEST else f'{text[:LONGEST]}…'}"


def loops(nest: Sequence[Region]) -> str:
    """Which rounds a line does at once, in words."""
    return " ".join(f"for {plain(r.variable)} < {plain(str(r.loop.count))}" for r in nest)


def plain(name: str) -> str:
    """A name of the core, parts of an instruction numbered, as it stands in the module."""
    return name.replace(LINK, "_")
