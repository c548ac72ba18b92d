"""Products of matrices with vectors: what a matrix has met, and what it makes of it. Tested as code."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

BLOCK, BLOCKS = 128, 8


# ---- copied
class Basis(NamedTuple):
    """Orthonormal directions that a matrix has met, in blocks of rows.

    Beside each is the standard Gaussian that the matrix sends it to.
    """

    p: tuple  # of [..., rows, M]: the directions, 0 where not met yet
    g: tuple  # of [..., rows, M]: the Gaussians
    count: jax.Array  # [...]: how many directions have been met
    lost: jax.Array  # [...]: the greatest relative norm of a component that was dropped
    # [..., capacity]: the greatest coordinate, by size, that a vector had on each direction when it was met
    # or later
    reach: jax.Array


def basis(gaussians, *axes, size=None):
    """An empty basis over the rows of `gaussians` [*axes*capacity, M].

    One per member of a family of matrices. size: of its directions, if not M.
    """
    g = gaussians.reshape(*axes, -1 if gaussians.size else 0, gaussians.shape[-1])
    capacity = g.shape[-2]
    rows = max(BLOCK, -(-capacity // BLOCKS))
    g = tuple(jnp.split(g, list(range(rows, capacity, rows)), axis=-2))
    p = tuple(jnp.zeros((*block.shape[:-1], size or block.shape[-1]), block.dtype) for block in g)
    return Basis(
        p,
        g,
        jnp.zeros(axes, jnp.int32),
        jnp.zeros(axes, g[0].dtype),
        jnp.zeros((*axes, capacity), g[0].dtype),
    )


def starts(basis):
    """Where the blocks of a basis begin, and where the last one ends."""
    return [0, *np.cumsum([p.shape[0] for p in basis.p]).tolist()]


def coordinates(basis, rows, wx):
    """The inner products of wx/weights, [M] or [M, B], with `rows` of a basis, by blocks.

    Those of blocks that are not begun are 0.
    """
    found = [rows[0] @ wx]
    for block, start in list(zip(rows, starts(basis), strict=False))[1:]:
        nothing = jnp.zeros((len(block), *wx.shape[1:]), wx.dtype)
        found.append(
            lax.cond(basis.count > start, lambda block=block: block @ wx, lambda nothing=nothing: nothing)
        )
    return found


def combination(basis, rows, found):
    """The vector, [M] or [B, M], with the coordinates `found` on `rows` of a basis."""
    # transposed before the product, not in it, which is half as fast
    found = [lax.optimization_barrier(c.T) for c in found]
    total = found[0] @ rows[0]
    for c, block, start in list(zip(found, rows, starts(basis), strict=False))[1:]:
        total = lax.cond(
            basis.count > start, lambda total, c=c, block=block: total + c @ block, lambda total: total, total
        )
    return total


def projected(chain, x, weights):
    """The coordinates of x, [M] or [B, M], on the bases of `chain`, and what is left of x."""
    found = [coordinates(b, b.p, (x * weights).T) for b in chain]
    return found, x - sum(combination(b, b.p, c) for b, c in zip(chain, found, strict=True))


def least(weights, tolerance, noise):
    """The squared relative norm from which on a direction is new.

    Far enough above rounding, and above the noise of inner products.
    """
    return jnp.maximum(tolerance**2, noise * jnp.sum(weights * weights) / 10)


def reached(basis, found):
    """How far vectors with the coordinates `found`, by blocks, and those before them reach.

    found: [rows] or [rows, B].
    """
    now = jnp.abs(jnp.concatenate(found))
    return jnp.maximum(basis.reach, now if now.ndim == 1 else jnp.max(now, axis=1))


def meet(chain, x, weights, tolerance, noise=0.0):
    """The coordinates of `x` on the bases of `chain`, and the chain with what is new of `x`.

    That is added to its last basis (Gram–Schmidt, twice).
    """
    found, rest = projected(chain, x, weights)
    again, rest = projected(chain, rest, weights)
    found = jax.tree.map(jnp.add, found, again)
    size, scale = rest @ (weights * rest), x @ (weights * x)
    last = chain[-1]
    capacity = starts(last)[-1]
    if capacity == 0:
        return found, chain
    new = size > least(weights, tolerance, noise) * scale
    room = last.count < capacity
    met = new & room
    norm = jnp.sqrt(jnp.where(met, size, 1))
    slot = jnp.where(met, last.count, capacity)
    found[-1] = [
        c + jnp.where(start + jnp.arange(len(c)) == slot, norm, 0)
        for c, start in zip(found[-1], starts(last), strict=False)
    ]
    dropped = lax.stop_gradient(jnp.where(new & ~room, size / jnp.where(scale > 0, scale, 1), 0))
    lost = jnp.maximum(last.lost, jnp.sqrt(dropped))
    rows = written(last, (rest / norm)[None], slot[None])
    return found, (*chain[:-1], Basis(rows, last.g, last.count + met, lost, reached(last, found[-1])))


def written(basis, rows, slots):
    """The directions of a basis with `rows` [B, M] put in their places.

    Those beyond the last one are left out.
    """
    out = []
    for block, start in zip(basis.p, starts(basis), strict=False):
        own = jnp.where(slots >= start, slots - start, len(block))
        out.append(block.at[own].set(rows, mode="drop"))
    return tuple(out)


def onsager(far, x, weights, noise=0.0):
    """Ż / its factor, for x [M] or [B, M].

    Σ_r ⟨g_r, x⟩ p_r over the bases of the transpose, each ⟨g_r, x⟩ shrunk by how much of it is noise.

    By Stein's lemma the true ⟨g_r, x⟩ is of the order of what `reach` says of direction r, however small; an
    inner product taken on sampled points has an error of the order of the part of x that is not linear in the
    Gaussians, over √M, in every direction. Without the shrinking (Wiener's factor) a direction that is hardly
    there counts as much as any other, and what the errors make is new directions for the next step.
    """
    found = [coordinates(b, b.g, (x * weights).T) for b in far]
    if noise:
        linear = sum(jnp.sum(c * c, axis=0) for own in found for c in own)
        error = (
            noise * jnp.sum(weights * weights) * jnp.maximum(jnp.sum(x * weights * x, axis=-1) - linear, 0)
        )
        found = [shrunk(b, own, error) for b, own in zip(far, found, strict=True)]
    return sum(combination(b, b.p, c) for b, c in zip(far, found, strict=True))


def shrunk(basis, found, error):
    """Inner products with the Gaussians of a basis, by blocks, less their share of `error`.

    That is a number or [B], in units of their expected squares.
    """
    out = []
    for c, start in zip(found, starts(basis), strict=False):
        expected = basis.reach[start : start + len(c)].reshape(-1, *(1,) * (c.ndim - 1)) ** 2
        out.append(c * expected / jnp.where(expected > 0, expected + error, 1))
    return out


def multiply(near, far, x, hat, dot, weights, tolerance, noise=0.0):
    """Z^{Wx} = Ẑ + Ż, and the bases that W has met.

    near, far: those of W and of its transpose; hat, dot: the factors of the two sums.

    noise: the squared error of inner products on sampled points, in units of that on independent ones; 0
    where they are exact.
    """
    found, near = meet(near, x, weights, tolerance, noise)
    gaussian = sum(combination(b, b.g, c) for b, c in zip(near, found, strict=True))
    return hat * gaussian + dot * onsager(far, x, weights, noise), near


def member(chain, *index):
    """The bases of one matrix of a family."""
    return jax.tree.map(lambda a: a[index], chain)


def replaced(chain, part, *index):
    """The bases of a family with those of one matrix replaced; the Gaussians stay."""

    def put(all_of_them, one):
        """The arrays of all matrices with those of the one."""
        return jax.tree.map(lambda a, b: a.at[index].set(b), all_of_them, one)

    return tuple(
        a._replace(
            **{name: put(getattr(a, name), getattr(b, name)) for name in ("p", "count", "lost", "reach")}
        )
        for a, b in zip(chain, part, strict=True)
    )


def interleaved(*counts):
    """The places of several groups of rows in one list, the first rows of all groups first.

    Then the second ones, and so on.
    """
    order = sorted((row, group) for group, count in enumerate(counts) for row in range(count))
    return [
        np.array([place for place, (_, of) in enumerate(order) if of == group], dtype=int)
        for group in range(len(counts))
    ]
