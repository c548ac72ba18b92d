"""The module of a plan by covariances.

One array a line, in the order in which they follow from each other.
"""

from __future__ import annotations

from collections.abc import Sequence

from tpc.core.affine import Affine
from tpc.core.expr import ONE, ZERO, Delta, Expr, Value, mul
from tpc.core.traverse import free_variables
from tpc.emit import python as py
from tpc.emit.assemble import Setting, assembled, inputs_setting
from tpc.emit.comments import plain
from tpc.emit.docstring import docstring
from tpc.emit.error_checks import evaluations, may_cancel, run_sections
from tpc.emit.excluded import finite_branches
from tpc.emit.identifiers import Identifiers
from tpc.emit.library import names_for_limit
from tpc.emit.python import Assign, Def, Py, Return, Statement
from tpc.emit.unused import without_unused
from tpc.gram.cuts import cuts_of
from tpc.gram.factors import LOGISTIC
from tpc.gram.ir import (
    Closed,
    CovarianceProgram,
    Definition,
    Factor,
    Integral,
    Piece,
    Spectral,
    needed_names,
)
from tpc.gram.labels import best_name
from tpc.gram.registered import FORMS, form_named
from tpc.gram.write_arrays import Array, Arrays
from tpc.gram.write_gaps import KINKED, SMOOTH, GapWriter, goes_by_gap, plain_kinds
from tpc.gram.write_rolled import RolledWriter
from tpc.gram.write_singular import spectral
from tpc.plan.plan import RULE, CovariancesPlan

LOCALS = ("inputs", "points", "weights", "dtype", "rule", "limit")
PAIRS = {
    ("relu", "step"): "relu_step",
    ("erf", "erf"): "erf_erf",
    ("sin", "sin"): "sin_sin",
    ("cos", "cos"): "cos_cos",
    ("exp", "exp"): "exp_exp",
}
SCALED = {"erf_erf", "sin_sin", "cos_cos", "exp_exp"}


def emit_gram(plan: CovariancesPlan, *, rolled: bool = True) -> str:
    """The source of a module that evaluates a program by its covariances.

    rolled: layers that are alike in loops.
    """
    writer = _CovarianceWriter(plan.covariances, rolled)
    lines = writer.statements()
    rule = (
        "points [1, Q], weights [Q]: a rule for integrals over a standard Gaussian."
        if plan.exact
        else "points [3, Q], weights [Q]: a rule for integrals (see `draw`)."
    )
    doc = f"The outputs, and 0: there is no direction to be lost. {rule}"
    function = Def("limit", ("inputs", "points", "weights"), without_unused(lines), doc)
    cancels = may_cancel(plan)
    lines_of = [Setting({"DTYPE": repr(plan.dtype)})]
    lines_of += [] if plan.exact else [Setting({"POINTS": str(RULE)})]
    lines_of += [evaluations(plan)] if cancels else []
    return assembled(
        _header(plan),
        [*lines_of, inputs_setting(plan.program)],
        function,
        sections=(plan.points, *run_sections(plan, cancels)),
        forms=tuple(writer.forms.values()),
    )


class _CovarianceWriter:
    """forms: those that the user registered. rolled: whether layers that are alike become loops."""

    def __init__(self, covariances: CovarianceProgram, rolled: bool = True) -> None:
        self.covariances = covariances
        self.forms: dict[str, str] = {}
        self.integrals = 0
        self.names = Identifiers((*LOCALS, *names_for_limit(), *(form.name for form in FORMS.values())))
        self.table: dict[str, Array] = {}
        self.gaps = GapWriter(self)
        self.rolled = RolledWriter(self, rolled)

    def statements(self) -> list[Statement]:
        lines: list[Statement] = [Assign(("dtype",), Py("points.dtype"))]
        if self.covariances.integrals:
            lines.append(Assign(("rule",), Py("(points, weights)")))
        needed = needed_names(self.covariances)
        for item in self.covariances.program.inputs:
            if item.name in needed:
                kind = Py(f"jnp.asarray(inputs[{item.name!r}]" + (", dtype)" if item.bound is None else ")"))
                self.table[item.name] = Array(self.names[item.name], item.shape, item.bound)
                lines.append(Assign((self.names[item.name],), kind))
        definitions = [d for d in self.covariances.definitions if d.name in needed]
        begun = 0
        for run in self.rolled.runs(definitions):
            lines += self.define(definitions[begun : run.start + run.period])
            lines += self.rolled.written(run, definitions)
            begun = run.stop
        lines += self.define(definitions[begun:])
        outputs = []
        for name, (axes, formula) in self.covariances.outputs.items():
            value = self._arrays(guarded=False).aligned(finite_branches(formula), [v for v, _ in axes])
            shape = tuple(n for _, n in axes)
            if not (isinstance(formula, Value) and self._whole(formula, axes)):
                value = py.call(
                    "jnp.broadcast_to",
                    py.call("jnp.asarray", value, py.name("dtype")),
                    py.tuple_of([py.integer(n) for n in shape]) if shape else Py("()"),
                )
            outputs.append(f"{name!r}: {value.text}")
        return [*lines, Return(Py(f"as_outputs({{{', '.join(outputs)}}}, dtype), jnp.zeros((), dtype)"))]

    def define(self, definitions: Sequence[Definition]) -> list[Statement]:
        lines: list[Statement] = []
        for definition in definitions:
            line = self.definition(definition)
            lines += [*self.gaps.statements(), line]
        return lines

    def _whole(self, value: Value, axes: Sequence[tuple[str, int]]) -> bool:
        """Whether a member over the axes is an array of their shape."""
        used = [v for i in value.ref.index for v in getattr(i, "variables", ())]
        return set(used) == {v for v, _ in axes}

    def _arrays(self, *, guarded: bool = True) -> Arrays:
        return Arrays(self.covariances.extents, self.table, self.names, guarded=guarded)

    def definition(self, definition: Definition) -> Statement:
        name = self.names.fresh(best_name(definition.also))
        whole = len(definition.pieces) == 1 and definition.pieces[0].extent == definition.shape
        guarded = definition.guarded
        if whole:
            value = self._formula(definition.pieces[0], guarded, definition)
        else:
            zeros = py.call(
                "jnp.zeros", py.tuple_of([py.integer(n) for n in definition.shape]), py.name("dtype")
            )
            text = zeros.text
            for piece in definition.pieces:
                parts = zip(piece.low, piece.extent, definition.shape, strict=True)
                index = ", ".join(py.part(low, count, extent).text for low, count, extent in parts)
                text += f".at[{index}].set({self._formula(piece, guarded).text})"
            value = Py(text)
        self.table[definition.name] = Array(name, definition.shape)
        return Assign((name,), value, plain(definition.shown))

    def _formula(self, piece: Piece, guarded: bool, whole: Definition | None = None) -> Py:
        """whole: the array that it is all of."""
        arrays, axes = self._arrays(guarded=guarded), piece.variables
        match piece.formula:
            case Closed():
                return self._closed(piece.formula, arrays, axes, whole)
            case Integral():
                return self._integral(piece.formula, arrays, axes, piece.extent)
            case Spectral():
                return spectral(piece.formula, arrays)
        assert isinstance(piece.formula, Expr)
        return arrays.aligned(finite_branches(piece.formula), axes)

    # expectations

    def masked(
        self, value: Py, same: Sequence[tuple[str, str]], arrays: Arrays, axes: Sequence[str], instead: Py
    ) -> Py:
        """`value`, `instead` where both Gaussians are one."""
        if not same:
            return value
        masks = [arrays.aligned(Delta(Affine.var(a), Affine.var(b)), axes) for a, b in same]
        mask = masks[0] if len(masks) == 1 else Py(" & ".join(f"({m.text})" for m in masks))
        return py.call("jnp.where", mask, instead, value)

    def _masked(
        self, c: Expr, q: Expr, same: Sequence[tuple[str, str]], arrays: Arrays, axes: Sequence[str]
    ) -> Py:
        """The covariance, the variance itself where both Gaussians are one."""
        value = arrays.aligned(c, axes)
        if c == ZERO:
            return value
        if tuple(same) == (tuple(axes),) and free_variables(q) == {axes[0]}:
            return py.call("diagonal", value, arrays.aligned(q, axes[:1]))
        return self.masked(value, same, arrays, axes, arrays.aligned(q, axes))

    def _closed(self, x: Closed, arrays: Arrays, axes: Sequence[str], whole: Definition | None = None) -> Py:
        q, r = arrays.aligned(x.q, axes), arrays.aligned(x.r, axes)
        if x.registered:
            self.forms[x.registered] = form_named(x.registered).source
            return py.call(x.registered, q, self._masked(x.c, x.q, x.same, arrays, axes), r)
        if goes_by_gap(x):
            return self._of_gap(x, arrays, axes, whole)
        kinds = plain_kinds(x)
        if kinds[::-1] in PAIRS and kinds not in PAIRS:
            return self._closed(
                Closed(x.right, x.left, x.r, x.c, x.q, tuple((b, a) for a, b in x.same)), arrays, axes
            )
        c = self._masked(x.c, x.q, x.same, arrays, axes)
        if kinds in PAIRS:
            name = PAIRS[kinds]
            return py.call(name, q, c, r, *(self._scales(x, arrays, axes) if name in SCALED else []))
        name = "mixed" if {x.left.kind, x.right.kind} & LOGISTIC else "moment"
        return py.call(name, self._factor(x.left, arrays, axes), self._factor(x.right, arrays, axes), q, c, r)

    def _of_gap(self, x: Closed, arrays: Arrays, axes: Sequence[str], whole: Definition | None) -> Py:
        kinds = plain_kinds(x)
        q, r = arrays.aligned(x.q, axes), arrays.aligned(x.r, axes)
        if kinds in SMOOTH:
            gap = self.gaps.of(x, arrays, axes, "smooth_gap")
            return py.call(SMOOTH[kinds], q, gap, r, *self._scales(x, arrays, axes))
        name = KINKED[kinds]
        gap = (
            self.gaps.of_relu(x, arrays, axes, whole)
            if name == "relu_relu"
            else self.gaps.of(x, arrays, axes)
        )
        return py.call(name, q, gap, r)

    def _scales(self, x: Closed, arrays: Arrays, axes: Sequence[str]) -> list[Py]:
        """The scales of both sides, none if they are 1."""
        scales = [f.scale for f in (x.left, x.right)]
        return [] if all(scale == ONE for scale in scales) else [arrays.aligned(s, axes) for s in scales]

    def _factor(self, x: Factor, arrays: Arrays, axes: Sequence[str]) -> Py:
        return py.tuple_of(
            [
                py.integer(x.power),
                Py(f'"{x.kind}"'),
                arrays.aligned(x.scale, axes),
                arrays.aligned(x.weight, axes),
            ]
        )

    def _integral(self, x: Integral, arrays: Arrays, axes: Sequence[str], shape: Sequence[int]) -> Py:
        table = {**self.table, **{variable: Array(variable, ()) for variable in x.variables}}
        inner = Arrays(self.covariances.extents, table, self.names)
        body = inner.aligned(finite_branches(mul(*x.factors)), axes)
        law = self._law(x, arrays, axes)
        size = py.tuple_of([py.integer(n) for n in shape]) if shape else Py("()")
        taken = ", ".join(x.variables)
        places = [
            [f"({cut.kind!r}, lambda {taken}: {inner.aligned(cut.at, axes).text})" for cut in own]
            for own in cuts_of(x)
        ]
        cuts = ", ".join(f"[{', '.join(own)}]" for own in places)
        self.integrals += 1
        return Py(
            f"integral(lambda {taken}: {body.text}, [{cuts}], {law}, rule, {size.text}, {self.integrals})"
        )

    def _law(self, x: Integral, arrays: Arrays, axes: Sequence[str]) -> str:
        """Means, and the lower half of the covariance."""
        rows = []
        for k, row in enumerate(x.covariance):
            own = [arrays.aligned(c, axes) for c in row]
            if k == 1 and x.same:
                own[0] = self._masked(row[0], x.covariance[0][0], x.same, arrays, axes)
            rows.append(f"[{', '.join(c.text for c in own)}]")
        means = ", ".join(arrays.aligned(m, axes).text for m in x.mean)
        return f"[{means}], [{', '.join(rows)}]"


def _header(plan: CovariancesPlan) -> str:
    if plan.exact:
        how = "It follows from covariances, which are all in closed form: the result is exact."
    else:
        how = (
            f"It follows from covariances. Integrals over Gaussians are sums over {RULE} points on each "
            "part of a line; the error shown\n"
            "is the difference from other such rules, and from other roundings."
        )
    return docstring(plan.program, how)
