"""Programs that the tests of runs share."""

from pathlib import Path

import numpy as np

import tpc

PROGRAMS = Path(__file__).parents[2] / "programs"
TWO_LAYERS = PROGRAMS / "paper" / "thm_6_4.tp"


def two_layers(steps, *, seed=0):
    """Thm 6.4 for so many steps, and random inputs ±1 for it."""
    rng = np.random.default_rng(seed)
    return tpc.load(TWO_LAYERS, dims={"T": steps}), {
        "xi": rng.choice([-1.0, 1.0], steps),
        "y": rng.choice([-1.0, 1.0], steps),
        "eta": 0.5,
    }


def same_bits(a, b):
    """Whether two results have the same outputs, errors and notes, bit for bit."""
    assert a.outputs.keys() == b.outputs.keys()
    pairs = [(a[name].value, b[name].value) for name in a.outputs] + [
        (a[name].stderr, b[name].stderr) for name in a.outputs
    ]
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in pairs) and a.notes == b.notes
