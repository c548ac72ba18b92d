"""Word vectors: in the linear representation those of Algorithm 3, V starting at 0 (TP4 Sec 9.1, Appendix D);
of a nonlinear net of some width, what is written by hand."""

import jax
import numpy as np
import pytest

from tests.oracles.cbow import cbow
from tpc import parse
from tpc.experiments.corpus import Text
from tpc.experiments.windows import Sampler, Shape
from tpc.experiments.word2vec import PROGRAM, program

SIZE, STEPS = 23, 200


def batches():
    """200 steps on a text of a few words, lines of 1 to 20, negatives that meet words of their batch."""
    rng = np.random.default_rng(5)
    tokens = np.minimum(rng.geometric(0.1, 2000) - 1, SIZE - 1).astype(np.int32)
    lines = np.repeat(np.arange(400), rng.integers(1, 20, 400))[: len(tokens)].astype(np.int32)
    text = Text(tuple(map(str, range(SIZE))), np.bincount(tokens, minlength=SIZE) + 1, tokens, lines)
    sampler = Sampler(text, Shape(STEPS, 6, 3, 7), negatives=5, threshold=0, seed=1)
    return sampler.epoch(0).segment(0)[1]


def test_200_steps_are_those_of_algorithm_3():
    jax.config.update("jax_enable_x64", True)
    given = {**batches(), "eta": np.linspace(0.4, 0.1, STEPS), "lambda": 0.01, "compared": np.arange(SIZE)}
    compiled = parse(
        PROGRAM.read_text(encoding="utf-8"),
        name="word2vec",
        dims={"T": STEPS, "B": 6, "w": 3, "K": 7, "d": SIZE, "A": SIZE},
    )
    evaluator = compiled.compile(method="linear")
    training = evaluator.training(given)
    state = training.advance(training.start(), STEPS)
    U, V = cbow(
        given["words"], given["others"], given["near"], given["weight"], given["eta"], 0.01, np.eye(SIZE)
    )
    by_shape = [np.asarray(a) for a in jax.tree.leaves(state.carried) if np.shape(a) == (SIZE, SIZE + 1)]
    assert len(by_shape) == 2
    for expected in (U, V):
        assert min(np.abs(found[:, 1:] - expected).max() for found in by_shape) < 1e-12
        assert all(not found[:, 0].any() for found in by_shape)
    assert np.abs(V).max() > 0.5
    np.testing.assert_allclose(training.outputs(state, ["gram"])["gram"], U @ U.T, rtol=0, atol=1e-12)
    assert ".at[jnp.concatenate(" in evaluator.source  # one scatter an array


@pytest.mark.parametrize(
    ("activation", "phi", "slope"),
    [
        ("tanh", np.tanh, lambda h: 1 - np.tanh(h) ** 2),
        ("relu", lambda h: np.maximum(h, 0), lambda h: (h > 0).astype(float)),
    ],
)
def test_steps_of_a_nonlinear_net_of_finite_width(activation, phi, slope):
    """A net of width n is n points of weight 1/n; so is the limit at n points but for where these are."""
    jax.config.update("jax_enable_x64", True)
    steps, width = 40, 17
    given = {name: value[:steps] for name, value in batches().items()}
    given |= {"eta": np.linspace(0.9, 0.3, steps), "lambda": 0.01, "compared": np.arange(SIZE)}
    evaluator = program(activation, {"T": steps, "B": 6, "w": 3, "K": 7, "d": SIZE, "A": SIZE}).compile(
        method="nodes", samples=width, repeats=2
    )
    first = np.random.default_rng(3).standard_normal((SIZE, width))
    training = evaluator.training(given, points=(first, np.full(width, 1 / width)))
    state = training.advance(training.start(), steps)
    U, V = cbow(
        given["words"],
        given["others"],
        given["near"],
        given["weight"],
        given["eta"],
        0.01,
        first,
        width,
        phi,
        slope,
    )
    found = [np.asarray(a) for a in jax.tree.leaves(state.carried) if np.shape(a) == (SIZE, width)]
    for expected in (U, V):
        assert min(np.abs(array - expected).max() for array in found) < 1e-12
    assert np.abs(V).max() > 0.5
    np.testing.assert_allclose(training.outputs(state, ["gram"])["gram"], U @ U.T / width, rtol=0, atol=1e-12)
