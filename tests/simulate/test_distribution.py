"""Quantiles and histograms over seeds, and what is kept of many seeds."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

import tpc
from tpc.cli.main import main
from tpc.simulate import done
from tpc.simulate.distribution import histogram_of, quantiles_of

CONE = "width n\nvector v : n ~ N(0, 1)\noutput q[t] = mean(v)*t for t < 3\noutput s = mean(v^2)\n"
LAW = stats.gamma(3)


@pytest.mark.parametrize("count", [101, 400])
def test_quantiles_of_a_known_law_are_within_their_errors(count):
    """Of 2,000 samples of a skew law, each a quantile of its own: the mean square of z's is near 1."""
    levels = (0.05, 0.5, 0.9, 0.95)
    found = quantiles_of(LAW.rvs(size=(count, 2000), random_state=0), levels)
    z = (found.value - LAW.ppf(levels)[:, None]) / found.stderr
    assert found.value.shape == (4, 2000)
    assert np.all(np.abs(np.mean(z, axis=1)) < 0.2)
    assert np.all(np.sqrt(np.mean(z**2, axis=1)) < 1.25)
    assert np.all(np.sqrt(np.mean(z**2, axis=1)) > 0.9)


def test_the_ends_are_the_least_and_the_greatest_seed_without_an_error():
    values = np.random.default_rng(1).standard_normal((30, 2, 3))
    found = quantiles_of(values, (0, 1, 0.02, 0.5))
    np.testing.assert_array_equal(found.value[0], values.min(axis=0))
    np.testing.assert_array_equal(found.value[1], values.max(axis=0))
    assert np.isnan(found.stderr[:3]).all()  # too few seeds are beyond
    assert np.all(found.stderr[3] > 0)


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
@pytest.mark.parametrize("offset", [0, 1e6])
def test_errors_scale_with_values(scale, offset):
    values = np.random.default_rng(2).standard_normal(200)
    plain = quantiles_of(values, (0.3,)).stderr
    found = quantiles_of((values + offset) * scale, (0.3,)).stderr
    # of values a million times as large as their differences, 1e6·2^-53 is lost of these
    np.testing.assert_allclose(found / scale, plain, rtol=1e-8 if offset else 1e-13)


@pytest.mark.parametrize("levels", [(), (0.5, 0.5), (-0.1,), (1.1,), (float("nan"),), 0.5, ("a",)])
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(ValueError, match="different numbers from 0 to 1"):
        quantiles_of(np.zeros(3), levels)


def test_histograms_count_every_seed():
    values = np.random.default_rng(3).standard_normal((500, 4)).astype(np.float32)
    found = histogram_of(values, 7)
    assert found.edges.shape == (4, 8)
    np.testing.assert_array_equal(found.counts.sum(axis=1), 500)
    for k in range(4):
        np.testing.assert_array_equal(found.counts[k], np.histogram(values[:, k].astype(float), 7)[0])
    assert histogram_of(values).counts.shape == (4, 10)  # Sturges' rule


@pytest.mark.parametrize(
    "values",
    [[5.0] * 3, [0.0] * 2, [1.0, 1 + 2e-16], [1e308, -1e308], [5e-324, 0.0], [np.nan, 1.0], [np.inf, np.nan]],
)
def test_histograms_of_what_is_odd(values):
    found = histogram_of(np.array(values), 4)
    finite = np.isfinite(values)
    assert found.counts.sum() == finite.sum()
    assert np.isfinite(found.edges).all() == finite.any()


@pytest.mark.parametrize("bins", [0, -1, 2.5, 10**6, "x", True])
def test_bins_that_are_none_are_refused(bins):
    with pytest.raises(ValueError, match="bins are a whole number"):
        histogram_of(np.zeros(3), bins)


def test_from_the_command_line(tmp_path, capsys):
    file = tmp_path / "cone.tp"
    file.write_text(CONE)
    command = ["simulate", str(file), "--width", "5", "--seeds", "60", "--quantiles", "0.5,0.9"]
    assert main([*command, "--histogram", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["outputs"]
    samples = tpc.parse(CONE).simulate(width=5, seeds=60)
    for name, (quantiles, histogram) in {
        name: (samples.quantiles((0.5, 0.9))[name], samples.histogram()[name]) for name in ("q", "s")
    }.items():
        assert [q["level"] for q in told[name]["quantiles"]] == [0.5, 0.9]
        np.testing.assert_array_equal([q["value"] for q in told[name]["quantiles"]], quantiles.value)
        np.testing.assert_array_equal(told[name]["histogram"]["counts"], histogram.counts)
        np.testing.assert_array_equal(told[name]["histogram"]["edges"], histogram.edges)
    assert main([*command, "--bins", "5"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 5
    assert shown[-1].count("%") == 2
    assert sum(bar in shown[-1] for bar in "▁▂▃▄▅▆▇█") >= 2
    assert main([*command, "--bins", "20000"]) == 2
    assert "--bins" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*command[:-1], "0.5,1.5"])


def test_all_seeds_are_kept_and_few_times_written(tmp_path, monkeypatch):
    """However many groups there are: writing takes a small part of the time."""
    now, written = [0.0], []
    monkeypatch.setattr(done, "time", SimpleNamespace(monotonic=lambda: now[0]))
    whole = done.write_whole

    def slowly(path, arrays):
        now[0] += 1.0
        written.append(len(arrays["seeds"]))
        whole(path, arrays)

    def second(count, total):
        now[0] += 1.0

    monkeypatch.setattr(done, "write_whole", slowly)
    path, program = tmp_path / "all.npz", tpc.parse(CONE)
    samples = program.simulate(width=300, seeds=50, checkpoint=path, progress=second)
    assert written == [1, 21, 41, 50]
    with np.load(path) as kept:
        assert kept["seeds"].tolist() == list(range(50))
        for name, values in samples.outputs.items():
            np.testing.assert_array_equal(kept[f"output {name}"], values)
