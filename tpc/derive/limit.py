"""The limit of a program: its formulas, by name and in order."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tpc.core.affine import Affine
from tpc.core.expr import Ref
from tpc.core.program import Program
from tpc.derive.formula import ZDot, ZFormula, ZMatMul, ZPartial
from tpc.derive.rules import Rules
from tpc.derive.sites import FormulaScope

if TYPE_CHECKING:
    import numpy as np

    from tpc.derive.closed import ClosedForms
MAX_REPORTED = 12


def derive(program: Program, *, of: Program | None = None, notes: tuple[str, ...] = ()) -> Limit:
    """The Z-recursion of `program` (TP4 Def 7.3).

    A formula for every vector and scalar, in program order, loops as loops.

    of, notes: the program with powers of n that it is the limit's of (`tpc.expand`), and what names in it
    stand for.
    """
    rules = Rules(program)
    formulas = (*rules.initial(), *rules.of_instructions())
    dots = [formula.dot for formula in formulas if isinstance(formula, ZMatMul)]
    partials = rules.partials.reached(
        [term.coefficient for dot in dots for term in dot.terms] + [dot.value for dot in dots]
    )
    return Limit(program, formulas, partials, rules.facts.scope, of or program, notes)


@dataclass(frozen=True, repr=False)
class Formulas:
    """The formulas of a family that several lines define."""

    items: tuple[ZFormula, ...]

    def __iter__(self) -> Iterator[ZFormula]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> ZFormula:
        return self.items[position]

    def __str__(self) -> str:
        return "\n".join(map(str, self.items))

    __repr__ = __str__

    def latex(self) -> str:
        from tpc.derive.latex import latex_formulas

        return latex_formulas(self.items)

    def _repr_html_(self) -> str:
        from tpc.derive.latex_blocks import SCREEN, html_blocks, rows_of_formulas

        return html_blocks(rows_of_formulas(self.items, {}, SCREEN))


@dataclass(frozen=True, repr=False)
class Limit:
    """The infinite-width limit of `program`."""

    program: Program
    # one for each input, initial vector and instruction, in program order; a loop's stand once, its variable
    # free in them
    formulas: tuple[ZFormula, ...]
    # the recurrences of the derivatives `∂Z^x/∂Ẑ^g` that the formulas name
    partials: tuple[ZPartial, ...]
    # what fresh names in them stand for
    scope: FormulaScope = field(default=FormulaScope(), compare=False)
    # the program that this is the limit of, if it has powers of n and so is not `program`
    of: Program | None = None
    # what names of `program` stand for in `of`
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> ZFormula | Formulas:
        """What `name` is in the limit: `limit["h"]`, `limit["h[1]"]`, `limit["V[t+1]"]`.

        Greek letters and their names are the same.

        `h[1]` of a loop is its formula at t = 1, written out. Raises KeyError with the nearest names.
        """
        ref, text = parse_reference(name)
        family = [formula for formula in self.formulas if formula.of.name == ref]
        if not text:
            found: list[ZFormula] = family
        elif all(re.fullmatch(r"\d+", i) for i in text):
            wanted = Ref(ref, tuple(Affine(int(i)) for i in text))
            found = [formula for f in family if (formula := instance(f, wanted)) is not None]
        else:
            found = [f for f in family if [str(i).replace(" ", "") for i in f.of.index] == text]
        if not found:
            raise KeyError(self._unknown(name, [str(f.of) for f in family]))
        found = [self._showing(formula) for formula in found]
        return found[0] if len(found) == 1 else Formulas(tuple(found))

    def __repr__(self) -> str:
        return f"<the limit of {self.program.name}: {len(self.formulas)} formulas>"

    def __iter__(self) -> Iterator[ZFormula]:
        """The formulas in order, as they are shown: with closed forms."""
        return map(self._showing, self.formulas)

    def _showing(self, formula: ZFormula) -> ZFormula:
        """`formula`, to be shown with closed forms, which are looked for only then."""
        return replace(
            formula, scope=replace(self.scope, closed=lambda equation: self.closed.equation(equation))
        )

    def _unknown(self, name: str, family: list[str]) -> str:
        known = family or sorted({f.of.name for f in self.formulas})
        return (
            f"no {name} in this limit, but "
            f"{', '.join(known[:MAX_REPORTED])}{', …' if len(known) > MAX_REPORTED else ''}"
        )

    def dot(self, name: str) -> ZDot:
        """The `Ż` of a product."""
        found = self[name]
        if not isinstance(found, ZMatMul):
            raise KeyError(f"{name} is not a product with a matrix, so that its Ż is 0")
        return found.dot

    def partial(self, of: str, by: str) -> ZPartial | Formulas:
        """The recurrence of `∂Z^of/∂Ẑ^by`, two families, where it is a quantity with a name."""
        (x, _), (g, _) = parse_reference(of), parse_reference(by)
        found = [p for p in self.partials if p.of.name == x and p.by.name == g]
        if not found:
            raise KeyError(
                f"∂Z^{of}/∂Ẑ^{by} has no name in this limit: it is 0, not needed, or short enough to be "
                "written out"
            )
        return found[0] if len(found) == 1 else Formulas(tuple(found))

    def unroll(self) -> Limit:
        """The limit of the same program with its loops written out."""
        from tpc.core.unroll import unroll

        return derive(unroll(self.program), of=self.of, notes=self.notes)

    @cached_property
    def closed(self) -> ClosedForms:
        """Exact values of the expectations that have one."""
        from tpc.derive.closed import ClosedForms

        return ClosedForms(self)

    def evaluate(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        samples: int = 4096,
        seed: int = 0,
        method: str = "sobol",
    ) -> dict[str, np.ndarray]:
        """The outputs by name, from the formulas as they stand, on points of the Gaussians.

        A check for small programs.

        samples: how many points ("sobol", a power of 2), or nodes in each dimension ("hermite", for at most 3
        Gaussians).
        """
        from tpc.derive.evaluate import evaluate_limit

        return evaluate_limit(self, inputs or {}, samples=samples, seed=seed, method=method)

    def text(self) -> str:
        from tpc.derive.print_limit import print_limit

        return print_limit(self)

    def __str__(self) -> str:
        return self.text()

    def latex(self) -> str:
        from tpc.derive.print_limit import latex_limit

        return latex_limit(self)

    def _remarks(self) -> list[str]:
        from tpc.derive.symbol_remarks import latex_remarks

        return latex_remarks(self.formulas, derivatives=bool(self.partials))

    def to_latex(self, names: Mapping[str, str] | None = None, *, width: float = 54.0) -> str:
        """All formulas for a paper: an `align*` of amsmath (and amssymb), whose lines fit a page.

        Below it, what its symbols mean where formulas do not say so.

        names: how vectors, scalars, matrices and indices are to be written, in LaTeX, by their names. width:
        of a line, about, in letters; the default is for 345 pt at 10 pt, a column of the standard classes.
        """
        from tpc.derive.latex_blocks import page
        from tpc.derive.limit_blocks import rows_of_limit

        rows = (replace(row, rule="") for row in rows_of_limit(self, names or {}, width))
        return "\n\n".join([page(rows), *self._remarks()])

    def _repr_html_(self) -> str:
        from tpc.derive.latex_blocks import SCREEN, html_blocks
        from tpc.derive.limit_blocks import rows_of_limit

        return html_blocks(rows_of_limit(self, {}, SCREEN), self._remarks())

    def _repr_latex_(self) -> str:
        from tpc.derive.latex_blocks import SCREEN, blocks
        from tpc.derive.limit_blocks import rows_of_limit

        shown = (f"$$\n{block}\n$$" for block in blocks(rows_of_limit(self, {}, SCREEN)))
        return "\n\n".join([*shown, *self._remarks()])

    def to_json(self) -> dict[str, Any]:
        """Plain data: every formula with its rule, and its equations.

        These are text and LaTeX, with the closed form where there is one.
        """
        from tpc.derive.data import limit_data

        return limit_data(self)


def parse_reference(name: str) -> tuple[str, list[str]]:
    """A family's name and its indices as text."""
    match = re.fullmatch(r"\s*([^\[\]\s]+)\s*(?:\[([^\[\]]*)\])?\s*", name)
    if match is None:
        raise KeyError(f"{name!r} is not a name, or a name with indices like h[1]")
    from tpc.core.greek import spelled

    return spelled(unicodedata.normalize("NFKC", match[1])), [
        i.replace(" ", "") for i in match[2].split(",")
    ] if match[2] else []


def instance(formula: ZFormula, wanted: Ref) -> ZFormula | None:
    """The formula at the round that makes `wanted`, if there is one."""
    env = _round_of(formula.of, wanted)
    if env is None:
        return None
    counts = {loop.variable: loop.count.substitute(env).constant for loop in formula.loops}
    for variable, value_at in env.items():
        count = counts[variable]
        if value_at.const < 0 or (count is not None and value_at.const >= count):
            return None
    return formula.at(env) if env else formula


def _round_of(made: Ref, wanted: Ref) -> dict[str, Affine] | None:
    """The variables of the loops in the round in which an instruction would make `wanted`."""
    if len(made.index) != len(wanted.index):
        return None
    env: dict[str, Affine] = {}
    for own, index in zip(made.index, wanted.index, strict=True):
        if not isinstance(own, Affine) or not isinstance(index, Affine) or len(own.terms) > 1:
            return None
        if not own.terms:
            if own != index:
                return None
            continue
        ((variable, k),) = own.terms
        value, rest = divmod(index.const - own.const, k)
        if rest or env.setdefault(variable, Affine(value)) != Affine(value):
            return None
    return env


__all__ = ["Formulas", "Limit", "derive"]
