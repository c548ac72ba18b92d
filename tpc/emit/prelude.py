"""The numerical helpers that are copied into every emitted module (the part below the line). Tested as code."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# ---- copied from here on


class Basis(NamedTuple):
    """Orthonormal directions that a matrix has met, and the standard Gaussian that it sends each of them to."""

    p: jax.Array        # [..., capacity, M]: the directions, 0 where not met yet
    g: jax.Array        # [..., capacity, M]: the Gaussians
    count: jax.Array    # [...]: how many directions have been met
    lost: jax.Array     # [...]: the greatest relative norm of a component that was dropped


def basis(gaussians, *axes):
    """An empty basis over the rows of `gaussians` [*axes*capacity, M], one per member of a family of matrices."""
    g = gaussians.reshape(*axes, -1 if gaussians.size else 0, gaussians.shape[-1])
    return Basis(jnp.zeros_like(g), g, jnp.zeros(axes, jnp.int32), jnp.zeros(axes, g.dtype))


def meet(chain, x, weights, tolerance):
    """The coordinates of `x` on the bases of `chain`, and the chain with what is new of `x` added to its last basis (Gram–Schmidt, twice)."""
    wx = weights * x
    coordinates = [b.p @ wx for b in chain]
    rest = x - sum(c @ b.p for c, b in zip(coordinates, chain, strict=True))
    again = [b.p @ (weights * rest) for b in chain]
    rest = rest - sum(c @ b.p for c, b in zip(again, chain, strict=True))
    coordinates = [c + d for c, d in zip(coordinates, again, strict=True)]
    size, scale = rest @ (weights * rest), x @ wx
    last = chain[-1]
    capacity = last.p.shape[0]
    if capacity == 0:
        return coordinates, chain
    new = size > tolerance**2 * scale
    room = last.count < capacity
    met = new & room
    norm = jnp.sqrt(jnp.where(met, size, 1))
    slot = jnp.minimum(last.count, capacity - 1)
    row = jnp.where(met, rest / norm, last.p[slot])
    coordinates[-1] = coordinates[-1] + jnp.where((jnp.arange(capacity) == slot) & met, norm, 0)
    dropped = lax.stop_gradient(jnp.where(new & ~room, size / jnp.where(scale > 0, scale, 1), 0))
    lost = jnp.maximum(last.lost, jnp.sqrt(dropped))
    grown = Basis(lax.dynamic_update_index_in_dim(last.p, row, slot, 0), last.g, last.count + met, lost)
    return coordinates, (*chain[:-1], grown)


def multiply(near, far, x, hat, dot, weights, tolerance):
    """Z^{Wx} = Ẑ + Ż, and the bases that W has met. near, far: those of W and of its transpose; hat, dot: the factors of the two sums."""
    coordinates, near = meet(near, x, weights, tolerance)
    gaussian = sum(c @ b.g for c, b in zip(coordinates, near, strict=True))
    wx = weights * x
    onsager = sum((b.g @ wx) @ b.p for b in far)
    return hat * gaussian + dot * onsager, near


def eliminate(gram, least):
    """Rows with the Gram matrix `gram` freed from the rows before them: the combinations [B, B], and the squared norms of what remains.

    A row of which less than `least` remains is freed, but the others are not freed from it.
    """
    places = jnp.arange(gram.shape[0])

    def turn(k, state):
        gram, change, sizes = state
        size = gram[k, k]
        share = jnp.where((places > k) & (size > least), gram[:, k] / jnp.where(size > least, size, 1), 0)
        return gram - jnp.outer(share, gram[k]), change - jnp.outer(share, change[k]), sizes.at[k].set(size)
    return lax.fori_loop(0, len(gram), turn, (gram, jnp.eye(len(gram), dtype=gram.dtype), jnp.diag(gram)))[1:]


def orthonormal(rows, floor, weights, tolerance):
    """`rows` [B, M] made orthonormal in their order, 0 where what is new of one has a squared norm below `floor` [B].

    Cholesky's elimination on the Gram matrix, again and again until nothing is left to do: what is nearly dependent gains digits every time.
    """
    def unit(rows, norms):
        size = (rows * rows) @ weights
        norms = norms * jnp.sqrt(size)
        there = (norms * norms > floor) & (size > 0)
        return jnp.where(there[:, None], rows / jnp.sqrt(jnp.where(there, size, 1))[:, None], 0), norms

    def turn(state):
        rows, norms, _, turns = state
        change, sizes = eliminate((rows * weights) @ rows.T, tolerance)
        done = jnp.all((sizes > 0.5) | ~jnp.any(rows, axis=1))
        return *unit(change @ rows, norms), done, turns + 1
    state = *unit(rows, jnp.ones_like(floor)), False, 0
    return lax.while_loop(lambda state: ~state[2] & (state[3] < len(rows) + 3), turn, state)[0]


@jax.custom_jvp
def directions(rest, bases, floor, weights, tolerance):
    """Orthonormal rows for what vectors have beyond `bases`, whose parts in these have been taken from them: Gram–Schmidt in blocks, twice."""
    rows = orthonormal(rest, floor, weights, tolerance)
    rows = rows - sum(((rows * weights) @ p.T) @ p for p in bases)
    return orthonormal(rows, jnp.full_like(floor, 0.25), weights, tolerance)


@directions.defjvp
def directions_jvp(primals, tangents):
    """The derivative in `rest` = L·rows: of rows that were dropped it is 0."""
    rest, _, _, weights, _ = primals
    rows, change = directions(*primals), tangents[0]
    there = jnp.any(rows, axis=1)
    lower = jnp.tril((rest * weights) @ rows.T) + jnp.diag(jnp.where(there, 0, 1).astype(rows.dtype))
    change = jnp.where(there[:, None], lax.linalg.triangular_solve(lower, change, left_side=True, lower=True), 0)
    above = jnp.triu((change * weights) @ rows.T, 1)
    below = jnp.tril((change * weights) @ rows.T)
    return rows, change - (below + above.T) @ rows


def meet_all(chain, xs, weights, tolerance):
    """`meet` for the rows of `xs` [B, M], one after the other: coordinates on the bases as they were, those on new directions, their Gaussians."""
    wxs = xs * weights
    coordinates = [wxs @ b.p.T for b in chain]
    rest = xs - sum(c @ b.p for c, b in zip(coordinates, chain, strict=True))
    scale = jnp.sum(wxs * xs, axis=1)
    last = chain[-1]
    capacity = last.p.shape[0]
    still = lax.stop_gradient((tuple(b.p for b in chain), tolerance**2 * scale, scale))
    rows = directions(rest, still[0], still[1], weights, tolerance)
    found = jnp.any(rows, axis=1)
    slots = last.count + jnp.cumsum(found, dtype=jnp.int32) - found
    met = found & (slots < capacity)
    own = jnp.tril((rest * weights) @ rows.T)
    without = lax.stop_gradient(jnp.sum(jnp.where(met, 0, own) ** 2, axis=1)) / jnp.where(scale > 0, still[2], 1)
    lost = jnp.maximum(last.lost, jnp.sqrt(jnp.max(jnp.where(without > tolerance**2, without, 0))))
    own, slots = jnp.where(met, own, 0), jnp.where(met, slots, capacity)
    grown = Basis(last.p.at[slots].set(rows, mode="drop"), last.g, last.count + jnp.sum(met, dtype=jnp.int32), lost)
    return coordinates, own, last.g.at[slots].get(mode="fill", fill_value=0), (*chain[:-1], grown)


def multiply_all(near, far, xs, hat, dot, weights, tolerance):
    """`multiply` for the rows of `xs` [B, M], one after the other."""
    onsager = sum(((xs * weights) @ b.g.T) @ b.p for b in far)
    coordinates, own, fresh, grown = meet_all(near, xs, weights, tolerance)
    gaussian = own @ fresh + sum(c @ b.g for c, b in zip(coordinates, near, strict=True))
    return hat * gaussian + dot * onsager, grown


def member(chain, *index):
    """The bases of one matrix of a family."""
    return jax.tree.map(lambda a: a[index], chain)


def replaced(chain, part, *index):
    """The bases of a family with those of one matrix replaced."""
    return jax.tree.map(lambda a, b: a.at[index].set(b), chain, part)


def sqrt_psd(covariance):
    """A lower triangular square root of a small positive semidefinite matrix, singular ones included, with finite derivatives."""
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


def interleaved(*counts):
    """The places of several groups of rows in one list, the first rows of all groups first, then the second ones, and so on."""
    order = sorted((row, group) for group, count in enumerate(counts) for row in range(count))
    return [np.array([place for place, (_, of) in enumerate(order) if of == group], dtype=int) for group in range(len(counts))]


def total(f, count, greatest):
    """Σ_{s < count} f(s), at most `greatest` terms."""
    terms = jax.vmap(f)(jnp.arange(greatest))
    keep = (jnp.arange(greatest) < count).reshape(-1, *(1,) * (terms.ndim - 1))
    return jnp.sum(jnp.where(keep, terms, 0), axis=0)


def rounds(count, greatest, body, state):
    """`body(t, state)` for t < count ≤ greatest, a fixed number of turns, so that it can be differentiated backwards."""
    return lax.fori_loop(0, greatest, lambda t, s: lax.cond(t < count, body, lambda _, s: s, t, s), state)


def before(count, coefficients, length=None):
    """Coefficients of a sum over s < count, their first axis: 0 from there on, up to `length`."""
    turns = jnp.arange(coefficients.shape[0]).reshape(-1, *(1,) * (coefficients.ndim - 1))
    kept = jnp.where(turns < count, coefficients, 0)
    return kept if length is None else jnp.pad(kept, ((0, length - kept.shape[0]), *((0, 0),) * (kept.ndim - 1)))


def as_outputs(values, dtype):
    """Outputs as arrays of one precision, constants included."""
    return {name: jnp.asarray(value, dtype) for name, value in values.items()}
