"""Functions of the singular values of tables whose entries lie over weighted points. Tested as code."""

import jax.numpy as jnp


# ---- copied
def newton_schulz(table, weights, columns, steps, a, b, c):
    """So many steps of Y ← a Y + b (Y Yᵀ) Y + c (Y Yᵀ)² Y on the operator of a table [M, M']."""
    root = jnp.sqrt(weights)[:, None] * jnp.sqrt(columns)
    y = table * root
    y = y / (jnp.sqrt(jnp.sum(y**2)) + 1e-7)
    for _ in range(steps):
        square = y @ y.T
        y = a * y + (b * square + c * square @ square) @ y
    return y / root


def polar(table, weights, columns):
    """1 in place of the singular values of the operator of a table [M, M'] that are not 0.

    That is, not below 1e-6 (1e-3, if not in float64) of the largest one.
    """
    root = jnp.sqrt(weights)[:, None] * jnp.sqrt(columns)
    u, s, v = jnp.linalg.svd(table * root, full_matrices=False)
    least = 1e-6 if s.dtype == jnp.float64 else 1e-3
    return (u * (s > least * s[0])) @ v / root
