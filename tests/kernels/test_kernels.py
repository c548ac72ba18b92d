"""`program.kernels()`: kernels as functions of arrays."""

import jax
import numpy as np
import pytest

import tpc
from tests.oracles.known_kernels import ARRAYS, NETS

TEXT = """width n
dim d = 4, T = 3
input xi[T, d], y[T], s = 2                       # of the training: kernels need none of it but s
weight U : n x d, std = 3/2
weight W : n x n
weight V : 1 x n
bias b : n
def phi(u) = relu(s*u)
network f(x) = V @ phi(W @ relu(U @ x) + b)
train f for t < T:
    batch (xi[t], y[t])
    loss mse
    update sgd(lr = 1)
output loss
"""


@pytest.fixture(autouse=True)
def _double():
    jax.config.update("jax_enable_x64", True)


def data(*shape):
    return np.random.default_rng(0).standard_normal(shape)


def both(text, x, z, **options):
    """The kernels by outputs of a program."""
    lines = f"input p[{', '.join(map(str, x.shape))}], q[{', '.join(map(str, z.shape))}]\n"
    lines += "".join(
        f"output {k}[i, j] = {k}(f)(p[i], q[j]) for i < {len(x)} for j < {len(z)}\n" for k in ("nngp", "ntk")
    )
    head = text.split("train f")[0].replace("input xi[T, d], y[T], s = 2", "input s = 2")
    return tpc.parse(head + lines).compile()({"p": x, "q": z, **options})


@pytest.mark.parametrize("block", [None, 3])
def test_blocks_are_the_whole(block):
    x, z = data(7, 4), data(4, 4) + 1
    kernels = tpc.parse(TEXT.replace("s*u", "u")).kernels(block=block)
    want = both(TEXT.replace("s*u", "u"), x, z)
    whole = both(TEXT.replace("s*u", "u"), x, x)
    for name in ("nngp", "ntk"):
        kernel = getattr(kernels, name)
        np.testing.assert_allclose(kernel(x, z), want[name].value, rtol=1e-13)
        found = kernel(x)
        np.testing.assert_allclose(found, whole[name].value, rtol=1e-7)
        np.testing.assert_array_equal(found, found.T)
        np.testing.assert_array_equal(kernel(x, x.copy()), found)
        np.testing.assert_allclose(kernel.diagonal(x), np.diag(found), rtol=1e-14)
        assert kernel(x[:0]).shape == (0, 0)
        assert kernel(x, z[:0]).shape == (7, 0)


def test_single_precision():
    x = data(40, 20)
    kernels = [tpc.parse(NETS["relu_h3"].text).kernels(dtype=dtype).ntk for dtype in ("float32", "float64")]
    single, double = (k(x) for k in kernels)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, rtol=0, atol=1e-6 * double.max())
    np.testing.assert_allclose(np.diag(single), np.diag(double), rtol=1e-6)


def test_inputs_with_axes_and_functions_of_inputs():
    """A convolution of images; a slope that is an input, for which relu(s u) has no closed form, as its sign
    is not known."""
    images = ARRAYS["images"]["X"][:2, :4, :4]
    text = NETS["conv2_gap"].text.replace("P = 8", "P = 4")
    kernel = tpc.parse(text).kernels().nngp
    found = kernel(images)
    assert found.shape == (2, 2)
    np.testing.assert_allclose(kernel(images, images[::-1]), found[:, ::-1], rtol=1e-8)
    x = data(3, 4)
    smooth = TEXT.replace("relu(s*u)", "tanh(s*u)")
    np.testing.assert_allclose(
        tpc.parse(smooth).kernels(inputs={"s": 0.5}).ntk(x, x + 1),
        both(smooth, x, x + 1, s=0.5)["ntk"].value,
        rtol=1e-9,
    )


def test_axes_of_the_output():
    text = (
        "width n\n"
        "dim P = 2, d = 3\n"
        "weight U : n x d\n"
        "weight V : 1 x n\n"
        "network f(x):\n"
        "    h[p] = relu(U @ x[p]) for p < P\n"
        "    o[p] = V @ h[p] for p < P\n"
        "    return o\n"
    )
    x = data(3, 2, 3)
    found = tpc.parse(text).kernels(positions=(2,), block=2).nngp(x)
    flat = (
        tpc.parse("width n\ndim d = 3\nweight U : n x d\nweight V : 1 x n\nnetwork f(x) = V @ relu(U @ x)\n")
        .kernels()
        .nngp(x.reshape(6, 3))
    )
    assert found.shape == (3, 3, 2, 2)
    np.testing.assert_allclose(found, np.moveaxis(flat.reshape(3, 2, 3, 2), 1, 2), rtol=1e-12)


def code(error):
    return error.value.diagnostics[0].code


def test_what_is_refused():
    program = tpc.parse(TEXT)
    for wrong, name in (
        (program, "g"),
        (tpc.parse("width n\nvector v : n ~ N(0, 1)\noutput c = mean(v)\n"), None),
    ):
        with pytest.raises(tpc.TpcError) as error:
            wrong.kernels(name)
        assert code(error) == "TP709"
    for options in ({"dtype": "int8"}, {"block": 0}):
        with pytest.raises(tpc.TpcError) as error:
            program.kernels(**options)
        assert code(error) == "TP602"
    ntk = program.kernels().ntk
    for arrays, wanted in (
        ((data(2, 5),), "TP707"),
        ((data(2, 4), data(2, 3)), "TP502"),
        ((np.full((2, 4), np.nan),), "TP503"),
        ((["a"],), "TP508"),
        ((1.0,), "TP502"),
    ):
        with pytest.raises(tpc.TpcError) as error:
            ntk(*arrays)
        assert code(error) == wanted, arrays


def test_a_kernel_that_does_not_follow_from_covariances_says_why():
    text = (
        "width n\n"
        "weight U : n x 2\n"
        "weight W : n x n\n"
        "weight V : 1 x n\n"
        "network f(x):\n"
        "    h = W @ tanh(U @ x)\n"
        "    return V @ (W.T @ tanh(h))\n"
    )
    kernels = tpc.parse(text).kernels()
    with pytest.raises(tpc.TpcError, match=r"`W\.T @ ") as error:
        kernels.nngp(data(2, 2))
    assert code(error) == "TP726"
    assert "has a Ż" in error.value.diagnostics[0].message
    with pytest.raises(tpc.TpcError, match="the nngp of `f`"):
        kernels(data(2, 2))


def test_both_at_once_are_each():
    kernels = tpc.parse(
        "width n\n"
        "weight U : n x 3\n"
        "weight W : n x n\n"
        "weight V : 1 x n\n"
        "network f(x) = V @ erf(W @ relu(U @ x))\n"
    ).kernels(block=4)
    x, z = np.random.default_rng(0).standard_normal((9, 3)), np.random.default_rng(1).standard_normal((5, 3))
    for given in ((x,), (x, z)):
        nngp, ntk = kernels(*given)
        np.testing.assert_allclose(nngp, kernels.nngp(*given), rtol=1e-13)
        np.testing.assert_allclose(ntk, kernels.ntk(*given), rtol=1e-13)
