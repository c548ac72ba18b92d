"""Products of a matrix with many vectors at once, the rows of an array. Tested as code."""

import jax
import jax.numpy as jnp
from jax import lax

from tpc.emit.helpers.bases import (
    combination,
    images_of,
    projected,
    replaced,
    rows_at,
    selected,
    starts,
    written,
)

# ---- copied
LITTLE = 0.1  # the share of a vector that, where it is left, costs a digit of orthogonality


def eliminate(gram, least):
    """Rows with the Gram matrix `gram` freed from the rows before them.

    The combinations [B, B], and the squared norms of what remains.

    A row of which less than `least` [B] remains is freed, but the others are not freed from it.
    """
    places = jnp.arange(gram.shape[0])

    def turn(k, state):
        """Takes row k, which has been freed from those before it, from those after it."""
        gram, change, sizes = state
        size = gram[k, k]
        share = jnp.where(
            (places > k) & (size > least[k]), gram[:, k] / jnp.where(size > least[k], size, 1), 0
        )
        return gram - jnp.outer(share, gram[k]), change - jnp.outer(share, change[k]), sizes.at[k].set(size)

    return lax.fori_loop(0, len(gram), turn, (gram, jnp.eye(len(gram), dtype=gram.dtype), jnp.diag(gram)))[1:]


def orthonormal(rows, floor, weights, tolerance):
    """`rows` [B, M] made orthonormal in their order.

    0 where what is new of one has a squared norm below `floor` [B].

    Cholesky's elimination on the Gram matrix, again and again until nothing is left to do: what is nearly
    dependent gains digits every time.
    """

    def unit(rows, norms):
        """The rows with norm 1 or 0, and the norms that they had in all turns."""
        size = (rows * rows) @ weights
        norms = norms * jnp.sqrt(size)
        there = (norms * norms > floor) & (size > 0)
        return jnp.where(there[:, None], rows / jnp.sqrt(jnp.where(there, size, 1))[:, None], 0), norms

    def turn(state):
        """One elimination. It was the last one if the rows were all but orthonormal before."""
        rows, norms, _, turns = state
        dropped = floor / jnp.where(norms > 0, norms, 1) ** 2
        change, sizes = eliminate((rows * weights) @ rows.T, jnp.maximum(tolerance, dropped))
        done = jnp.all((sizes > 0.5) | ~jnp.any(rows, axis=1))
        return *unit(change @ rows, norms), done, turns + 1

    state = *unit(rows, jnp.ones_like(floor)), False, 0
    return lax.while_loop(lambda state: ~state[2] & (state[3] < len(rows) + 3), turn, state)[0]


@jax.custom_jvp
def directions(rest, chain, floor, weights, tolerance):
    """Orthonormal rows for what vectors have beyond the bases of `chain`, which they have been freed from.

    Gram–Schmidt in blocks, twice where little of a vector was left: rounding is as much larger then (Daniel,
    Gragg, Kaufman and Stewart, 1976).
    """
    rows = orthonormal(rest, floor, weights, tolerance)
    left = jnp.sum(rest * weights * rows, axis=1)
    little = jnp.any(jnp.any(rows, axis=1) & ((tolerance * left) ** 2 < LITTLE**2 * floor))

    def again(state):
        """Freed from what rounding has left of the bases."""
        freed = projected(chain, state[0], weights)[1]
        return orthonormal(freed, jnp.full_like(floor, 0.25), weights, tolerance), False

    # of a condition, vmap would give each round the bases of all
    return lax.while_loop(lambda state: state[1], again, (rows, little))[0]


@directions.defjvp
def directions_jvp(primals, tangents):
    """The derivative in `rest` = L·rows and in the weights: of rows that were dropped it is 0."""
    rest, _, _, weights, _ = primals
    rows, change = directions(*primals), tangents[0]
    there = jnp.any(rows, axis=1)
    lower = jnp.tril((rest * weights) @ rows.T) + jnp.diag(jnp.where(there, 0, 1).astype(rows.dtype))
    change = jnp.where(
        there[:, None], lax.linalg.triangular_solve(lower, change, left_side=True, lower=True), 0
    )
    turned = (change * weights) @ rows.T
    heavier = (rows * tangents[3]) @ rows.T
    below = jnp.tril(turned) + jnp.triu(turned, 1).T + jnp.tril(heavier) - jnp.diag(jnp.diag(heavier)) / 2
    return rows, change - below @ rows


def meet_all(chain, xs, weights, tolerance):
    """`meet` for the rows of `xs` [B, M], one after the other.

    Their coordinates on the bases as they were and on new directions [B, B], the chain with these, and the
    new directions, 0 where there is none, and their places.
    """
    found, rest = projected(chain, xs, weights)
    scale = jnp.sum(xs * weights * xs, axis=1)
    last = chain[-1]
    capacity, count = starts(last)[-1], selected(last, last.count)
    rows = directions(rest, *lax.stop_gradient((chain, tolerance**2 * scale)), weights, tolerance)
    there = jnp.any(rows, axis=1)
    slots = count + jnp.cumsum(there, dtype=jnp.int32) - there
    met = there & (slots < capacity)
    slots = jnp.where(met, slots, capacity)
    new = jnp.tril((rest * weights) @ rows.T)
    without = lax.stop_gradient(jnp.sum(jnp.where(met, 0, new) ** 2, axis=1) / jnp.where(scale > 0, scale, 1))
    lost = jnp.sqrt(jnp.max(jnp.where(without > tolerance**2, without, 0)))
    grown = last._replace(
        p=written(last, last.p, rows, slots),
        count=replaced(last, last.count, count + jnp.sum(met, dtype=jnp.int32)),
        lost=replaced(last, last.lost, jnp.maximum(selected(last, last.lost), lost)),
    )
    return found, jnp.where(met, new, 0), (*chain[:-1], grown), rows, slots


def multiply_all(near, far, xs, scale, ratio, weights, tolerance, freed=None):
    """`multiply` for the rows of `xs` [B, M], one after the other."""
    found, coordinates, near, rows, slots = meet_all(near, xs, weights, tolerance)
    last = near[-1]
    zhat = rows_at(last, last.g, slots)
    new = images_of(far, zhat, rows, ratio, weights, freed)
    if far:
        near = (*near[:-1], last._replace(g=written(last, last.g, new, slots)))
    old = sum(combination(b, b.g, c) for b, c in zip(near, found, strict=True))
    return scale * (old + coordinates @ new), near
