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


def gram(vectors, weights):
    """E x_i x_j of the rows of an array [K, M]."""
    return (vectors * weights) @ vectors.T


def cells(shape, rows, columns, coefficients):
    """Coefficients at their places in an array of zeros."""
    return jnp.zeros(shape, coefficients.dtype).at[rows, columns].add(coefficients)


def newton_schulz_in_factors(table, rows, columns, steps, a, b, c):
    """`newton_schulz` of Σ C_ij x_i yᵀ_j by the inner products of the x and of the y: also an array C.

    At a squared singular value s it is p(s/ν²)/ν times C, ν the norm. q is (p(s) − p(0))/s, without the
    cancellation.
    """
    values, near, far = squared_values(table, rows, columns)
    norm = jnp.sqrt(jnp.sum(values)) + 1e-7
    s = values / norm**2
    p, q = jnp.ones_like(s), jnp.zeros_like(s)
    for _ in range(steps):
        inner = s * p**2
        p, q = p * (a + b * inner + c * inner**2), a * q + p**3 * (b + c * inner)
    return a**steps / norm * table + (near * (q / norm**3)) @ far


def polar_in_factors(table, rows, columns):
    """`polar` of Σ C_ij x_i yᵀ_j by the inner products of the x and of the y: also an array C."""
    values, near, far = squared_values(table, rows, columns)
    kept = values > (1e-6 if values.dtype == jnp.float64 else 1e-3) ** 2 * values[-1]
    return (near * jnp.where(kept, jnp.where(kept, values, 1) ** -1.5, 0)) @ far


def squared_values(table, rows, columns):
    """The squared singular values λ of M = Σ C_ij x_i yᵀ_j, and F, G: F h(λ) G is the C of M Mᵀ h(M Mᵀ) M."""
    values, vectors = jnp.linalg.eigh(table @ columns @ table.T)
    root = (vectors * jnp.sqrt(jnp.maximum(values, 0))) @ vectors.T
    values, vectors = jnp.linalg.eigh(root @ rows @ root)
    near = root @ vectors
    return jnp.maximum(values, 0), near, near.T @ rows @ table
