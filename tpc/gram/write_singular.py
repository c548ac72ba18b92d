"""What is emitted for functions of the singular values of tables in factors."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tpc.core.expr import Expr
from tpc.core.spectral import SPECTRAL
from tpc.emit import python as py
from tpc.emit.python import Py
from tpc.gram.ir import Spectral
from tpc.gram.write_arrays import Arrays

Axes = tuple[str, ...]


def spectral(x: Spectral, arrays: Arrays) -> Py:
    """The array of all coefficients."""

    def table(cells: Sequence[Sequence[Expr]], rows: Sequence[Axes], columns: Sequence[Axes]) -> Py:
        lines = [
            ", ".join(_block(arrays, cell, i, j).text for cell, j in zip(row, columns, strict=True))
            for row, i in zip(cells, rows, strict=True)
        ]
        alone = len(rows) == len(columns) == 1
        blocks = Py(lines[0] if alone else f"jnp.block([{', '.join(f'[{line}]' for line in lines)}])")
        return py.call("jnp.asarray", blocks, py.name("dtype"))  # which of numbers alone is none

    tables = [
        table(x.cells, x.rows, x.columns),
        table(x.row_products, x.rows, x.twins[0]),
        table(x.column_products, x.columns, x.twins[1]),
    ]
    counted = [py.integer(x.steps)] if SPECTRAL[x.function].steps else []
    coefficients = [arrays.aligned(a, ()) for a in x.coefficients]
    return py.call(f"{x.function}_in_factors", *tables, *counted, *coefficients)


def _block(arrays: Arrays, cell: Expr, rows: Axes, columns: Axes) -> Py:
    """One block, with a row for each member of the one side and a column for each of the other."""
    shape = [arrays.extents[v] for v in (*rows, *columns)]
    flat = [math.prod(arrays.extents[v] for v in side) for side in (rows, columns)]
    sizes = py.tuple_of([py.integer(n) for n in shape])
    found = py.call("jnp.broadcast_to", arrays.aligned(cell, (*rows, *columns)), sizes)
    return found if shape == flat else Py(f"{found.text}.reshape({flat[0]}, {flat[1]})")
