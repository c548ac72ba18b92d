"""A whole limit in LaTeX that fits, loops indented under their heads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tpc.derive.formula import ZInput
from tpc.derive.latex import latex_ranges
from tpc.derive.latex_blocks import STEP, BreakableLatex, Row, rows_of_equation, rows_of_formula
from tpc.derive.limit import Limit
from tpc.derive.loop_heads import under_heads
from tpc.derive.print_limit import has_coefficients
from tpc.derive.text import is_hidden

DERIVATIVES = r"Each derivative is $0$ where its numerator is made first."
COEFFICIENTS = r"""Where no derivative exists, Stein's lemma gives the coefficients $a$ of $\dot Z^h$,
$h = W x$, over the opposing products $g_i = {W}^{\top} y_i$: $a = C^+ b$ (times $\rho$ for a product with the
transpose, $1/\rho$ for one with $W$), $C_{ij} = \mathbb{E}[Z^{y_i} Z^{y_j}]$,
$b_i = \mathbb{E}[\hat Z^{g_i} Z^x]$."""


def remarks_on_limit(limit: Limit) -> list[str]:
    """What the formulas do not say of derivatives and coefficients in them, as sentences in LaTeX."""
    return [DERIVATIVES] * bool(limit.partials) + [COEFFICIENTS] * has_coefficients(limit)


def rows_of_limit(limit: Limit, names: Mapping[str, str], width: float) -> Iterator[Row]:
    """All formulas of a limit, those of a loop indented under its head."""
    notation = BreakableLatex(limit.scope, names)
    shown = (f for f in limit if not isinstance(f, ZInput) and not is_hidden(f))
    for heads, known, formula in under_heads(shown):
        for depth, loop in heads:
            yield Row(STEP * depth, rf"\textbf{{for }} {latex_ranges(notation, [loop])}\textbf{{:}}")
        yield from rows_of_formula(notation, formula, known, width)
    for partial in limit.partials:
        for equation in partial.equations:
            yield from rows_of_equation(notation, equation, 0, width, "")
