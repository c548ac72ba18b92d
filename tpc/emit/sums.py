"""Sums as expressions of JAX: products of coefficients with arrays of members wherever they are that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.core.affine import Affine, Ranges, bounds
from tpc.core.dependence import expr_references
from tpc.core.expr import (
    Add,
    Expr,
    Gather,
    Mul,
    OuterProduct,
    Position,
    Ref,
    Sum,
    Value,
    is_vector,
    mul,
    number,
    walk,
)
from tpc.core.functions import is_defined
from tpc.core.traverse import free_variables, index_variables
from tpc.emit import python as py
from tpc.emit.python import Py
from tpc.emit.scopes import Frame, MemberArray
from tpc.emit.whole import as_real

if TYPE_CHECKING:
    from tpc.emit.formulas import Expressions

SPARE = 2  # so many rows too many are read rather than the others copied
# the variables of nested sums with their counts, outermost first; all but the first constant
Loops = tuple[tuple[str, Affine], ...]


class Sums:
    """Emits the sums in one program's expressions."""

    def __init__(self, emit: Expressions) -> None:
        self.emit = emit

    def sum(self, node: Sum, frame: Frame, ranges: Ranges) -> Py:
        terms = node.body.terms if isinstance(node.body, Add) else (node.body,)
        return py.total(
            [(False, self._term(Sum(node.variable, node.count, term), frame, ranges)) for term in terms]
        )

    def _term(self, node: Sum, frame: Frame, ranges: Ranges) -> Py:
        if not depends(node.body, node.variable):
            count = number(node.count.const) if node.count.constant is not None else Position(node.count)
            return self._unless_empty(
                node.count, node.body, self.emit.value(mul(count, node.body), frame, ranges), frame
            )
        loops, body = _flat(node)
        if any(isinstance(part, OuterProduct) for part in walk(body)):
            return self._of_outer(loops, body, frame, ranges) or self._total(node, frame, ranges)
        found = self._product(loops, body, frame, ranges) if len(loops) > 1 else None
        found = found or self._product(loops[:1], node.body, frame, ranges)
        return found or self._total(node, frame, ranges)

    def _of_outer(self, loops: Loops, body: Expr, frame: Frame, ranges: Ranges) -> Py | None:
        """The sum as one of outer products with coefficients, None if it is something else."""
        if self.emit.places is not None:
            from tpc.emit.in_factors import sum_of_cells

            return sum_of_cells(self, loops, body, self.emit.places, frame, ranges)
        from tpc.emit.outer_sums import sum_of_outer

        return sum_of_outer(self, loops, body, frame, ranges)

    def _product(self, loops: Loops, body: Expr, frame: Frame, ranges: Ranges) -> Py | None:
        """The sum as coefficients times an array of vectors, or as a sum of coefficients.

        None if it is neither.
        """
        factors = body.factors if isinstance(body, Mul) else (body,)
        moving = [f for f in factors if any(depends(f, v) for v, _ in loops)]
        still = [f for f in factors if f not in moving]
        vectors = [f for f in moving if is_vector(f)]
        scalars = [f for f in moving if not is_vector(f)]
        if not all(any(depends(f, v) for f in moving) for v, _ in loops):
            return None
        count = loops[0][1]
        history = self._history(vectors, loops, frame, ranges)
        if history is not None and scalars:
            coefficients = self.coefficients_of(scalars, loops, frame, ranges)
            steps = history.shape[history.kept[0]]
            if count.constant != steps:
                padded = [] if greatest(count, ranges) == steps else [py.integer(steps)]
                coefficients = py.call("before", self.emit.affine(count, frame), coefficients, *padded)
            found = py.call("combined", py.name(history.name), coefficients, self.emit.affine(count, frame))
            return self.times(still, found, count, frame, ranges)
        array, length = self._vectors(vectors, loops, frame, ranges) if vectors else (None, None)
        if vectors and array is None:
            return None
        dot = self._dot(scalars, loops, frame) if array is None and count.constant is not None else None
        if dot is not None:
            return self.times(still, dot, count, frame, ranges)
        if array is not None and not scalars and count.constant is not None:
            found = py.call(
                "jnp.sum", array, Py("axis=0" if len(loops) == 1 else f"axis={tuple(range(len(loops)))}")
            )
            return self.times(still, found, count, frame, ranges)
        coefficients = self.coefficients_of(scalars, loops, frame, ranges)
        if count.constant is None:
            padded = [] if length is None or length == greatest(count, ranges) else [py.integer(length)]
            coefficients = py.call("before", self.emit.affine(count, frame), coefficients, *padded)
        if array is None:
            found = py.call("jnp.sum", coefficients)
        else:
            found = (
                py.matmul(coefficients, array)
                if len(loops) == 1
                else py.call("jnp.tensordot", coefficients, array, py.integer(len(loops)))
            )
        return self.times(still, found, count, frame, ranges)

    def times(self, still: Sequence[Expr], found: Py, count: Affine, frame: Frame, ranges: Ranges) -> Py:
        if not still:
            return found
        factor = mul(*still)
        return self._unless_empty(
            count, factor, py.product([self.emit.value(factor, frame, ranges), found]), frame
        )

    def _unless_empty(self, count: Affine, factor: Expr, product: Py, frame: Frame) -> Py:
        """A sum whose terms have a factor in common.

        0 if there are no terms, although the factor may be no number then.
        """
        if count.constant is not None or is_defined(factor):
            return product
        return py.call(
            "jnp.where",
            py.compare(">", self.emit.affine(count, frame), py.integer(0)),
            product,
            py.floating(0.0),
        )

    def _dot(self, scalars: Sequence[Expr], loops: Loops, frame: Frame) -> Py | None:
        """A sum of products of two arrays.

        Their product, which becomes one of matrices where the sum is mapped over. None if it is no such sum.
        """
        if len(scalars) != 2 or not all(isinstance(f, Value) for f in scalars):
            return None
        arrays, letters = [], []
        for factor in scalars:
            assert isinstance(factor, Value)
            found = self._array(factor.ref, loops, frame)
            if found is None:
                return None
            arrays.append(found[0])
            letters.append(found[1])
        if letters[0] == letters[1] and len(letters[0]) == 1:
            return py.matmul(*arrays)
        names = {v: "ijklmnopqrst"[k] for k, (v, _) in enumerate(loops)}
        spec = ",".join("".join(names[v] for v in own) for own in letters)
        return py.call("jnp.einsum", Py(f"'{spec}->'"), *arrays)

    def _array(self, ref: Ref, loops: Loops, frame: Frame) -> tuple[Py, list[str]] | None:
        """The members for all values of the sums' variables, and these in the order of the axes.

        None if they do not lie along axes.
        """
        held = frame.find(ref)
        counts, order, parts = dict(loops), list[str](), list[Py]()
        for axis, i in zip(held.kept, held.rest(ref), strict=True):
            own = index_variables(i) & counts.keys()
            if not own:
                parts.append(self.emit.index(i, frame))
                continue
            v = next(iter(own))
            if (
                isinstance(i, Gather)
                or len(own) > 1
                or (i - Affine.var(v)).variables
                or v in order
                or axis >= len(held.shape)
            ):
                return None
            order.append(v)
            parts.append(py.part(i.const, counts[v].const, held.shape[axis]))
        if not order:
            return None
        array = py.subscript(py.name(held.name), parts)
        return array if self.emit.bound_of(ref.name) is None else as_real(array), order

    # vectors

    def _history(
        self, vectors: Sequence[Expr], loops: Loops, frame: Frame, ranges: Ranges
    ) -> MemberArray | None:
        """The history over whose first steps the sum runs, over all that is kept of each of them.

        None if it is something else.
        """
        if len(vectors) != 1 or not isinstance(vectors[0], Value):
            return None
        held = frame.find(vectors[0].ref)
        whole = [
            index == Affine.var(v) and (k == 0 or n.constant == held.shape[axis])
            for k, (index, axis, (v, n)) in enumerate(
                zip(held.rest(vectors[0].ref), held.kept, loops, strict=False)
            )
        ]
        fits = greatest(loops[0][1], ranges) <= held.shape[held.kept[0]] if held.kept else False
        return held if held.blocks and fits and all(whole) and len(loops) == len(held.kept) else None

    def _vectors(
        self, vectors: Sequence[Expr], loops: Loops, frame: Frame, ranges: Ranges
    ) -> tuple[Py | None, int | None]:
        """The vectors that the sum runs over, as one array, and its length.

        A little more where that saves a copy and coefficients are 0.
        """
        if len(vectors) == 1 and isinstance(vectors[0], Value):
            held = frame.find(vectors[0].ref)
            if in_order(held, vectors[0].ref, variables_of(loops), all_of_them=True):
                return self.slice(held, vectors[0].ref, loops, frame, ranges)
        (variable, count), *deeper = loops
        if deeper or count.constant is None:  # functions of members that do not exist yet need not be finite
            return None, None
        return self._over((variable, count), mul(*vectors), frame, ranges), None

    def slice(
        self, held: MemberArray, ref: Ref, loops: Loops, frame: Frame, ranges: Ranges
    ) -> tuple[Py, int]:
        extents = {v: greatest(n, ranges) for v, n in loops}
        length = extents[loops[0][0]]
        parts = []
        for axis, i in zip(held.kept, held.rest(ref), strict=True):
            own = extents.keys() & index_variables(i)
            if isinstance(i, Affine) and own:
                n = extents[next(iter(own))]
                if (
                    own == {loops[0][0]}
                    and i.const == 0
                    and loops[0][1].constant is None
                    and n < held.shape[axis] <= n + SPARE
                ):
                    n = length = held.shape[axis]
                parts.append(py.part(i.const, n, held.shape[axis]))
            else:
                parts.append(self.emit.index(i, frame))
        return held.part(parts), length

    # coefficients

    def coefficients_of(self, scalars: Sequence[Expr], loops: Loops, frame: Frame, ranges: Ranges) -> Py:
        """The product of scalars for all values of the sums' variables, an array."""
        extents = tuple(greatest(n, ranges) for _, n in loops)
        shape = py.integer(extents[0]) if len(loops) == 1 else py.tuple_of([py.integer(n) for n in extents])
        if not scalars:
            return py.call("jnp.ones", shape, py.name("dtype"))
        refs = [ref for f in scalars for ref, _ in expr_references(f, ())]
        plain = not any(isinstance(part, Sum) for f in scalars for part in walk(f))
        if plain and all(in_order(frame.find(ref), ref, variables_of(loops)) for ref in refs):
            value = self.emit.value(mul(*scalars), _Axes(frame, loops, extents, self.emit), (*ranges, *loops))
            full = len(loops) == 1 or any(
                all(v in {w for i in ref.index for w in index_variables(i)} for v, _ in loops) for ref in refs
            )
            return value if full else py.call("jnp.broadcast_to", value, shape)
        return self._mapped(loops, mul(*scalars), frame, ranges)

    def _over(self, loop: tuple[str, Affine], x: Expr, frame: Frame, ranges: Ranges) -> Py:
        """A vector for all values of a sum's variable, [n, M]."""
        only = all(part.vector for part in walk(x) if isinstance(part, Value) and depends(part, loop[0]))
        plain = only and not any(isinstance(part, Sum | Position) for part in walk(x))
        if plain and all(in_order(frame.find(ref), ref, (loop[0],)) for ref, _ in expr_references(x, ())):
            return self.emit.value(
                x, _Axes(frame, (loop,), (greatest(loop[1], ranges),), self.emit), (*ranges, loop)
            )
        return self._mapped((loop,), x, frame, ranges)

    def _mapped(self, loops: Loops, x: Expr, frame: Frame, ranges: Ranges) -> Py:
        inner, parameters = frame, []
        for variable, _ in loops:
            parameters.append(self.emit.names.fresh(variable))
            inner = Frame(parent=inner, variables={variable: parameters[-1]})
        value = self.emit.value(x, inner, (*ranges, *loops))
        for parameter, (_, n) in reversed(list(zip(parameters, loops, strict=True))):
            value = Py(f"jax.vmap({py.lambda_of(parameter, value).text})(jnp.arange({greatest(n, ranges)}))")
        return value

    def _total(self, node: Sum, frame: Frame, ranges: Ranges) -> Py:
        """Any other sum: its terms computed side by side and added."""
        parameter = self.emit.names.fresh(node.variable)
        inner = Frame(parent=frame, variables={node.variable: parameter})
        body = self.emit.value(node.body, inner, (*ranges, (node.variable, node.count)))
        return py.call(
            "total",
            py.lambda_of(parameter, body),
            self.emit.affine(node.count, frame),
            py.integer(greatest(node.count, ranges)),
        )


class _Axes(Frame):
    """A frame in which the variables of sums are axes.

    Arrays of their values, and slices in place of members.
    """

    __slots__ = ("emit", "extents", "order")

    def __init__(self, parent: Frame, loops: Loops, extents: Sequence[int], emit: Expressions) -> None:
        last = len(loops) - 1
        values = {
            v: f"jnp.arange({n})" + ("" if k == last else f"[:{', None' * (last - k)}]")
            for k, ((v, _), n) in enumerate(zip(loops, extents, strict=True))
        }
        super().__init__(parent=parent, variables=values)
        self.order, self.extents, self.emit = (
            [v for v, _ in loops],
            dict(zip(values, extents, strict=True)),
            emit,
        )

    def find(self, ref: Ref) -> MemberArray:
        assert self.parent is not None
        held = self.parent.find(ref)
        found = [v for i in held.rest(ref) for v in self.order if v in index_variables(i)]
        if not found:
            return held
        parts = []
        for axis, i in zip(held.kept, held.rest(ref), strict=True):
            own = [v for v in found if v in index_variables(i)]
            if own and isinstance(i, Affine):
                parts.append(py.part(i.const, self.extents[own[0]], held.shape[axis]))
                later = self.order[self.order.index(own[0]) + 1 :]
                following = next((k for k, v in enumerate(later) if v in found), len(later))
                parts += [Py("None")] * following
            else:
                parts.append(self.emit.index(i, self.parent))
        return held.read(ref, parts)


def _flat(node: Sum) -> tuple[Loops, Expr]:
    """Sums in a sum, Σ_s a Σ_k b = Σ_{s, k} ab, as far as the inner ones have constant counts."""
    loops, body = [(node.variable, node.count)], node.body
    while True:
        factors = body.factors if isinstance(body, Mul) else (body,)
        inner = [f for f in factors if isinstance(f, Sum)]
        if len(inner) != 1 or inner[0].count.constant is None or inner[0].variable in {v for v, _ in loops}:
            return tuple(loops), body
        others = [f for f in factors if f is not inner[0]]
        if any(depends(f, inner[0].variable) for f in others):
            return tuple(loops), body
        loops.append((inner[0].variable, inner[0].count))
        body = mul(*others, inner[0].body)


def in_order(held: MemberArray, ref: Ref, order: Sequence[str], *, all_of_them: bool = False) -> bool:
    """Whether these variables, those that occur, run along axes of the array in their order.

    Each may be shifted by a number.
    """
    moved: list[str] = []
    for i in held.rest(ref):
        moving = index_variables(i) & set(order)
        if moving:
            if isinstance(i, Gather) or len(moving) > 1 or (i - Affine.var(next(iter(moving)))).variables:
                return False
            moved += moving
    return moved == (list(order) if all_of_them else [v for v in order if v in moved])


def variables_of(loops: Loops) -> list[str]:
    return [variable for variable, _ in loops]


def greatest(count: Affine, ranges: Ranges) -> int:
    return max(0, bounds(count, ranges)[1])


def positions(x: Expr) -> set[str]:
    """The variables that an expression has as numbers or in counts of sums, not as indices."""
    found: set[str] = set()
    for node in walk(x):
        if isinstance(node, Position):
            found |= node.index.variables
        if isinstance(node, Sum):
            found |= node.count.variables
    return found


def depends(x: Expr, s: str) -> bool:
    return s in free_variables(x)
