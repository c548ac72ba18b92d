"""What each structure of the limit of Word2Vec buys: the same steps with it and without, by processor time,
and the resident memory of a step.

    python -m tests.bench.word2vec_structures --vocabulary 4000

Variants are other texts of the same program, or other shapes of its inputs. Their rounds alternate, so that a
busy machine is fair to all.
"""

import argparse
import statistics
import time

import jax
import numpy as np

from tests.bench.word2vec import text
from tpc import parse
from tpc.evaluate.in_parts import State
from tpc.experiments.windows import Sampler, Shape
from tpc.experiments.word2vec import COMPARED, PROGRAM

WINDOW = 5
TO_V = " + sum(i < B: same(l, words[t, i+w])*η[t]*dv[t, i]) + sum(k < K: same(l, others[t, k])*η[t]*dz[t, k])"


def changed(source, *pairs):
    for old, new in pairs:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source


def two_scatters(source):
    """V takes the gradients of words and those of negatives one after the other."""
    own, others = TO_V.split(" + sum(k", 1)
    return changed(
        source,
        (
            f"V[t+1, l] = V[t, l]{TO_V}",
            f"V1[t, l] = V[t, l]{own} for l < d\n    V[t+1, l] = V1[t, l] + sum(k{others}",
        ),
    )


def all_rows_decay(source):
    """A step takes λη of every row, not only of those that its windows have."""
    return changed(
        source,
        ("- λ*sum(i < B: sign(near[t, i, p]))*u[t, p] ", ""),
        (" - λ*v[t, i] for", " for"),
        (" - λ*sum(i < B: weight[t, i, k])*z[t, k]", ""),
        ("U[t+1, l] = U[t, l]", "U[t+1, l] = (1 - λ*η[t])*U[t, l]"),
        ("V[t+1, l] = V[t, l]", "V[t+1, l] = (1 - λ*η[t])*V[t, l]"),
    )


class Variant:
    """One compiled program with its state. columns: coefficients of a vector. keep: whether the state of a
    step outlives it."""

    def __init__(self, d, shape, source, columns, *, keep=False):
        self.words, self.keep = shape.steps * shape.batch, keep
        dims = {"T": shape.steps, "B": shape.batch, "w": WINDOW, "K": shape.shared, "d": d, "A": COMPARED}
        evaluator = parse(source, name="word2vec", dims=dims).compile(method="linear", dtype="float32")
        _, given = Sampler(text(d, 400_000), shape, negatives=5, threshold=1e-4, seed=0).epoch(0).segment(0)
        inputs = {**given, "eta": np.full(shape.steps, 0.05), "compared": np.zeros(COMPARED, int)}
        self.training = evaluator.training(
            inputs, points=(np.eye(d, columns, 1, dtype=np.float32), np.ones(columns, np.float32))
        )
        self.carried = self.training.start().carried
        self.seconds()

    def seconds(self):
        """By the clock and of the processor."""
        clock, processor = time.perf_counter(), time.process_time()
        if self.keep:  # a round at a time, as a loop outside the program would
            for t in range(self.training.rounds):
                self.carried = self.training.advance(State(t, self.carried), t + 1).carried
        else:
            self.carried = self.training.advance(
                State(0, self.carried), self.training.rounds, keep=False
            ).carried
        jax.block_until_ready(self.carried)
        return time.perf_counter() - clock, time.process_time() - processor


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--vocabulary", type=int, default=4000)
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--rounds", type=int, default=7)
    args = options.parse_args()
    d, source = args.vocabulary, PROGRAM.read_text(encoding="utf-8")
    shape = Shape(args.steps, 64, WINDOW, 64)
    variants = {
        "as it is": Variant(d, shape, source, d + 1),
        "V does not start at 0": Variant(d, shape, source, 2 * d + 1),
        "two scatters into V": Variant(d, shape, two_scatters(source), d + 1),
        "all rows decay": Variant(d, shape, all_rows_decay(source), d + 1),
        "a state is kept at each step": Variant(d, shape, source, d + 1, keep=True),
        "4 words a step with 20 negatives": Variant(d, Shape(16 * args.steps, 4, WINDOW, 20), source, d + 1),
        "8 words with 8": Variant(d, Shape(8 * args.steps, 8, WINDOW, 8), source, d + 1),
        "16 words with 16": Variant(d, Shape(4 * args.steps, 16, WINDOW, 16), source, d + 1),
    }
    taken = {name: [] for name in variants}
    for _ in range(args.rounds):
        for name, variant in variants.items():
            taken[name].append([1e6 * s / variant.words for s in variant.seconds()])
    for name, times in taken.items():
        clock, processor = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{name}: {processor:,.0f} µs of processor a word, {clock:,.0f} by the clock")


if __name__ == "__main__":
    main()
