"""The values that an affine index takes over loops."""

from __future__ import annotations

from tpc.affine import Affine

Ranges = tuple[tuple[str, Affine], ...]               # variables and counts, outermost first; a count may depend on the variables before it


def bounds(index: Affine, ranges: Ranges) -> tuple[int, int]:
    """The least and greatest value of `index` (of some order if a range is empty)."""
    return _extreme(index, ranges, -1), _extreme(index, ranges, 1)


def _extreme(index: Affine, ranges: Ranges, sign: int) -> int:
    for variable, count in reversed(ranges):
        k = index.coefficient(variable)
        index = index.substitute({variable: count - 1 if k * sign > 0 else Affine(0)})
    return index.const
