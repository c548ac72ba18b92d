"""`verify` against what is predicted of bias and spread."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

import tpc
import tpc.corrections
from tests.simulate.test_verify import made_up
from tpc.cli.main import main
from tpc.simulate import Samples, verify

WIDTHS = (64, 256, 1024)


@dataclass
class Prediction:
    """n·bias and n·variance of a scalar, exactly known or not."""

    bias: np.ndarray
    variance: np.ndarray
    bias_stderr: np.ndarray | None = None
    variance_stderr: np.ndarray | None = None
    first_order_from: np.ndarray | None = None
    order: np.ndarray | None = None


def predicted(bias, variance=1.0, **errors):
    arrays = {name: np.array(x) for name, x in errors.items()}
    return {"a": Prediction(np.array(float(bias)), np.array(float(variance)), **arrays)}


def found(widths, prediction, bias=5.0, seeds=600):
    samples = [made_up(n, 0.0, bias=bias, seeds=seeds) for n in widths]
    return verify({"a": (0.0, None)}, samples, corrections=prediction)


@pytest.mark.parametrize("widths", [WIDTHS, WIDTHS[:2], WIDTHS[:1]])
def test_a_right_prediction_agrees(widths):
    report = found(widths, predicted(5))
    assert report.agrees
    own = report.outputs[0].forecast
    assert all(abs(z) < 4 for part in (own.bias, own.variance) for z in part.z)
    assert abs(own.bias.estimate - 5) < 4 * own.bias.stderr
    assert "bias z" in str(report)
    assert report.to_json()["outputs"]["a"]["prediction"]["variance"]["agrees"]


@pytest.mark.parametrize(
    "prediction",
    [predicted(-80), predicted(5, 2.5), predicted(5, 0.4), predicted(5, 0.4, variance_stderr=0.01)],
)
def test_a_wrong_prediction_disagrees(prediction):
    report = found(WIDTHS[:2], prediction)
    assert not report.agrees
    assert "DISAGREES" in str(report)
    assert report.outputs[0].gap.agrees


def test_an_error_of_the_prediction_counts():
    assert found(WIDTHS[:2], predicted(5, 2.5, variance_stderr=0.5)).agrees


def test_what_is_not_predicted_is_not_compared():
    report = found(WIDTHS, predicted(np.nan, np.nan))
    assert report.agrees
    assert "none is predicted" in str(report)
    assert report.to_json()["outputs"]["a"]["prediction"]["bias"]["predicted"] is None


def bent(widths, least):
    """Samples whose n·bias is 5 from the width `least` on, and 80 below it."""
    return [made_up(n, 0.0, bias=5.0 if n >= least else 80.0, seeds=600) for n in widths]


@pytest.mark.parametrize(
    ("bias", "holds", "agrees", "usable"),
    [
        *[(5, None, False, 3), (5, 200, True, 2), (-80, 200, False, 2), (5, 500, True, 1)],
        *[(-80, 500, False, 1), (-80, np.inf, True, 0), (5, np.nan, False, 3), (5, 64, False, 3)],
    ],
)
def test_widths_at_which_the_first_order_holds_are_those_that_are_judged(bias, holds, agrees, usable):
    own = predicted(bias)
    own["a"].first_order_from = None if holds is None else np.array(float(holds))
    report = verify({"a": (0.0, None)}, bent(WIDTHS, 256), corrections=own)
    found = report.outputs[0].forecast
    assert report.agrees == agrees
    assert report.limit_agrees or usable == 3
    assert found.usable == usable
    assert [bool(np.isnan(z)) for z in found.bias.z] == [True] * (3 - usable) + [False] * usable
    data = report.to_json()["outputs"]["a"]["prediction"]
    assert data["widths_judged"] == usable
    assert data["first_order_from"] == (int(holds) if holds and np.isfinite(holds) else None)


@pytest.mark.parametrize(
    ("order", "widths", "holds", "said"),
    [
        (1.0, 1, None, "10·scale/n, as one width"),
        (1.0, 3, np.inf, "10·scale/n, as one width"),
        (0.5, 1, None, "10·scale/n^(1/2), as one width"),
        (0.5, 2, None, "10·scale/n, as so few widths"),
        (0.5, 3, 200.0, "10·scale/n, as so few widths"),
        (0.5, 3, np.inf, "10·scale/n^(1/2), as one width"),
        (0.5, 3, None, "as n → ∞, by powers of n^(-1/2)"),
    ],
)
def test_what_is_put_down_to_a_bias_is_told_as_it_is(order, widths, holds, said):
    """By the widths at which an entry is judged."""
    samples = [made_up(n, 0.0, bias=5.0, seeds=600) for n in WIDTHS[:widths]]
    own = predicted(5, order=order, **({} if holds is None else {"first_order_from": holds}))
    report = verify({"a": (0.0, None)}, samples, corrections=own)
    assert said in str(report)
    (output,) = report.outputs
    if output.gap.allowed:
        power = order * (2 if "few" in said else 1)
        scale = output.gap.allowed / 10 * WIDTHS[widths - 1] ** power
        assert 1 / 2 < scale < 6  # of a fluctuation 1 and n·bias 5


def test_entries_are_judged_at_widths_of_their_own():
    samples = [replace(s, outputs={"a": np.stack([s.outputs["a"]] * 3, axis=1)}) for s in bent(WIDTHS, 256)]
    own = Prediction(np.array([5.0, 5.0, -80.0]), np.ones(3), first_order_from=np.array([16, 200, 2000.0]))
    report = verify({"a": (np.zeros(3), None)}, samples, corrections={"a": own})
    found = report.outputs[0].forecast
    assert found.usable.tolist() == [3, 2, 0]
    assert np.isnan(found.bias.z).tolist() == [
        [False, True, True],
        [False, False, True],
        [False, False, True],
    ]
    assert found.bias.z[0][0] > 5
    assert found.bias.sigma[1] < 5
    assert np.isnan(found.bias.sigma[2])
    assert "not judged of 1 of 3 entries" in str(report)
    assert "the first order holds from n ≈ 2000" in str(report).replace("first\n  ", "first ")


def test_chance_is_no_disagreement():
    """Of few seeds and heavy tails a thousand entries agree with what is so."""
    rng = np.random.default_rng(5)
    samples = [
        Samples(
            "made_up", n, "float64", tuple(range(8)), {"a": rng.standard_t(9, (8, 1000)) * (7 / 9 / n) ** 0.5}
        )
        for n in (64, 256)
    ]
    own = Prediction(np.zeros(1000), np.ones(1000))
    assert verify({"a": (np.zeros(1000), None)}, samples, corrections={"a": own}).agrees


WISHART = """
width n
matrix A : n x n ~ N(0, 1/n)
vector v : n ~ N(0, 1)
u = A.T @ (A @ v)
output c = mean(u*u)
"""
POWERS = "width n\nvector u : n ~ N(0, 1)\noutput c = n*mean(tanh(u + u^2/n) - tanh(u))\n"


def test_the_command(tmp_path, capsys):
    for name, text in (("wishart", WISHART), ("powers", POWERS)):
        (tmp_path / f"{name}.tp").write_text(text, encoding="utf-8")
    assert main(["verify", str(tmp_path / "wishart.tp"), "--widths", "16,32", "--seeds", "100"]) == 0
    assert "n·variance" in capsys.readouterr().out
    assert main(["verify", str(tmp_path / "powers.tp"), "--widths", "16,32", "--seeds", "4"]) == 0
    assert "note: bias and spread are not predicted: `c` has n, which grows" in capsys.readouterr().out


def test_the_command_interrupted_while_it_predicts(tmp_path, capsys, monkeypatch):
    """Predictions of fewer repeats are none of those that were asked for."""
    (tmp_path / "q.tp").write_text("width n\nvector v : n ~ N(0, 1)\noutput q = mean(exp(v))\n")
    honest = tpc.corrections.corrections
    monkeypatch.setattr(
        tpc.corrections, "corrections", lambda *a, **b: replace(honest(*a, **b), interrupted=True)
    )
    assert main(["verify", str(tmp_path / "q.tp"), "--widths", "16,32", "--seeds", "4"]) == 130
    assert "interrupted" in capsys.readouterr().err


def test_a_program_and_its_own_prediction():
    program = tpc.parse(WISHART)
    samples = [program.simulate(width=128, seeds=400)]
    limits = {"c": (2.0, None)}
    right = program.corrections().outputs
    assert verify(limits, samples, corrections=right).agrees
    wrong = {"c": Prediction(right["c"].bias, right["c"].variance / 8)}
    assert not verify(limits, samples, corrections=wrong).agrees
