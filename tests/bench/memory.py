"""Predicted over measured peak memory of runs, simulations, kernels and experiments, each in a process of its
own.

    python -m tests.bench.memory [CASE …]

Predicted, in MB, is what `Evaluator.memory`, `tpc.simulate.seeds.memory`, `Blocks.memory` and the experiments
say before anything is computed. Measured is by how much the resident memory of the process then grows, at
most (Linux resets its mark). Peak: of the whole process, the interpreter and the compiler among it;
`ratio in all` compares it with what the process has when it predicts, and the prediction.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tpc
from tests.two_hidden_layers import trained

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "programs"
DEEP = """width n
dim T = 40, N = 64, B = 16, d = 10, S = 64
input x[N, d], y[N], xs[S, d], ys[S], pick[T, B] : index(N)
weight U : n x d
weight W1 : n x n
weight W2 : n x n
weight V : 1 x n
network f(ξ) = V @ relu(W2 @ relu(W1 @ relu(U @ ξ)))
train f for t < T:
    batch (x[pick[t, i]], y[pick[t, i]]) for i < B
    loss mse
    update sgd(lr = 0.1)
output loss
output err[t] = sum(s < S: (f[t](xs[s]) - ys[s])^2)/S for t < T+1
"""
ADAM = trained("dim T = 6, B = 8, d = 4\ninput xi[T, B, d], y[T, B]", "adam(lr = 0.1)")
LINEAR = (
    "width n\n"
    "dim T = 3\n"
    "matrix A : n x n ~ N(0, 1/n)\n"
    "vector v[j < 1200] : n ~ N(0, 1)\n"
    "x[0, j] = v[j] for j < 1200\n"
    "for t < T:\n"
    "    x[t+1, j] = A @ x[t, j] for j < 1200\n"
    "output m[j] = mean(x[T, j]*x[T, j]) for j < 1200\n"
)
PRODUCTS = (
    "width n\n"
    "matrix A : n x n ~ N(0, 1/n)\n"
    "vector v : n ~ N(0, 1)\n"
    "x = A @ v\n"
    "y = A.T @ tanh(x)\n"
    "output a = mean(y*v)\n"
)
VECTORS = "width n\nvector v : n ~ N(0, 1)\nvector u : n ~ N(0, 1)\nx = tanh(v)*u\noutput a = mean(x*x)\n"
SOFT = (
    "width n\n"
    "weight U : n x 8\n"
    "weight W : n x n\n"
    "weight V : 1 x n\n"
    "network f(x) = V @ tanh(W @ tanh(U @ x))\n"
    "output a = 1\n"
)


def resident() -> float:
    """Bytes of memory that this process has now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return float(pages * os.sysconf("SC_PAGE_SIZE"))


@dataclass(frozen=True)
class Case:
    """predict: bytes, and what is then done, of the process that measures."""

    name: str
    make: Callable[[], tuple[float, Callable[[], object]]]


def inputs_of(program: tpc.Program) -> dict[str, np.ndarray]:
    """Something for every input that has no default."""
    rng = np.random.default_rng(0)
    return {
        i.name: rng.integers(0, i.bound, i.shape) if i.bound is not None else rng.standard_normal(i.shape)
        for i in program.inputs
        if i.default is None
    }


def of_run(program: tpc.Program, **options: Any) -> tuple[float, Callable[[], object]]:
    evaluator, inputs = program.compile(**options), inputs_of(program)
    return evaluator.memory(inputs), lambda: evaluator(inputs)


def of_sweep(
    program: tpc.Program, name: str, values: list[float], **options: Any
) -> tuple[float, Callable[[], object]]:
    evaluator, inputs = program.compile(**options), inputs_of(program)
    inputs.pop(name, None)
    return evaluator.memory({**inputs, name: values[0]}), lambda: evaluator.sweep({name: values}, inputs)


def of_corrections(program: tpc.Program, **options: Any) -> tuple[float, Callable[[], object]]:
    import jax

    from tpc.core.inputs import bind_inputs
    from tpc.corrections.differences import Weighted
    from tpc.corrections.effort import Effort, Request

    jax.config.update("jax_enable_x64", True)
    inputs, effort = inputs_of(program), Effort.of(program, Request(**options))
    plan, chunk = effort.evaluator.plan, effort.steps.chunk(effort.directions)
    weighted = Weighted.of(effort.evaluator, bind_inputs(program, inputs), chunk=chunk)
    predicted = weighted.memory(plan.samples, plan.gaussians, effort.steps.count(effort.directions))
    return predicted, lambda: program.corrections(inputs, **options)


def of_simulation(
    program: tpc.Program, width: int, seeds: int = 2, dtype: Any = "float64", matrices: Any = "auto"
) -> tuple[float, Callable[[], object]]:
    from tpc.core.inputs import bind_inputs
    from tpc.simulate.seeds import memory, simulate

    inputs = bind_inputs(program, inputs_of(program))
    return memory(program, inputs, width=width, dtype=dtype, matrices=matrices), lambda: simulate(
        program, inputs, width=width, seeds=range(seeds), dtype=dtype, matrices=matrices
    )


def of_kernel(
    program: tpc.Program, count: int, *shape: int, dtype: str = "float64", both: bool = False
) -> tuple[float, Callable[[], object]]:
    found, x = program.kernels(dtype=dtype), np.random.default_rng(0).standard_normal((count, *shape))
    blocks = found.both if both else found.ntk.blocks
    return blocks.memory(x), lambda: blocks.measured(x)


def of_maml(**options: Any) -> tuple[float, Callable[[], object]]:
    from tpc.experiments.maml import Word2VecExperiment, settings_for

    experiment = Word2VecExperiment(
        settings_for(options.pop("model", "mup"), options.pop("changes", {}), epochs=1, **options)
    )
    return experiment.model.memory, experiment.run  # type: ignore[attr-defined]


def of_words(vocabulary: int, **options: Any) -> tuple[float, Callable[[], object]]:
    from tpc.experiments.word2vec import Word2VecExperiment, settings_for

    experiment = Word2VecExperiment(
        settings_for(None, vocabulary=vocabulary, min_count=1, epochs=1, **options)
    )
    # it counts the whole process
    return experiment.memory.needed(experiment.size) - resident(), experiment.run


def shipped(path: str, **dims: int) -> tpc.Program:
    return tpc.load(PROGRAMS / path, dims=dims)


CASES = [
    Case(
        "run: test errors of 3 relu layers, 8 steps",
        lambda: of_run(tpc.parse(DEEP, dims={"T": 8}), samples=16384, repeats=2),
    ),
    Case("run: the same, 20 steps", lambda: of_run(tpc.parse(DEEP, dims={"T": 20}), samples=8192, repeats=2)),
    Case("run: digits", lambda: of_run(shipped("experiments/digits.tp"), samples=8192, repeats=2)),
    Case(
        "run: digits, float32",
        lambda: of_run(shipped("experiments/digits.tp"), samples=8192, repeats=2, dtype="float32"),
    ),
    Case("run: Adam, tables", lambda: of_run(tpc.parse(ADAM), samples=6144, repeats=2)),
    Case(
        "run: Adam, tables, float32",
        lambda: of_run(tpc.parse(ADAM), samples=6144, repeats=2, dtype="float32"),
    ),
    Case("run: dichotomy", lambda: of_run(shipped("experiments/dichotomy.tp"), samples=16384, repeats=2)),
    Case(
        "run: two tanh layers, 30 steps",
        lambda: of_run(shipped("architectures/mlp2.tp", T=30), samples=131072, repeats=2, method="nodes"),
    ),
    Case(
        "run: Thm 6.4, 60 steps", lambda: of_run(shipped("paper/thm_6_4.tp", T=60), samples=131072, repeats=2)
    ),
    Case(
        "run: Thm 6.1, 400 steps",
        lambda: of_run(shipped("paper/thm_6_1.tp", T=400), samples=65536, repeats=2, method="nodes"),
    ),
    Case(
        "run: convolutions",
        lambda: of_run(shipped("architectures/conv_gap.tp"), samples=16384, repeats=2, method="nodes"),
    ),
    Case(
        "run: a recurrent net",
        lambda: of_run(shipped("architectures/recurrent.tp"), samples=131072, repeats=2, method="nodes"),
    ),
    Case(
        "run: a residual net",
        lambda: of_run(shipped("architectures/residual.tp"), samples=131072, repeats=2, method="nodes"),
    ),
    Case(
        "run: transfer learning", lambda: of_run(shipped("experiments/transfer.tp"), samples=8192, repeats=2)
    ),
    Case("run: Fig 4", lambda: of_run(shipped("paper/fig4.tp"), samples=524288, repeats=2, method="nodes")),
    Case("run: a linear program, 4,800 Gaussians", lambda: of_run(tpc.parse(LINEAR), method="linear")),
    Case("simulate: a matrix, width 5,000", lambda: of_simulation(tpc.parse(PRODUCTS), 5000)),
    Case(
        "simulate: a matrix, width 8,000, float32",
        lambda: of_simulation(tpc.parse(PRODUCTS), 8000, dtype="float32"),
    ),
    Case("simulate: vectors, width 5,000,000", lambda: of_simulation(tpc.parse(VECTORS), 5_000_000)),
    Case("simulate: vectors, width 20,000,000", lambda: of_simulation(tpc.parse(VECTORS), 20_000_000)),
    Case(
        "simulate: two tanh layers, width 4,096",
        lambda: of_simulation(shipped("architectures/mlp2.tp"), 4096),
    ),
    Case(
        "simulate: digits, width 2,048",
        lambda: of_simulation(shipped("experiments/digits.tp"), 2048, dtype="float32"),
    ),
    Case(
        "simulate: two tanh layers, width 262,144, free",
        lambda: of_simulation(shipped("architectures/mlp2.tp"), 262_144, matrices="free"),
    ),
    Case(
        "simulate: digits, width 32,768, free, float32",
        lambda: of_simulation(shipped("experiments/digits.tp"), 32_768, dtype="float32", matrices="free"),
    ),
    Case(
        "simulate: a matrix, width 4,096, dense",
        lambda: of_simulation(tpc.parse(PRODUCTS), 4096, matrices="dense"),
    ),
    Case(
        "simulate: tables, Adam and Lion, width 1,024",
        lambda: of_simulation(shipped("optimisers/mixed.tp"), 1024),
    ),
    Case(
        "run: tables, Adam and Lion", lambda: of_run(shipped("optimisers/mixed.tp"), samples=4096, repeats=2)
    ),
    Case(
        "sweep: two tanh layers, 3 rates",
        lambda: of_sweep(
            shipped("architectures/mlp2.tp"), "eta", [0.1, 0.3, 1.0], samples=65536, repeats=2, method="nodes"
        ),
    ),
    Case(
        "corrections: two tanh layers",
        lambda: of_corrections(shipped("architectures/mlp2.tp"), samples=65536, signs=8, repeats=2),
    ),
    Case(
        "corrections: an AMP",
        lambda: of_corrections(shipped("matrices/amp.tp"), samples=32768, signs=256, repeats=2),
    ),
    Case(
        "kernel: erf-like, both kernels, 3,000 inputs",
        lambda: of_kernel(tpc.parse(SOFT.replace("tanh", "erf")), 3000, 8, both=True),
    ),
    Case(
        "kernel: relu, 6,000 inputs", lambda: of_kernel(shipped("architectures/mlp_kernel.tp", d=8), 6000, 8)
    ),
    Case(
        "kernel: relu, both kernels, 5,000 inputs",
        lambda: of_kernel(shipped("architectures/mlp_kernel.tp", d=8), 5000, 8, both=True),
    ),
    Case(
        "kernel: relu, 8,000 inputs, float32",
        lambda: of_kernel(shipped("architectures/mlp_kernel.tp", d=8), 8000, 8, dtype="float32"),
    ),
    Case("kernel: tanh, 6,000 inputs", lambda: of_kernel(tpc.parse(SOFT), 6000, 8)),
    Case(
        "maml: the limit, relu",
        lambda: of_maml(
            activation="relu",
            samples=4096,
            changes={"batches": "4", "tasks": "8", "validation_tasks": "64", "test_tasks": "64"},
        ),
    ),
    Case(
        "maml: width 4,096",
        lambda: of_maml(
            model=4096,
            activation="tanh",
            changes={"batches": "4", "tasks": "8", "validation_tasks": "64", "test_tasks": "64"},
        ),
    ),
    Case("word2vec: the limit, 6,000 words", lambda: of_words(6000)),
    Case("word2vec: the limit, 8,000 words, bfloat16", lambda: of_words(8000, dtype="bfloat16")),
    Case("word2vec: relu, 3,000 words", lambda: of_words(3000, activation="relu")),
]


def status(which: str) -> float:
    """Bytes, of this process, by a line of its status."""
    with open("/proc/self/status", encoding="ascii") as file:
        return float(next(line for line in file if line.startswith(which)).split()[1]) * 1024


def measure(case: Case) -> dict[str, float]:
    predicted, act = case.make()
    had, highest = resident(), status("VmHWM")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    act()
    taken = status("VmHWM")
    return {
        "predicted": predicted,
        "measured": taken - had,
        "peak": max(highest, taken),
        "in all": max(highest, had + predicted),
    }


def measured(case: Case) -> Mapping[str, float]:
    """In a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.memory", "--child", case.name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(measure(next(case for case in CASES if case.name == sys.argv[2]))))
        return
    wanted = [case for case in CASES if not sys.argv[1:] or any(word in case.name for word in sys.argv[1:])]
    print(f"{'':48} predicted  measured  ratio      peak  ratio in all")
    for case in wanted:
        try:
            f = measured(case)
        except RuntimeError as error:
            print(f"{case.name:48} {error}", flush=True)
            continue
        predicted, taken, peak = (f[name] / 1e6 for name in ("predicted", "measured", "peak"))
        print(
            f"{case.name:48} {predicted:9,.0f} {taken:9,.0f} {predicted / max(1.0, taken):6.2f} {peak:9,.0f}"
            f" {f['in all'] / f['peak']:9.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
