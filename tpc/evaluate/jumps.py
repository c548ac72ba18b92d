"""Steps that jump where a quantity is 0: a run says so where its limit is, as far as points can tell.

At width n the sign of what tends to 0 is that of a fluctuation, so that there is no limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tpc.core.program import Program
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError

VANISHING = 1e-12  # of a mean square, relative to the largest
# the error of a mean square, relative to it, from which it is not told from 0 (what vanishes is biased)
UNCERTAIN = 0.4
# the same of one repeat: what vanishes is a fluctuation squared, which varies by as much as it is (√2, of one
# Gaussian), however many there are to make the error of their mean small
VARYING = 0.7
ENOUGH_TO_TELL = 6  # repeats: errors of fewer are too large themselves


def require_sizes(
    program: Program, repeats: int, found: Mapping[str, tuple[Any, Any]], claims: Mapping[str, Any]
) -> None:
    """Raises TpcError (TP748) where a run's outcome depends on the sign of what tends to 0.

    What is 0 exactly at the points of all repeats is so at every width, and harmless. Not so where numbers
    are exact, and only the limit is known. repeats: how many are done. claims: what is said of the errors
    of what is looked at, where these come from repeats.
    """
    for output in program.outputs:
        if not output.check:
            continue
        value, error = found[output.name]
        sizes = np.asarray(value, np.float64)
        errors = np.zeros(sizes.shape) if error is None else np.asarray(error)
        with np.errstate(invalid="ignore"):
            unclear = errors > UNCERTAIN * sizes
            if output.name in claims:
                varying = np.asarray(claims[output.name].spread) * repeats**0.5
                unclear |= varying > VARYING * sizes
            unclear &= repeats >= ENOUGH_TO_TELL
            small = unclear | (sizes < VANISHING * np.max(sizes, initial=0))
            nothing = (sizes == 0) & (errors == 0) & (error is not None)
            small |= (sizes == 0) & (error is None)
            places = np.argwhere(small & ~nothing & np.isfinite(errors))
        if len(places):
            step = int(places[0][0])
            raise TpcError(
                [catalogue.optimizers.vanishing(output.check, step)], program.name, of_program=True
            )
