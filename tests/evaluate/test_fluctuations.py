"""Whether jumps at what tends to 0, and is a fluctuation at width n, are told, and no others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tpc
from tests.two_hidden_layers import trained

HEAD = """width n
input c = 0.5
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
vector w : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
"""
# scalars that are fluctuations, and such as are not, of one sign
FLUCTUATIONS = (
    "mean(u)",
    "c*mean(u)",
    "mean(tanh(u))",
    "mean(u*v)",
    "(mean(u^2) - 1)",
    "mean(v*(W @ u))",
    "(mean(tanh(v)^2) - mean(tanh(u)^2))",
    "mean(u)*mean(v)",
    "tanh(mean(w))",
    "(mean(u) + mean(u*w))",
    "mean(sin(u + w))",
)
NUMBERS = (
    "mean(u*u)",
    "(mean(u) + 1)",
    "(c - 1/2)",
    "exp(mean(u))",
    "(mean(tanh(u)^2) - 1)",
    "mean(0*u)",
    "(c - 1/2)*mean(u)",
    "mean((W @ u)^2)",
    "(mean(u^2) - c)",
)
JUMPS = (
    "output q = sign({s})",
    "a = {s}\noutput q = step(a) + 1",
    "x = {s}*v\noutput q = mean(sign(x)*v)",
    "output q = mean(sign({s}*(v + w))*w)",
    "output q = where({s} > 0, 2, 1)",
    "output q = mean(where({s} > 0, v, w)*v)",
    "h = W @ ({s}*v)\noutput q = mean(sign(h)*(W @ v))",
    "a[k] = {s} for k < 3\nb[k] = sign(a[k]) for k < 3\noutput q = sum(k < 3: b[k])",
    "output q = sign(sign({s}) + 1/2)",
    "table A : n x n = sign({s}*outer(v, w))\noutput q = mean(v*(A @ w))",
)
CONTINUOUS = (
    "output q = abs({s})",
    "output q = relu({s})",
    "output q = {s}*sign({s})",
    "output q = {s}/sqrt({s}^2 + 1)",
    "output q = mean(sign(v)*v)*{s}",
    "output q = mean(step(v + {s})*v)",
    "output q = where({s} > 1, 1/{s}, 1)",
    "output q = mean(sign({s} + v)*w)",
    "a[k] = {s} for k < 2\noutput q = sum(k < 2: where(abs(a[k]) > 1, abs(a[k]) - 1/2, a[k]^2/2))",
    "a[k] = {s} for k < 2\noutput q = sum(k < 2: where(a[k] > 0, a[k], -a[k]))",
)


def run(body: str) -> tpc.Result:
    return tpc.parse(HEAD + body).compile(samples=256, repeats=8)()


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(JUMPS), st.sampled_from(FLUCTUATIONS))
def test_a_jump_at_a_fluctuation_is_told(jump: str, scalar: str) -> None:
    with pytest.raises(tpc.TpcError, match="TP809"):
        run(jump.format(s=scalar))


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(JUMPS), st.sampled_from(NUMBERS))
def test_no_jump_at_a_number_is_told(jump: str, scalar: str) -> None:
    """What is 0 at every width is a number, too."""
    assert np.isfinite(run(jump.format(s=scalar)).outputs["q"].value)


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(CONTINUOUS), st.sampled_from(FLUCTUATIONS))
def test_what_does_not_jump_has_a_limit(continuous: str, scalar: str) -> None:
    assert np.isfinite(run(continuous.format(s=scalar)).outputs["q"].value)


@pytest.mark.parametrize(
    "place", ["relu(v) + mean(u)*w", "where(v > 0, mean(u)*v, w)", "w - (1 + mean(u))*w", "relu(v*mean(u))"]
)
def test_a_part_of_the_coordinates_is_enough(place: str) -> None:
    with pytest.raises(tpc.TpcError, match="TP809"):
        run(f"output q = mean(sign({place})*w)")


@pytest.mark.parametrize(
    ("output", "scalar"),
    [
        ("a*sign(b)", "mean(u*v)"),
        ("mean(a*w*sign(b*w))", "mean(tanh(u))"),
        ("a*step(b) + b*step(-a)", "mean(u*v)"),
    ],
)
def test_means_of_the_same_are_one_number_whatever_their_names(output: str, scalar: str) -> None:
    """Then these do not jump; with another number beside the jump they do."""
    assert run(f"a = {scalar}\nb = {scalar}\noutput q = {output}").outputs["q"].value == 0
    with pytest.raises(tpc.TpcError, match="TP809"):
        run(f"a = 1 + mean(u*w)\nb = {scalar}\noutput q = {output}")


@pytest.mark.parametrize(
    ("factor", "scalar"),
    [
        ("2", "mean(u)"),
        ("mean(u^2)", "(mean(u^2) - 1)"),
        ("c", "(mean(u^2) - 1)"),
        ("mean(exp(u))*c", "mean(u)"),
    ],
)
def test_what_multiplies_a_vector_of_a_fluctuation_does_not_hide_it(factor: str, scalar: str) -> None:
    body = f"h = W @ ({scalar}*v)\noutput q = mean(sign({factor}*h)*(W @ v))"
    with pytest.raises(tpc.TpcError, match="TP809"):
        run(body)


@pytest.mark.parametrize(
    "body",
    [
        "h = W @ ({s}*v)\noutput q = mean(sign(h)*(W @ v))",
        "output q = mean(sign(relu(v) + {s}*w)*w)",
    ],
)
def test_many_repeats_make_no_number_of_a_fluctuation_squared(body: str) -> None:
    """The mean of its squares is known well then, and not 0."""

    def many(scalar: str) -> tpc.Evaluator:
        program = tpc.parse(HEAD + body.format(s=scalar))
        return program.compile(method="nodes", samples=256, repeats=64)

    fluctuation = "mean(tanh(u)*exp(w))"
    with pytest.raises(tpc.TpcError, match="TP809"):
        many(fluctuation)()
    assert np.isfinite(many(f"(mean(tanh(u)^2) + {fluctuation})")().outputs["q"].value)


def test_the_member_is_named_and_others_are_not_met() -> None:
    """In loops of any lengths; the first member that is a fluctuation."""
    body = """dim T = 3
for t < T:
    for k < t + 1:
        a[t, k] = mean(u*v) + (t - k)
        b[t, k] = sign(a[t, k])
output q = sum(t < T: sum(k < t + 1: b[t, k]))
"""
    with pytest.raises(tpc.TpcError, match="for t = 0, k = 0") as told:
        run(body)
    (diagnostic,) = told.value.diagnostics
    assert diagnostic.at is not None
    assert diagnostic.at.span.line == HEAD.count("\n") + 5
    assert run(body.replace("(t - k)", "1 + t")).outputs["q"].value == 6


def test_formulas_corrections_and_widths() -> None:
    """Of the limit none is given; at width n it is what it is."""
    program = tpc.parse(HEAD + "output q = sign(mean(u))")
    for verb in (program.derive, program.corrections):
        with pytest.raises(tpc.TpcError, match="TP809"):
            verb()
    assert set(program.simulate(width=16, seeds=8).outputs["q"]) == {-1, 1}
    assert "sign" in str(tpc.parse(HEAD + "output q = sign(mean(u*u))").derive())


@pytest.mark.parametrize("more", ["", "output p = mean(v)\n", "output p = 1 + mean(v^2)\n"])
def test_of_a_limits_formulas_what_jumps_alone_may_not_be_0(more: str) -> None:
    """Whatever outputs are, those made of the jump too."""
    told, well = (
        HEAD + f"{more}output q = {text}\n" for text in ("2 + sign(mean(u))", "mean(u)*sign(mean(u^2) - c)")
    )
    with pytest.raises(tpc.TpcError, match=r"TP809.*`q` has no limit: `sign` is taken of"):
        tpc.parse(told).derive()
    assert tpc.parse(well).derive().closed["q"] == 0


def test_a_random_start_has_a_sign() -> None:
    """Given which the limit is: n^(1/2) mean(u) is Gaussian."""
    program = tpc.parse(HEAD + "output q = sign(n^(1/2)*mean(u))")
    found = {float(program.compile(initial=k)().outputs["q"].value) for k in range(12)}
    assert found == {-1, 1}


def test_adam_without_eps() -> None:
    """Divides what tends to 0 by its size."""
    text = trained("dim T = 2, B = 1, d = 1\ninput xi[T, B, d], y[T, B]", "adam(lr = 0.05, eps = 0)")
    evaluator = tpc.parse(text).compile(samples=64, repeats=8)
    inputs = np.reshape([1, -0.5], (2, 1, 1))
    with pytest.raises(tpc.TpcError, match="TP748"):
        evaluator({"xi": inputs, "y": np.zeros((2, 1))})
    assert np.isfinite(evaluator({"xi": inputs, "y": np.ones((2, 1))}).outputs["loss"].value).all()


MARGINS = """
width n
dim N = 40
input c[N]
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
output right = sum(i < N: step(mean(tanh(u)*exp(v)) + c[i]))/N
"""
NEAR = 1e-5  # far less than the error of a mean on so few points


@pytest.mark.parametrize("near", [0, 1, 2])
def test_margins_of_a_classifier_may_be_near_by_chance(near: int) -> None:
    """So many of 40, whose others are about as large as they are off."""
    c = np.concatenate([np.full(near, NEAR), np.linspace(0.3, 1.0, 40 - near)])
    found = tpc.parse(MARGINS).compile(method="nodes", samples=256, repeats=8)({"c": c})["right"]
    assert abs(found.value - 1) <= near / 40


def test_margins_that_are_all_near_are_told() -> None:
    evaluator = tpc.parse(MARGINS).compile(method="nodes", samples=256, repeats=8)
    for c in (np.full(40, NEAR), np.concatenate([np.full(20, NEAR), np.linspace(1.0, 2.0, 20)])):
        with pytest.raises(tpc.TpcError) as error:
            evaluator({"c": c})
        assert error.value.diagnostics[0].code == "TP809"


ACCURACY = trained(
    "dim T = 2, B = 2, d = 2\ninput xi[T, B, d], y[T, B]",
    "sgd(lr = 0.5)",
    more="output right[t] = sum(i < B: step(f[t](xi[0, i])*y[0, i]))/B for t < T + 1\n",
)


def test_an_accuracy_of_a_network_that_is_0_at_first() -> None:
    """What is before training has no error; what is after it stays."""
    random = np.random.default_rng(0)
    given = {"xi": random.standard_normal((2, 2, 2)), "y": np.ones((2, 2))}
    found = tpc.parse(ACCURACY).compile(samples=4096, repeats=8)(given)
    assert np.isinf(found["right"].stderr).tolist() == [True, False, False]
    assert found["right"].reason is not None
    assert np.isfinite(found["loss"].stderr).all()


def test_what_depends_on_entries_without_a_limit_has_none() -> None:
    body = """dim T = 3
for t < T:
    a[t] = sign(mean(u*v) + t)
output a
"""
    assert np.isinf(run(body).outputs["a"].stderr).tolist() == [True, False, False]
    with pytest.raises(tpc.TpcError, match="TP809"):
        run(f"{body}output q = sum(t < T: a[t])")
