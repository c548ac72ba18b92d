"""Random programs: rolled and unrolled, formulas and finite width, agree; and every formula can be shown."""

import numpy as np
import pytest

import tpc
from tpc.derive import derive
from tpc.derive.evaluate import cholesky
from tpc.simulate import simulate

from .random_programs import JUMPS, random_program

INPUTS = {"c": np.array([0.7, -0.4, 0.9])}


@pytest.mark.parametrize("seed", range(25))
def test_rolled_equals_unrolled_and_can_be_shown(seed: int) -> None:
    limit = derive(tpc.parse(random_program(seed)))
    unrolled = limit.unroll()
    one, two = (found.evaluate(INPUTS, samples=128) for found in (limit, unrolled))
    for name in one:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-10, atol=1e-12)
    for text in (str(limit), limit.latex(), str(unrolled)):
        assert "Affine(" not in text


@pytest.mark.parametrize("seed", range(8))
def test_factors_of_covariances(seed: int) -> None:
    """Of full rank and of less, whatever the place of what depends on others."""
    random = np.random.default_rng(seed)
    root = random.normal(size=(5, 1 + seed % 5)) * (random.random((5, 1)) > 0.2)
    factor = cholesky(root @ root.T)
    np.testing.assert_allclose(factor @ factor.T, root @ root.T, rtol=0, atol=5e-15)
    assert not np.triu(factor, 1).any()
    assert np.count_nonzero(factor.any(axis=0)) == np.linalg.matrix_rank(root)


@pytest.mark.parametrize(
    ("seed", "jumps"),
    [*((seed, False) for seed in (101, 104, 107, 111)), *((seed, True) for seed in (55, 60, 65))],
)
def test_formulas_agree_with_finite_width(seed: int, jumps: bool) -> None:
    """Thm 7.4, with room for the O(1/n) bias; with functions that jump, ZDot is Stein's (Remark F.2)."""
    program = tpc.parse(random_program(seed, JUMPS) if jumps else random_program(seed))
    found = simulate(program, INPUTS, width=512, seeds=range(8)).outputs
    for name, value in derive(program).evaluate(INPUTS, samples=1 << 13).items():
        error = found[name].std(axis=0, ddof=1) / np.sqrt(8)
        assert np.all(np.abs(found[name].mean(axis=0) - value) < 6 * error + 0.02 * (1 + np.abs(value))), name
