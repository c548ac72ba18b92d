"""`--error`: repeats, and then points, are added until all outputs have it, and a run that has it from the
start is left as it is."""

from dataclasses import replace

import numpy as np
import pytest

import tpc
from tests.evaluate.programs import same_bits, two_layers
from tpc.cli.main import main
from tpc.evaluate.aim import Aim, beginning, following, shortfall

PROGRAM, INPUTS = two_layers(4)
KINKED = (
    "width n\n"
    "input a = 1\n"
    "vector x : n ~ N(0, 1)\n"
    "vector y : n ~ N(0, 1)\n"
    "output m = mean(a*abs(x + abs(y)))\n"
    "output k = mean(relu(x - y))\n"
)


@pytest.fixture(scope="module")
def evaluator():
    return PROGRAM.compile(samples=128, repeats=4)


def stop_at(call):
    """As `progress`: an interruption when so many repeats have been done, in all stages together."""
    calls = []

    def progress(done, total):
        calls.append(done)
        if len(calls) == call:
            raise KeyboardInterrupt

    return progress


def test_an_error_is_reached_and_right(evaluator):
    fine = PROGRAM.compile(samples=16384, repeats=8)(INPUTS)
    reached = evaluator(INPUTS, error=1e-3)
    assert (reached.plan.samples, reached.plan.repeats) != (128, 4)
    for name, outcome in reached.outputs.items():
        assert outcome.stderr.max() <= 1e-3
        assert np.all(np.abs(outcome.value - fine[name].value) < 6e-3)
    assert reached.notes == ()
    assert not reached.interrupted


def test_it_is_the_run_with_these_points_and_repeats(evaluator):
    reached = evaluator(INPUTS, error=1e-3)
    again = PROGRAM.compile(samples=reached.plan.samples, repeats=reached.plan.repeats)(INPUTS)
    assert all(np.array_equal(reached[name].value, again[name].value) for name in reached.outputs)


def test_a_run_that_has_it_is_left_as_it_is(evaluator):
    assert same_bits(evaluator(INPUTS), evaluator(INPUTS, error=10))
    default, plan = PROGRAM.compile(), PROGRAM.compile().plan
    same = PROGRAM.compile(samples=plan.samples, repeats=plan.repeats)
    assert default(INPUTS).plan == plan
    assert all(
        np.array_equal(default(INPUTS)[name].value, o.value) for name, o in same(INPUTS).outputs.items()
    )


def test_by_default_it_is_one_percent_within_eight_times_the_time():
    program = tpc.parse(
        "width n\n"
        "vector x[i < 6] : n ~ N(0, 1)\n"
        "y = sum(i < 6: x[i])\n"
        "output m = mean(100*relu(y - 6))\n"
        "output k = mean(abs(y))\n"
    )
    first = program.compile(method="nodes").plan
    result = program.compile(method="nodes")()
    assert result.plan.samples * result.plan.repeats > first.samples * first.repeats
    for outcome in result.outputs.values():
        assert outcome.stderr <= 0.01 * max(0.1, abs(outcome.value)) or any(
            "--error" in note for note in result.notes
        )
    asked = program.compile(method="nodes", samples=first.samples)()
    assert asked.plan == first


def test_a_percentage_is_of_the_values():
    values = np.array([1.0, -4.0, 1e-9])
    assert np.allclose(Aim.of("0.5%", "p").targets(values), [5e-3, 2e-2, 2e-3])
    assert np.allclose(Aim.of(0.25, "p").targets(values), 0.25)
    assert np.allclose(Aim.of(None, "p").targets(values), [0.01, 0.04, 1e-3])
    program = tpc.parse(KINKED)
    result = program.compile(samples=64, repeats=4)({"a": 1e-6}, error="0.5%")
    assert all(o.stderr <= 0.005 * o.value for o in result.outputs.values())


@pytest.mark.parametrize("error", ["0", "-1", "much", "nan", "inf", "%", "0%"])
def test_what_is_no_error(error, capsys, tmp_path):
    file = tmp_path / "kinked.tp"
    file.write_text(KINKED)
    assert main(["run", str(file), f"--error={error}"]) == 2
    assert "error[TP602]: --error: must be a positive number" in capsys.readouterr().err


def test_what_cannot_be_reached_is_said(monkeypatch):
    monkeypatch.setattr("tpc.evaluate.aim.POINTS", 1024)
    result = tpc.parse(KINKED).compile(method="nodes", samples=64, repeats=4)(error=1e-9)
    assert result.plan.samples == 1024
    assert any(
        "the error aimed at, 1e-09, is not reached with 1024 points and 4 repeats by `m`, `k`" in note
        for note in result.notes
    )


def test_an_infinite_error_is_not_chased():
    program = tpc.parse("width n\nvector x : n ~ N(0, 1)\noutput m = mean(exp(6*x)*abs(x))\n")
    result = program.compile(method="nodes", samples=4096, repeats=4)(error=1e-3)
    assert result.plan.samples == 4096
    assert np.isinf(result["m"].stderr)


def test_it_resumes_bit_for_bit(evaluator, tmp_path):
    whole = evaluator(INPUTS, error=1e-3)
    part = evaluator(INPUTS, error=1e-3, checkpoint=tmp_path, progress=stop_at(7))
    assert part.interrupted
    assert same_bits(evaluator(INPUTS, error=1e-3, checkpoint=tmp_path), whole)
    # nothing was left to do
    assert same_bits(evaluator(INPUTS, error=1e-3, checkpoint=tmp_path, progress=stop_at(1)), whole)


def test_interrupted_it_gives_the_best_there_is():
    evaluator = tpc.parse(KINKED).compile(method="nodes", samples=256, repeats=4)
    first = evaluator()
    part = evaluator(error=1e-6, progress=stop_at(5))  # at the first repeat with more points
    assert part.interrupted
    assert part.plan == first.plan
    assert all(np.array_equal(part[name].value, first[name].value) for name in first.outputs)
    assert any("interrupted with 1024 points" in note for note in part.notes)


def test_more_repeats_and_then_more_points(evaluator):
    plan = evaluator.plan

    def claims(error, bias=0.0):
        claim = type(
            "Claim", (), {"value": np.array([1.0]), "stderr": np.array([error]), "bias": np.array([bias])}
        )
        return {"q": claim}

    aim = Aim(absolute=0.01, times=np.inf)
    assert shortfall(claims(0.009), aim).names == ()
    few = following(plan, plan, shortfall(claims(0.015), aim), aim, 0, 1e9)
    assert (few.samples, few.repeats) == (128, 12)
    # no more than an error that goes as 1/points needs
    for error, samples in ((0.1, 512), (0.041, 512), (0.039, 256)):
        many = following(plan, plan, shortfall(claims(error), aim), aim, 0, 1e9)
        assert (many.samples, many.repeats) == (samples, 4)
    # in many dimensions they do not go down faster than with repeats, which are not compiled for
    layout = replace(plan.layout, capacity=dict.fromkeys(plan.layout.capacity, 100))
    deep = replace(plan, layout=layout)
    assert plan.gaussians < 64 < deep.gaussians
    for error, size in ((0.02, (128, 21)), (0.0245, (128, 32)), (0.03, (256, 4))):
        own = following(deep, deep, shortfall(claims(error), aim), aim, 0, 1e9)
        assert (own.samples, own.repeats) == size
    scarce = following(plan, plan, shortfall(claims(0.1), aim), aim, 0, 300)
    assert scarce.samples == 256
    biased = following(plan, plan, shortfall(claims(0.015, 0.014), aim), aim, 0, 1e9)
    assert (biased.samples, biased.repeats) == (256, 4)
    assert following(plan, plan, shortfall(claims(0.1), aim), aim, 0, 200) is None
    assert following(plan, plan, shortfall(claims(0.1), aim), Aim(absolute=0.01, times=1), 1e9, 1e9) is None


def test_a_run_for_an_error_begins_with_fewer_points_where_that_saves_more_than_it_may_cost():
    """But never by default, nor below what keeps the bias small: 16 points for each Gaussian."""
    plan = replace(PROGRAM.compile(method="nodes").plan, samples=16_384, seconds=1.0)
    asked, least = Aim.of("1%", "p"), max(4096, 16 * plan.gaussians)
    fewer = beginning(plan, asked)
    assert fewer.samples == least
    assert fewer.repeats == plan.repeats
    assert fewer.seconds == pytest.approx(plan.seconds * least / 16_384)
    assert beginning(plan, Aim()) is plan
    brief = replace(plan, seconds=0.01)
    assert beginning(brief, asked) is brief
    few = replace(plan, samples=2048)
    assert beginning(few, asked) is few
