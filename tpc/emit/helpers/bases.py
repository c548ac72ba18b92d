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

    Beside each is what the matrix, but for a factor, sends it to.
    """

    p: tuple  # of [..., rows, M]: the directions, 0 where not met yet
    g: tuple  # of [..., rows, M]: their images, standard Gaussians where not met yet
    count: jax.Array  # [...]: how many directions have been met
    lost: jax.Array  # [...]: the greatest relative norm of a component that was dropped


def basis(gaussians, *axes, size=None):
    """An empty basis over the rows of `gaussians` [*axes*capacity, M].

    One per member of a family of matrices. size: of its directions, if not M.
    """
    g = gaussians.reshape(*axes, -1 if gaussians.size else 0, gaussians.shape[-1])
    capacity = g.shape[-2]
    rows = max(BLOCK, -(-capacity // BLOCKS))
    g = tuple(jnp.split(g, list(range(rows, capacity, rows)), axis=-2))
    p = tuple(jnp.zeros((*block.shape[:-1], size or block.shape[-1]), block.dtype) for block in g)
    return Basis(p, g, jnp.zeros(axes, jnp.int32), jnp.zeros(axes, g[0].dtype))


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


def meet(chain, x, weights, tolerance):
    """The coordinates of `x` on the bases of `chain`, and the chain with what is new of `x`.

    That is added to its last basis (Gram–Schmidt, twice). Then the new direction, and its place, which is
    beyond the last one if there is none.
    """
    found, rest = projected(chain, x, weights)
    again, rest = projected(chain, rest, weights)
    found = jax.tree.map(jnp.add, found, again)
    size, scale = rest @ (weights * rest), x @ (weights * x)
    last = chain[-1]
    capacity = starts(last)[-1]
    if capacity == 0:
        return found, chain, rest, 0
    new = size > tolerance**2 * scale
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
    direction = rest / norm
    rows = written(last, last.p, direction[None], slot[None])
    return found, (*chain[:-1], Basis(rows, last.g, last.count + met, lost)), direction, slot


def written(basis, blocks, rows, slots):
    """The directions of a basis, or their images, with `rows` [B, M] put in their places.

    Those beyond the last one are left out.
    """
    out = []
    for block, start in zip(blocks, starts(basis), strict=False):
        own = jnp.where(slots >= start, slots - start, len(block))
        out.append(block.at[own].set(rows, mode="drop"))
    return tuple(out)


def rows_at(basis, blocks, slots):
    """The rows [B, M] of the blocks of a basis at `slots`, 0 for those beyond the last one."""
    out = jnp.zeros((len(slots), blocks[0].shape[-1]), blocks[0].dtype)
    for block, start in zip(blocks, starts(basis), strict=False):
        own = jnp.where(slots >= start, slots - start, len(block))
        out = out + block.at[own].get(mode="fill", fill_value=0)
    return out


def images_of(far, zhat, rows, ratio, weights, freed):
    """Ẑ + Ż of new directions `rows`, [M] or [B, M], what a matrix sends them to; Ẑ is the Gaussian of each.

    The image of p is a Gaussian with the inner products that are known: ⟨q, Wp⟩ = ⟨Wᵀq, p⟩ for all q that
    the transpose has met. What it has by chance along these is taken out, where the points are not exact in
    that (`freed`, the weights of the points of images, not None). So Wᵀ is the transpose of W on every sample
    (conditioning, Bolthausen 2014), and by Stein's lemma the known part is Ż.
    """
    parts = [coordinates(b, b.g, ratio * (rows * weights).T) for b in far]
    if freed is not None:
        chance = [coordinates(b, b.p, (zhat * freed).T) for b in far]
        parts = jax.tree.map(jnp.subtract, parts, chance)
    zdot = sum(combination(b, b.p, c) for b, c in zip(far, parts, strict=True))
    return zhat + zdot


def multiply(near, far, x, scale, ratio, weights, tolerance, freed=None):
    """Z^{Wx} = Ẑ + Ż, and the bases that W has met.

    near, far: those of W and of its transpose. scale: the standard deviation σ of √columns W (of W's
    transpose, σ√(rows/columns)). ratio: √(columns/rows) (of the transpose, its inverse).
    freed: the weights of the points of Wx, None where inner products are exact.
    """
    found, near, direction, slot = meet(near, x, weights, tolerance)
    last = near[-1]
    if far and starts(last)[-1]:
        zhat = rows_at(last, last.g, slot[None])[0]
        new = images_of(far, zhat, direction, ratio, weights, freed)
        near = (*near[:-1], last._replace(g=written(last, last.g, new[None], slot[None])))
    return scale * sum(combination(b, b.g, c) for b, c in zip(near, found, strict=True)), near


def member(chain, *index):
    """The bases of one matrix of a family."""
    return jax.tree.map(lambda a: a[index], chain)


def replaced(chain, part, *index):
    """The bases of a family with those of one matrix replaced."""
    return jax.tree.map(lambda a, b: a.at[index].set(b), chain, part)


def interleaved(*counts):
    """The places of several groups of rows in one list, the first rows of all groups first.

    Then the second ones, and so on.
    """
    order = sorted((row, group) for group, count in enumerate(counts) for row in range(count))
    return [
        np.array([place for place, (_, of) in enumerate(order) if of == group], dtype=int)
        for group in range(len(counts))
    ]
