"""The arrays of gaps in modules of covariances: see `tpc.hilbert.gram.gaps`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.affine import Affine
from tpc.core.expr import Expr, Ref, Value
from tpc.emit import python as py
from tpc.emit.arrays import Array, Arrays
from tpc.emit.python import Assign, Py, Statement
from tpc.hilbert.gram.gaps import Common, Gaps, OfRelu, OfSum, Product, Term, alike
from tpc.hilbert.gram.names import best_name
from tpc.hilbert.gram.terms import Closed, Definition, free_variables, placed

if TYPE_CHECKING:
    from tpc.emit.gram import _Writer

Same = Sequence[tuple[str, str]]


class GapWriter:
    """Hands out arrays of gaps, each made once. waiting: the lines that make those which are new."""

    def __init__(self, writer: _Writer) -> None:
        self.writer = writer
        covariances = writer.covariances
        self.definitions = {d.name: d for d in covariances.definitions}
        self.gaps = Gaps(self.definitions, frozenset(i.name for i in covariances.program.inputs))
        self.made: dict[tuple[object, ...], str] = {}
        self.waiting: list[Statement] = []

    def statements(self) -> list[Statement]:
        found, self.waiting = self.waiting, []
        return found

    def of(self, x: Closed, arrays: Arrays, axes: Sequence[str]) -> Py:
        """Of two Gaussians, over the axes."""
        key = x.q, x.c, x.r, x.same, tuple(axes)
        if key not in self.made:
            terms = self.gaps.terms(x)
            if len(terms) == 1 and not isinstance(terms[0].gap, Product | Common):
                return self._of_term(terms[0], x.same, arrays, axes)
            if len(terms) == 1 and isinstance(terms[0].gap, Product):
                value = self._of_product(terms[0].gap, x.q, x.c, x.r, x.same, arrays, axes)
            elif terms:
                value = self._of_sum(terms, x.same, arrays, axes)
            else:
                value = self._plain(x.q, x.c, x.r, x.same, arrays, axes)
            self.made[key] = self._named(self._name(x.c), value)
        return py.name(self.made[key])

    def of_relu(self, x: Closed, arrays: Arrays, axes: Sequence[str], whole: Definition | None) -> Py:
        """Of relu of two Gaussians. whole: the array of their covariance."""
        self.writer.used.add("relu_gap")
        found = self.of(x, arrays, axes)
        if whole is None:
            return py.call("relu_gap", found)
        name = self._named(best_name(whole.also), py.call("relu_gap", found))
        self.writer.table[f"gap of {whole.name}"] = Array(name, whole.shape)
        return py.name(name)

    def _of_term(self, term: Term, same: Same, arrays: Arrays, axes: Sequence[str]) -> Py:
        key: tuple[object, ...]
        match term.gap:
            case Common():
                return Py("jnp.zeros((), dtype)")
            case OfRelu(ref):
                return arrays.aligned(Value(Ref(f"gap of {ref.name}", ref.index), False), axes)
            case Product(c, left, _):
                key = term.gap, tuple(axes)
                if key not in self.made:
                    self.made[key] = self._named(self._name(left), self._of_product(term.gap, term.q, c, term.r, (), arrays, axes))
                return py.name(self.made[key])
            case OfSum(ref, terms):
                key = ref, same, tuple(axes)
                if key not in self.made:
                    self.made[key] = self._named(self._name(Value(ref, False)), self._of_sum(terms, same, arrays, axes))
                return py.name(self.made[key])

    # ways to make them

    def _of_sum(self, terms: Sequence[Term], same: Same, arrays: Arrays, axes: Sequence[str]) -> Py:
        self.writer.used.add("gap_of_sum")
        parts = [py.tuple_of([py.integer(t.sign), arrays.aligned(t.q, axes), self._of_term(t, (), arrays, axes), arrays.aligned(t.r, axes)])
                 for t in terms]
        return self._apart(py.call("gap_of_sum", Py(str(alike(terms))), *parts), same, arrays, axes)

    def _plain(self, q: Expr, c: Expr, r: Expr, same: Same, arrays: Arrays, axes: Sequence[str]) -> Py:
        """From the correlation."""
        self.writer.used.add("gap")
        return self._apart(py.call("gap", *(arrays.aligned(x, axes) for x in (q, c, r))), same, arrays, axes)

    def _of_product(self, x: Product, q: Expr, c: Expr, r: Expr, same: Same, arrays: Arrays, axes: Sequence[str]) -> Py:
        """From inputs, each of its own axis."""
        sides = {frozenset(free_variables(side)) - set(x.variables): side for side in (x.left, x.right)}
        each = [sides.get(frozenset({axis})) for axis in axes]
        if len(axes) != 2 or None in each:
            return self._plain(q, c, r, same, arrays, axes)
        self.writer.used |= {"gap", "near"}
        first, second = (side for side in each if side is not None)
        shown = [arrays.aligned(side, (axis, *x.variables)) for side, axis in ((first, axes[0]), (second, axes[1]))]
        found = py.call("gap", *(arrays.aligned(side, axes) for side in (q, c, r)))
        one = placed(first, {axes[0]: Affine.var(axes[1])}) == second
        return py.call("near", found, *shown, *([Py("same=True")] if one else []))

    def _apart(self, value: Py, same: Same, arrays: Arrays, axes: Sequence[str]) -> Py:
        """With those of a Gaussian with itself 0."""
        if tuple(same) == (tuple(axes),):
            self.writer.used.add("apart")
            return py.call("apart", value)
        return self.writer.masked(value, same, arrays, axes, Py("0"))

    # names

    def _named(self, wish: str, value: Py) -> str:
        """The array of a new line."""
        name = self.writer.names.fresh(f"{wish}_gap")
        self.waiting.append(Assign((name,), value))
        return name

    def _name(self, c: Expr) -> str:
        """After the first array in a covariance."""
        from tpc.core.expr import values
        for value in values(c):
            if value.ref.name in self.definitions:
                return best_name(self.definitions[value.ref.name].also)
            return value.ref.name
        return "some"
