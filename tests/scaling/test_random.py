"""Random programs with powers of n: their limit, given what is random in it, is what they tend to at growing
widths.

Four programs in the suite; `TPC_RANDOM=300 pytest tests/scaling/test_random.py` runs 300.
"""

import os
from dataclasses import replace
from random import Random

import numpy as np
import pytest

import tpc
from tpc.core.affine import Affine
from tpc.core.expr import Ref, Value
from tpc.core.program import Family, For, Moment, Output
from tpc.core.wellformed import verified
from tpc.expand import expand

COUNT = int(os.environ.get("TPC_RANDOM", "4"))
HEAD = """width n
matrix A : n x n ~ N(0, 1/n)
vector u : n ~ N(0, 1)
vector v : n ~ N(0, 1)
vector w : n ~ N(0, 1)
"""
FUNCTIONS = ("tanh({})", "sin({})", "erf({})", "{}/2", "relu({})")
WIDTHS, SEEDS = (128, 2048), 12


def random_program(seed):
    """A loop that changes a vector by n^{-1/2} or n^{-1/4} times others, and means, times n^{1/2} or n^{1/4},
    of products with v, which else occurs only in the changes."""
    r = Random(seed)
    power = r.choice(("1/2", "1/2", "1/4"))
    lines = [f"x0 = {r.choice(FUNCTIONS).format('(u + w/2)')}", f"y0 = A{r.choice(('', '.T'))} @ x0"]
    change = r.choice(("v", "v*x0", "tanh(v + u)", "(A.T @ v)"))
    lines += [
        "z[0] = y0",
        f"for t < {r.choice((1, 3))}:",
        f"    g[t] = {r.choice(FUNCTIONS).format('z[t]')}",
        f"    q[t] = A @ g[t] + {r.choice(('0*w', 'w', 'u/2'))}",
        f"    f[t] = n^({power})*mean(v*{r.choice(('g[t]', 'q[t]', r.choice(FUNCTIONS).format('q[t]')))})",
        f"    s[t] = mean({r.choice(('g[t]*q[t]', 'q[t]^2', 'g[t]*x0'))})",
        f"    z[t+1] = z[t] - (f[t] - s[t]/2)*{change}/n^({power})",
    ]
    steps = lines[3].split("<")[1].strip(" :")
    lines += [
        f"output f[t] = f[t] for t < {steps}",
        f"output s[t] = s[t] for t < {steps}",
        f"output first = n^({power})*mean(v*{r.choice(('x0', 'y0', 'tanh(y0)'))})",
        f"output end = mean(v*tanh(z[{steps}]))*n^({power})",
    ]
    return HEAD + "\n".join(lines) + "\n"


def start_program(initial):
    """The summands' means at finite width: √n times these are the scalars that are random in the limit, on
    the same draws."""
    program = initial.covariances
    summands = [
        (scalars, next(f for f in program.families if f.name == f"{scalars.name}_summand"))
        for scalars in initial.scalars
    ]
    body, families, outputs = (
        list(program.body),
        [f for f in program.families if not f.name.startswith("cov_")],
        [],
    )
    body = [op for op in body if not str(op).count("cov_")]
    for scalars, family in summands:
        axes = tuple((f"k{i}", count) for i, count in enumerate(family.shape))
        index = tuple(Affine.var(variable) for variable, _ in axes)
        op = Moment(Ref(scalars.name, index), Value(Ref(family.name, index), True))
        for variable, count in reversed(axes):
            op = For(variable, Affine(count), (op,))
        body.append(op)
        families.append(Family(scalars.name, "scalar", None, family.shape))
        outputs.append(Output(scalars.name, axes, Ref(scalars.name, index)))
    return verified(replace(program, body=tuple(body), families=tuple(families), outputs=tuple(outputs)))


@pytest.mark.parametrize("seed", range(3, 3 + COUNT))
def test_a_random_program_tends_to_its_limit_given_its_start(seed):
    """The RMS difference over draws, each against the limit from its own start, is O(1/√n), or O(n^{-1/4})
    for changes of that size."""
    text = random_program(seed)
    program = tpc.parse(text)
    initial = expand(program).initial
    evaluator = program.compile(samples=2048, repeats=4, initial=None if initial is None else "zero")
    limit = evaluator.functions([o.name for o in program.outputs])
    noise = (
        max(np.max(o.stderr, initial=0) for o in evaluator().outputs.values() if o.stderr is not None)
        if not evaluator.plan.exact
        else 0
    )
    errors = []
    for width in WIDTHS:
        made = program.simulate(width=width, seeds=SEEDS, dtype="float32").outputs
        starts = (
            start_program(initial).simulate(width=width, seeds=SEEDS, dtype="float32").outputs
            if initial is not None
            else {}
        )
        found = [
            limit({name: width**0.5 * values[k] for name, values in starts.items()}) for k in range(SEEDS)
        ]
        errors.append(
            np.sqrt(
                max(np.mean(np.square(np.stack([one[name] for one in found]) - made[name])) for name in made)
            )
        )
    if "n^(1/4)" in text:
        assert errors[1] < 2 * WIDTHS[1] ** -0.25 + 3 * noise, f"{errors}\n{text}"
    else:
        assert errors[1] < min(0.8 * errors[0], 5 * WIDTHS[1] ** -0.5) + 3 * noise, f"{errors}\n{text}"
