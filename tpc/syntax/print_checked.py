"""A checked tree as text: a file that lowers to the same program, and as remarks what its names are."""

from __future__ import annotations

from tpc.syntax import tree
from tpc.syntax.print_tree import print_statement
from tpc.syntax.resolve import Checked


def print_checked(checked: Checked) -> str:
    """Dims have the values that they are set to; the extents and the kind of every family are told below."""
    lines = [f"program {checked.name}"]
    for s in checked.file.statements:
        if isinstance(s, tree.Dim):
            lines.append(f"dim {s.name.name} = {checked.scope.dims[s.name.name]}")
        elif not isinstance(s, tree.ProgramName):
            lines += print_statement(s)
    return "".join(f"{line}\n" for line in [*lines, *_remarks(checked)])


def _remarks(checked: Checked) -> list[str]:
    """A line for every family that instructions make."""
    lines = []
    for name, kind in checked.families.items():
        shape = checked.shapes[name]
        extents = f"[{', '.join(map(str, shape))}]" if shape else ""
        lines.append(f"# {name}{extents} is {kind}")
    return lines
