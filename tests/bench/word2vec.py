"""How fast word vectors train at infinite width: words a second of the compiled program, what they cost, and what the machine can do.

    python tests/bench/word2vec.py --vocabulary 8000

Words are drawn as they are in a text; time does not depend on them otherwise. The authors' C code trains 2,110 words a second at 8,000 words.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))
from tpc.experiments.text import Text
from tpc.experiments.windows import Sampler, Shape
from tpc.experiments.word2vec import COMPARED, PROGRAM
from tpc.pipeline import parse
from tpc.segments import State


def text(size, count, seed=0):
    frequency = 1 / np.arange(1, size + 1)
    tokens = np.random.default_rng(seed).choice(size, count, p=frequency / frequency.sum()).astype(np.int32)
    return Text(tuple(map(str, range(size))), np.bincount(tokens, minlength=size) + 1, tokens, np.arange(count, dtype=np.int32) // 500)


def seconds(function, rounds):
    """The medians of seconds by the clock and of the processor."""
    found = []
    for _ in range(rounds):
        clock, processor = time.perf_counter(), time.process_time()
        function()
        found.append((time.perf_counter() - clock, time.process_time() - processor))
    return tuple(statistics.median(times) for times in zip(*found, strict=True))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--vocabulary", type=int, default=8000)
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--shared", type=int, default=64)
    options.add_argument("--steps", type=int, default=50)
    options.add_argument("--rounds", type=int, default=7)
    args = options.parse_args()
    d, shape = args.vocabulary, Shape(args.steps, args.batch, 5, args.shared)
    dims = {"T": args.steps, "B": args.batch, "w": 5, "K": args.shared, "d": d, "A": COMPARED}
    evaluator = parse(PROGRAM.read_text(encoding="utf-8"), name="word2vec", dims=dims).compile(method="linear", dtype="float32")
    _, given = Sampler(text(d, 400_000), shape, negatives=5, threshold=1e-4, seed=0).epoch(0).segment(0)
    inputs = {**given, "eta": np.full(args.steps, 0.05), "compared": np.zeros(COMPARED, int)}
    training = evaluator.training(inputs)
    held = [training.advance(training.start(), args.steps, keep=False)]

    def segment():
        held[0] = training.advance(State(0, held[0].carried), args.steps, keep=False)
        jax.block_until_ready(held[0].carried)

    segment()
    clock, processor = seconds(segment, args.rounds)
    words = args.steps * args.batch
    operations = 4.0 * d * (shape.length + 1.5 * args.shared)                 # a word: means and their transpose, three products with negatives
    moved = 3 * 4.0 * d * (shape.length + args.batch + args.shared) / args.batch        # rows that are read, read again and written
    print(f"{words / clock:,.0f} words/s ({words / processor:,.0f} a second of processor), {operations / 1e6:.1f} million operations a word: "
          f"{operations * words / clock / 1e9:.0f} GF/s; {moved / 1e6:.2f} MB of rows a word: {moved * words / clock / 1e9:.1f} GB/s")
    a, b = jnp.ones((args.batch, d)), jnp.ones((d, args.shared))
    product = jax.jit(lambda a, b: a @ b)
    product(a, b).block_until_ready()
    clock, _ = seconds(lambda: product(a, b).block_until_ready(), 50)
    rate = 2 * args.batch * d * args.shared / clock
    scaled = jax.jit(lambda x: x * 1.5, donate_argnums=0)
    array = [scaled(jnp.ones(1 << 26))]

    def scale():
        array[0] = scaled(array[0]).block_until_ready()
    clock, _ = seconds(scale, 9)
    bandwidth = 2 * array[0].nbytes / clock
    print(f"one product of this size: {rate / 1e9:.0f} GF/s; reading and writing: {bandwidth / 1e9:.0f} GB/s; "
          f"so at most {1 / (operations / rate + moved / bandwidth):,.0f} words/s")


if __name__ == "__main__":
    main()
