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

    Beside each is what the matrix, but for a factor, sends it to. Of a family of matrices it has those of
    all, so that one of them (`at`) can be read and written where they are.
    """

    p: tuple  # of [..., rows, M]: the directions, 0 where not met yet
    g: tuple  # of [..., rows, M]: their images, standard Gaussians where not met yet
    count: jax.Array  # [...]: how many directions have been met
    lost: jax.Array  # [...]: the greatest relative norm of a component that was dropped
    at: tuple = ()  # the index of the matrix that is meant, () for one that is in no family


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
    return [0, *np.cumsum([p.shape[-2] for p in basis.p]).tolist()]


def selected(basis, array):
    """What an array of a basis has of the matrix that is meant."""
    return array[basis.at] if basis.at else array


def replaced(basis, array, value):
    """Such an array with what it has of that matrix replaced."""
    return array.at[basis.at].set(value) if basis.at else value


def along(basis, turn, state):
    """What `turn` makes of `state`, block after block, of those that are begun.

    turn(k, state) is of block k of the directions, or of their images. One condition a block: what it does
    with a block, it does while that is in the cache.
    """
    count = selected(basis, basis.count)
    for k, start in enumerate(starts(basis)[:-1]):
        if k == 0:
            state = turn(0, state)
        else:
            state = lax.cond(count > start, lambda state, k=k: turn(k, state), lambda state: state, state)
    return state


def spanned(coordinates, rows):
    """The vector, [M] or [B, M], with coordinates [rows] or [rows, B] on `rows` [rows, M]."""
    if coordinates.ndim == 2 and coordinates.shape[1] <= 8:
        # turned before the product: in it, that is half as fast for few vectors
        return jnp.stack([coordinates[:, k] for k in range(coordinates.shape[1])]) @ rows
    return coordinates.T @ rows


def combination(basis, rows, found):
    """The vector, [M] or [B, M], with the coordinates `found` on `rows` of a basis."""
    nothing = jnp.zeros((*found[0].shape[1:], rows[0].shape[-1]), rows[0].dtype)
    return along(basis, lambda k, total: total + spanned(found[k], selected(basis, rows[k])), nothing)


def projected(chain, x, weights):
    """The coordinates of x, [M] or [B, M], on the bases of `chain`, by blocks, and what is left of x.

    Those of blocks that are not begun are 0.
    """
    wx, rest, all_found = x * weights, x, []
    for b in chain:

        def turn(k, state, b=b):
            """What block k has of x."""
            rest, found = state
            block = selected(b, b.p[k])
            c = block @ wx.T
            return rest - spanned(c, block), (*found[:k], c, *found[k + 1 :])

        nothing = tuple(jnp.zeros((block.shape[-2], *wx.shape[:-1]), wx.dtype) for block in b.p)
        rest, found = along(b, turn, (rest, nothing))
        all_found.append(list(found))
    return all_found, rest


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
    count = selected(last, last.count)
    room = count < capacity
    met = new & room
    norm = jnp.sqrt(jnp.where(met, size, 1))
    slot = jnp.where(met, count, capacity)
    found[-1] = [
        c + jnp.where(start + jnp.arange(len(c)) == slot, norm, 0)
        for c, start in zip(found[-1], starts(last), strict=False)
    ]
    dropped = lax.stop_gradient(jnp.where(new & ~room, size / jnp.where(scale > 0, scale, 1), 0))
    direction = rest / norm
    grown = last._replace(
        p=written(last, last.p, direction[None], slot[None]),
        count=replaced(last, last.count, count + met),
        lost=replaced(last, last.lost, jnp.maximum(selected(last, last.lost), jnp.sqrt(dropped))),
    )
    return found, (*chain[:-1], grown), direction, slot


def written(basis, blocks, rows, slots):
    """The directions of a basis, or their images, with `rows` [B, M] put in their places.

    Those beyond the last one are left out.
    """
    out = []
    for block, start in zip(blocks, starts(basis), strict=False):
        places = jnp.where(slots >= start, slots - start, block.shape[-2])
        out.append(block.at[(*basis.at, places)].set(rows, mode="drop"))
    return tuple(out)


def rows_at(basis, blocks, slots):
    """The rows [B, M] of the blocks of a basis at `slots`, 0 for those beyond the last one.

    By conditions: what is read of blocks in the same step as they are written would be read from copies.
    """
    out = jnp.zeros((len(slots), blocks[0].shape[-1]), blocks[0].dtype)
    for block, start in zip(blocks, starts(basis), strict=False):
        here = (slots >= start) & (slots < start + block.shape[-2])
        index = (*basis.at, jnp.where(here, slots - start, block.shape[-2]))
        out = lax.cond(
            jnp.any(here),
            lambda out, block=block, index=index: out + block.at[index].get(mode="fill", fill_value=0),
            lambda out: out,
            out,
        )
    return out


def images_of(far, zhat, rows, ratio, weights, freed):
    """Ẑ + Ż of new directions `rows`, [M] or [B, M], what a matrix sends them to; Ẑ is the Gaussian of each.

    The image of p is a Gaussian with the inner products that are known: ⟨q, Wp⟩ = ⟨Wᵀq, p⟩ for all q that
    the transpose has met. What it has by chance along these is taken out, where the points are not exact in
    that (`freed`, the weights of the points of images, not None). So Wᵀ is the transpose of W on every sample
    (conditioning, Bolthausen 2014), and by Stein's lemma the known part is Ż.
    """
    known, by_chance = ratio * (rows * weights), None if freed is None else zhat * freed
    for b in far:

        def turn(k, image, b=b):
            """With the inner products with what block k was sent to."""
            block = selected(b, b.p[k])
            c = selected(b, b.g[k]) @ known.T
            return image + spanned(c if freed is None else c - block @ by_chance.T, block)

        zhat = along(b, turn, zhat)
    return zhat


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
    return tuple(b._replace(at=index) for b in chain)


def family(chain):
    """The bases of the family that those of one matrix are in."""
    return tuple(b._replace(at=()) for b in chain)


def interleaved(*counts):
    """The places of several groups of rows in one list, the first rows of all groups first.

    Then the second ones, and so on.
    """
    order = sorted((row, group) for group, count in enumerate(counts) for row in range(count))
    return [
        np.array([place for place, (_, of) in enumerate(order) if of == group], dtype=int)
        for group in range(len(counts))
    ]
