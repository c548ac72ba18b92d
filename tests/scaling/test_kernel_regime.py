"""NTP: the limit is kernel gradient descent with the NTK, given the initial function, a Gaussian process of
covariance NNGP (TP4 App H.4)."""

import numpy as np
import pytest

import tpc
from tests.scaling.kernels import descent, kernels, program
from tests.values import values_only
from tpc.core.program import instructions
from tpc.expand import expand


def data(steps, d, held_out=2, seed=0):
    r = np.random.default_rng(seed)
    return {
        "xi": r.standard_normal((steps, d)) / d**0.5,
        "y": r.choice([-1.0, 1.0], steps),
        "xs": r.standard_normal((held_out, d)) / d**0.5,
    }


def oracle(given, layers, activation, first, start, eta=0.4):
    x = np.concatenate([given["xi"], given["xs"]])
    _, theta = kernels(x, layers, activation)
    steps = len(given["y"])
    f = descent(theta, np.concatenate([first, start]), range(steps), given["y"], eta)
    return (np.diagonal(f[:steps, :steps]) - given["y"]) ** 2 / 2, f[-1, steps:]


EXACT = [
    ("linear", 1, "id", 3, (lambda s: s, np.ones_like)),
    ("linear", 2, "id", 3, (lambda s: s, np.ones_like)),
    ("square", 1, "square", 2, (np.square, lambda s: 2 * s)),
    ("square", 2, "square", 1, (np.square, lambda s: 2 * s)),
    ("relu", 1, "relu", 2, "relu"),
    ("tanh", 1, "tanh", 1, (np.tanh, lambda s: 1 - np.tanh(s) ** 2)),
]


@pytest.mark.parametrize(
    ("layers", "phi", "d", "activation"), [case[1:] for case in EXACT], ids=[f"{c[0]}-{c[1]}" for c in EXACT]
)
def test_tp4_h4_the_limit_is_kernel_gradient_descent_from_the_initial_function(layers, phi, d, activation):
    given = data(3, d)
    limit = program(layers, phi, d=d).compile()
    assert limit.plan.exact or limit.plan.gaussians == 2
    result = limit(given)
    losses, end = oracle(given, layers, activation, result["first"].value, result["start"].value)
    np.testing.assert_allclose(result["loss"].value, losses, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(result["end"].value, end, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    ("layers", "phi", "activation"),
    [(2, "relu", "relu"), (2, "tanh", (np.tanh, lambda s: 1 - np.tanh(s) ** 2))],
)
def test_on_points_it_is_so_within_the_standard_errors(layers, phi, activation):
    given, start = data(3, 2), {"f0": [0.3, -0.2, 0.5], "f_start0": [0.2, -0.7]}
    limit = program(layers, phi, T=3).compile(method="nodes", samples=4096, initial=start)
    result = values_only(limit)(given)
    losses, end = oracle(given, layers, activation, *start.values())
    for name, exact in (("loss", losses), ("end", end)):
        assert np.all(np.abs(result[name].value - exact) <= 5 * result[name].stderr + 1e-8), (
            result[name],
            exact,
        )
        assert np.max(result[name].stderr) < 0.01


@pytest.mark.parametrize(
    ("layers", "phi", "activation"),
    [(1, "tanh", (np.tanh, lambda s: 1 - np.tanh(s) ** 2)), (2, "id", (lambda s: s, np.ones_like))],
)
def test_the_covariance_of_the_start_is_the_nngp_kernel(layers, phi, activation):
    given = data(3, 1 if layers == 1 else 2)
    start = program(layers, phi, d=given["xi"].shape[1]).compile().start
    assert start.names == ("f0", "f_start0")
    sigma, _ = kernels(np.concatenate([given["xi"], given["xs"]]), layers, activation)
    np.testing.assert_allclose(start.covariance(given), sigma, rtol=1e-9, atol=1e-11)


def test_the_start_is_drawn_by_seed_and_equal_where_the_inputs_are():
    given = data(3, 1)
    given["xs"] = given["xi"][:2]
    limit = program(1, "tanh", d=1)
    one, same, other = (limit.compile(initial=seed)(given) for seed in (7, 7, 8))
    assert np.array_equal(one["start"].value, same["start"].value)
    assert np.min(np.abs(one["start"].value - other["start"].value)) > 1e-3
    np.testing.assert_allclose(one["first"].value[:2], one["start"].value, atol=1e-12)


def test_tp4_h4_integrated_over_the_start_the_mean_and_covariance_are_those_of_linear_dynamics():
    """f_T = A f_0 + b by linear dynamics, so the mean is b and the covariance A Σ Aᵀ; the loss is
    quadratic."""
    given, eta = data(3, 2), 0.4
    result = program(1, "id").compile(initial="integrate")(given)
    sigma, theta = kernels(np.concatenate([given["xi"], given["xs"]]), 1, (lambda s: s, np.ones_like))
    runs = [descent(theta, e, range(3), given["y"], eta) for e in [np.zeros(5), *np.eye(5)]]
    slope = np.stack([run - runs[0] for run in runs[1:]], axis=-1)  # [T + 1, N, N]
    mean, cov = runs[0][-1, 3:], slope[-1, 3:] @ sigma @ slope[-1, 3:].T
    np.testing.assert_allclose(result["end"].value, mean, rtol=1e-9)
    np.testing.assert_allclose(result["end"].covariance, cov, rtol=1e-9)
    np.testing.assert_allclose(result["end"].std, np.sqrt(np.diag(cov)), rtol=1e-9)
    for t in range(3):
        residual, spread = runs[0][t, t] - given["y"][t], slope[t, t] @ sigma @ slope[t, t]
        assert result["loss"].value[t] == pytest.approx((residual**2 + spread) / 2, rel=1e-9)
        # of draws, some hundreds
        assert result["loss"].std[t] ** 2 == pytest.approx(residual**2 * spread + spread**2 / 2, rel=0.15)


def test_finite_width_conditioned_on_its_own_start_tends_to_the_limit():
    """The RMS difference falls as n^{-1/2}, the start of each draw being given to the limit."""
    given = data(5, 2, seed=3)
    net = program(1, "relu", T=5)
    assert {s.of for s in expand(net).initial.scalars} == {"f", "f_start"}
    limit, widths, errors = net.compile().functions(("loss", "end")), (256, 1024, 4096), []
    for width in widths:
        made = net.simulate(given, width=width, seeds=64).outputs
        found = [
            limit({**given, "f0": first, "f_start0": start})
            for first, start in zip(made["first"], made["start"], strict=True)
        ]
        differences = [np.stack([one[name] for one in found]) - made[name] for name in ("loss", "end")]
        # before the first step there is only the start
        np.testing.assert_allclose(differences[0][:, 0], 0, atol=1e-12)
        errors.append(np.sqrt(np.mean(np.square(np.concatenate(differences, axis=1)))))
    slope = np.polyfit(np.log(widths), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.12), errors
    assert errors[-1] < 3 / widths[-1] ** 0.5


def test_a_limit_stands_on_its_lines_whatever_equal_program_was_there_before():
    text = "width n\nvector u : n ~ N(0, 1)\nx = tanh(u) + n^(-1/2)*u\noutput q = mean(x*x)\n"
    for lines in (0, 3):
        op, _ = next(instructions(expand(tpc.parse("\n" * lines + text)).limit.body))
        assert op.origin.line == 3 + lines
