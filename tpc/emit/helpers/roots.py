"""Roots of vectors, for emitted modules that have some. Tested as code."""

import jax.numpy as jnp


# ---- roots
def root(x, k=0.5):
    """x^k, 0 < k < 1, of a vector. Where x is 0 its derivative counts as 0: at single points it has no
    weight, and elsewhere x does not move."""
    there = x > 0
    inner = jnp.where(there, x, 1)
    return jnp.where(
        there, jnp.sqrt(inner) if k == 0.5 else jnp.power(inner, k), jnp.where(x == 0, 0, jnp.nan)
    )
