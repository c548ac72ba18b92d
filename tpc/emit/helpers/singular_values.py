"""Functions of the singular values of tables whose entries lie over weighted points. Tested as code."""

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import sequential_vmap

from tpc.emit.helpers.histories import products

BLOCK, BLOCKS = 128, 8


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
    return polar_factor(table * root) / root


@jax.custom_jvp
def polar_factor(matrix):
    """1 in place of the singular values of a matrix that are not 0, as in `polar`, and 0 of others."""
    u, _, v = range_of(matrix)
    return u @ v


@polar_factor.defjvp
def slope_of_polar_factor(arguments, tangents):
    """Singular vectors have no derivative where values meet, and the factor has one.

    Of U Vᵀ it is U (K ∘ (M − Mᵀ)) Vᵀ, M = Uᵀ A′ V and K_ij = 1/(s_i + s_j), and A′ over s beyond the range of
    A: what is 0 of the singular values stays 0.
    """
    (matrix,), (moved,) = arguments, tangents
    u, s, v = range_of(matrix)
    over = jnp.where(s > 0, 1 / jnp.where(s > 0, s, 1), 0)
    both = (s > 0)[:, None] & (s > 0)
    turned = u.T @ moved @ v.T
    middle = jnp.where(both, (turned - turned.T) / jnp.where(both, s[:, None] + s, 1), 0)
    far, near = moved @ v.T, u.T @ moved
    beyond = ((far - u @ turned) * over) @ v + (u * over) @ (near - turned @ v)
    return u @ v, u @ middle @ v + beyond


def range_of(matrix):
    """Singular vectors and values, 0 where the values count as 0."""
    u, s, v = singular(matrix)
    kept = s > (1e-6 if s.dtype == jnp.float64 else 1e-3) * s[0]
    return u * kept, s * kept, v * kept[:, None]


@jax.custom_jvp
def decomposed(matrix):
    """Eigenvalues and eigenvectors of a symmetric matrix; of several under `vmap` one after the other.

    jaxlib (0.10) shares a batch out to the threads that XLA runs on, and waits for it on one of these: as
    many batches at once as there are threads wait for ever.
    """
    return sequential_vmap(lambda own: tuple(jnp.linalg.eigh(own)))(matrix)


@decomposed.defjvp
def slope_of_decomposed(arguments, tangents):
    """JAX's own, which is none where two eigenvalues are the same."""
    return jax.jvp(lambda own: tuple(jnp.linalg.eigh(own)), arguments, tangents)


@jax.custom_jvp
def singular(matrix):
    """Singular vectors and values, as `decomposed`."""
    return sequential_vmap(lambda own: tuple(jnp.linalg.svd(own, full_matrices=False)))(matrix)


@singular.defjvp
def slope_of_singular(arguments, tangents):
    """JAX's own, which is none where two singular values are the same."""
    return jax.jvp(lambda own: tuple(jnp.linalg.svd(own, full_matrices=False)), arguments, tangents)


def gram_of(vectors, weights):
    """E x_i x_j of the rows of an array [K, M]."""
    return (vectors * weights) @ vectors.T


def cells(shape, rows, columns, coefficients):
    """Coefficients at their places in an array of zeros."""
    return jnp.zeros(shape, coefficients.dtype).at[rows, columns].add(coefficients)


def grown(gram, vectors, weights, places):
    """The array E x_i x_j with rows and columns for the vectors at some places."""
    found = (vectors[places] * weights) @ vectors.T
    return gram.at[places].set(found).at[:, places].set(found.T)


def grown_in_blocks(gram, history, new, weights, places, count):
    """The same by a history of vectors; those at the places are `new` [K, M]. count: the steps so far."""
    found = jax.vmap(lambda x: products(history, weights * x, count).reshape(-1))(new)
    return gram.at[places].set(found).at[:, places].set(found.T)


def flat(array):
    """An array [..., M] as rows [K, M]."""
    return array.reshape(-1, array.shape[-1])


def newton_schulz_in_factors(table, rows, columns, steps, a, b, c):
    """`newton_schulz` of M = Σ C_ij x_i yᵀ_j by the inner products of the x and of the y: also an array C.

    The iteration is that of M, so that rounding does not grow: Y Yᵀ Y has L C, L = C ⟨y, y⟩ Cᵀ ⟨x, x⟩.
    """

    def step(_, table):
        """One of the iteration."""
        inner = table @ columns @ table.T @ rows
        once = inner @ table
        return a * table + b * once + c * inner @ once

    square = jnp.sum((rows @ table @ columns) * table)
    table = table / (jnp.sqrt(jnp.maximum(square, 0)) + 1e-7)
    return lax.fori_loop(0, steps, step, table)


@jax.custom_jvp
def polar_in_factors(table, rows, columns):
    """`polar` of M = Σ C_ij x_i yᵀ_j by the inner products of the x and of the y: also an array C.

    It is (M Mᵀ)^(−3/2) M Mᵀ M. With C ⟨y, y⟩ Cᵀ = F Fᵀ, M Mᵀ has the eigenvalues of Fᵀ ⟨x, x⟩ F.
    """
    near, values = range_in_factors(table, rows, columns)
    return (near * power_of_kept(values, 1.5)) @ near.T @ rows @ table


@polar_in_factors.defjvp
def slope_of_polar_in_factors(arguments, tangents):
    """By divided differences, which need no derivative of eigenvectors.

    It is f(N) C, N = C ⟨y, y⟩ Cᵀ ⟨x, x⟩ and f(s) = s^(−1/2), 0 near 0. f(N) moves with E = N′ by T E + E T +
    G (B ∘ (Gᵀ⟨x, x⟩ E G)) Gᵀ⟨x, x⟩, T = G b Gᵀ⟨x, x⟩, b_i = f[0, 0, s_i] and B_ij = f[0, 0, s_i, s_j]: a
    contour integral of f by the resolvent of N.
    """
    (table, rows, columns), (moved, of_rows, of_columns) = arguments, tangents
    near, values = range_in_factors(table, rows, columns)
    whole, other, half = table @ columns @ table.T, near.T @ rows, moved @ columns @ table.T
    slope = (half + half.T + table @ of_columns @ table.T) @ rows + whole @ of_rows
    a, b = power_of_kept(values, -0.5)[:, None], power_of_kept(values, -0.5)
    both = (a > 0) & (b > 0)
    a, b = jnp.where(both, a, 1), jnp.where(both, b, 1)
    twice = -(a**4 + a**3 * b + a**2 * b**2 + a * b**3 + b**4) / (a**5 * b**5 * (a + b))
    once = (near * power_of_kept(values, 2.5)) @ other
    power = (near * power_of_kept(values, 1.5)) @ other
    middle = jnp.where(both, twice, 0) * (other @ slope @ near)
    moving = once @ slope + slope @ once + near @ middle @ other
    return power @ table, moving @ table + power @ moved


def range_in_factors(table, rows, columns):
    """The vectors G = F V and eigenvalues of `polar_in_factors`, these 0 where they count as 0."""
    values, vectors = decomposed(table @ columns @ table.T)
    root = vectors * jnp.sqrt(jnp.maximum(values, 0))
    values, vectors = decomposed(root.T @ rows @ root)
    kept = values > (1e-6 if values.dtype == jnp.float64 else 1e-3) ** 2 * values[-1]
    return root @ vectors, jnp.where(kept, values, 0)


def power_of_kept(values, power):
    """s^(−p), 0 of what is 0."""
    return jnp.where(values > 0, jnp.where(values > 0, values, 1) ** -power, 0)


def so_far(function, count, steps, table, *others):
    """A function of a table and of two arrays of inner products, of which `count` of all steps are there.

    The rows and columns of the other steps are 0, and left out by parts.
    """
    length = max(-(-steps // BLOCKS), -(-BLOCK * steps // (4 * max(table.shape))))
    if length >= steps:
        return function(table, *others)
    grams, options = others[:2], others[2:]

    def part(ends):
        """The function of the table up to a step."""
        rows, columns = (size * ends // steps for size in table.shape)
        found = function(
            table[:rows, :columns], grams[0][:rows, :rows], grams[1][:columns, :columns], *options
        )
        return jnp.zeros_like(table).at[:rows, :columns].set(found)

    ends = [min(start + length, steps) for start in range(0, steps, length)]
    return lax.switch((count - 1) // length, [lambda end=end: part(end) for end in ends])
