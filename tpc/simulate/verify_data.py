"""The outcome of `verify` as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.core.expansion import ASSUMED
from tpc.show.entries import plain, whole
from tpc.simulate.forecast import Forecast

if TYPE_CHECKING:
    from tpc.simulate.verify import OutputComparison

TELLS_NOTHING = (
    f"where `value` is null its error is more than {ASSUMED:g} times the limit and the fluctuation: more "
    "--seeds, or narrower --widths, may tell"
)


def comparison_to_json(output: OutputComparison) -> dict[str, Any]:
    """Numbers or nested lists, null for what is not finite."""
    rows = [
        {
            "width": r.width,
            "mean": plain(r.mean),
            "std": plain(r.spread),
            "stderr": plain(r.stderr),
            "deviation": plain(r.deviation),
            "rms_error": plain(r.rms),
            "rms_error_stderr": plain(r.rms_stderr),
        }
        for r in output.rows
    ]
    g, slope = output.gap, output.slope
    return {
        "agrees": output.agrees,
        "judged": bool(output.judged.all()),
        "limit_agrees": output.limit_agrees,
        "limit": plain(output.limit),
        "limit_stderr": None if output.stderr is None else plain(output.stderr),
        "widths": rows,
        "gap": {
            "value": plain(g.estimate),
            "stderr": plain(g.stderr),
            "sigma": plain(g.sigma),
            "allowed": plain(g.allowed),
            "order": g.order.tolist(),
            "known_bias": g.known_bias.tolist(),
        },
        "slope": {"value": plain(slope.estimate), "stderr": plain(slope.stderr)},
        **({} if output.forecast is None else {"prediction": forecast_to_json(output.forecast)}),
    }


def forecast_to_json(own: Forecast) -> dict[str, Any]:
    """`widths_judged` are counts, of the widest ones."""
    holds = own.first_order_from
    parts = {
        what: {
            "agrees": part.agrees,
            "predicted": plain(part.predicted),
            "value": plain(part.estimate),
            "stderr": plain(part.stderr),
            "sigma": plain(part.sigma),
            "z": [plain(z) for z in part.z],
            **({"reason": TELLS_NOTHING} if np.isnan(part.estimate).any() else {}),
        }
        for what, part in (("bias", own.bias), ("variance", own.variance))
    }
    told = None if holds is None else whole(np.round(holds))
    return {**parts, "first_order_from": told, "widths_judged": own.usable.tolist()}
