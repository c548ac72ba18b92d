"""A training loop in parts: the same bits as in one, networks as they are on the way, and runs that are
killed and go on."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import tpc

ROOT = Path(__file__).parents[2]
TEXT = """width n
dim T = 30, B = 2, N = 4, d = 3
input eta = 1/5, xi[T, B, d], y[T, B], xs[N, d]
weight U : n x d
weight V : 1 x n
{more}
network f(x) = {f}
train f for t < T:
    batch (xi[t, i], y[t, i]) for i < B
    loss mse
    update sgd(lr = eta)
output loss
output g[i] = f(xs[i]) for i < N
output trained[t, i] = loss[t] for t < T for i < 2
"""
LINEAR, DEEP = ("", "V @ (U @ x)"), ("weight W : n x n", "V @ tanh(W @ tanh(U @ x))")
OPTIONS = {LINEAR: {}, DEEP: {"samples": 64, "repeats": 2}}


def given(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "xi": rng.standard_normal((30, 2, 3)),
        "y": rng.standard_normal((30, 2)),
        "xs": rng.standard_normal((4, 3)),
    }


def program(kind):
    jax.config.update("jax_enable_x64", True)
    return tpc.parse(TEXT.format(more=kind[0], f=kind[1]))


@pytest.mark.parametrize("kind", [LINEAR, DEEP], ids=["linear", "deep"])
def test_parts_give_the_bits_of_the_whole(kind, tmp_path):
    evaluator = program(kind).compile(**OPTIONS[kind])
    training = evaluator.training(given())
    assert training.rounds == 30
    ends = [list(training.run(every, tmp_path / str(every)))[-1] for every in (30, 7)]
    one, other = (training.outputs(state) for state in ends)
    for name, value in one.items():
        assert np.array_equal(value, other[name]), name
    repeat = evaluator.module.compiled(evaluator.module.prepared(given()), *training.points)[0]
    for name, value in one.items():
        np.testing.assert_allclose(value, repeat[name], rtol=1e-12, atol=1e-13)


def test_what_is_made_after_the_loop_is_no_round_to_come():
    text = """width n
dim T = 6
vector u : n ~ N(0, 1)
x[0] = u
for t < T:
    m[t] = mean(tanh(x[t])^2)
    x[t+1] = x[t]/2 + m[t]*tanh(u)
m[T] = mean(tanh(x[T])^2)
output m[t] = m[t] for t < T + 1
"""
    evaluator = tpc.parse(text).compile(method="nodes", samples=64, repeats=2)
    training = evaluator.training({})
    states = list(training.run(4))
    half, whole = (training.outputs(state)["m"] for state in states)
    assert np.isnan(half[4:6]).all()
    assert not np.isnan(half[[0, 1, 2, 3, 6]]).any()
    repeat = evaluator.module.compiled(evaluator.module.prepared({}), *training.points)[0]["m"]
    np.testing.assert_allclose(whole, repeat, rtol=1e-12)


def test_the_network_on_the_way_is_that_of_a_shorter_training():
    state = (training := program(LINEAR).compile().training(given())).advance(training.start(), 12)
    short = tpc.parse(TEXT.format(more="", f=LINEAR[1]), dims={"T": 12}).compile()(
        {**given(), "xi": given()["xi"][:12], "y": given()["y"][:12]}
    )
    found = training.outputs(state)
    np.testing.assert_allclose(found["g"], short.outputs["g"].value, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found["loss"][:12], short.outputs["loss"].value, rtol=1e-12)
    assert np.isnan(found["loss"][12:]).all()
    assert np.isnan(found["trained"][12:]).all()
    assert not np.isnan(found["trained"][:12]).any()
    other = training.outputs(state, ["g"], {"xs": given(1)["xs"]})
    assert list(other) == ["g"]
    assert not np.allclose(other["g"], found["g"])
    with pytest.raises(ValueError, match="cannot be brought to 31"):
        training.advance(state, 31)


def test_a_width_is_points_of_weight_1_over_n():
    source = program(LINEAR)
    points = np.random.default_rng(2).standard_normal((4, 16))
    training = source.compile(method="nodes", samples=16, repeats=2).training(
        given(), points=(points, np.full(16, 1 / 16))
    )
    state = training.advance(training.start(), 30)
    u, v = points[:3].copy(), points[3].copy()
    for xs, ys in zip(given()["xi"], given()["y"], strict=True):
        chi = (xs @ u @ v / 16 - ys) / 2
        u, v = u - 0.2 * np.einsum("i,id->d", chi, xs)[:, None] * v, v - 0.2 * chi @ (xs @ u)
    np.testing.assert_allclose(
        training.outputs(state, ["g"])["g"], given()["xs"] @ u @ v / 16, rtol=1e-11, atol=1e-12
    )


KILLED = """
import sys, time, jax, numpy as np
sys.path.insert(0, sys.argv[1])
from tests.evaluate.test_segments import DEEP, OPTIONS, given, program
for state in program(DEEP).compile(**OPTIONS[DEEP]).training(given()).run(5, sys.argv[2]):
    print(state.round, flush=True)
    time.sleep(float(sys.argv[3]))
"""


def test_a_killed_run_goes_on_to_the_same_end(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(ROOT), str(tmp_path), "30"],
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    ) as child:
        assert child.stdout.readline() == "5\n"
        child.send_signal(signal.SIGKILL)
    damaged = next(tmp_path.glob("*.npz"))
    training = program(DEEP).compile(**OPTIONS[DEEP]).training(given())
    states = list(training.run(5, tmp_path))
    assert [state.round for state in states] == [5, 10, 15, 20, 25, 30]
    whole = training.advance(training.start(), 30)
    for one, other in zip(jax.tree.leaves(states[-1].carried), jax.tree.leaves(whole.carried), strict=True):
        assert np.array_equal(one, other)
    damaged.write_bytes(damaged.read_bytes()[:200])
    assert next(iter(training.run(5, tmp_path))).round == 5  # begun anew


def test_a_program_without_a_loop_and_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="has no loop"):
        tpc.load(ROOT / "programs/matrices/amp.tp").unroll().compile(samples=16, repeats=2).training()
    (tmp_path / "file").write_text("")
    with pytest.raises(tpc.TpcError, match="TP606"):
        list(program(LINEAR).compile().training(given()).run(30, tmp_path / "file"))
