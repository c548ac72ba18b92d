"""Are the standard errors right? One run's claim against the spread over seeds, and the mean over seeds against a run with 16 times the samples.

    python tests/bench/standard_errors.py [--steps 2,40] [--samples M] [--seeds 200] [--lr 0.5]

The two-hidden-layer program (TP4 Thm 6.4), ξ, y ∈ {±1}; T steps make 2T directions. Without --samples, as many as the plan takes by itself.
A right claim has a ratio of 1 (200 seeds tell it to 5 %) and no bias: a mean that is off by many hundredths of a claimed error is one.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tpc

PROGRAM = Path(__file__).parents[2] / "programs" / "paper" / "thm_6_4.tp"
FINER, FINE_REPEATS = 16, 32


@dataclass(frozen=True)
class Calibration:
    """Of every entry of every output, [entries]. ratio: spread over seeds by the RMS claim of one run. bias: of the mean, in claims of one run.

    noise: the standard error of `bias`, from the seeds and the finer run. claim: RMS over seeds of the standard error of one run.
    """

    ratio: np.ndarray
    bias: np.ndarray
    noise: np.ndarray
    claim: np.ndarray

    def __str__(self) -> str:
        return f"spread/claim {self.ratio.min():.3f} … {self.ratio.max():.3f} (RMS {np.sqrt(np.mean(self.ratio**2)):.3f}), mean off by at most " \
               f"{np.abs(self.bias).max():.3f} claims (±{self.noise.max():.3f}), claims {self.claim.min():.1e} … {self.claim.max():.1e}"


def calibration(steps: int, samples: int | None, seeds: int, rate: float = 0.5) -> Calibration:
    random = np.random.default_rng(steps)
    inputs = {"xi": random.choice([-1.0, 1.0], steps), "y": random.choice([-1.0, 1.0], steps), "eta": rate}
    program = tpc.load(PROGRAM, dims={"T": steps})
    evaluator = program.compile(samples=samples)
    values, claims = zip(*(_flat(evaluator(inputs, seed=seed)) for seed in range(seeds)), strict=True)
    fine, fine_error = _flat(program.compile(samples=FINER * evaluator.plan.samples, repeats=FINE_REPEATS)(inputs, seed=seeds))
    kept = fine_error > 1e-13                                      # f[0] is 0 by symmetry of the points
    spread, claim = np.std(values, axis=0, ddof=1)[kept], np.sqrt(np.mean(np.square(claims), axis=0))[kept]
    bias = (np.mean(values, axis=0) - fine)[kept] / claim
    return Calibration(spread / claim, bias, np.hypot(spread / seeds**0.5, fine_error[kept]) / claim, claim)


def _flat(result) -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.concatenate([np.ravel(getattr(o, what)) for o in result.outputs.values()]) for what in ("value", "stderr"))


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
        taken = f"{chosen.samples or 'default'} samples, {chosen.seeds} seeds, {time.perf_counter() - start:.0f} s"
        print(f"T = {steps}, rank {2 * steps}, {taken}: {found}", flush=True)


if __name__ == "__main__":
    main()
