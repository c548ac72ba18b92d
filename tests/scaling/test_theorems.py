"""Classifications against the paper's theorems on a grid of rationals, L = 1..4, tanh, relu and gelu.

Some hundreds in the suite; `TPC_GRID=40000 pytest tests/scaling` takes so many for every depth and
activation.
"""

import os
import random
from fractions import Fraction

import pytest

from tests.scaling.nets import mlp, training
from tests.scaling.theorems import Theorems

COUNT = int(os.environ.get("TPC_GRID", "120"))
HALF = Fraction(1, 2)


def grid(rng, depth):
    """A point of the grid of quarters (thirds, sometimes). Most are stable at initialisation, and near the
    faces of the stable set."""
    step = rng.choice([2, 4, 4, 3])

    def some(low, high):
        return Fraction(rng.randint(low * step, high * step), step)

    a = [some(-1, 1) for _ in range(depth + 1)]
    b = [-a[0], *(HALF - x for x in a[1:-1]), some(0, 1) - a[-1] + HALF * rng.randint(0, 1)]
    c = some(-1, 2)
    if rng.random() < 0.6:  # updates of the last layer that are of order 1, or about that
        c = 1 - 2 * a[-1] + rng.choice([0, 0, 0, 1, -1]) * Fraction(1, step)
    if rng.random() < 0.6:  # and those of some other layer
        layer = rng.randrange(depth)
        low = min(a[-1] + b[-1], 2 * a[-1] + c)
        moved = (1 - c - low - (layer == 0) + rng.choice([0, 0, 1, -1]) * Fraction(1, step)) / 2
        a[layer] = moved
        b[layer] = (0 if layer == 0 else HALF) - moved
        for other in range(depth):  # the others no faster
            if (
                other != layer
                and 2 * a[other] + (other == 0) < 2 * moved + (layer == 0)
                and rng.random() < 0.8
            ):
                a[other] = moved + HALF * ((layer == 0) - (other == 0)) + some(0, 1)
                b[other] = (0 if other == 0 else HALF) - a[other]
    if rng.random() < 0.1:
        b[rng.randrange(depth + 1)] += some(-1, 1)
    return Theorems(tuple(a), tuple(b), c)


def values(point):
    out = {"c": point.c}
    for k, (a, b) in enumerate(zip(point.a, point.b, strict=True), 1):
        out |= {f"a{k}": a, f"b{k}": b}
    return out


@pytest.mark.parametrize("activation", ["tanh", "relu", "gelu"])
@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_verdicts_are_those_of_the_theorems(depth, activation):
    net, rng, seen = training(mlp(depth, activation)), random.Random(100 * depth + len(activation)), []
    for _ in range(COUNT):
        point = grid(rng, depth)
        verdict, shown = net.classify(values(point)), str(point)
        assert verdict.stable == point.stable(), shown
        assert bool(verdict.blows_up) != verdict.stable, shown
        seen.append("unstable")
        if point.stable():
            seen[-1] = str(point.regime())
            assert verdict.trivial != point.nontrivial(), shown
            assert verdict.regime == point.regime(), shown
            assert verdict.r == point.r, shown
            assert [layer.r for layer in verdict.layers[:-1]] == point.layers(), shown
            assert verdict.last_layer.updated_maximally == point.last_updated_maximally(), shown
            assert verdict.last_layer.initialised_maximally == point.last_initialised_maximally(), shown
            assert verdict.layers[-1].updated_maximally == point.last_updated_maximally(), shown
    assert min(seen.count(kind) for kind in ("unstable", "feature", "kernel", "None")) >= COUNT / 30, {
        k: seen.count(k) for k in seen
    }
