"""Are the standard errors right? What one run takes for the spread of its repeats against the spread over
seeds, and the mean over seeds, in claimed errors, against a run with 16 times the samples.

    python -m tests.bench.standard_errors [--steps 2,40] [--samples M] [--seeds 200] [--lr 0.5]

The two-hidden-layer program (TP4 Thm 6.4), ξ, y ∈ {±1}; T steps make 2T directions. Without --samples, as
many as the plan takes by itself. A right one has a ratio of 1 (200 seeds tell it to 5 %) and no bias: a mean
that is off by many hundredths of a claimed error is one, although it is among what is claimed.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tpc

PROGRAM = Path(__file__).parents[2] / "programs" / "paper" / "thm_6_4.tp"
FINER, FINE_REPEATS, CLAIMS = 16, 32, 10


@dataclass(frozen=True)
class Calibration:
    """Of every entry of every output, [entries]. ratio: spread over seeds by the RMS of what the repeats of
    one run say of it. bias: of the mean, in claims of one run.

    noise: the standard error of `bias`, from the seeds and the finer run. claim: RMS over CLAIMS seeds of the
    standard error of one run.
    """

    ratio: np.ndarray
    bias: np.ndarray
    noise: np.ndarray
    claim: np.ndarray

    def __str__(self) -> str:
        return (
            f"spread/claim {self.ratio.min():.3f} … {self.ratio.max():.3f} (RMS "
            f"{np.sqrt(np.mean(self.ratio**2)):.3f}), mean off by at most "
            f"{np.abs(self.bias).max():.3f} claims (±{self.noise.max():.3f}), claims "
            f"{self.claim.min():.1e} … "
            f"{self.claim.max():.1e}"
        )


def calibration(steps: int, samples: int | None, seeds: int, rate: float = 0.5) -> Calibration:
    random = np.random.default_rng(steps)
    inputs = {"xi": random.choice([-1.0, 1.0], steps), "y": random.choice([-1.0, 1.0], steps), "eta": rate}
    program = tpc.load(PROGRAM, dims={"T": steps})
    evaluator = program.compile(samples=samples)
    module, repeats = evaluator.module, evaluator.plan.repeats
    done = [
        module.evaluations(inputs, lambda k, seed=seed: module.draw(seed, k), repeats)
        for seed in range(seeds)
    ]
    values, spreads = zip(
        *(_flat(module.claims(each).values(), "value", "spread") for each in done), strict=True
    )
    claims = [_flat(evaluator(inputs, seed=seed).outputs.values(), "stderr")[0] for seed in range(CLAIMS)]
    finer = program.compile(samples=FINER * evaluator.plan.samples, repeats=FINE_REPEATS)(inputs, seed=seeds)
    fine, fine_error = _flat((finer[name] for name in module.claims(done[0])), "value", "stderr")
    kept = fine_error > 1e-13  # f[0] is 0 by symmetry of the points
    spread, told, claim = (
        size[kept] for size in (np.std(values, axis=0, ddof=1), _rms(spreads), _rms(claims))
    )
    bias = (np.mean(values, axis=0) - fine)[kept] / claim
    return Calibration(spread / told, bias, np.hypot(spread / seeds**0.5, fine_error[kept]) / claim, claim)


def _flat(outputs, *parts: str) -> list[np.ndarray]:
    outputs = list(outputs)
    return [np.concatenate([np.ravel(getattr(output, part)) for output in outputs]) for part in parts]


def _rms(sizes) -> np.ndarray:
    return np.sqrt(np.mean(np.square(sizes), axis=0))


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--steps", default="2,40")
    options.add_argument("--samples", type=int)
    options.add_argument("--seeds", type=int, default=200)
    options.add_argument("--lr", type=float, default=0.5)
    chosen = options.parse_args()
    for steps in map(int, chosen.steps.split(",")):
        start = time.perf_counter()
        found = calibration(steps, chosen.samples, chosen.seeds, chosen.lr)
        taken = (
            f"{chosen.samples or 'default'} samples, {chosen.seeds} seeds, "
            f"{time.perf_counter() - start:.0f} s"
        )
        print(f"T = {steps}, rank {2 * steps}, {taken}: {found}", flush=True)


if __name__ == "__main__":
    main()
