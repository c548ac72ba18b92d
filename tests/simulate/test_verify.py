"""`verify`: right limits agree, wrong ones do not, and its errors are what it says."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import tpc
from tests.simulate.test_simulate import WISHART
from tpc.show.saved import literal
from tpc.simulate import Samples, simulate, verify
from tpc.simulate.compare import Measured, extrapolation, gap
from tpc.simulate.plot import figure_of_report

NARAYANA = np.array([1, 1 / 3, 1 / 3 + 1 / 9, 1 / 3 + 3 / 9 + 1 / 27])  # TP3, ratio n/m = 1/3
WIDTHS = (32, 64, 128, 256)


def made_up(width, offset, bias=0.0, seeds=32, rng=None):
    """Samples of a scalar with limit 0, a bias and an offset that is none."""
    noise = (rng or np.random.default_rng(width)).standard_normal(seeds) / np.sqrt(width)
    return Samples("made_up", width, "float64", tuple(range(seeds)), {"a": offset + bias / width + noise})


@pytest.fixture(scope="module")
def samples():
    return [simulate(tpc.parse(WISHART), {}, width=n, seeds=range(60)) for n in WIDTHS]


def limits(moment):
    return {"moment": (moment, None), "other": (moment[1:] * 3, np.full(3, 1e-3))}


def test_thm_7_4_wishart_moments_converge_with_slope_one_half(samples):
    report = verify(limits(NARAYANA), samples)
    assert report.agrees
    for output in report.outputs:
        assert abs(output.slope.estimate + 0.5) < 3 * output.slope.stderr < 0.3


def test_a_wrong_limit_disagrees(samples):
    report = verify(limits(NARAYANA + np.array([0, 0, 0.15, 0])), samples)
    assert not report.agrees
    assert report.outputs[0].worst == (2,)
    assert "DISAGREES" in str(report)


def test_a_bias_of_order_one_over_n_is_no_disagreement():
    assert verify({"a": (0.0, None)}, [made_up(n, 0.0, bias=20) for n in WIDTHS]).agrees


def test_an_offset_is_found_beside_a_bias():
    samples = [made_up(n, 0.3, bias=20) for n in (256, 1024, 4096)]
    assert not verify({"a": (0.0, None)}, samples).agrees
    assert verify({"a": (0.0, 0.3)}, samples).agrees


@pytest.mark.parametrize(("offset", "agrees"), [(0.0, True), (0.02, True), (0.3, False)])
def test_one_width_allows_a_bias_of_stated_size(offset, agrees):
    assert verify({"a": (0.0, None)}, [made_up(1024, offset)]).agrees == agrees


@pytest.mark.parametrize(("offset", "agrees"), [(0.0, True), (1e-12, True), (1e-3, False)])
def test_outputs_without_randomness_are_held_to_rounding(offset, agrees):
    samples = [Samples("exact", n, "float64", (0, 1), {"a": np.full((2, 3), 2.0)}) for n in WIDTHS]
    report = verify({"a": (np.full(3, 2.0 + offset), None)}, samples)
    assert report.agrees == agrees
    assert agrees == (report.outputs[0].slope.estimate is None)


def test_what_is_not_finite_disagrees():
    samples = [Samples("blown_up", n, "float64", (0, 1), {"a": np.array([1.0, np.nan])}) for n in WIDTHS]
    report = verify({"a": (1.0, None)}, samples)
    assert not report.agrees
    assert json.dumps(report.to_json(), allow_nan=False)


def test_an_error_that_does_not_go_down_disagrees():
    rng = np.random.default_rng(0)
    samples = [
        Samples("stuck", n, "float64", tuple(range(100)), {"a": rng.standard_normal(100)})
        for n in (64, 512, 4096)
    ]
    report = verify({"a": (0.0, None)}, samples)
    assert report.outputs[0].gap.agrees
    assert not report.agrees


@pytest.mark.parametrize("seeds", [3, 32])
def test_the_significance_of_a_gap_is_what_it_says(seeds):
    """Without an offset, σ > 2 in 4.6 % of all cases (two-sided), however few the seeds."""
    rng = np.random.default_rng(1)
    values = [3 / n + rng.standard_normal((seeds, 20_000)) / np.sqrt(n) for n in (64, 256, 1024)]
    zeros, ones = np.zeros(20_000), np.ones(20_000)
    found = gap(Measured((64, 256, 1024), values, zeros, zeros, ones), "float64", order=1.0)
    assert 0.02 < np.mean(found.sigma > 2) < 0.06
    assert not np.any(found.sigma > 5)


@pytest.mark.parametrize("order", [1, 1 / 2, 1 / 4])
@pytest.mark.parametrize("growth", [-1, 0, 1])
def test_extrapolation_removes_the_powers_of_one_over_n(order, growth):
    widths, seeds = np.array([64.0, 128.0, 256.0, 1024.0]), np.array([8, 8, 16, 2])
    a = extrapolation(widths, seeds, order=order, growth=growth)
    powers = np.stack([widths ** (-order * k) for k in range(3)])
    assert powers @ a == pytest.approx([1, 0, 0], abs=1e-12)
    # of all that do so the one of the smallest variance: a variance-weighted one is a combination of powers
    weighted = a * widths**growth / seeds
    fitted = powers.T @ np.linalg.lstsq(powers.T, weighted, rcond=None)[0]
    assert weighted == pytest.approx(fitted, rel=1e-9)


def test_report_as_json_and_figure(samples, tmp_path):
    report = verify(limits(NARAYANA), samples)
    data = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert data["agrees"] is True
    assert np.shape(data["outputs"]["moment"]["widths"][0]["mean"]) == (4,)
    report.plot(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


@pytest.mark.parametrize("axis", ["t", "step_k", "\u03b1"])
def test_figures_call_axes_what_the_program_does(axis):
    program = tpc.parse(
        f"width n\nvector v : n ~ N(0, 1)\noutput c[{axis}] = mean(cos({axis}*v)) for {axis} < 3\n"
    )
    samples = [program.simulate(width=n, seeds=2) for n in (8, 16)]
    figure = figure_of_report(verify(program.compile()().limits, samples))
    own = program.outputs[0].axes[0][0]
    assert [panel.get_xlabel() for panel in figure.axes[:2]] == ["width n", literal(own)]
    unnamed = [replace(s, axes={}) for s in samples]
    figure = figure_of_report(verify(program.compile()().limits, unnamed))
    assert figure.axes[1].get_xlabel() == "index"


@pytest.mark.parametrize("samples", [[], [made_up(8, 0), made_up(8, 0)], [made_up(8, 0, seeds=1)]])
def test_samples_that_cannot_be_compared_are_refused(samples):
    with pytest.raises(ValueError):
        verify({"a": (0.0, None)}, samples)


def test_powers_of_n_are_extrapolated_by():
    """A limit that n^(-1/4) comes near to is no wrong one."""
    from tpc.corrections.powers import order_of

    head = "width n\nvector u : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\n"
    slow = tpc.parse(f"{head}output a = mean((u + n^(-1/2))^2/(1 + n^(-1/4)*v^2))\n")
    fast = tpc.parse(f"{head}output a = mean((u + n^(-1/2))^2)\n")
    assert (order_of(slow), order_of(fast)) == (1 / 4, 1)
    for form in ("(2*n)^(-1/4)", "sqrt(mean(u^2)/n^(1/2))", "relu(n^(-1/4)*mean(u^2))", "sqrt(sqrt(1/n))"):
        assert order_of(tpc.parse(f"{head}output a = mean(v^2) + {form}\n")) == 1 / 4
    assert order_of(tpc.parse(f"{head}output a = mean((n^(-1/4)*v)^2)\n")) == 1
    samples = [slow.simulate(width=n, seeds=16) for n in (256, 1024, 4096)]
    limits = slow.compile()().limits
    assert not tpc.verify(limits, samples).agrees
    assert tpc.verify(limits, samples, order=order_of(slow)).agrees
    wrong = {"a": (limits["a"][0] + 2, None)}
    assert not tpc.verify(wrong, samples, order=order_of(slow)).agrees
