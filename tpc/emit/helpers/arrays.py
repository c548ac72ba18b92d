"""Outputs, sums, loops of as many rounds as an input says, and arrays that are written row by row.

Tested as code.
"""

import jax
import jax.numpy as jnp
from jax import lax


# ---- copied
def as_outputs(values, dtype):
    """Outputs as arrays of one precision, constants included."""
    return {name: jnp.asarray(value, dtype) for name, value in values.items()}


def weighed(a, weights):
    """E a, of [..., M] by its points.

    Of one vector by pairwise sums: XLA may add up a product in one row, in which float32 loses digits.
    """
    return (a * weights).sum() if a.ndim == 1 else a @ weights


def total(f, count, greatest):
    """Σ_{s < count} f(s), at most `greatest` terms."""
    terms = jax.vmap(f)(jnp.arange(greatest))
    keep = (jnp.arange(greatest) < count).reshape(-1, *(1,) * (terms.ndim - 1))
    return jnp.sum(jnp.where(keep, terms, 0), axis=0)


def rounds(count, greatest, body, state):
    """`body(t, state)` for t < count ≤ greatest, to be differentiated backwards, too.

    It has a fixed number of turns.
    """
    return lax.fori_loop(0, greatest, lambda t, s: lax.cond(t < count, body, lambda _, s: s, t, s), state)


def before(count, coefficients, length=None):
    """Coefficients of a sum over s < count, their first axis: 0 from there on, up to `length`."""
    turns = jnp.arange(coefficients.shape[0]).reshape(-1, *(1,) * (coefficients.ndim - 1))
    kept = jnp.where(turns < count, coefficients, 0)
    return (
        kept if length is None else jnp.pad(kept, ((0, length - kept.shape[0]), *((0, 0),) * (kept.ndim - 1)))
    )


def stored(array, t, part):
    """`array` [T, ..., M] with array[t] replaced, as rows.

    Where a product with all of them follows, XLA updates in place only what it multiplies.
    """
    rows = part.reshape(-1, part.shape[-1])
    flat = array.reshape(-1, array.shape[-1])
    return lax.dynamic_update_slice_in_dim(flat, rows, t * len(rows), 0).reshape(array.shape)
