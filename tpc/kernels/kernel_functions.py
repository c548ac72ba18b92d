"""Kernels as JAX functions of arrays of inputs, to be jitted, mapped over and differentiated."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from tpc.kernels.blocks import KernelBlocks
from tpc.kernels.compiled import Compiled
from tpc.machine.precision import has_64_bits, precision, require_platform, traced

NARROW = (
    "JAX's 64 bits are off, so a kernel that it transforms (jit, grad, vmap, …) is computed in float32: call "
    "jax.config.update('jax_enable_x64', True) before, or kernels(dtype='float32')"
)


def kernel_function(blocks: KernelBlocks) -> Callable[..., Any]:
    """The one kernel of `blocks` as a JAX function (see `Kernel.function`)."""

    @cache
    def in_single() -> Callable[..., Any]:
        warnings.warn(NARROW, stacklevel=4)
        return kernel_function(replace(blocks, dtype="float32", compiled={}))

    def function(x: Any, z: Any = None) -> Any:
        import jax
        import jax.numpy as jnp

        require_platform()
        if blocks.dtype == "float64" and not has_64_bits() and traced((x, z)):
            return in_single()(x, z)
        with precision(blocks.dtype):
            rows = jnp.asarray(x, blocks.dtype)
            columns = rows if z is None else jnp.asarray(z, blocks.dtype)
            form = "square" if z is None else "cross"
            with jax.ensure_compile_time_eval():
                compiled = blocks.compiled_for(form, len(rows), len(columns), rows.shape[1:])
            return _value(compiled, rows) if z is None else _value(compiled, rows, columns)

    return function


def _value(compiled: Compiled, *arrays: Any) -> Any:
    (name,) = compiled.outputs
    given = {**compiled.others, **dict(zip(compiled.inputs, arrays, strict=False))}
    found, _ = compiled.module.limit(given, *compiled.rules[0])
    return found[name]
