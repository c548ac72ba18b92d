"""What is looked at where there are 8 virtual devices: finite width whose coordinates are shared out."""

import re

import jax
import numpy as np

import tpc
from tests.simulate.test_matrix_free import NET
from tpc.core.mesh import mesh_of
from tpc.simulate.finite_program import compiled as compiled_seeds
from tpc.simulate.initialisation import laws, widths

WIDTH = 8 * 1154  # neither this, nor its half, nor an eighth of either is another number of the program
NARROW = 101  # no multiple of 8, nor is its half


def at_finite_width():
    """By kind of matrices, each on 1 and 8 devices: the outputs, and of the compiled code the arrays which
    have all coordinates, or an eighth of them, what devices exchange, and bytes in use."""
    program, out = tpc.parse(NET), {}
    sizes = widths(program, {}, WIDTH)
    law = laws(program, {}, sizes)
    for kind in ("free", "dense"):
        free = tuple(m.name for m in program.matrices) if kind == "free" else ()
        numbers, code = [], []
        for count in (None, 8):
            samples = program.simulate(width=NARROW, seeds=[3, 4], matrices=kind, devices=count)
            numbers.append({name: value.tolist() for name, value in samples.outputs.items()})
            mesh = None if count is None else mesh_of(count, program.name)
            run = compiled_seeds(program, tuple(sizes.items()), "float64", free, mesh)
            compiled = run.lower(jax.ShapeDtypeStruct((1,), np.uint32), {}, law).compile()
            text = compiled.as_text()
            code.append(
                {
                    "whole": len(re.findall(rf"[\[,]({WIDTH}|{WIDTH // 2})[\],]", text)),
                    "shares": len(re.findall(rf"[\[,]({WIDTH // 8}|{WIDTH // 16})[\],]", text)),
                    "reductions": text.count(" all-reduce("),
                    "gathers": len(re.findall(" (all-gather|all-to-all|collective-permute)", text)),
                    "bytes": compiled.memory_analysis().temp_size_in_bytes,
                }
            )
        out[kind] = {"numbers": numbers, "code": code}
    return out
