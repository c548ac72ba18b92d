"""A whole emitted module from its parts.

Docstring, imports, settings, `limit`, and the helpers that are reached.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tpc.core.program import Input, Program
from tpc.emit import python as py
from tpc.emit.library import MAIN, Helper, global_names, library, reached
from tpc.emit.python import Assign, Def, Py

PUBLIC = ("run",)  # what the user of a module calls, besides `limit`


@dataclass(frozen=True, slots=True)
class Setting:
    """A line of numbers that a module is made with: their names and values, and what they are."""

    values: dict[str, str]
    remark: str = ""


def assembled(
    doc: str,
    settings: Sequence[Setting],
    limit: Def,
    *,
    sections: Collection[str],
    public: Collection[str] = (),
    forms: Sequence[str] = (),
) -> str:
    """The text of a module.

    sections: of the alternatives among helpers, those that it has. public: what it has besides for its user.
    forms: closed forms of the user's, functions as text. Settings that nothing reads are left out.
    """
    text = "\n".join(py.print_statements([limit]))
    ending = [h for h in library().helpers if h.section == MAIN]
    own = [text, *forms, *(h.text for h in ending)]
    needed = {*PUBLIC, *public}.union(*map(global_names, own))
    given = {limit.name, *(name for line in settings for name in line.values)}
    given |= {name for form in forms for name in (form.split("(")[0].removeprefix("def ").strip(),)}
    helpers, imports = reached(needed, given, sections)
    read = needed.union(*(h.needs for h in helpers))
    return "\n".join(
        [
            doc,
            "",
            *imports,
            "",
            *_lines(settings, read),
            "",
            "",
            "\n\n\n".join([text, *forms]),
            *_join([*helpers, *ending]),
            "",
        ]
    )


def inputs_setting(program: Program) -> Setting:
    def default(i: Input) -> float | int | None:
        return None if i.default is None else float(i.default) if i.bound is None else int(i.default)

    rows = ", ".join(f"{i.name!r}: ({i.shape!r}, {default(i)!r})" for i in program.inputs)
    return Setting({"INPUTS": f"{{{rows}}}"}, "shapes and defaults" * bool(rows))


def _lines(settings: Sequence[Setting], read: Collection[str]) -> list[str]:
    found: list[Assign] = []
    for line in settings:
        values = {name: value for name, value in line.values.items() if name in read}
        if values:
            right = py.row_of([Py(value) for value in values.values()])
            found.append(Assign(tuple(values), right, line.remark))
    return py.print_statements(found)


def _join(helpers: Sequence[Helper]) -> list[str]:
    """Definitions with two blank lines around, constants in a row without."""
    parts = ["", "", helpers[0].text]
    for before, helper in pairwise(helpers):
        plain = before.constant and helper.constant
        parts += [helper.text] if plain else ["", "", helper.text]
    return parts
