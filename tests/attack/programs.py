"""Random programs and random trainings: the limit against widths 512 and 2048."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import tpc
from tests.attack.trial import Attack, Outcome
from tests.derive.random_programs import JUMPS, SMOOTH, random_program

WIDTHS = 512, 2048
SAMPLES, REPEATS, SEEDS, AGAIN = 2048, 8, 8, 40
SIGMAS = 6  # of 8 repeats or seeds, whose tails are Student's; what is beyond them is looked at once more
BIAS = 10  # over the width, of values of size 1
ACTIVATIONS = ("tanh", "erf", "relu", "sigmoid", "softplus", "sin", "gelu")
LOSSES = ("mse", "huber", "logistic")


def training(rng: Random) -> tuple[str, Mapping[str, Any]]:
    """A network of one to three hidden layers with a training of one to four steps, and inputs."""
    steps, batch, d, depth = (
        rng.randrange(1, 5),
        rng.randrange(1, 3),
        rng.randrange(1, 4),
        rng.randrange(1, 4),
    )
    phi, skip, bias = rng.choice(ACTIVATIONS), rng.random() < 0.3, rng.random() < 0.4
    body = [f"    h1 = U @ x{' + b' * bias}", f"    x1 = {phi}(h1)"]
    for layer in range(2, depth + 1):
        body += [
            f"    h{layer} = W{layer} @ x{layer - 1}",
            f"    x{layer} = {phi}(h{layer}){f' + x{layer - 1}' * skip}",
        ]
    extras = "".join(
        f", {name} = {rng.choice(values)}"
        for name, values in (
            ("momentum", ("1/2", "0.9")),
            ("decay", ("0.1", "1/100")),
            ("clip", ("1", "1/2")),
        )
        if rng.random() < 0.25
    )
    lines = [
        "width n",
        f"dim T = {steps}, B = {batch}, d = {d}",
        "input xi[T, B, d], y[T, B], eta",
        f"weight U : n x d, std = {rng.choice(['1', '1/2'])}",
        *(["bias b : n, std = 1/2"] if bias else []),
        *(f"weight W{layer} : n x n, std = {rng.choice(['1', '3/2'])}" for layer in range(2, depth + 1)),
        "weight V : 1 x n",
        "network f(x):",
        *body,
        f"    return V @ x{depth}",
        "train f for t < T:",
        "    batch (xi[t, i], y[t, i]) for i < B",
        f"    loss {rng.choice(LOSSES)}",
        f"    update sgd(lr = eta{extras})",
        "output loss",
        "output after[i] = f(xi[0, i]) for i < B",
    ]
    random = np.random.default_rng(rng.randrange(1 << 30))
    inputs = {
        "xi": random.standard_normal((steps, batch, d)),
        "y": random.choice([-1.0, 1.0], (steps, batch)),
        "eta": rng.uniform(0.05, 1),
    }
    return "\n".join(lines) + "\n", inputs


def trial(number: int, folder: Path) -> Outcome:
    rng = Random(f"programs {number}")
    if number % 2:
        text, inputs = training(rng)
    else:
        text = random_program(50_000 + number, JUMPS + SMOOTH if number % 3 == 0 else SMOOTH)
        inputs = {"c": np.random.default_rng(number).uniform(-1, 1, 3)}
    kind = "training" if number % 2 else "program"
    kept = {"p.tp": text, "inputs.txt": repr(inputs)}
    try:
        program = tpc.parse(text)
        far = disagreement(program, inputs, 0, SEEDS)
        if far:
            far = disagreement(program, inputs, 1, AGAIN)  # one of thousands is that far off by chance
    except tpc.TpcError as error:
        return Outcome(
            f"{kind}: {error.diagnostics[0].code}", error.diagnostics[0].code != "TP603", kept, str(error)
        )
    return Outcome(f"{kind}: {'disagrees' if far else 'agrees'}", bool(far), kept, far)


def disagreement(program: tpc.Program, inputs: Mapping[str, Any], seed: int, seeds: int) -> str:
    """In which outputs the limit and finite widths are further apart than their errors, or nothing."""
    result = program.compile(samples=SAMPLES, repeats=REPEATS)(inputs, seed=seed)
    told = []
    for width in WIDTHS:
        samples = program.simulate(
            inputs, width=width, seeds=range(1000 * seed, 1000 * seed + seeds), dtype="float32"
        )
        for name, outcome in result.outputs.items():
            error = 0 if outcome.stderr is None else outcome.stderr
            off = np.abs(outcome.value - samples.mean[name])
            if np.any(
                off
                > SIGMAS * np.hypot(error, samples.std[name] / seeds**0.5)
                + BIAS / width * (1 + np.abs(outcome.value))
            ):
                told.append(
                    f"width {width}, {name}: {outcome.value} ± {error}, {samples.mean[name]} ± "
                    f"{samples.std[name] / seeds**0.5}"
                )
    return "\n".join(told)


ATTACK = Attack(
    "programs",
    "random programs and trainings against widths 512 and 2048",
    trial,
    seconds=120,
    memory=3e9,
    renewed=60,
)
