"""Numbers as text, and comparisons with finite width, at every scale."""

import numpy as np
import pytest

import tpc
from tpc.evaluate.result import Outcome
from tpc.show.figures import DOUBLE, SINGLE, with_error
from tpc.simulate.compare import Measured, gap

SCALES = np.array([10.0**k for k in range(-275, 276, 25)])


@pytest.mark.parametrize(("figures", "most"), [DOUBLE, SINGLE])
def test_text_is_the_number_to_a_tenth_of_its_error(figures, most):
    rng = np.random.default_rng(0)
    for scale in SCALES:
        for value, log in zip(rng.normal(size=20) * scale, rng.uniform(-25, 3, 20), strict=True):
            error = abs(value) * 10**log
            text = with_error(value, error, figures, most)
            assert ("±" in text) == (error > abs(value) * 10.0**-figures / 2)
            shown, claimed = (
                float(part) for part in (text if "±" in text else f"{text} ± {error}").split(" ± ")
            )
            assert abs(shown - value) <= max(
                0.06 * error, 10.0 ** (1 - (most if "±" in text else figures)) * abs(value)
            )
            assert abs(claimed - error) <= 0.06 * error
            assert shown or error > abs(value)
            exact = with_error(value, 0.0, figures, most)
            assert "±" not in exact
            assert abs(float(exact) - value) <= 10.0 ** (1 - figures) * abs(value)


def test_figures_are_those_of_the_precision():
    result = {
        dtype: tpc.parse(
            "width n\nvector v : n ~ N(0, 1)\noutput a = mean(v^2)/3\noutput b = mean(v^2)*1e-16\n"
        ).compile(dtype=dtype)()
        for dtype in ("float64", "float32")
    }
    assert "a = 0.333333333333\n  b = 1e-16" in str(result["float64"])
    assert "a = 0.3333333\n  b = 1e-16" in str(result["float32"])
    assert Outcome(np.float64(0.1), np.float64(0)).to_json() == {"value": 0.1, "stderr": 0.0}


def drawn(limit, off, scale, seeds=16, widths=(64, 256, 1024)):
    """Values at some widths that tend to `limit + off`, all times `scale`."""
    rng = np.random.default_rng(1)
    values = [(limit + off + rng.normal(size=(seeds, 50)) / n**0.5) * scale for n in widths]
    return Measured(widths, values, np.full(50, limit * scale), np.zeros(50), np.ones(50))


@pytest.mark.parametrize("scale", SCALES)
def test_agreement_does_not_depend_on_the_scale(scale):
    right, wrong = (gap(drawn(1.0, off, scale), "float64", order=1.0) for off in (0.0, 0.5))
    ones = gap(drawn(1.0, 0.5, 1.0), "float64", order=1.0)
    assert right.agrees
    assert not wrong.agrees
    np.testing.assert_allclose(wrong.sigma, ones.sigma, rtol=1e-6)


def test_what_rounding_leaves_of_a_zero_agrees():
    widths = (64, 256)
    values = [np.full((4, 3), 1e-16) * [1, 1, 1], np.full((4, 3), 3e-17)]

    def agrees(values, limit):
        return gap(Measured(widths, values, limit, np.zeros(3), np.ones(3)), "float64", order=1.0).agrees

    assert agrees(values, np.zeros(3))
    assert agrees([v + np.array([0, 0, 1]) for v in values], np.array([0.0, 1e-17, 1.0]))
    assert not agrees([v + 1e-13 for v in values], np.zeros(3))


def test_a_tiny_output_that_is_wrong_disagrees():
    program = tpc.parse("width n\nvector v : n ~ N(0, 1)\noutput a = mean(v*v)*1e-20\n")
    samples = [program.simulate(width=n, seeds=8) for n in (64, 256)]
    from tpc.simulate.verify import verify

    assert verify({"a": (np.float64(1e-20), None)}, samples).agrees
    assert not verify({"a": (np.float64(3e-20), None)}, samples).agrees
