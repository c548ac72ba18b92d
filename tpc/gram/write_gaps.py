"""The arrays of gaps in modules of covariances: see `tpc.gram.gaps`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.core.affine import Affine
from tpc.core.expr import ZERO, Expr, Number, Ref, Sum, Value, replace, values
from tpc.core.traverse import free_variables, substitute
from tpc.emit import python as py
from tpc.emit.comments import plain
from tpc.emit.python import Assign, Py, Statement
from tpc.gram.factors import polynomial
from tpc.gram.gaps import Common, Gaps, GapTerm, OfRelu, OfSum, Product, alike
from tpc.gram.ir import Closed, Definition, Factor
from tpc.gram.labels import best_name
from tpc.gram.monomials import anonymous, open_array, whole
from tpc.gram.write_arrays import Array, Arrays

if TYPE_CHECKING:
    from tpc.gram.write import _CovarianceWriter

Same = Sequence[tuple[str, str]]
# functions of gaps in modules, by what the expectation is of
KINKED = {("relu", "relu"): "relu_relu", ("step", "step"): "step_step"}
SMOOTH = {
    ("tanh", "tanh"): "tanh_tanh",
    ("tanh'", "tanh'"): "slope_slope",
    ("softplus", "softplus"): "softplus_softplus",
}


def gap_of(name: str) -> str:
    """What the gap of an array is called in the table of arrays."""
    return f"gap of {name}"


def goes_by_gap(x: Closed) -> bool:
    """Whether the gap of its covariance is what an expectation is made of."""
    kinds, scales = plain_kinds(x), [f.scale for f in (x.left, x.right)]
    positive = all(isinstance(scale, Number) and scale.value > 0 for scale in scales)
    return not x.registered and (kinds in KINKED or (kinds in SMOOTH and positive))


def plain_kinds(x: Closed) -> tuple[str, str]:
    return _plain_kind(x.left), _plain_kind(x.right)


def _plain_kind(f: Factor) -> str:
    """What a factor is called that has a function of its own: relu is z·step."""
    if f.weight != ZERO:
        return ""
    if f.kind == "step" and f.power == 1:
        return "relu"
    return f.kind if f.power == 0 and not polynomial(f) else ""


class GapWriter:
    """Hands out arrays of gaps, each made once. waiting: the lines that make those which are new."""

    def __init__(self, writer: _CovarianceWriter) -> None:
        self.writer = writer
        covariances = writer.covariances
        self.definitions = {d.name: d for d in covariances.definitions}
        self.gaps = Gaps(self.definitions, frozenset(i.name for i in covariances.program.inputs))
        self.made: dict[tuple[object, ...], str] = {}
        self.waiting: list[Statement] = []

    def statements(self) -> list[Statement]:
        found, self.waiting = self.waiting, []
        return found

    def of(self, x: Closed, arrays: Arrays, axes: Sequence[str], gap: str = "gap") -> Py:
        """The gap of two Gaussians, over the axes.

        gap: what makes one from their covariance, where that is all there is.
        """
        key = x.q, x.c, x.r, x.same, tuple(axes), gap
        if key not in self.made:
            terms = self.gaps.terms(x)
            if len(terms) == 1:
                return self._of_term(terms[0], x.same, arrays, axes)
            if terms:
                value = self._of_sum(terms, x.same, arrays, axes)
            else:
                value = self._plain(x.q, x.c, x.r, x.same, arrays, axes, gap)
            self.made[key] = self._name(x.c, value)
        return py.name(self.made[key])

    def of_relu(self, x: Closed, arrays: Arrays, axes: Sequence[str], array: Definition | None) -> Py:
        """The gap of relu of two Gaussians. array: that of their covariance.

        array: that of their covariance.
        """
        found = self.of(x, arrays, axes)
        if array is None:
            return py.call("relu_gap", found)
        name = self._line(best_name(array.also), plain(array.shown), py.call("relu_gap", found))
        self.writer.table[gap_of(array.name)] = Array(name, array.shape)
        return py.name(name)

    def _of_term(self, term: GapTerm, same: Same, arrays: Arrays, axes: Sequence[str]) -> Py:
        key: tuple[object, ...]
        match term.gap:
            case Common():
                return Py("jnp.zeros((), dtype)")
            case OfRelu(ref):
                return arrays.aligned(Value(Ref(gap_of(ref.name), ref.index), False), axes)
            case Product(c):
                sides = _sides(term.gap, axes)
                key = term.gap, same if sides is None else (), tuple(axes)
                if key not in self.made:
                    self.made[key] = self._name(c, self._of_product(term.gap, sides, same, arrays, axes))
                return py.name(self.made[key])
            case OfSum(ref, terms):
                key = ref, same, tuple(axes)
                if key not in self.made:
                    self.made[key] = self._name(Value(ref, False), self._of_sum(terms, same, arrays, axes))
                return py.name(self.made[key])

    # ways to make them

    def _of_sum(self, terms: Sequence[GapTerm], same: Same, arrays: Arrays, axes: Sequence[str]) -> Py:
        # the gaps of all parts are 0 where that of the sum is
        inner = same if all(t.sign == 1 for t in terms) else ()
        parts = []
        for t in terms:
            q, r = (self._aligned(side, arrays, axes) for side in (t.q, t.r))
            parts.append(py.tuple_of([py.integer(t.sign), q, self._of_term(t, inner, arrays, axes), r]))
        return self._apart(py.call("gap_of_sum", Py(str(alike(terms))), *parts), same, arrays, axes)

    def _plain(
        self, q: Expr, c: Expr, r: Expr, same: Same, arrays: Arrays, axes: Sequence[str], gap: str = "gap"
    ) -> Py:
        """From the correlation."""
        return self._apart(
            py.call(gap, *(self._aligned(x, arrays, axes) for x in (q, c, r))), same, arrays, axes
        )

    def _of_product(
        self, x: Product, sides: tuple[Expr, Expr] | None, same: Same, arrays: Arrays, axes: Sequence[str]
    ) -> Py:
        """From inputs."""
        if sides is None:
            return self._plain(x.q, x.c, x.r, same, arrays, axes)
        shown = [arrays.aligned(side, (axis, *x.variables)) for side, axis in zip(sides, axes, strict=True)]
        found = py.call("gap", *(self._aligned(side, arrays, axes) for side in (x.q, x.c, x.r)))
        one = substitute(sides[0], {axes[0]: Affine.var(axes[1])}) == sides[1]
        return py.call("near", found, *shown, *([Py("same=True")] if one else []))

    def _aligned(self, x: Expr, arrays: Arrays, axes: Sequence[str]) -> Py:
        """With sums by the names of the arrays that they are."""
        return arrays.aligned(replace(x, self._by_name), axes)

    def _by_name(self, x: Expr) -> Expr | None:
        if not isinstance(x, Sum):
            return None
        free = sorted(free_variables(x))
        for name, definition in self.definitions.items():
            if name in self.writer.table and len(definition.shape) == len(free) <= 1 and whole(definition):
                value = Value(Ref(name, tuple(map(Affine.var, free))), False)
                inner = open_array(value, self.definitions)
                if isinstance(inner, Sum) and anonymous(inner) == anonymous(x):
                    return value
        return None

    def _apart(self, value: Py, same: Same, arrays: Arrays, axes: Sequence[str]) -> Py:
        """With those of a Gaussian with itself 0."""
        if tuple(same) == (tuple(axes),):
            return py.call("apart", value)
        return self.writer.masked(value, same, arrays, axes, Py("0"))

    # names

    def _name(self, c: Expr, value: Py) -> str:
        """The array of a new line, the gap of a covariance: named after the first array in that."""
        first = next((v.ref.name for v in values(c)), "")
        of = self.definitions.get(first)
        if of is not None:
            return self._line(best_name(of.also), plain(of.shown), value)
        return self._line(first or "some", first, value)

    def _line(self, wish: str, shown: str, value: Py) -> str:
        name = self.writer.names.fresh(f"{wish}_gap")
        self.waiting.append(Assign((name,), value, "1 − |ρ|" + f", ρ by {shown}" * bool(shown)))
        return name


def _sides(x: Product, axes: Sequence[str]) -> tuple[Expr, Expr] | None:
    """The inputs of the first axis and of the second one; None if there are other axes, or both have both."""
    found = {frozenset(free_variables(side)) - set(x.variables): side for side in (x.left, x.right)}
    each = [found[key] for axis in axes if (key := frozenset({axis})) in found]
    return (each[0], each[1]) if len(axes) == len(each) == 2 else None
