"""Points of emitted modules are SciPy's scrambled Sobol points, bit by bit."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy.stats import qmc

from tpc.emit.helpers import runner


def scipys(count, samples, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return qmc.Sobol(count, scramble=True, rng=np.random.default_rng(seed)).random(samples)


def made(count, samples, seed):
    return np.concatenate(list(runner.scrambled_sobol(count, samples, np.random.default_rng(seed)))).T


@pytest.mark.parametrize(
    ("count", "samples"), [(1, 1), (1, 2), (2, 7), (3, 64), (40, 1000), (397, 257), (2000, 2)]
)
@pytest.mark.parametrize("at_once", [runner.AT_ONCE, 300])
def test_points_are_scipys(count, samples, at_once, monkeypatch):
    monkeypatch.setattr(runner, "AT_ONCE", at_once)
    assert np.array_equal(made(count, samples, 3), scipys(count, samples, 3))


def test_without_the_table_they_are_scipys_own(monkeypatch):
    monkeypatch.setattr(runner, "sobol_directions", lambda count: None)
    assert np.array_equal(made(3, 10, 1), scipys(3, 10, 1))


def test_scipys_statistics_are_not_imported(tmp_path):
    """Importing them takes longer than most limits do."""
    path = tmp_path / "v.tp"
    path.write_text(
        "width n\nvector v : n ~ N(0, 1)\nvector w : n ~ N(0, 1)\noutput q = mean(tanh(v + w)/(1 + v^2))\n"
    )
    code = (
        "import sys; from tpc.cli.main import main\n"
        "assert main(['run', sys.argv[1], '--samples', '64', '--repeats', '2', '--method', 'nodes']) == 0\n"
        "assert 'jax' in sys.modules and 'scipy.stats' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True)
