"""Inputs of norm 0, and programs whose kernels do not follow from covariances: limits and messages, through
`program.kernels()` and the plan."""

import pickle

import jax
import numpy as np
import pytest

import tpc

X = np.array([[0.0, 0.0, 0.0], [1.0, -2.0, 0.5], [0.3, 0.1, -0.7]])
HEAD = "width n\nweight U : n x 3\nweight W : n x n\nweight V : 1 x n\n"
DOT = HEAD + "network f(x):\n    h = W @ tanh(U @ x)\n    return V @ tanh(W.T @ tanh(h))\n"


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


@pytest.mark.parametrize("kind", ["nngp", "ntk"])
@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_at_an_input_of_norm_zero_a_kernel_is_its_limit(activation, kind):
    """K(0, ·) is the limit of K(εx, ·): all are continuous there, and 0 without biases."""
    kernel = getattr(
        tpc.parse(HEAD + f"network f(x) = V @ {activation}(W @ {activation}(U @ x))\n").kernels(), kind
    )
    near = X.copy()
    near[0] = [1e-9, -1e-9, 2e-9]
    found = kernel(X)
    np.testing.assert_allclose(found, kernel(near), rtol=0, atol=1e-8)
    np.testing.assert_array_equal(found[0], 0)
    np.testing.assert_array_equal(kernel.diagonal(X)[0], 0)
    np.testing.assert_allclose(kernel(X[1:], X[:1]), 0, atol=0)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_bias_alone_is_left_of_an_input_of_norm_zero(dtype):
    """One hidden layer of relu with a bias b: E relu(b)² = 1/2 and Θ(0, 0) = 1/2 + 1/2·1."""
    kernels = tpc.parse(
        "width n\nweight U : n x 3\nbias b : n\nweight V : 1 x n\nnetwork f(x) = V @ relu(U @ x + b)\n"
    ).kernels(dtype=dtype)
    nngp, ntk = kernels(X)
    assert (nngp[0, 0], ntk[0, 0]) == pytest.approx((0.5, 1.0), rel=1e-6 if dtype == "float32" else 1e-14)
    assert np.isfinite(nngp).all()
    assert np.isfinite(ntk).all()


def test_a_vector_of_norm_zero_divided_by_its_norm_is_zero():
    """The limit ε → 0 of h/√(E h² + ε). (The NTK has none: its slope is 1/0.)"""
    found = (
        tpc.parse(HEAD + "network f(x):\n    h = U @ x\n    return V @ relu(W @ (h/sqrt(mean(h^2))))\n")
        .kernels()
        .nngp(X)
    )
    np.testing.assert_array_equal(found[0], 0)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("ask", "places"),
    [
        (lambda k: k(X), "0 and 0"),
        (lambda k: k(X[1:], X[:1]), "0 and 0"),
        (lambda k: k.diagonal(X[::-1]), "2 and 2"),
    ],
)
def test_the_ntk_of_a_net_that_divides_by_a_norm_is_refused_at_zero(ask, places):
    kernel = (
        tpc.parse(HEAD + "network f(x):\n    h = U @ x\n    return V @ relu(W @ (h/sqrt(mean(h^2))))\n")
        .kernels()
        .ntk
    )
    with pytest.raises(tpc.TpcError, match=f"(?s)TP639.*the inputs {places}, of.*leave the input out"):
        ask(kernel)


def test_a_used_kernel_is_pickled():
    kernel = tpc.parse(HEAD + "network f(x) = V @ relu(U @ x)\n").kernels().ntk
    found = kernel(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(kernel))(X), found)


def test_a_kernel_with_a_dot_is_refused_in_the_names_of_the_file():
    with pytest.raises(tpc.TpcError) as error:
        tpc.parse(DOT).kernels().ntk(X[1:])
    (found,) = error.value.diagnostics
    assert found.code == "TP726"
    assert "has a Ż: what is multiplied is correlated with `W @ " in found.message
    assert "_of_kernel" not in found.message
    assert "with standard errors" in found.help


def test_the_plan_says_of_what_dimension_an_integral_would_be():
    text = (
        "width n\n"
        "dim N = 3, d = 2\n"
        "input xs[N, d]\n"
        "weight U : n x d\n"
        "weight V : 1 x n\n"
        "network f(x):\n"
        "    h[i] = U @ x[i] for i < N\n"
        "    v = sum(i < N: h[i]^2)/N\n"
        "    return V @ tanh(h[0]*h[1]*h[2]/sqrt(1 + v))\n"
        "output K = nngp(f)(xs, 2*xs)\n"
    )
    plan = tpc.parse(text).compile().plan
    assert plan.method == "nodes"
    assert (
        "gram would need too many dimensions of quadrature: a mean of a function of 6 dependent Gaussians"
        in plan.why
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [("# a net with\n#\n# a Ż\n\n", ""), ("", "\n# in the middle\n\n"), ("\n", "output c = 1 + 1\n")],
)
def test_lines_are_named_as_in_the_file(before, after):
    text = before + HEAD + after + DOT.removeprefix(HEAD)
    with pytest.raises(tpc.TpcError) as error:
        tpc.parse(text).kernels().ntk(X[1:])
    line = 1 + text.splitlines().index("    h = W @ tanh(U @ x)")
    assert f"(line {line})" in error.value.diagnostics[0].message


def test_comments_do_not_change_what_a_kernel_is():
    text = HEAD + "network f(x) = V @ relu(U @ x)\n"
    one, other = (tpc.parse(own).kernels().ntk for own in (text, f"# a net\n\n{text}"))
    assert one.identity == other.identity


PLACES = (
    "width n\ndim L = 2\nweight U : n x 3\nweight V : 1 x n\nnetwork f(x):\n    h[p] = U @ x[p] for p < L\n"
)


@pytest.mark.parametrize(
    ("body", "options", "shape", "code", "says"),
    [
        (
            HEAD + "network f(x) = V @ relu(U @ x)\n",
            {},
            (4, 5),
            "TP707",
            "those of `f` have the shape (5,) each",
        ),
        (HEAD + "network f(x) = V @ relu(U @ x)\n", {}, (4,), "TP707", "those of `f` have the shape () each"),
        (
            PLACES + "    return V @ sum(p < L: relu(h[p]))\n",
            {},
            (4, 1, 3),
            "TP303",
            "index 1 is outside 0 … 0 of axis 1 of `x`, at p = 1",
        ),
        (
            PLACES + "    o[p] = V @ relu(h[p]) for p < L\n    return o\n",
            {},
            (4, 2, 3),
            "TP714",
            "the axes of what `f` returns are not those of",
        ),
        (
            PLACES + "    o[p] = V @ relu(h[p]) for p < L\n    return o\n",
            {"positions": (3,)},
            (4, 2, 3),
            "TP714",
            "`positions`, (3,)",
        ),
        (
            HEAD + "network f(x, y) = V @ relu(U @ x + U @ y)\n",
            {},
            (4, 3),
            "TP709",
            "ntk(f)(x1[i], x2[i], x1[j], x2[j])",
        ),
    ],
)
def test_arrays_that_do_not_fit_are_refused_in_the_names_of_the_file(body, options, shape, code, says):
    text = f"# a net\n{body}"
    with pytest.raises(tpc.TpcError) as error:
        tpc.parse(text).kernels(**options).ntk(np.ones(shape))
    (found,) = error.value.diagnostics
    assert found.code == code
    shown = error.value.render()
    assert says in shown
    assert "_of_kernel" not in shown
    for label in ([found.at] if found.at else []) + [*found.also]:
        assert text.splitlines()[label.span.line - 1] in shown
