"""The formulas of a limit on a page: loops indented, each with a name that the graph can point at."""

from __future__ import annotations

from tpc.core.places import IndexRange
from tpc.derive.formula import ZFormula
from tpc.derive.limit import Limit
from tpc.derive.loop_heads import under_heads
from tpc.derive.mathml import MathML, mathml_equation, mathml_formula, row, whole
from tpc.derive.text import is_hidden
from tpc.display.markup import Markup, element, joined


class FormulaList:
    """ids: of the element that has the formulas of a vector or scalar, by its name with indices.

    Parts of a line, which formulas show where they are used, stand in a folded list of their own.
    """

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.ids: dict[str, str] = {}
        for k, formula in enumerate(limit.formulas):
            self.ids.setdefault(str(formula.of), f"formula-{k}")

    def html(self) -> Markup:
        numbered = [*enumerate(self.limit)]
        hidden = [self._entry(k, formula, 0) for k, formula in numbered if is_hidden(formula)]
        left = [(k, formula) for k, formula in numbered if not is_hidden(formula)]
        shown = list[Markup]()
        for (k, _), (heads, known, formula) in zip(left, under_heads(f for _, f in left), strict=True):
            shown += [self._head(loop, depth) for depth, loop in heads]
            shown.append(self._entry(k, formula, known))
        parts = [joined(shown)]
        derivatives = self._derivatives()
        if derivatives:
            parts += [element("h3", "Derivatives in them, by symbol"), derivatives]
        if hidden:
            folded = element(
                "details", element("summary", "Parts of lines, as the formulas show them"), *hidden
            )
            parts.append(folded)
        notes = [element("p", note, class_="faint") for note in self.limit.notes]
        return joined([*parts, *notes])

    def _entry(self, k: int, formula: ZFormula, known: int) -> Markup:
        lines = [
            element("div", equation, element("span", f"({rule})", class_="rule"), class_="formula")
            for equation, rule in mathml_formula(formula, known)
        ]
        line = str(formula.origin.line) if formula.origin.line else None
        return element("div", *lines, id=f"formula-{k}", class_=f"entry depth{min(known, 6)}", data_line=line)

    def _head(self, loop: IndexRange, depth: int) -> Markup:
        bound = whole(row(*MathML(self.limit.scope).below(loop.variable, loop.count)))
        return element("div", element("b", "for "), bound, ":", class_=f"head depth{min(depth, 6)}")

    def _derivatives(self) -> Markup:
        notation = MathML(self.limit.scope)
        return joined(
            element("div", mathml_equation(notation, equation, 0), class_="formula")
            for partial in self.limit.partials
            for equation in partial.equations
        )
