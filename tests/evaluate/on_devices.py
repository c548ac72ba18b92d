"""Run in a process of its own with 8 virtual devices: prints as JSON what the tests of devices check."""

import io
import json
import re
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import jax
import numpy as np
from jax.sharding import Mesh

import tpc
from tests.evaluate.programs import PROGRAMS, TWO_LAYERS, two_layers
from tests.experiments.test_word2vec import settings, written
from tests.simulate.shared_out import at_finite_width
from tests.values import values_only
from tpc.cli.main import main
from tpc.experiments.room import ITEMSIZE, Size
from tpc.experiments.word2vec import COMPARED, PROGRAM, Word2VecExperiment, Word2VecSettings

jax.config.update("jax_enable_x64", True)  # modules are run here as they are

SAMPLES = 8 * 577  # a number that no other dimension of the program has
SHARE = SAMPLES // 8

# as many Gaussians, and 1, make 291, padded to a number that no other dimension has
WORDS, COEFFICIENTS = 290, 296

TEXT8 = 71_291  # words of text8 that are there five times


def numbers(count):
    """Values and errors of programs of all kinds of points, on so many devices (None: as without the
    option)."""
    program, inputs = two_layers(20)
    sobol = program.compile(samples=SAMPLES, repeats=2)
    runs = {
        "sobol": (values_only(sobol) if count == 3 else sobol, inputs),  # rounding is looked at on 8
        "uneven and of low rank": (values_only(program.compile(samples=101, repeats=2, max_rank=3)), inputs),
        "linear": (tpc.load(PROGRAMS / "matrices/wishart.tp").compile(), {}),
        "grids": (tpc.load(PROGRAMS / "paper/thm_6_1.tp").compile(), {}),
    }
    out = {}
    for kind, (evaluator, given) in runs.items():
        result = evaluator(given, devices=count, seed=4)
        out[kind] = {
            name: [o.value.tolist(), [] if o.stderr is None else o.stderr.tolist()]
            for name, o in result.outputs.items()
        }
    return out


def compiled():
    """Of `limit` on 8 devices and on one: arrays with the axis of all samples, with that of a share,
    reductions, bytes in use."""
    program, inputs = two_layers(20)
    module = program.compile(samples=SAMPLES).module
    given = module.prepared(inputs)
    points, weights = module.draw(0, 0)
    mesh = Mesh(np.array(jax.devices()), ("samples",))
    shared = (
        jax.jit(module.limit).lower(given, *(module.spread(a, mesh) for a in (points, weights))).compile()
    )
    alone = module.compiled.lower(given, points, weights).compile()
    text = shared.as_text()
    return {
        "whole": text.count(f",{SAMPLES}]") + text.count(f"[{SAMPLES}]"),
        "shares": text.count(f",{SHARE}]") + text.count(f"[{SHARE}]"),
        "bases": text.count(f"f64[20,{SHARE}]"),
        "reductions": text.count(" all-reduce("),
        "gathers": text.count("all-gather") + text.count("all-to-all") + text.count("collective-permute"),
        "bytes": shared.memory_analysis().temp_size_in_bytes,
        "bytes alone": alone.memory_analysis().temp_size_in_bytes,
    }


def intermediates():
    """The bases that `meet` gives, of points that are shared out: the shape of the share that each device
    has."""
    module = two_layers(20)[0].compile(samples=SAMPLES).module
    mesh = Mesh(np.array(jax.devices()), ("samples",))
    points, weights = (module.spread(a, mesh) for a in module.draw(0, 0))

    def grown(points, weights):
        chain = (module.basis(points[:20]),)
        for k in range(3):
            _, chain, *_ = module.meet(chain, points[20 + k], weights, module.TOLERANCE)
        return chain[0].p[0], chain[0].g[0]  # the only block of rows

    return [[list(s.data.shape) for s in part.addressable_shards] for part in jax.jit(grown)(points, weights)]


def words(count, size=WORDS, dtype="float64", T=6, B=5, w=2, K=3, A=7):
    """The training of the vectors of so many words in parts, by coefficients on so many devices. The others:
    as in the program."""
    rng = np.random.default_rng(0)
    program = tpc.parse(
        PROGRAM.read_text(encoding="utf-8"), dims={"T": T, "B": B, "w": w, "K": K, "d": size, "A": A}
    )
    inputs = {
        "words": rng.integers(20, size=(T, B + 2 * w)),
        "others": rng.integers(20, size=(T, K)),
        "near": rng.random((T, B, B + 2 * w)),
        "weight": rng.random((T, B, K)),
        "compared": np.arange(A),
        "eta": np.full(T, 0.5),
    }
    return program.compile(method="linear", dtype=dtype).training(inputs, devices=count)


def trained():
    """What it gives, with its state written and read between two parts, whether these make a difference, and
    the shares of the state."""
    out, stored = [], []
    for count in (None, 3, 8):
        training = words(count)
        state = training.advance(training.start(), 4)
        state = training.advance(training.of_leaves(training.leaves(state)), 6)
        out.append(
            {
                name: value.tolist()
                for name, value in training.outputs(state, ["guessed", "gram", "square"]).items()
            }
        )
        stored.append([list(a.shape) for a in training.leaves(state).values()])
    whole, parts = (training.leaves(each).values() for each in (training.advance(training.start(), 6), state))
    lie = [[list(s.data.shape) for s in array.addressable_shards] for array in jax.tree.leaves(state.carried)]
    return {
        "numbers": out,
        "same bits": all(map(np.array_equal, whole, parts)),
        "shares": lie,
        "stored": stored,
    }


def counted(text):
    """Of compiled code: arrays that have all coefficients, those that have a share, and what devices
    exchange."""
    return {
        "whole": len(re.findall(rf"[\[,]{COEFFICIENTS}[\],]", text)),
        "shares": len(re.findall(rf"[\[,]{COEFFICIENTS // 8}[\],]", text)),
        "reductions": text.count(" all-reduce("),
        "gathers": text.count("all-gather") + text.count("all-to-all") + text.count("collective-permute"),
    }


def coefficients():
    """Of all parts of that training on 8 devices, and of its `limit` in one."""
    training = words(8)
    out = {
        name: counted(part.compile().as_text()) for name, part in training.lowered(["gram", "square"]).items()
    }
    module, mesh = training.module, Mesh(np.array(jax.devices()), ("samples",))
    points = [module.spread(a, mesh) for a in module.draw(0, 0)]
    return {
        **out,
        "limit": counted(
            jax.jit(module.limit).lower(module.prepared(training.inputs), *points).compile().as_text()
        ),
    }


def large():
    """Bytes on a device for all words of text8, by the compiler and by the experiment's check, on 1 device,
    and on 8 in bfloat16."""
    s = Word2VecSettings()
    runs = [
        (
            dtype,
            count,
            words(count, TEXT8, dtype, s.steps, s.batch, s.window, s.shared, COMPARED).memory(
                ["gram", "square"]
            ),
        )
        for dtype, count in (("float32", 1), ("bfloat16", 8))
    ]
    return [
        [max(parts.values()), Size(itemsize=ITEMSIZE[dtype], devices=count).needed(TEXT8)]
        for dtype, count, parts in runs
    ]


def resumed():
    """The experiment in bfloat16 on 2 devices, whole, and stopped and resumed; and what it is on 3, of the
    state that is kept."""

    def stop(done, *_):
        if done > 1.3:
            raise InterruptedError

    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        (at / "short").mkdir()
        two, three = (
            settings(at, epochs=2, devices=count, dtype="bfloat16", corpus=str(written(at / "short", 80)))
            for count in (2, 3)
        )
        whole = Word2VecExperiment(two)
        expected = whole.run()
        try:
            Word2VecExperiment(two, at / "out", keep_every=0).run(progress=stop)
        except InterruptedError:
            run = Word2VecExperiment(two, at / "out")
            found = run.run(resume=True)
        more = Word2VecExperiment(three, at / "out").run(resume=True)
        one, other = (each.training.leaves(each.state).values() for each in (whole, run))
        return {
            "same": all(map(np.array_equal, one, other)),
            "accuracy": [o.analogy_accuracy for o in (expected, found, more)],
            "words": [o.words_trained for o in (expected, found, more)],
        }


def commands():
    """The exit status, output and errors of commands that ask for devices, and that do not."""
    run = ["run", str(TWO_LAYERS), "--samples", "512", "--repeats", "2"]
    at_width = ["simulate", str(TWO_LAYERS), "--width", "50", "--seeds", "2"]
    asked = [
        run,
        [*run, "--devices", "8"],
        at_width,
        [*at_width, "--devices", "3"],
        [*run, "--devices", "9"],
    ]
    out = []
    for words in asked:
        with redirect_stdout(io.StringIO()) as printed, redirect_stderr(io.StringIO()) as told:
            out.append([main(words), printed.getvalue(), told.getvalue()])
    return out


if __name__ == "__main__":
    counts = [None, 3, 8]
    print(
        json.dumps(
            {
                "numbers": [numbers(count) for count in counts],
                "compiled": compiled(),
                "intermediates": intermediates(),
                "trained": trained(),
                "coefficients": coefficients(),
                "large": large(),
                "resumed": resumed(),
                "finite width": at_finite_width(),
                "commands": commands(),
            }
        ),
        file=sys.stdout,
    )
