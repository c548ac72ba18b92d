"""The one format of numbers with errors."""

from __future__ import annotations

import math

import numpy as np

# shown of an exact value, and at most beside an error; of one in single precision
DOUBLE, SINGLE = (12, 15), (7, 8)
LARGEST_PLAIN = 1e6
SMALL_OF_ZERO = 1e-6  # errors of a 0 that are written by their powers of ten


def figures_of(dtype: np.dtype) -> tuple[int, int]:
    """How many figures a value of a dtype has: alone, and at most beside an error."""
    return SINGLE if dtype == np.float32 else DOUBLE


def with_error(value: float, error: float, figures: int, most: int) -> str:
    """A value down to the second figure of its error.

    With `figures` it is without the error, if that is 0, or below half of the last one shown.

    most: the figures that a value has.
    """
    if error <= abs(value) * 10.0**-figures / 2:
        return f"{value:z.{figures}g}"
    if value == 0 and error < SMALL_OF_ZERO:
        return f"0 ± {error:.2g}"
    if not math.isfinite(error):
        return f"{value:z.6g}, no finite error"
    places = 1 - math.floor(math.log10(error))
    needed = places + math.floor(math.log10(max(abs(value), error))) + 1
    if needed > most or places > most or error >= LARGEST_PLAIN:
        return f"{value:z.{min(needed, most)}g} ± {error:.2g}"
    return f"{value:z.{max(0, places)}f} ± {error:.{max(0, places)}f}"


def print_from(width: float) -> str:
    """From which width on something holds, about; infinite beyond those that were looked at."""
    if not math.isfinite(width):
        return "from no width that was looked at"
    return f"from n ≈ {float(f'{width:.2g}'):.0f}"
