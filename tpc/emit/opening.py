"""What the emitted `limit` begins with: inputs, Gaussians and matrices; and its outputs."""

from __future__ import annotations

from tpc.core.affine import Affine
from tpc.core.dependence import expr_references
from tpc.core.expr import ONE, ZERO, Expr
from tpc.core.names import is_part
from tpc.core.printer import print_expr
from tpc.core.program import Axis, Gaussians, Matrix, Output, Program
from tpc.emit import python as py
from tpc.emit.body import Body, Scale
from tpc.emit.excluded import finite_branches
from tpc.emit.formulas import Expressions
from tpc.emit.identifiers import Identifiers, chain_name
from tpc.emit.python import Assign, Def, Py, Return, Statement
from tpc.emit.scopes import BasisChain, Frame, MemberArray
from tpc.emit.sums import positions
from tpc.plan.gaussians import Layout, Side


class Opening:
    """What `limit` begins with: inputs, points, initial vectors, matrices."""

    def __init__(self, program: Program, layout: Layout, names: Identifiers, body: Body) -> None:
        self.program, self.names, self.body = program, names, body
        self.sectors = body.space.sectors
        self.layouts = [self.sectors.layout(layout, k) for k in range(self.sectors.count)]
        self.frame: Frame = body.top
        self.expressions: Expressions = body.expressions
        self.pointwise = body.space.pointwise

    @property
    def shapes(self) -> str:
        """The shapes of points and weights, in words."""
        suffixes = self.sectors.suffixes
        points = ", ".join(
            f"[{part.total}, M{suffix}]" for part, suffix in zip(self.layouts, suffixes, strict=True)
        )
        return f"points {points} with weights {', '.join(f'[M{suffix}]' for suffix in suffixes)}"

    def opening(self) -> list[Statement]:
        if self.sectors.count > 1:
            return self._opening_of_sectors()
        lines: list[Statement] = [
            Assign(("dtype",), Py("points.dtype")),
            Assign(("size",), Py("points.shape[1]")),
        ]
        lines.append(self._inner("", "E ab."))
        if self.pointwise:
            lines.append(self._mean(""))
        else:
            lines += [Assign(("one",), Py("jnp.zeros(size, dtype).at[0].set(1)"))]
        return [*lines, *self._products("", "", "")]

    def _inner(self, suffix: str, told: str) -> Def:
        product = f"weights{suffix} * b"
        value = f"weighed(a, {product})" if self.body.short else f"a @ ({product})"
        return Def(f"inner{suffix}", ("a", "b"), (Return(Py(value)),), told)

    def _mean(self, suffix: str) -> Def:
        value = f"weighed(a, weights{suffix})" if self.body.short else f"a @ weights{suffix}"
        return Def(f"mean{suffix}", ("a",), (Return(Py(value)),), "E a.")

    def _products(self, name: str, operands: str, outputs: str) -> list[Statement]:
        """Functions for products with matrices, which have what never changes.

        name, operands, outputs: suffixes, of their names, of the sector of what is multiplied, and of what
        comes out.
        """
        freed = f", weights{outputs}" * (not self.body.exact)
        rest = f"scale, ratio, weights{operands}, TOLERANCE{freed}"
        return [
            Def(
                f"product{name}",
                ("near", "far", "x", "scale=1", "ratio=1"),
                (Return(Py(f"multiply(near, far, x, {rest})")),),
                "Z^Wx = Ẑ + Ż, by what W and its transpose have met, and what W has met with x.",
            ),
            Def(
                f"product_all{name}",
                ("near", "far", "xs", "scale=1", "ratio=1"),
                (Return(Py(f"multiply_all(near, far, xs, {rest})")),),
                "Z^Wx = Ẑ + Ż of each row x of xs in turn, and what W has met with all of them.",
            ),
        ]

    def _opening_of_sectors(self) -> list[Statement]:
        suffixes = self.sectors.suffixes
        lines: list[Statement] = [
            Assign(tuple(f"{name}{suffix}" for suffix in suffixes), py.name(name))
            for name in ("points", "weights")
        ]
        lines.append(Assign(("dtype",), Py(f"points{suffixes[0]}.dtype")))
        lines += [Assign((f"size{suffix}",), Py(f"points{suffix}.shape[1]")) for suffix in suffixes]
        for k, suffix in enumerate(suffixes):
            members = ", ".join(
                name for name, sector in self.sectors.vectors.items() if sector == k and not is_part(name)
            )
            lines += [
                self._inner(suffix, f"E ab, in the sector of {members}."),
                self._mean(suffix),
                *(line for name, outputs in self._sides(k) for line in self._products(name, suffix, outputs)),
            ]
        return lines

    def _sides(self, sector: int) -> list[tuple[str, str]]:
        """The suffixes of the products of vectors of a sector, and of what comes out of them."""
        found = {
            self.sectors.product_suffix(side, exact=self.body.exact): self.sectors.suffixes[
                self.sectors.outputs[side]
            ]
            for side, own in self.sectors.operands.items()
            if own == sector
        }
        return sorted(found.items())

    def run(self) -> None:
        for item in self.program.inputs:
            kind = Py(f"jnp.asarray(inputs[{item.name!r}]" + (", dtype)" if item.bound is None else ")"))
            self._given(item.name, False, item.shape, kind)
        for group in self.program.gaussians:
            self._gaussians(group)
        for matrix in self.program.matrices:
            self._matrix(matrix)
        self._chains()

    # laws

    def _law(self, x: Expr, axes: tuple[Axis, ...]) -> tuple[Py, bool]:
        """A number of a law, an array over the axes if it depends on them."""
        x = finite_branches(x)
        if not any(v in _mentioned(x) for v, _ in axes):
            return self.expressions.value(x, self.frame, ()), False
        inner, parameters = self.frame, list[str]()
        for variable, _ in axes:
            name = self.names.fresh(variable)
            parameters.append(name)
            inner = Frame(parent=inner, variables={variable: name})
        value = self.expressions.value(x, inner, tuple((v, Affine(n)) for v, n in axes))
        for name, (_, n) in reversed(list(zip(parameters, axes, strict=True))):
            value = Py(f"jax.vmap(lambda {name}: {value.text})(jnp.arange({n}))")
        return value, True

    def _gaussians(self, group: Gaussians) -> None:
        sector = self.sectors.vectors.get(group.names[0], 0)
        rows, source = self.layouts[sector].initial[group.names[0]], f"points{self.sectors.suffixes[sector]}"
        shape = tuple(n for _, n in group.axes)
        k = len(group.names)
        taken = f"{rows.start}:{rows.stop}" if shape or k > 1 else f"{rows.start}"
        points = Py(f"{source}[{taken}]")
        if k > 1:
            self._jointly(group, points, shape)
            return
        law = f"{_plain(group)} ~ N({print_expr(group.mean[0])}, {print_expr(group.covariance[0][0])})"
        self._given(group.names[0], True, shape, self._single(group, points, shape), law)

    def _jointly(self, group: Gaussians, points: Py, shape: tuple[int, ...]) -> None:
        k = len(group.names)
        joint = self.names.fresh(f"{group.names[0]}_joint")
        points = Py(f"{points.text}.reshape({', '.join(map(str, (*shape, k, -1)))})") if shape else points
        root = self._square_root(group, shape)
        value = Py(f"{root.text} @ {points.text}")
        self.frame.statements.append(Assign((joint,), value, f"({', '.join(group.names)}) jointly Gaussian"))
        for i, name in enumerate(group.names):
            part = Py(f"{joint}[..., {i}, :]")
            self._given(name, True, shape, self._shifted(group.mean[i], part, group))

    def _single(self, group: Gaussians, points: Py, shape: tuple[int, ...]) -> Py:
        if len(shape) > 1:
            points = Py(f"{points.text}.reshape({', '.join(map(str, (*shape, -1)))})")
        variance, varies = self._law(group.covariance[0][0], group.axes)
        if group.covariance[0][0] != ONE:
            root = py.call("jnp.sqrt", variance)
            points = py.product([Py(f"{root.text}[..., None]") if varies else root, points])
        return self._shifted(group.mean[0], points, group)

    def _shifted(self, mean: Expr, value: Py, group: Gaussians) -> Py:
        if mean == ZERO:
            return value
        shift, varies = self._law(mean, group.axes)
        shift = Py(f"{shift.at(py.ATOM)}[..., None]") if varies else shift
        return py.total(
            [(False, shift if self.pointwise else py.product([shift, py.name("one")])), (False, value)]
        )

    def _square_root(self, group: Gaussians, shape: tuple[int, ...]) -> Py:
        entries = [[self._law(x, group.axes) for x in row] for row in group.covariance]
        varies = any(v for row in entries for _, v in row)
        if not varies:
            rows = ", ".join(f"[{', '.join(x.text for x, _ in row)}]" for row in entries)
            return Py(f"sqrt_psd(jnp.array([{rows}], dtype))")
        full = f"({', '.join(map(str, shape))},)"
        stacked = ", ".join(
            f"jnp.stack([{', '.join(f'jnp.broadcast_to({x.text}, {full})' for x, _ in row)}], -1)"
            for row in entries
        )
        nested = "sqrt_psd"
        for _ in shape:
            nested = f"jax.vmap({nested})"
        return Py(f"{nested}(jnp.stack([{stacked}], -2))")

    def _given(self, family: str, vector: bool, shape: tuple[int, ...], value: Py, comment: str = "") -> None:
        name, axes = self.names[family], tuple(range(len(shape)))
        self.frame.statements.append(Assign((name,), value, comment))
        self.frame.hold(MemberArray(name, family, vector, {}, axes, shape, self.frame, store=False))

    # matrices

    def _matrix(self, matrix: Matrix) -> None:
        variance, varies = self._law(matrix.variance, matrix.axes)
        ratios = {w.name: w.ratio for w in self.program.widths}
        rows, columns = ratios[matrix.rows], ratios[matrix.columns]
        sigma = py.name("" if matrix.variance == ONE else self.names[f"{matrix.name} sigma"])
        if sigma.text:
            shown = f"σ of {matrix.name}, the factor of Ẑ and Ż"
            self.frame.statements.append(Assign((sigma.text,), py.call("jnp.sqrt", variance), shown))
        root = py.name("" if rows == columns else self.names[f"{matrix.name} root"])
        if root.text:
            rho = py.product(
                [self.expressions.value(rows, self.frame, ())],
                [self.expressions.value(columns, self.frame, ())] if columns != ONE else [],
            )
            shown = f"√ρ, ρ = rows/columns of {matrix.name}"
            self.frame.statements.append(Assign((root.text,), py.call("jnp.sqrt", rho), shown))
        self.body.scales[matrix.name] = Scale(sigma, root, varies)

    def _chains(self) -> None:
        """The bases of all matrices, empty, and their Gaussians.

        Rows taken in turns, as the program will meet them.
        """
        for part, suffix in zip(self.layouts, self.sectors.suffixes, strict=True):
            start = part.first_direction
            for extra, table in ((False, part.capacity), (True, part.extra)):
                counts = [k * part.members[side[0]] for side, k in table.items()]
                if not counts:
                    continue
                places = [self.names.fresh(f"rows_{chain_name(side)}") for side in table]
                value = Py(f"interleaved({', '.join(map(str, counts))})")
                self.frame.statements.append(
                    Assign((f"{places[0]},",) if len(places) == 1 else tuple(places), value)
                )
                for side, place in zip(table, places, strict=True):
                    self._chain(side, Py(f"points{suffix}[{f'{start} + ' if start else ''}{place}]"), extra)
                start += sum(counts)

    def _chain(self, side: Side, gaussians: Py, extra: bool) -> None:
        matrix = next(m for m in self.program.matrices if m.name == side[0])
        axes = "".join(f", {n}" for _, n in matrix.axes)
        operands = self.sectors.operands.get(side, 0)
        size = (
            f", size=size{self.sectors.suffixes[operands]}"
            if operands != self.sectors.outputs.get(side, 0)
            else ""
        )
        own = Py(f"basis({gaussians.text}{axes}{size})")
        shown = f"{side[0]}ᵀ" if side[1] else side[0]
        if extra:
            name = self.names[f"{chain_name(side)} extra"]
            self.frame.statements.append(
                Assign((name,), own, f"what one round adds to the directions {shown} has met")
            )
        else:
            name = self.names.fresh(chain_name(side))
            self.frame.statements.append(
                Assign((name,), py.tuple_of([own]), f"the directions {shown} has met")
            )
            self.frame.chains[side] = BasisChain(name, self.frame)

    # outputs

    def output(self, output: Output) -> tuple[str, Py]:
        if 0 in output.shape:  # nothing was made that could be read
            return output.name, py.call("jnp.zeros", py.tuple_of([py.integer(n) for n in output.shape]))
        held = self.frame.find(output.ref)
        variables = [v for v, _ in output.axes]
        index = held.rest(output.ref)
        simple = all(
            isinstance(i, Affine) and (not i.variables or (len(i.variables) == 1 and i.terms[0][1] == 1))
            for i in index
        )
        order = [v for i in index if isinstance(i, Affine) for v in i.variables]
        if simple and order == variables:
            extents = dict(output.axes)
            parts = []
            for axis, i in zip(held.kept, index, strict=True):
                assert isinstance(i, Affine)
                parts.append(
                    py.part(i.const, extents[next(iter(i.variables))], held.shape[axis])
                    if i.variables
                    else py.integer(i.const)
                )
            value = py.subscript(py.name(held.name), parts)
        else:
            ranks = {v: k for k, v in enumerate(variables)}
            along = {
                v: ", ".join(":" if k == ranks[v] else "None" for k in range(len(variables)))
                for v in variables
            }
            grid = {
                v: f"jnp.arange({n})" + (f"[{along[v]}]" if len(variables) > 1 else "")
                for v, n in output.axes
            }
            inner = Frame(parent=self.frame, variables=grid)
            shape = py.tuple_of([py.integer(n) for _, n in output.axes])
            value = self.expressions.member(output.ref, inner)
            value = py.call("jnp.broadcast_to", value, shape)
        return output.name, value


def _mentioned(x: Expr) -> set[str]:
    return positions(x) | {
        v for ref, _ in expr_references(x, ()) for i in ref.index for v in getattr(i, "variables", ())
    }


def _plain(group: Gaussians) -> str:
    return group.names[0] + (f"[{', '.join(f'{v} < {n}' for v, n in group.axes)}]" if group.axes else "")
