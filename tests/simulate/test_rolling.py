"""What a loop only carries takes two places at finite width, and what stays in a round takes one."""

import numpy as np
import pytest

import tpc
from tests.simulate.plain import run_plainly
from tpc.core.inputs import bind_inputs
from tpc.simulate.rolling import Rolling, rolling
from tpc.simulate.seeds import draws

TEXT = """width n
dim T = 7, d = 3
input eta = 0.5, x[t < T, d] = 1
vector u0[k < d] : n ~ N(0, 1)
vector v0 : n ~ N(0, 1)
matrix W : n x n ~ N(0, 1/n)
v[0] = v0
u[0, k] = u0[k] for k < d
for t < T:
    h[t] = sum(k < d: x[t, k]*u[t, k])
    z[t] = W @ tanh(h[t])
    f[t] = mean(v[t]*z[t])
    old[t] = sum(s < t: mean(z[s]*z[t]))
    v[t+1] = v[t] - eta*f[t]*z[t]
    u[t+1, k] = u[t, k] - eta*f[t]*x[t, k]*v[t] for k < d
output f
output old
output end = mean(v[T]*u[T, 1])
"""


def test_only_what_sums_over_the_past_need_is_kept_whole() -> None:
    found = rolling(tpc.parse(TEXT))
    assert found["v"] == (Rolling(0, 2, "t"),)
    assert found["u"] == (Rolling(0, 2, "t"),)
    assert found["h"] == (Rolling(0, 1, "t"),)
    assert not {"z", "f", "old"} & set(found)


@pytest.mark.parametrize("steps", [1, 6, 7])
def test_the_numbers_are_those_of_whole_histories(steps: int) -> None:
    program = tpc.parse(TEXT, dims={"T": steps})
    inputs = bind_inputs(program, {})
    plain = run_plainly(program, inputs, draws(program, inputs, width=9, seed=3))
    samples = program.simulate(width=9, seeds=[3])
    for name, value in plain.items():
        np.testing.assert_allclose(
            samples.outputs[name][0], value, rtol=1e-12, atol=1e-14 * np.abs(value).max()
        )


def test_what_a_loop_begins_with_is_still_there_after_it() -> None:
    program = tpc.parse(TEXT + "output start = mean(v[0]*u[0, 1])\noutput half = mean(v0*v[0])\n")
    assert not {"v", "u"} & set(rolling(program))
    inputs = bind_inputs(program, {})
    plain = run_plainly(program, inputs, draws(program, inputs, width=9, seed=3))
    samples = program.simulate(width=9, seeds=[3])
    for name in ("start", "half", "end"):
        np.testing.assert_allclose(samples.outputs[name][0], plain[name], rtol=1e-12)
