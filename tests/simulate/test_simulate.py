"""Finite-width execution against a plain interpreter, and what it promises about seeds."""

from __future__ import annotations

import numpy as np
import pytest

import tpc
from tests.simulate.plain import run_plainly
from tests.simulate.programs import ONE_HIDDEN_LAYER, PROGRAMS
from tpc.simulate import draws, finite_program, machine, simulate

WIDTH = 20
WISHART = """
width n
width m = 3*n
matrix A : n x m ~ N(0, 1/m)
vector v : m ~ N(0, 1)
u[0] = v
for k < 3:
    w[k] = A @ u[k]
    u[k+1] = A.T @ w[k]
output moment[k] = mean(v*u[k]) for k < 4
output other[k] = mean(w[0]*w[k]) for k < 3
"""


def wishart():
    return tpc.parse(WISHART)


@pytest.fixture(params=PROGRAMS)
def case(request):
    text, inputs = PROGRAMS[request.param]
    return tpc.parse(text), inputs


@pytest.mark.parametrize("how", ["as it is", "all loops in rounds", "long sums"])
def test_equals_plain_numpy_on_the_same_draws(case, how, monkeypatch):
    program, inputs = case
    if how != "as it is":
        monkeypatch.setattr(finite_program, "compiled", finite_program.compiled.__wrapped__)
        monkeypatch.setattr(
            machine, *(("MAX_TERMS", 1) if how == "long sums" else ("is_parallel", lambda loop, outer: False))
        )
    samples = simulate(program, inputs, width=WIDTH, seeds=[1])
    plain = run_plainly(program, inputs, draws(program, inputs, width=WIDTH, seed=1))
    for name, value in plain.items():
        assert samples.outputs[name][0] == pytest.approx(value, rel=1e-10, abs=1e-12), name


def test_a_seed_gives_the_same_bits_in_any_company(case):
    program, inputs = case
    together = simulate(program, inputs, width=WIDTH, seeds=range(30))
    for seeds in ([3], [29, 3, 11], range(3, 17)):
        alone = simulate(program, inputs, width=WIDTH, seeds=seeds)
        for name, value in alone.outputs.items():
            assert np.array_equal(value, together.outputs[name][list(seeds)])


def test_draws_have_the_declared_laws():
    program = tpc.parse("""
width n
width m = 2*n
input rho = 0.5
matrix A[k < 2] : n x m ~ N(0, (1 + 3*k)/m)
vector (a[i < 2], b[i < 2]) : n ~ N([i, -1], [[1, rho], [rho, 1 + i]])
vector (c, d) : n ~ N([0, 0], [[1, 1], [1, 1]])
output m = mean(a[0]*b[1])
""")
    drawn = draws(program, {"rho": np.array(0.25)}, width=1000, seed=3)
    assert drawn["A"].shape == (2, 1000, 2000)
    assert np.var(drawn["A"], axis=(1, 2)) * 2000 == pytest.approx([1, 4], rel=0.01)
    for i in range(2):
        assert np.cov(drawn["a"][i], drawn["b"][i]) == pytest.approx(
            np.array([[1, 0.25], [0.25, 1 + i]]), abs=0.2
        )
        assert np.mean(drawn["a"][i]) == pytest.approx(i, abs=0.15)
    assert drawn["c"] == pytest.approx(drawn["d"])
    assert abs(np.corrcoef(drawn["A"][0].ravel(), drawn["A"][1].ravel())[0, 1]) < 0.01


def test_single_precision_is_close_to_double():
    program, inputs = tpc.parse(ONE_HIDDEN_LAYER), PROGRAMS["one_hidden_layer"][1]
    single = simulate(program, inputs, width=4000, seeds=[0, 1, 2], dtype="float32")
    assert single.outputs["f"].dtype == np.float32
    assert single.mean["f"] == pytest.approx(
        simulate(program, inputs, width=4000, seeds=[0, 1, 2]).mean["f"], abs=0.2
    )


def test_an_interrupted_run_resumes_bit_for_bit(tmp_path):
    program, path = wishart(), tmp_path / "run.npz"

    def interrupt(done, total):
        if done >= 2:
            raise KeyboardInterrupt

    whole = simulate(program, {}, width=300, seeds=range(5))
    part = simulate(program, {}, width=300, seeds=range(5), checkpoint=path, progress=interrupt)
    assert part.interrupted
    assert part.seeds == (0, 1)
    seen = []
    rest = simulate(
        program,
        {},
        width=300,
        seeds=range(5),
        checkpoint=path,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(3, 5), (4, 5), (5, 5)]
    for name, value in whole.outputs.items():
        assert np.array_equal(value, rest.outputs[name])


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "run.npz"
    simulate(wishart(), {}, width=10, seeds=[0], checkpoint=path)
    with pytest.raises(ValueError, match="another run"):
        simulate(wishart(), {}, width=11, seeds=[0], checkpoint=path)
    path.write_text("nothing of the kind")
    with pytest.raises(ValueError, match="no checkpoint"):
        simulate(wishart(), {}, width=10, seeds=[0], checkpoint=path)


@pytest.mark.parametrize("seeds", [[], [1, 1], [-1], [2**32]])
def test_seeds_that_cannot_be_used_are_refused(seeds):
    with pytest.raises(ValueError, match="seeds"):
        simulate(wishart(), {}, width=10, seeds=seeds)


def test_a_width_that_rounds_to_nothing_is_refused():
    program = tpc.parse("width n\nwidth m = 1/100*n\nvector v : m ~ N(0, 1)\noutput a = mean(v)\n")
    with pytest.raises(ValueError, match="m comes out as 0"):
        simulate(program, {}, width=10, seeds=[0])


def test_samples_print_mean_and_spread():
    text = str(simulate(wishart(), {}, width=10, seeds=[0, 1]))
    assert text.startswith(
        "the_program at width 10, 2 seeds (± the standard deviation over seeds)\n  moment[0] = "
    )
    assert len(text.splitlines()) == 8
