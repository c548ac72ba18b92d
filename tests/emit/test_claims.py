"""Claimed errors cover the truth, or say that they do not: a small version of `tests/bench/claims.py`, and
each part by itself."""

import json
import types
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

import tpc
from tests.bench.claims import Case, cases, moment, score
from tests.evaluate.programs import two_layers
from tpc.cli.main import main
from tpc.emit.error_checks import COMPILED, checks
from tpc.emit.helpers.spread import tail_index, unmet

SEEDS = 12


def compiled(text, **options):
    return tpc.parse(text).compile(**{"method": "nodes", "samples": 2048, **options})


def claims(evaluator, inputs=None, seed=0):
    checks = {}
    module = evaluator.module
    done = module.evaluations(inputs, lambda k: module.draw(seed, k), evaluator.plan.repeats)
    return module.claims(done, module.checked(inputs, seed, evaluator.plan.samples, done, checks))


@pytest.mark.parametrize(
    "case", [*cases(3, ["moments"]), *cases(2, ["edges"]), *cases(1, ["nets"])], ids=lambda case: case.name
)
def test_errors_are_those_claimed(case):
    """12 seeds tell the RMS to 1/√24 = 20 %."""
    found = score(case, SEEDS)
    assert found.rms < 2, str(found)
    assert found.most < 8, str(found)
    assert found.silent == 0


@pytest.mark.parametrize(
    ("function", "silent"),
    [
        ("exp(6*x)", 0.9),
        ("exp(4*x)", 0.9),
        ("x^20", 0.9),
        ("exp(0.45*x^2)", 1),
        ("exp(0.49*x^2)", 1),
        ("exp(0.5*x)", 0),
        ("x^4", 0),
    ],
)
def test_heavy_tails_are_told(function, silent):
    def f(s):
        return eval(function.replace("^", "**").replace("exp", "np.exp"), {"np": np, "x": s})

    found = score(moment(function, function, f, (), np.random.default_rng(3)), 8)
    assert found.silent >= silent if silent else found.silent == 0, str(found)
    assert found.most < 8, str(found)


@pytest.mark.parametrize(
    ("function", "corner"),
    [("step(x - 4.5)", 4.5), ("1e6*step(x - 4)", 4), ("relu(x - 4.3)", 4.3), ("step(x - 3.5)", 3.5)],
)
def test_events_that_no_point_has_met(function, corner):
    def f(s):
        size = 1e6 if "1e6" in function else 1
        return max(s - corner, 0) if "relu" in function else size * float(s > corner)

    for dimensions in (1, 4):  # Sobol points of one dimension meet it as often in every repeat
        found = score(moment(function, function, f, (corner,), np.random.default_rng(dimensions)), 8)
        assert found.most < 4, (dimensions, str(found))


def test_events_that_repeats_meet_nearly_as_often():
    """1.16 points of 4,096, one in each of 32 repeats, or in all of them but one."""
    evaluator = compiled(
        "width n\nvector x : n ~ N(0, 1)\noutput m = mean(step(-x - 3.447991734556553))\n", samples=4096
    )
    for seed in (1, 12, 49):
        found = evaluator(seed=seed)["m"]
        assert abs(found.value - norm.cdf(-3.447991734556553)) < 3 * found.stderr, seed


def test_a_constant_has_no_error():
    result = compiled(
        "width n\n"
        "vector v : n ~ N(0, 1)\n"
        "output a = mean(1 + 0*v)\n"
        "output b = mean(step(v^2 + 1))\n"
        "output c = mean(v^2)\n"
    )()
    assert all(result[name].value == pytest.approx(1, abs=1e-12) for name in "abc")
    assert all(result[name].stderr < 1e-13 for name in "abc")


CANCELLING = """
width n
input r = 1e-9
vector s : n ~ N(0, 1)
vector u : n ~ N(0, 1)
z = s + r*u
output a = mean((s + 1e8)^2 - 1e16 - 2e8*s)
output b = mean((s + 1e8)^2) - 1e16
output c = (mean(tanh(z)^2) - 2*mean(tanh(z)*tanh(s)) + mean(tanh(s)^2))/r^2
output d = mean((exp(1e-17*s) - 1)^2)*1e34
output e = mean((tanh(z) - tanh(s))^2)/r^2
output f = mean((s + 1e3)^2) - 1e6
"""


@pytest.mark.parametrize("r", [1e-3, 1e-6, 1e-9, 1e-11])
def test_cancellation_is_in_the_error(r):
    truth = {"a": 1, "b": 1, "c": 0.4644, "d": 1, "e": 0.4644, "f": 1}
    result = compiled(CANCELLING)({"r": r})
    for name, value in truth.items():
        assert abs(float(result[name].value) - value) <= 3 * float(result[name].stderr) + 1e-3 * (
            name in "ce"
        ), name
    assert result["e"].stderr < 2e-3
    assert result["f"].stderr < 1e-8
    assert any("mostly rounding" in note for note in result.notes)


def test_the_bias_of_few_points_is_in_the_error():
    """(E tanh)² over M points is off by Var/M, far above the spread where E tanh = 0; and it is seen by
    halves of a repeat alone."""
    evaluator = compiled(
        "width n\nvector a : n ~ N(0, 1)\nvector b[k < 40] : n ~ N(0, 1)\n"
        "q[k] = mean(tanh(a*b[k])) for k < 40\noutput p = sum(k < 40: q[k]^2)\noutput t = mean(tanh(a)^2)\n",
        samples=256,
    )
    for seed in range(3):
        found = claims(evaluator, seed=seed)
        assert found["p"].value > 3 * found["p"].spread  # 0 in truth
        assert found["p"].value < 2.5 * found["p"].stderr
        assert found["t"].bias < 0.5 * found["t"].spread
    assert any("mostly bias" in note and "`p`" in note for note in evaluator().notes)


def test_errors_under_a_transformation_are_the_spread():
    program, inputs = two_layers(3)
    module = program.compile(samples=128, repeats=3).module
    inside = jax.jit(lambda given: module.run(given)["loss"])(inputs)
    spread = module.summary(module.evaluations(inputs, lambda k: module.draw(0, k), 3))["loss"]
    np.testing.assert_allclose(inside[0], spread[0], rtol=1e-10)
    np.testing.assert_allclose(inside[1], spread[1], rtol=1e-8)
    assert np.all(module.run(inputs)["loss"][1] >= spread[1])
    mapped = jax.vmap(lambda eta: module.run({**inputs, "eta": eta})["loss"][0])(jnp.array([0.1, 0.5]))
    np.testing.assert_allclose(mapped[1], spread[0], rtol=1e-8)


def test_the_module_alone_claims_the_same():
    evaluator = compiled(
        "width n\nvector x : n ~ N(0, 1)\noutput m = mean(exp(6*x))\noutput k = mean(relu(x))\n"
    )
    module = types.ModuleType("alone")
    exec(evaluator.source, module.__dict__)
    alone, result = module.run(), evaluator()
    assert all(np.array_equal(alone[name][1], result[name].stderr) for name in "mk")
    assert np.isinf(alone["m"][1])
    assert result["m"].reason.startswith("E f² is not seen to converge")


def test_json_has_null_and_the_reason(tmp_path, capsys):
    file = tmp_path / "heavy.tp"
    file.write_text("width n\nvector x : n ~ N(0, 1)\noutput m = mean(exp(6*x))\noutput k = mean(relu(x))\n")
    assert main(["run", str(file), "--json", "--method", "nodes", "--samples", "1024"]) == 0
    outputs = json.loads(capsys.readouterr().out)["outputs"]
    assert outputs["m"]["stderr"] is None
    assert "E f²" in outputs["m"]["reason"]
    assert "reason" not in outputs["k"]
    assert main(["run", str(file), "--method", "nodes", "--samples", "1024"]) == 0
    assert "no finite error" in capsys.readouterr().out


def test_the_index_of_a_tail():
    random = np.random.default_rng(0)
    for k in (0.2, 0.5, 1.0, 3.0):
        assert tail_index(random.uniform(size=16384) ** -k) == pytest.approx(k, abs=0.15)
    assert abs(tail_index(np.abs(random.standard_normal(4096)))) < 0.2
    assert tail_index(np.ones(1000)) == 0
    assert tail_index(np.repeat([0.0, 1.0], [999, 1])) == 0


def test_three_points_may_have_been_missed():
    none, some = np.zeros(1000), np.repeat([0.0, 1.0], [900, 100])
    assert unmet(none, some, True, np.array([True]), 8) == pytest.approx(3 / 8)
    assert unmet(none, none, True, np.array([True]), 8) == 0
    assert list(unmet(some, some, True, np.array([True, False]), 8)) == [1, 0]
    one = np.repeat([0.0, 1.0], [999, 1])
    assert list(unmet(one, one, True, np.array([False]), 8)) == [3 / 8]
    assert list(unmet(one, one, False, np.array([False]), 8)) == [0]


def test_cases_repeat():
    again = [list(cases(6, ["moments", "nets"])) for _ in range(2)]
    assert [c.name for c in again[0]] == [c.name for c in again[1]]
    assert all(isinstance(c, Case) for c in again[0])


def test_one_repeat_claims_no_error():
    module = compiled("width n\nvector x : n ~ N(0, 1)\noutput m = mean(relu(x)^2)\n", samples=256).module
    ((value, error),) = module.run(repeats=1).values()
    assert abs(value - 0.5) < 0.05
    assert error == np.inf


@pytest.mark.parametrize(
    ("outputs", "looked_at"),
    [
        ("output o = step(mean(tanh(x)^2) - 1/4)\n", False),  # the same number in all repeats
        (
            "input b[2] = 1, j : index(2) = 1\na[c] = mean(tanh(b[c]*x)^2) for c < 2\n"
            "output s = sum(c < 2: step(a[c] - a[j])*a[c])\n",  # a[j] - a[j] is looked at, and 0
            False,
        ),
        ("output c = mean(1 + 0*tanh(x))\n", True),
    ],
)
def test_rounding_is_looked_at_where_it_has_a_part_in_it_that_repeats_agree(outputs, looked_at):
    module = compiled(f"width n\nvector x : n ~ N(0, 1)\n{outputs}", samples=64).module
    checks = {}
    module.run(samples=64, repeats=4, checks=checks)
    assert ("rounding" in checks) == looked_at


def test_what_large_programs_leave_out_is_told(monkeypatch):
    text = (
        "width n\nvector x : n ~ N(0, 1)\noutput h = mean(exp(3*x))\noutput k = mean(tanh(x)^2)\n"
        "output c = mean((1e8 + x)^2) - 1e16\noutput o = mean(1 + 0*x)\n"
        "output s = sign(mean(1 + 0*x) + mean(x)) + sign(mean(exp(3*x)) - 1/2)\n"
    )
    told = tpc.parse(text).compile(method="nodes", samples=256)().notes
    assert not any("is not known" in note for note in told)
    monkeypatch.setattr("tpc.emit.error_checks.LARGE", 2)
    tails, rounding = (
        note
        for note in tpc.parse(text).compile(method="nodes", samples=256)().notes
        if "is not known: the program is too large" in note
    )
    assert "heavy tails" in tails
    assert "`h`" in tails
    assert "`k`" not in tails
    assert "rounding" in rounding
    assert "`o`" in rounding
    assert "`k`" not in rounding
    assert "$" not in tails + rounding  # what is only looked at, to see that `s` has a limit


def test_that_a_look_at_tails_takes_too_long_is_told(monkeypatch):
    monkeypatch.setattr("tpc.emit.error_checks.CHEAP", 0)
    text = "width n\nvector x : n ~ N(0, 1)\noutput h = mean(exp(3*x))\n"
    notes = tpc.parse(text).compile(method="nodes", samples=256)().notes
    assert any("heavy tails is not known: points enough for that take too long" in note for note in notes)


def test_halves_are_compiled_for_where_that_takes_less_time():
    """What halves add as all of the points is the time of the halved repeats, however many there are."""
    program, _ = two_layers(2)
    plan = program.compile(method="nodes", repeats=16).plan

    def padded(seconds):
        values = {}
        for setting in checks(replace(plan, seconds=seconds)):
            values |= setting.values
        return values["HALVED"], values["PADDED"]

    assert padded(0.9) == ("2", "True")
    assert padded(COMPILED / 2) == ("2", "False")
    assert padded(1.1) == ("2", "False")
