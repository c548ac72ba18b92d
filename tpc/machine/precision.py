"""JAX's 64 bits, on where a limit needs them and for as long.

What else a process computes keeps the precision that it has.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, wraps
from typing import Any, TypeVar, cast

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.machine.collector import collect_as_usual

F = TypeVar("F", bound=Callable[..., Any])


def precision(dtype: str) -> AbstractContextManager[Any]:
    """64 bits where they are asked for, in this thread and for the time of the context.

    Threads begun inside need one of their own.
    """
    if dtype != "float64":
        return nullcontext()
    import jax

    if hasattr(jax, "enable_x64"):
        context: AbstractContextManager[Any] = jax.enable_x64(True)
        return context
    from jax.experimental import enable_x64  # type: ignore[attr-defined,unused-ignore]

    return enable_x64()  # type: ignore[no-any-return,unused-ignore]


def in_own_precision(method: F) -> F:
    """A method that computes with JAX in its object's `dtype`."""

    @wraps(method)
    def inside(self: Any, /, *args: Any, **options: Any) -> Any:
        require_platform()
        with precision(self.dtype):
            return method(self, *args, **options)

    return cast(F, inside)


@cache
def require_platform() -> None:
    """Raises TpcError (TP614) if JAX has nothing to compute on.

    That is so where JAX_PLATFORMS asks for what is not there.
    """
    import jax

    collect_as_usual()  # what follows makes arrays
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # JAX asserts that a platform which it knows has started
        why = str(error).splitlines()[0].partition(" (")[0] if str(error) else "it is not there"
        raise TpcError(
            [catalogue.running.no_platform(os.environ.get("JAX_PLATFORMS", ""), why)], "JAX"
        ) from None


def is_traced(value: Any) -> bool:
    """Whether there is an array in it that JAX only traces, of which there are no numbers yet."""
    jax = sys.modules.get("jax")  # what it made is there only if it is
    return jax is not None and any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value))


def traced(inputs: Any) -> bool:
    """Whether JAX only traces what is done here to the arrays of a tree (jit, grad, vmap, …)."""
    import jax.numpy as jnp

    return is_traced((inputs, jnp.zeros(())))


def has_64_bits() -> bool:
    """Whether JAX has them on here."""
    import jax.numpy as jnp

    return bool(jnp.zeros(()).dtype == "float64")
