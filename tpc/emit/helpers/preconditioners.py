"""Powers of positive semidefinite tables, whose entries lie over weighted points. Tested as code."""

import jax
import jax.numpy as jnp

from tpc.emit.helpers.singular_values import decomposed


# ---- copied
def gram_over(table, weights):
    """A Aᵀ of the operator of a table [M, M'], weights being those of its columns."""
    return (table * weights) @ table.T


def gram_in_factors(table, gram):
    """A Aᵀ of A = Σ C_ij x_i yᵀ_j by the inner products of the y: the array of x_i xᵀ_j."""
    return table @ gram @ table.T


def preconditioned(table, left, right, weights, columns, eps, power):
    """(ε + L)^(−p) A (ε + R)^(−p) of the operators of tables [M, M'], [M, M] and [M', M'].

    L and R count as symmetric, and what is below 0 in them as 0.
    """
    rows, columns = jnp.sqrt(weights)[:, None], jnp.sqrt(columns)
    near = power_of_symmetric(rows * left * rows.T, eps, power)
    far = power_of_symmetric(columns[:, None] * right * columns, eps, power)
    return near @ (rows * table * columns) @ far / (rows * columns)


def preconditioned_in_factors(table, left, right, rows, columns, eps, power):
    """`preconditioned` of A = Σ C_ij x_i yᵀ_j, L of x and R of y, by their inner products: an array C."""
    near = power_in_factors(left, rows, eps, power)
    far = power_in_factors(right, columns, eps, power)
    return near @ table @ far.T


@jax.custom_jvp
def power_of_symmetric(matrix, eps, power):
    """(ε + L)^(−p) of a symmetric matrix, its eigenvalues below 0 counted as 0."""
    vectors, values = spectrum(matrix)
    return (vectors * (eps + values) ** -power) @ vectors.T


@power_of_symmetric.defjvp
def slope_of_power(arguments, tangents):
    """Eigenvectors have no derivative where eigenvalues meet, and the power has one (Daleckii and Krein)."""
    matrix, eps, power = arguments
    vectors, values = spectrum(matrix)
    turned = vectors.T @ (tangents[0] + tangents[0].T) / 2 @ vectors
    weights, at = resolvents(values, eps, power)
    by_scalars = jax.jvp(lambda *own: (own[0] + values) ** -own[1], (eps, power), tangents[1:])[1]
    middle = jnp.diag(by_scalars) - eps ** (-power - 1) * turned * ((at * weights) @ at.T)
    return (vectors * (eps + values) ** -power) @ vectors.T, vectors @ middle @ vectors.T


def spectrum(matrix):
    """The eigenvectors and the eigenvalues of the symmetric part, those below 0 counted as 0."""
    values, vectors = decomposed((matrix + matrix.T) / 2)
    return vectors, jnp.maximum(values, 0)


@jax.custom_jvp
def power_in_factors(table, gram, eps, power):
    """The array P of (ε + L)^(−p) x_j = Σ_i P_ij x_i, L = Σ C_ij x_i xᵀ_j, by the inner products of the x.

    With ⟨x, x⟩ = F Fᵀ, L has the eigenvalues s of Fᵀ C F = V s Vᵀ, and P = ε^(−p) + C G h(s) Gᵀ, G = F V,
    h(s) = ((ε + s)^(−p) − ε^(−p))/s.
    """
    table = (table + table.T) / 2
    near, values = spectrum_in_factors(table, gram)
    return from_spectrum(table, near, values, eps, power)


@power_in_factors.defjvp
def slope_of_power_in_factors(arguments, tangents):
    """By the divided differences of f(s) = (ε + s)^(−p), which need no derivative of eigenvectors.

    f(N), N = C ⟨x, x⟩, moves with E = N′ by f[0, 0] E + Q b Gᵀ E + E Q b Gᵀ + Q (B ∘ Gᵀ E Q) Gᵀ, Q = C G,
    b_i = f[0, 0, s_i] and B_ij = f[0, 0, s_i, s_j]: a contour integral of f by the resolvent of N.
    """
    table, gram, eps, power = arguments
    table = (table + table.T) / 2
    near, values = spectrum_in_factors(table, gram)
    far, other = table @ near, near.T
    moved = (tangents[0] + tangents[0].T) / 2 @ gram + table @ tangents[1]
    weights, at = resolvents(values, eps, power)
    weights = weights / (1 + jnp.exp(steps_of_resolvents(eps))) ** 2
    once = eps ** (-power - 2) * (at @ weights)
    twice = eps ** (-power - 3) * ((at * weights) @ at.T)
    slope = -power * eps ** (-power - 1) * moved + (far * once) @ (other @ moved)
    slope = slope + (moved @ far * once) @ other - far @ (twice * (other @ moved @ far)) @ other
    scalars = jax.jvp(lambda *own: from_spectrum(table, near, values, *own), (eps, power), tangents[2:])[1]
    return from_spectrum(table, near, values, eps, power), slope + scalars


def spectrum_in_factors(table, gram):
    """G and s of `power_in_factors`, of a symmetric array."""
    values, vectors = decomposed(gram)
    root = vectors * jnp.sqrt(jnp.maximum(values, 0))
    turned, values = spectrum(root.T @ table @ root)
    return root @ turned, values


def from_spectrum(table, near, values, eps, power):
    """P of `power_in_factors`; h without a difference of what is nearly the same."""
    there = values > 0
    values = jnp.where(there, values, 1)
    slopes = jnp.where(there, jnp.expm1(-power * jnp.log1p(values / eps)) / values, 0)
    return eps**-power * (jnp.eye(len(table), dtype=table.dtype) + table @ (near * slopes) @ near.T)


def steps_of_resolvents(eps):
    """The logarithms of the points u of `resolvents`."""
    return jnp.arange(-160, 81, dtype=jnp.result_type(eps, float)) / 2


def resolvents(values, eps, power):
    """Weights w [Q] and arrays r [K, Q] of (1 + s/ε)^(−p) = Σ_q w_q r_q(s), r_q(s) = 1/(1 + s/ε + u_q).

    The integral (sin πp)/π ∫ u^(−p)/(1 + s + u) du by trapezoids in log u, p between 0 and 1: exact but for
    rounding up to p = 1/2. Divided differences of it are sums of products of r.
    """
    steps = steps_of_resolvents(eps)
    weights = jnp.sin(jnp.pi * power) / jnp.pi * jnp.exp((1 - power) * steps) / 2
    return jnp.where(power < 1, weights, jnp.nan), 1 / (1 + values[:, None] / eps + jnp.exp(steps))
