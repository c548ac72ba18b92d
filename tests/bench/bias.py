"""The bias of order rank/M of the nodes representation: two-hidden-layer tanh net in μP, T steps on batches
of B, rank T·B.

    python -m tests.bench.bias [--batch 20] [--steps 50] [--seeds 24] [--repeats 8] [--fraction 4] [--samples
    M]

The plan chooses M (unless --samples is given) and whitening. The losses with M/fraction samples are averaged
over many seeds and compared with those with M. If the bias is c/M, their difference divided by fraction - 1
is the bias with M: it is shown with its own error, against the standard error of one run of the plan. That
the law is 1/M shows in different fractions giving the same.
"""

import argparse
import time
from pathlib import Path

import jax
import numpy as np

import tpc

PROGRAM = Path(__file__).parents[1] / "emit" / "structures" / "training.tp"


def losses(module, inputs, samples, seeds):
    """[seeds, T], one randomisation each."""
    found = []
    for k in range(seeds):
        outputs, _ = module.evaluated(inputs, *module.draw(17, k, samples))
        found.append(np.asarray(outputs["loss"]))
    return np.stack(found)


def main():
    options = argparse.ArgumentParser()
    for name, default in (
        ("batch", 20),
        ("steps", 50),
        ("seeds", 24),
        ("repeats", 8),
        ("fraction", 4),
        ("samples", None),
    ):
        options.add_argument(f"--{name}", type=int, default=default)
    given = options.parse_args()
    jax.config.update("jax_enable_x64", True)
    program = tpc.load(PROGRAM, dims={"T": given.steps, "B": given.batch, "d": 16})
    evaluator = program.compile(samples=given.samples)
    plan = evaluator.plan
    random = np.random.default_rng(0)
    shape = given.steps, given.batch
    inputs = {
        "xi": random.standard_normal((*shape, 16)) / 4,
        "y": random.choice([-1.0, 1.0], shape),
        "eta": 0.5,
    }
    inputs["y"] = np.sign(inputs["xi"][..., 0])
    start = time.process_time()
    few = losses(evaluator.module, inputs, plan.samples // given.fraction, given.seeds)
    many = losses(evaluator.module, inputs, plan.samples, given.repeats)
    difference = (few.mean(axis=0) - many.mean(axis=0)) / (given.fraction - 1)
    uncertainty = np.sqrt(few.var(axis=0, ddof=1) / len(few) + many.var(axis=0, ddof=1) / len(many)) / (
        given.fraction - 1
    )
    error = many.std(axis=0, ddof=1) / plan.repeats**0.5
    rms = [float(np.sqrt(np.mean(x**2))) for x in (difference, uncertainty, error)]
    print(
        f"rank {given.steps * given.batch}, {plan.gaussians} Gaussians, M = {plan.samples}, whitened "
        f"{plan.whiten}; root mean square over the "
        f"losses: bias {rms[0]:.1e} (known to {rms[1]:.1e}), standard error of {plan.repeats} repeats "
        f"{rms[2]:.1e}; largest bias/error "
        f"{np.max(np.abs(difference) / error):.2f}, mean loss {many.mean():.3f}; "
        f"{time.process_time() - start:.0f} s of processor time"
    )


if __name__ == "__main__":
    main()
