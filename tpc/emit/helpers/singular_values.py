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
    over = inverse_of_kept(s)
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
    """`polar` of M = Σ C_ij x_i yᵀ_j by the inner products of the x and of the y: also an array C."""
    left, _, right = triple_in_factors(table, rows, columns)
    return left @ right.T


@polar_in_factors.defjvp
def slope_of_polar_in_factors(arguments, tangents):
    """The derivative of G Hᵀ, which needs none of singular vectors.

    With M̃ = Gᵀ ⟨x, x⟩ C′ ⟨y, y⟩ H it is G K Hᵀ, K_ij = (M̃ − M̃ᵀ − X s_i − Y s_j)_ij/(s_i + s_j), where
    X = Gᵀ ⟨x, x⟩′ G, Y = Hᵀ ⟨y, y⟩′ H, and C′ over s beyond the range of C: what is 0 of the singular values
    stays 0.
    """
    left, s, right = triple_in_factors(*arguments)
    moved, x, y = tangents[0], left.T @ tangents[1] @ left, right.T @ tangents[2] @ right
    near, far = left.T @ arguments[1], arguments[2] @ right
    turned, over = near @ moved @ far, inverse_of_kept(s)
    both = (s > 0)[:, None] & (s > 0)
    changed = turned - turned.T - x * s[:, None] - y * s
    middle = jnp.where(both, changed / jnp.where(both, s[:, None] + s, 1), 0)
    beyond = (moved @ far - left @ turned) * over @ right.T
    across = left * over @ (near @ moved - turned @ right.T)
    return left @ right.T, left @ middle @ right.T + beyond + across


@jax.custom_jvp
def triple_in_factors(table, rows, columns):
    """G, s and H: Σ G_ik x_i are left singular vectors of M = Σ C_ij x_i yᵀ_j, Σ H_jk y_j right ones.

    With Eᵀ E = ⟨x, x⟩ and Fᵀ F = ⟨y, y⟩, M has the singular values of E C Fᵀ. Where these count as 0, so are
    G and H.
    """
    near, far = root_of_gram(rows), root_of_gram(columns)
    u, s, v = range_of(near @ table @ far.T)
    over = inverse_of_kept(s)
    return table @ far.T @ v.T * over, s, table.T @ near.T @ u * over


@triple_in_factors.defjvp
def slope_of_triple_in_factors(arguments, tangents):
    """The derivatives of G, s and H, which do not exist where two singular values are the same."""
    (table, rows, columns), (moved, of_rows, of_columns) = arguments, tangents
    left, s, right = found = triple_in_factors(*arguments)
    near, far, of_near, of_far = left.T @ rows, columns @ right, of_rows @ left / 2, of_columns @ right / 2
    turned, x, y = near @ moved @ far, left.T @ of_near, right.T @ of_far
    whole = turned + x * s + y * s[:, None]
    other = (s > 0)[:, None] & (s > 0) & ~jnp.eye(len(s), dtype=bool)
    apart = jnp.where(other, 1 / jnp.where(other, s**2 - s[:, None] ** 2, 1), 0)
    of_left = left @ (apart * (whole * s + s[:, None] * whole.T) - x)
    of_right = right @ (apart * (s[:, None] * whole + whole.T * s) - y)
    beyond = moved @ far + table @ of_far - left @ (turned + y * s[:, None])
    across = moved.T @ near.T + table.T @ of_near - right @ (turned.T + x * s[:, None])
    over = inverse_of_kept(s)
    return found, (of_left + beyond * over, jnp.diagonal(whole), of_right + across * over)


def root_of_gram(gram):
    """Some F with Fᵀ F = R, by vectors of length 1: the sizes of others have no part in the rounding.

    A direction that rounding may have made counts as 0.
    """
    length = jnp.sqrt(jnp.maximum(jnp.diagonal(gram), 0))
    over = inverse_of_kept(length)
    values, vectors = decomposed(gram * over * over[:, None])
    known = values > 4 * len(values) * jnp.finfo(values.dtype).eps * values[-1]
    return jnp.sqrt(jnp.where(known, values, 0))[:, None] * vectors.T * length


def inverse_of_kept(values):
    """1/s, 0 of what is 0."""
    return jnp.where(values > 0, 1 / jnp.where(values > 0, values, 1), 0)


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
