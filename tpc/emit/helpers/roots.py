"""Roots of vectors and of covariances. Tested as code."""

import jax.numpy as jnp


# ---- copied
def root(x, k=0.5):
    """x^k, 0 < k < 1, of a vector.

    Where x is 0 its derivative counts as 0: at single points it has no weight, and elsewhere x does not move.
    """
    there = x > 0
    inner = jnp.where(there, x, 1)
    return jnp.where(
        there, jnp.sqrt(inner) if k == 0.5 else jnp.power(inner, k), jnp.where(x == 0, 0, jnp.nan)
    )


def sqrt_psd(covariance):
    """A lower triangular square root of a small positive semidefinite matrix.

    Singular matrices have one, too; its derivatives are finite.
    """
    k = covariance.shape[0]
    root = [[jnp.zeros((), covariance.dtype)] * k for _ in range(k)]
    for j in range(k):
        pivot = covariance[j, j] - sum(root[j][i] ** 2 for i in range(j))
        real = pivot > 1e-12 * covariance[j, j]
        root[j][j] = jnp.where(real, jnp.sqrt(jnp.where(real, pivot, 1)), 0)
        for i in range(j + 1, k):
            rest = covariance[i, j] - sum(root[i][m] * root[j][m] for m in range(j))
            root[i][j] = jnp.where(real, rest / jnp.where(real, root[j][j], 1), 0)
    return jnp.stack([jnp.stack(row) for row in root])
