"""Regression, Gaussian-process posterior and training in the kernel regime, on plain functions as kernels."""

import math

import numpy as np
import pytest

import tpc
from tpc.kernels.flow import after_flow, after_steps
from tpc.kernels.regression import Prediction, posterior

RANDOM = np.random.default_rng(0)
X, POINTS, Y = RANDOM.standard_normal((7, 3)), RANDOM.standard_normal((4, 3)), RANDOM.standard_normal((7, 2))


def nngp(x, z=None):
    z = x if z is None else z
    return np.exp(-((x[:, None] - z[None]) ** 2).sum(axis=-1) / 3)


def ntk(x, z=None):
    z = x if z is None else z
    return nngp(x, z) * (1 + x @ z.T) ** 2 + nngp(x, z)


def test_posterior_is_the_conditional_gaussian():
    found = posterior(nngp, X, Y, POINTS, noise=0.1)
    inverse = np.linalg.inv(nngp(X) + 0.1 * np.eye(7))
    np.testing.assert_allclose(found.mean, nngp(POINTS, X) @ inverse @ Y, atol=1e-12)
    np.testing.assert_allclose(
        found.covariance, nngp(POINTS) - nngp(POINTS, X) @ inverse @ nngp(X, POINTS), atol=1e-12
    )
    assert found.std.shape == (4,)
    at_inputs = posterior(nngp, X, Y, X)
    np.testing.assert_allclose(at_inputs.mean, Y, atol=1e-9)
    np.testing.assert_allclose(at_inputs.covariance, 0, atol=1e-9)


def test_a_prediction_shows_itself_in_a_line_and_in_a_table():
    for y in (Y, Y[:, 0]):
        found = posterior(nngp, X, y, POINTS, noise=0.1)
        assert repr(found) == "<a prediction at 4 inputs: mean, covariance, std>"
        shown = found._repr_html_()
        assert f"{found.mean.flat[0]:.5g}, std {found.std[0]:.2g}" in shown
    assert "std" not in Prediction(found.mean)._repr_html_()


def test_posterior_is_that_of_scikit_learn():
    gaussian_process = pytest.importorskip("sklearn.gaussian_process")
    from tpc.kernels.interop import GaussianProcessKernel

    other = gaussian_process.GaussianProcessRegressor(
        kernel=GaussianProcessKernel(nngp), alpha=0.1, optimizer=None
    ).fit(X, Y[:, 0])
    mean, covariance = other.predict(POINTS, return_cov=True)
    found = posterior(nngp, X, Y[:, 0], POINTS, noise=0.1)
    np.testing.assert_allclose(found.mean, mean, atol=1e-10)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-10)


def test_steps_are_gradient_descent_with_the_tangent_kernel():
    """f ← f − (η/N) Θ (f − y), from a given start."""
    start = RANDOM.standard_normal((7, 2)), RANDOM.standard_normal((4, 2))
    f, g = start
    for _ in range(25):
        residual = f - Y
        f, g = f - 0.2 / 7 * ntk(X) @ residual, g - 0.2 / 7 * ntk(POINTS, X) @ residual
    found = after_steps(ntk, nngp, X, Y, POINTS, steps=25, rate=0.2, initial=start)
    np.testing.assert_allclose(found.mean, g, atol=1e-11)
    assert found.covariance is None


def test_small_steps_are_the_flow():
    flow = after_flow(ntk, nngp, X, Y, POINTS, time=2.0, rate=0.5)
    coarse, fine = (after_steps(ntk, nngp, X, Y, POINTS, steps=k, rate=1.0 / k) for k in (2000, 4000))
    np.testing.assert_allclose(2 * fine.mean - coarse.mean, flow.mean, atol=1e-6)
    np.testing.assert_allclose(2 * fine.covariance - coarse.covariance, flow.covariance, atol=1e-6)


def test_mean_and_covariance_are_those_over_the_initial_function():
    """A linear map of f_0: its law from the map on a basis."""
    at_start = after_flow(ntk, nngp, X, Y, POINTS, time=0.0)
    np.testing.assert_allclose(at_start.mean, 0, atol=1e-14)
    np.testing.assert_allclose(at_start.covariance, nngp(POINTS), atol=1e-12)
    both = np.concatenate([X, POINTS])
    law, y = nngp(both), Y[:, 0]
    rest = after_flow(ntk, nngp, X, y, POINTS, time=1.3, initial=(np.zeros(7), np.zeros(4))).mean
    basis = np.eye(11)
    linear = np.array(
        [after_flow(ntk, nngp, X, y, POINTS, time=1.3, initial=(e[:7], e[7:])).mean - rest for e in basis]
    ).T
    found = after_flow(ntk, nngp, X, y, POINTS, time=1.3)
    np.testing.assert_allclose(found.mean, rest, atol=1e-12)
    np.testing.assert_allclose(found.covariance, linear @ law @ linear.T, atol=1e-11)
    assert np.linalg.eigvalsh(found.covariance).min() > -1e-12


def test_the_end_interpolates_and_its_mean_is_regression_with_the_tangent_kernel():
    end = after_flow(ntk, nngp, X, Y, POINTS, time=math.inf)
    np.testing.assert_allclose(end.mean, posterior(ntk, X, Y, POINTS).mean, atol=1e-8)
    np.testing.assert_allclose(after_flow(ntk, nngp, X, Y, X, time=math.inf).mean, Y, atol=1e-8)
    np.testing.assert_allclose(after_flow(ntk, nngp, X, Y, POINTS, time=1e7).mean, end.mean, atol=1e-8)
    np.testing.assert_allclose(
        after_flow(nngp, nngp, X, Y, POINTS, time=math.inf).covariance,
        posterior(nngp, X, Y, POINTS).covariance,
        atol=1e-8,
    )


def test_equal_inputs_are_one_direction_that_is_not_learned_twice():
    x, y = X[[0, 1, 0]], Y[[0, 1, 2], 0]
    found = after_flow(ntk, nngp, x, y, x, time=math.inf)
    np.testing.assert_allclose(found.mean, [(y[0] + y[2]) / 2, y[1], (y[0] + y[2]) / 2], atol=1e-9)


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        (lambda: posterior(nngp, X, Y[:6], POINTS), "TP631", "there are 7 inputs, and y has the shape"),
        (lambda: posterior(nngp, 3.0, Y, POINTS), "TP631", "an array of inputs"),
        (lambda: posterior(nngp, X, np.where(Y > 0, np.nan, Y), POINTS), "TP632", "not finite"),
        (lambda: posterior(nngp, X, ["a"] * 7, POINTS), "TP632", "not finite real numbers"),
        (lambda: posterior(nngp, X[[0, 0]], Y[:2], POINTS), "TP634", "not positive definite"),
        (
            lambda: posterior(nngp, X, Y, POINTS, noise=-1.0),
            "TP635",
            "a variance, must be a number of at least 0, and is -1.0",
        ),
        (lambda: posterior(nngp, X, Y, POINTS, noise="much"), "TP635", "and is much"),
        (
            lambda: posterior(lambda x, z=None: np.zeros((3, 3)), X, Y, POINTS),
            "TP633",
            "shape (3, 3) where one of (7, 7)",
        ),
        (lambda: posterior(lambda x, z=None: nngp(x, z) * np.nan, X, Y, POINTS), "TP633", "not finite"),
        (
            lambda: after_flow(ntk, nngp, X, Y, POINTS, time=-1.0),
            "TP635",
            "the time must be a number of at least 0",
        ),
        (lambda: after_flow(ntk, nngp, X, Y, POINTS, time=1.0, rate=math.inf), "TP635", "the rate must be"),
        (
            lambda: after_flow(lambda x, z=None: -ntk(x, z), nngp, X, Y, POINTS, time=1.0),
            "TP634",
            "not positive semidefinite",
        ),
        (
            lambda: after_steps(ntk, nngp, X, Y, POINTS, steps=2.5, rate=0.1),
            "TP635",
            "a whole number, and is 2.5",
        ),
        (
            lambda: after_steps(ntk, nngp, X, Y, POINTS, steps=10, rate=100.0),
            "TP636",
            "the largest stable rate is",
        ),
        (
            lambda: after_steps(ntk, nngp, X, Y, POINTS, steps=10, rate=0.1, initial=(Y[:, 0], Y[:4, 0])),
            "TP631",
            "the initial function has the shapes",
        ),
        (
            lambda: after_flow(ntk, nngp, X, Y, POINTS, time=1.0, initial=(Y, Y[:4])).std,
            "TP637",
            "leave `initial` out",
        ),
    ],
)
def test_what_does_not_fit_is_said(call, code, message):
    with pytest.raises(tpc.TpcError) as error:
        call()
    assert error.value.diagnostics[0].code == code
    assert message in str(error.value)


def test_a_used_kernel_is_cloned_by_scikit_learn():
    """Model selection clones estimators, and what they are given."""
    base, process = pytest.importorskip("sklearn.base"), pytest.importorskip("sklearn.gaussian_process")
    from tpc.kernels.interop import GaussianProcessKernel

    net = tpc.parse("width n\nweight U : n x 3\nweight V : 1 x n\nnetwork f(x) = V @ relu(U @ x)\n")
    kernel = GaussianProcessKernel(net.kernels().nngp)
    first = process.GaussianProcessRegressor(kernel=kernel, alpha=0.1).fit(X, Y[:, 0])
    own = kernel(X)
    again = base.clone(first).fit(X, Y[:, 0])
    assert again.kernel_ is not kernel
    np.testing.assert_array_equal(base.clone(kernel)(X), own)
    np.testing.assert_array_equal(again.predict(POINTS), first.predict(POINTS))


def test_rows_of_images_are_shaped_again():
    pytest.importorskip("sklearn")
    from tpc.kernels.interop import GaussianProcessKernel

    rows = X[:6, :2].reshape(3, 4)
    shaped = GaussianProcessKernel(
        lambda x, z=None: nngp(x.reshape(len(x), -1), None if z is None else z.reshape(len(z), -1)),
        shape=(2, 2),
    )
    np.testing.assert_allclose(shaped(rows), nngp(rows), rtol=1e-14)
    with pytest.raises(tpc.TpcError, match="rows of 3 entries") as error:
        shaped(X)
    assert error.value.diagnostics[0].code == "TP638"


def test_the_rate_that_is_named_is_stable():
    greatest = 2 * 7 / np.linalg.eigvalsh(ntk(X)).max()
    assert np.isfinite(after_steps(ntk, nngp, X, Y, POINTS, steps=10**5, rate=greatest * 0.999).mean).all()
