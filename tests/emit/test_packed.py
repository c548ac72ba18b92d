"""Vectors that loops carry in 16 bits: rounded so that the mean is right, restored where they are read, in
any program of coefficients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tpc
from tests.evaluate.test_segments import DEEP, LINEAR, TEXT, given
from tpc.emit.helpers import packed as prelude

TURNS = 4000


def rounded(x, turn=None, which=0):
    return np.asarray(prelude.restored(prelude.packed(jnp.asarray(x, jnp.float32), turn, which).bits))


def test_the_nearest_of_what_there_is():
    x = np.array([0, -0.0, 1, 1 + 1 / 256, 1 + 1.01 / 256, -3.3e-39, 3.1e38, np.inf, -np.inf], np.float32)
    assert np.array_equal(rounded(x), np.asarray(jnp.asarray(x).astype(jnp.bfloat16).astype(jnp.float32)))
    assert np.isnan(rounded([np.nan])).all()


def test_at_random_it_is_one_of_two_neighbours_and_right_in_the_mean():
    x = np.array([[1 + 1 / 1024, -1 - 1 / 1024, 1.5, 0, 3e-5, np.inf]], np.float32)
    found = np.asarray(
        jax.vmap(lambda turn: prelude.restored(prelude.packed(jnp.asarray(x), turn).bits))(
            jnp.arange(TURNS, dtype=jnp.uint32)
        )
    )[:, 0]
    assert np.array_equal(found[0, [2, 3, 5]], x[0, [2, 3, 5]])
    for k, spacing in ((0, 2**-7), (1, 2**-7), (4, 2**-23)):
        values = np.unique(found[:, k])
        assert len(values) == 2
        assert values[1] - values[0] == spacing
        assert values[0] < x[0, k] < values[1]
        share = (x[0, k] - values[0]) / spacing
        assert (
            abs((found[:, k] - values[0]).mean() / spacing - share) < 4 * (share * (1 - share) / TURNS) ** 0.5
        )


def test_numbers_places_turns_and_families_are_rounded_each_for_itself():
    """1/4 of them are rounded up: of two that are independent, 1/16 both."""
    x = np.full((200, 300), 1 + 1 / 512, np.float32)
    one, other, third = (rounded(x, jnp.uint32(turn), which) > 1 for turn, which in ((0, 0), (1, 0), (0, 1)))
    for a, b in ((one, other), (one, third), (one[:-1], one[1:]), (one[:, :-1], one[:, 1:])):
        assert abs((a & b).mean() - 1 / 16) < 4 * (15 / 256 / b.size) ** 0.5


def test_what_is_added_to_a_row_is_rounded_once():
    random = np.random.default_rng(0)
    start = random.integers(-4, 5, (7, 50)).astype(np.float32)
    rows, values = np.array([3, 0, 3, 6, 3]), random.integers(-8, 9, (5, 50)).astype(np.float32)
    found = prelude.increased(
        prelude.packed(jnp.asarray(start)), jnp.asarray(rows), jnp.asarray(values), jnp.uint32(5), 0
    )
    expected = start.copy()
    np.add.at(expected, rows, values)
    # whole numbers up to 28 are not rounded at all
    assert np.array_equal(prelude.restored(found.bits), expected)


def test_inner_products_of_members_a_few_at_a_time():
    vectors, x = (
        np.random.default_rng(1).integers(-3, 4, shape).astype(np.float32) for shape in ((1300, 5), (5,))
    )
    found = prelude.inners(prelude.packed(jnp.asarray(vectors)), jnp.asarray(x))
    assert np.array_equal(found, vectors @ x)


def test_what_is_little_is_not_lost():
    """1,000 times 1/4096 added to 1, whose neighbour above is 1 + 1/128: by the nearest it would stay 1."""

    def turn(t, vectors):
        return prelude.increased(
            vectors, jnp.zeros(1, jnp.int32), jnp.full((1, 400), 2.0**-12), t.astype(jnp.uint32), 0
        )

    end = jax.lax.fori_loop(0, 1000, turn, prelude.packed(jnp.ones((2, 400))))
    sums = np.asarray(prelude.restored(end.bits))
    assert np.array_equal(sums[1], np.ones(400))
    assert abs(sums[0].mean() - 1 - 1000 / 4096) < 4 * (1000 * (1 / 32) * (31 / 32)) ** 0.5 / 128 / 20
    assert not np.any(np.asarray(prelude.restored(prelude.packed(jnp.full((3,), 1 + 2.0**-12)).bits)) > 1)


def test_a_training_whose_vectors_are_made_anew_in_each_round():
    """The loss of a linear network: every weight is rounded to 8 bits in each of 30 rounds, at random."""
    program = tpc.parse(TEXT.format(more="", f=LINEAR[1]))
    exact, packed = (program.compile(dtype=dtype) for dtype in ("float32", "bfloat16"))
    assert "packed(U_t1, turn, " in packed.source
    assert "uint16" not in exact.source
    one, other = (evaluator(given()).outputs["g"].value for evaluator in (exact, packed))
    assert 1e-5 < np.abs(one - other).max() < 30**0.5 * 2**-7 * np.abs(one).max()
    training = packed.training(given())
    states = [
        training.advance(training.start(), 30),
        training.advance(training.advance(training.start(), 11), 30),
    ]
    assert {a.dtype.name for a in jax.tree.leaves(states[0].carried)} == {"float32", "uint16", "uint32"}
    assert all(map(np.array_equal, *(training.leaves(state).values() for state in states)))
    np.testing.assert_allclose(training.outputs(states[0])["g"], other, rtol=1e-6)


def test_points_are_refused():
    with pytest.raises(
        tpc.TpcError, match="bfloat16 is for the coefficients of method linear, and the plan is nodes"
    ):
        tpc.parse(TEXT.format(more=DEEP[0], f=DEEP[1])).compile(dtype="bfloat16")
