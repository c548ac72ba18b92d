"""TP4 Thm 6.3 and 6.4 at t = 0, 1, 2, by product quadrature over the few Gaussians there are and the
derivative form of ZDot.

Independent of tpc: the recursion is written out below, the derivatives by symbol are taken by JAX.
"""

from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.values import values_only

PROGRAMS = Path(__file__).parents[2] / "programs" / "paper"
STEPS = 3


def grid(dimensions, count):
    """Nodes of as many independent standard Gaussians, one a row, `count` in each, and their weights."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    weights = weights / weights.sum()
    points = np.stack(np.meshgrid(*[nodes] * dimensions, indexing="ij")).reshape(dimensions, -1)
    products = np.prod(np.stack(np.meshgrid(*[weights] * dimensions, indexing="ij")), axis=0).ravel()
    return points, products


def first_layer(known, u0, hats, t):
    """Z^{x_0}, …, Z^{x_t} from Z^{U_0} and Ẑ^{Wᵀ dh_s}, s < t."""
    xi, chi, dots, moments = known
    u, xs = u0, []
    for s in range(t + 1):
        xs.append(jnp.tanh(xi[s] * u))
        if s < t:
            dx = (
                hats[s]
                + sum(dots[s][r] * xs[r] for r in range(s + 1))
                - sum(chi[r] * moments[r][s] * xs[r] for r in range(s))
            )
            u = u - chi[s] * xi[s] * dx * (1 - xs[s] ** 2)
    return xs


def second_layer(known, v0, hats, t):
    """Z^{V_s} φ(Z^{h_s}) and Z^{dh_s}, s <= t, from Z^{V_0} and Ẑ^{W x_s}, s <= t."""
    chi, dots, moments = known
    v, outs, dhs = v0, [], []
    for s in range(t + 1):
        h = hats[s] + sum((dots[s][r] - chi[r] * moments[r][s]) * dhs[r] for r in range(s))
        z = jnp.tanh(h)
        outs.append(v * z)
        dhs.append(v * (1 - z**2))
        if s < t:
            v = v - chi[s] * z
    return outs, dhs


def hats_of(gram, t, points):
    """Jointly Gaussian with covariance `gram`, from independent ones."""
    factor = (
        np.linalg.cholesky(np.array([[gram[min(r, s)][max(r, s)] for r in range(t)] for s in range(t)]))
        if t
        else np.zeros((0, 0))
    )
    return jnp.asarray(factor @ points[:t])


def slopes(of, hats, t, weights):
    """E ∂of_t/∂hat_s for every s; each hat acts on its own coordinate, so one gradient of the sum has them
    all."""
    gradient = jax.grad(lambda g: jnp.sum(of(g)))(hats) if len(hats) else hats
    return [float(np.asarray(row) @ weights) for row in gradient][:t]


def outputs(xi, y, back, count):
    """f_0, f_1, f_2, by `count` nodes in each dimension. back: 1 for the true backward pass (Thm 6.4), 0 for
    an independent copy of Wᵀ (Thm 6.3)."""
    below, below_weights = grid(STEPS, count)  # Z^{U_0}, and the directions of Ẑ^{Wᵀ dh_s}, s < 2
    above, above_weights = grid(STEPS + 1, count)  # Z^{V_0}, and those of Ẑ^{W x_s}, s < 3
    chi: list[float] = []
    f: list[float] = []
    x_dots: list[list[float]] = []  # Ż^{Wᵀ dh_t} = Σ_s x_dots[t][s] Z^{x_s}
    h_dots: list[list[float]] = []  # Ż^{W x_t} = Σ_s h_dots[t][s] Z^{dh_s}
    xx = [[0.0] * STEPS for _ in range(STEPS)]
    dd = [[0.0] * STEPS for _ in range(STEPS)]
    for t in range(STEPS):
        u0, e = below[0], hats_of(dd, t, below[1:])
        known = (xi, chi, x_dots, dd)
        xs = first_layer(known, u0, e, t)
        for s in range(t + 1):
            xx[s][t] = float(np.asarray(xs[s] * xs[t]) @ below_weights)
        h_dots.append(
            [
                back * slope
                for slope in slopes(
                    lambda g, k=known, u=u0, t=t: first_layer(k, u, g, t)[t], e, t, below_weights
                )
            ]
        )
        v0, g = above[0], hats_of(xx, t + 1, above[1:])
        known_above = (chi, h_dots, xx)
        outs, dhs = second_layer(known_above, v0, g, t)
        f.append(float(np.asarray(outs[t]) @ above_weights))
        for s in range(t + 1):
            dd[s][t] = float(np.asarray(dhs[s] * dhs[t]) @ above_weights)
        x_dots.append(
            [
                back * s
                for s in slopes(
                    lambda g, k=known_above, v=v0, t=t: second_layer(k, v, g, t)[1][t],
                    g,
                    t + 1,
                    above_weights,
                )
            ]
        )
        chi.append(f[t] - y[t])
    return np.array(f)


def drawn(seed):
    """Inputs xi and y."""
    random = np.random.default_rng(seed)
    return random.uniform(0.5, 1.2, STEPS) * random.choice([-1, 1], STEPS), random.uniform(-1, 1, STEPS)


@cache
def expected_outputs(seed, back, count):
    with jax.enable_x64(True):
        return outputs(*drawn(seed), back, count)


@cache
def evaluator(name):
    return values_only(tpc.load(PROGRAMS / name).compile(samples=1 << 14))


@pytest.mark.parametrize(("name", "back"), [("thm_6_3.tp", 0), ("thm_6_4.tp", 1)])
@pytest.mark.parametrize("seed", [0, 1])
def test_tp4_two_hidden_layers_three_steps(name, back, seed):
    xi, y = drawn(seed)
    rough, expected = (expected_outputs(seed, back, count) for count in (28, 36))
    own = np.abs(expected - rough)  # a bound of the quadrature's error, as it halves at least
    assert own.max() < 1e-3
    found = evaluator(name)({"xi": xi, "y": y}, seed=seed)["f"]
    np.testing.assert_array_less(np.abs(found.value - expected), 4 * found.stderr + own)
    # so the test tells the two theorems apart
    other = expected_outputs(seed, 1 - back, 36)
    assert abs(other[2] - found.value[2]) > 20 * (found.stderr[2] + own[2])
