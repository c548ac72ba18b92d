"""Run in a process of its own with 8 virtual devices: prints as JSON what the tests of devices check."""

import json
import sys

import jax
import numpy as np
from jax.sharding import Mesh

import tpc
from tests.run.programs import PROGRAMS, two_layers

SAMPLES = 8 * 577                                      # a number that no other dimension of the program has
SHARE = SAMPLES // 8


def numbers(count):
    """Values and errors of programs of all kinds of points, on so many devices (None: as without the option)."""
    program, inputs = two_layers(20)
    runs = {"sobol": (program.compile(samples=SAMPLES, repeats=3), inputs), "uneven": (program.compile(samples=101, repeats=2), inputs),
            "low rank": (program.compile(samples=512, repeats=2, max_rank=3), inputs),
            "linear": (tpc.load(PROGRAMS / "matrices/wishart.tp").compile(), {}),
            "grids": (tpc.load(PROGRAMS / "paper/thm_6_1.tp").compile(), {})}
    out = {}
    for kind, (evaluator, given) in runs.items():
        result = evaluator(given, devices=count, seed=4)
        out[kind] = {name: [o.value.tolist(), [] if o.stderr is None else o.stderr.tolist()] for name, o in result.outputs.items()}
    return out


def compiled():
    """Of `limit` on 8 devices and on one: arrays with the axis of all samples, with that of a share, reductions, bytes in use."""
    program, inputs = two_layers(20)
    module = program.compile(samples=SAMPLES).module
    given = module.prepared(inputs)
    points, weights = module.draw(0, 0)
    mesh = Mesh(np.array(jax.devices()), ("samples",))
    shared = jax.jit(module.limit).lower(given, *(module.spread(a, mesh) for a in (points, weights))).compile()
    alone = module.compiled.lower(given, points, weights).compile()
    text = shared.as_text()
    return {"whole": text.count(f",{SAMPLES}]") + text.count(f"[{SAMPLES}]"), "shares": text.count(f",{SHARE}]") + text.count(f"[{SHARE}]"),
            "bases": text.count(f"f64[20,{SHARE}]"), "reductions": text.count(" all-reduce("),
            "gathers": text.count("all-gather") + text.count("all-to-all") + text.count("collective-permute"),
            "bytes": shared.memory_analysis().temp_size_in_bytes, "bytes alone": alone.memory_analysis().temp_size_in_bytes}


def intermediates():
    """The bases that `meet` gives, of points that are shared out: the shape of the share that each device has."""
    module = two_layers(20)[0].compile(samples=SAMPLES).module
    mesh = Mesh(np.array(jax.devices()), ("samples",))
    points, weights = (module.spread(a, mesh) for a in module.draw(0, 0))

    def grown(points, weights):
        chain = (module.basis(points[:20]),)
        for k in range(3):
            _, chain = module.meet(chain, points[20 + k], weights, module.TOLERANCE)
        return chain[0].p[0], chain[0].g[0]                # the only block of rows
    return [[list(s.data.shape) for s in part.addressable_shards] for part in jax.jit(grown)(points, weights)]


if __name__ == "__main__":
    counts = [None, 1, 3, 8]
    print(json.dumps({"numbers": [numbers(count) for count in counts], "compiled": compiled(), "intermediates": intermediates()}), file=sys.stdout)
