"""How fast word vectors train at infinite width: words a second of the compiled program, what they cost, and
what the machine can do.

    python -m tests.bench.word2vec --vocabulary 8000

What a device needs for all words of text8, by the compiler and by the check of the experiment; nothing is
allocated:

    XLA_FLAGS=--xla_force_host_platform_device_count=8 python -m tests.bench.word2vec --vocabulary 71291
    --memory

Words are drawn as they are in a text; time does not depend on them otherwise. The authors' C code trains
2,110 words a second at 8,000 words.
"""

import argparse
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from tpc import parse
from tpc.evaluate.in_parts import State
from tpc.experiments.corpus import Text
from tpc.experiments.room import ITEMSIZE, Size
from tpc.experiments.windows import Sampler, Shape
from tpc.experiments.word2vec import COMPARED, PROGRAM


def text(size, count, seed=0):
    frequency = 1 / np.arange(1, size + 1)
    tokens = np.random.default_rng(seed).choice(size, count, p=frequency / frequency.sum()).astype(np.int32)
    return Text(
        tuple(map(str, range(size))),
        np.bincount(tokens, minlength=size) + 1,
        tokens,
        np.arange(count, dtype=np.int32) // 500,
    )


def seconds(function, rounds):
    """The medians of seconds by the clock and of the processor."""
    found = []
    for _ in range(rounds):
        clock, processor = time.perf_counter(), time.process_time()
        function()
        found.append((time.perf_counter() - clock, time.process_time() - processor))
    return tuple(statistics.median(times) for times in zip(*found, strict=True))


def print_memory(program, inputs, vocabulary):
    for dtype in ("float32", "bfloat16"):
        evaluator = program.compile(method="linear", dtype=dtype)
        for devices in sorted({1, jax.local_device_count()}):
            parts = evaluator.training(inputs, devices=devices).memory(["gram", "square"])
            asked = Size(itemsize=ITEMSIZE[dtype], devices=devices).needed(vocabulary)
            each = ", ".join(f"{name} {needed / 1e9:.2f}" for name, needed in parts.items())
            print(
                f"{dtype}, {devices} devices: {max(parts.values()) / 1e9:.2f} GB each ({each}); "
                f"{asked / 1e9:.2f} GB are asked for"
            )


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--vocabulary", type=int, default=8000)
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--shared", type=int, default=64)
    options.add_argument("--steps", type=int, default=50)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    options.add_argument("--devices", type=int)
    options.add_argument(
        "--memory", action="store_true", help="on one device and on all there are, for both types"
    )
    args = options.parse_args()
    d, shape = args.vocabulary, Shape(args.steps, args.batch, 5, args.shared)
    dims = {"T": args.steps, "B": args.batch, "w": 5, "K": args.shared, "d": d, "A": COMPARED}
    program = parse(PROGRAM.read_text(encoding="utf-8"), name="word2vec", dims=dims)
    _, given = Sampler(text(d, 400_000), shape, negatives=5, threshold=1e-4, seed=0).epoch(0).segment(0)
    inputs = {**given, "eta": np.full(args.steps, 0.05), "compared": np.zeros(COMPARED, int)}
    if args.memory:
        print_memory(program, inputs, d)
        return
    training = program.compile(method="linear", dtype=args.dtype).training(inputs, devices=args.devices)
    held = [training.advance(training.start(), args.steps, keep=False)]

    def segment():
        held[0] = training.advance(State(0, held[0].carried), args.steps, keep=False)
        jax.block_until_ready(held[0].carried)

    segment()
    clock, processor = seconds(segment, args.rounds)
    words = args.steps * args.batch
    # a word: means and their transpose, three products with negatives
    operations = 4.0 * d * (shape.length + 1.5 * args.shared)
    # rows that are read, read again and written
    moved = 3 * 4.0 * d * (shape.length + args.batch + args.shared) / args.batch
    print(
        f"{words / clock:,.0f} words/s ({words / processor:,.0f} a second of processor), "
        f"{operations / 1e6:.1f} million operations a word: "
        f"{operations * words / clock / 1e9:.0f} GF/s; {moved / 1e6:.2f} MB of rows a word: "
        f"{moved * words / clock / 1e9:.1f} GB/s"
    )
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
    print(
        f"one product of this size: {rate / 1e9:.0f} GF/s; reading and writing: {bandwidth / 1e9:.0f} GB/s; "
        f"so at most {1 / (operations / rate + moved / bandwidth):,.0f} words/s"
    )


if __name__ == "__main__":
    main()
