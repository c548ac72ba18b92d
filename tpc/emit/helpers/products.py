"""The numerical helpers that are copied into every emitted module (the part below the line). Tested as
code."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

BLOCK, BLOCKS = 128, 8


# ---- copied from here on
class Basis(NamedTuple):
    """Orthonormal directions that a matrix has met, and the standard Gaussian that it sends each of them to,
    in blocks of rows."""

    p: tuple  # of [..., rows, M]: the directions, 0 where not met yet
    g: tuple  # of [..., rows, M]: the Gaussians
    count: jax.Array  # [...]: how many directions have been met
    lost: jax.Array  # [...]: the greatest relative norm of a component that was dropped
    # [..., capacity]: the greatest coordinate, by size, that a vector had on each direction when it was met
    # or later
    reach: jax.Array


def basis(gaussians, *axes, size=None):
    """An empty basis over the rows of `gaussians` [*axes*capacity, M], one per member of a family of
    matrices. size: of its directions, if not M."""
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
    """The inner products of wx/weights, [M] or [M, B], with `rows` of a basis, by blocks; those of blocks
    that are not begun are 0."""
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
    """The coordinates of x, [M] or [B, M], on the directions of every basis of `chain`, and what is left of
    x."""
    found = [coordinates(b, b.p, (x * weights).T) for b in chain]
    return found, x - sum(combination(b, b.p, c) for b, c in zip(chain, found, strict=True))


def least(weights, tolerance, noise):
    """The squared relative norm from which on a direction is new: far enough above rounding, and above the
    noise of inner products."""
    return jnp.maximum(tolerance**2, noise * jnp.sum(weights * weights) / 10)


def reached(basis, found):
    """How far vectors with the coordinates `found` [rows] or [rows, B], by blocks, and those before them
    reach."""
    now = jnp.abs(jnp.concatenate(found))
    return jnp.maximum(basis.reach, now if now.ndim == 1 else jnp.max(now, axis=1))


def meet(chain, x, weights, tolerance, noise=0.0):
    """The coordinates of `x` on the bases of `chain`, and the chain with what is new of `x` added to its last
    basis (Gram–Schmidt, twice)."""
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
    """The directions of a basis with `rows` [B, M] put in their places, those beyond the last one left
    out."""
    out = []
    for block, start in zip(basis.p, starts(basis), strict=False):
        own = jnp.where(slots >= start, slots - start, len(block))
        out.append(block.at[own].set(rows, mode="drop"))
    return tuple(out)


def onsager(far, x, weights, noise=0.0):
    """Ż / its factor, for x [M] or [B, M]: Σ_r ⟨g_r, x⟩ p_r over the bases of the transpose, each ⟨g_r, x⟩
    shrunk by how much of it is noise.

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
    """Inner products with the Gaussians of a basis, by blocks, times the share of their expected squares that
    is not `error`, a number or [B]."""
    out = []
    for c, start in zip(found, starts(basis), strict=False):
        expected = basis.reach[start : start + len(c)].reshape(-1, *(1,) * (c.ndim - 1)) ** 2
        out.append(c * expected / jnp.where(expected > 0, expected + error, 1))
    return out


def multiply(near, far, x, hat, dot, weights, tolerance, noise=0.0):
    """Z^{Wx} = Ẑ + Ż, and the bases that W has met. near, far: those of W and of its transpose; hat, dot: the
    factors of the two sums.

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


def sqrt_psd(covariance):
    """A lower triangular square root of a small positive semidefinite matrix, singular ones included, with
    finite derivatives."""
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
    """The places of several groups of rows in one list, the first rows of all groups first, then the second
    ones, and so on."""
    order = sorted((row, group) for group, count in enumerate(counts) for row in range(count))
    return [
        np.array([place for place, (_, of) in enumerate(order) if of == group], dtype=int)
        for group in range(len(counts))
    ]


def total(f, count, greatest):
    """Σ_{s < count} f(s), at most `greatest` terms."""
    terms = jax.vmap(f)(jnp.arange(greatest))
    keep = (jnp.arange(greatest) < count).reshape(-1, *(1,) * (terms.ndim - 1))
    return jnp.sum(jnp.where(keep, terms, 0), axis=0)


def rounds(count, greatest, body, state):
    """`body(t, state)` for t < count ≤ greatest, a fixed number of turns, so that it can be differentiated
    backwards."""
    return lax.fori_loop(0, greatest, lambda t, s: lax.cond(t < count, body, lambda _, s: s, t, s), state)


def before(count, coefficients, length=None):
    """Coefficients of a sum over s < count, their first axis: 0 from there on, up to `length`."""
    turns = jnp.arange(coefficients.shape[0]).reshape(-1, *(1,) * (coefficients.ndim - 1))
    kept = jnp.where(turns < count, coefficients, 0)
    return (
        kept if length is None else jnp.pad(kept, ((0, length - kept.shape[0]), *((0, 0),) * (kept.ndim - 1)))
    )


def stored(array, t, part):
    """`array` [T, ..., M] with array[t] replaced, as rows: where a product with all of them follows, XLA
    updates in place only what it multiplies."""
    rows = part.reshape(-1, part.shape[-1])
    flat = array.reshape(-1, array.shape[-1])
    return lax.dynamic_update_slice_in_dim(flat, rows, t * len(rows), 0).reshape(array.shape)


def as_outputs(values, dtype):
    """Outputs as arrays of one precision, constants included."""
    return {name: jnp.asarray(value, dtype) for name, value in values.items()}


# ---- histories
def history(shape, dtype):
    """Zeros [T, ..., M] in blocks of steps, a tuple: a sum over the steps so far leaves out the blocks that
    are not begun."""
    steps = max(-(-BLOCK // int(np.prod(shape[1:-1]))), -(-shape[0] // BLOCKS))
    return tuple(
        jnp.zeros((min(steps, shape[0] - start), *shape[1:]), dtype) for start in range(0, shape[0], steps)
    )


def begins(history):
    """The blocks of a history as rows [rows, M], and the steps they begin with."""
    return [(block.reshape(-1, block.shape[-1]), k * len(history[0])) for k, block in enumerate(history)]


def recorded(history, t, part):
    """A history with step t replaced: every block is written, in place, but the others with what they had."""
    rows, out = part.reshape(-1, part.shape[-1]), []
    for block, (flat, start) in zip(history, begins(history), strict=True):
        here, first = (t >= start) & (t < start + len(block)), (t - start) * len(rows)
        old = lax.dynamic_slice_in_dim(flat, first, len(rows))
        out.append(
            lax.dynamic_update_slice_in_dim(flat, jnp.where(here, rows, old), first, 0).reshape(block.shape)
        )
    return tuple(out)


def whole(history):
    """A history as one array."""
    return jnp.concatenate(history)


def products(history, wx, count):
    """The inner products [T, ...] of wx/weights [M] with the steps of a history, those of blocks beyond the
    first `count` steps 0."""
    (first, _), *others = begins(history)
    # the product first, then transposed by vmap: else it is half as fast
    found = [lax.optimization_barrier(first @ wx)]
    for rows, start in others:
        nothing = jnp.zeros(len(rows), wx.dtype)
        found.append(
            lax.cond(
                count > start,
                lambda rows=rows: lax.optimization_barrier(rows @ wx),
                lambda nothing=nothing: nothing,
            )
        )
    return jnp.concatenate(found).reshape(-1, *history[0].shape[1:-1])


def combined(history, coefficients, count):
    """The sum of the steps of a history with coefficients [T, ...], which are 0 beyond the first `count`."""
    parts = [
        lax.optimization_barrier(coefficients[start : start + len(block)].reshape(-1))
        for block, (_, start) in zip(history, begins(history), strict=True)
    ]
    (first, _), *others = begins(history)
    total = parts[0] @ first
    for own, (rows, start) in zip(parts[1:], others, strict=True):
        total = lax.cond(
            count > start, lambda total, own=own, rows=rows: total + own @ rows, lambda total: total, total
        )
    return total


# ---- vectors in 16 bits
class Packed(NamedTuple):
    """Vectors as bfloat16 numbers. Of whole numbers XLA reads and writes single rows, where it would widen or
    copy an array of bfloat16."""

    bits: jax.Array  # [..., M], 16 each


def restored(bits):
    """The vectors of the bits of a `Packed`."""
    return lax.bitcast_convert_type(bits.astype(jnp.uint32) << 16, jnp.float32)


def packed(x, turn=None, which=0):
    """float32 vectors [..., M] as bfloat16: the nearest, or above or below at random, x in the mean, by bits
    that `turn` and `which` number.

    What is added to a number and is less than 1/256 of it is lost in rounding to the nearest, however often
    it is added.
    """
    if turn is None:
        return Packed(lax.bitcast_convert_type(x.astype(jnp.bfloat16), jnp.uint16))
    rows = x.reshape(-1, x.shape[-1])
    places = jnp.arange(len(rows), dtype=jnp.uint32)[:, None] * jnp.uint32(0x9E3779B1) + jnp.arange(
        rows.shape[1], dtype=jnp.uint32
    )
    chance = mixed(places ^ mixed(turn * jnp.uint32(0x85EBCA77) + jnp.uint32(which))) >> 16
    up = (lax.bitcast_convert_type(rows, jnp.uint32) + chance) >> 16
    return Packed(up.astype(jnp.uint16).reshape(x.shape))


def mixed(x):
    """32 bits that depend on all 32 of x, as if by chance: what rounding needs, for a tenth of the time of
    `jax.random`."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)


def increased(vectors, rows, values, turn, which):
    """Packed `vectors` [N, M] with `values` added to the members at `rows`: those of one row together, so
    that it is rounded once."""
    rows, values = rows.reshape(-1), values.reshape(-1, values.shape[-1])
    first = jnp.argmax(rows[:, None] == rows, axis=1)
    together = jnp.zeros_like(values).at[first].add(values)
    new = packed(restored(vectors.bits[rows]) + together, turn, which)
    own = jnp.where(first == jnp.arange(len(rows)), rows, len(vectors.bits))
    return Packed(vectors.bits.at[own].set(new.bits, mode="drop"))


def inners(vectors, wx):
    """The inner products of wx/weights [M] with packed `vectors` [N, M], a few of which are restored at a
    time."""
    return in_turns(lambda own: restored(own.bits) @ wx, vectors)


def in_turns(function, *arrays):
    """`function` of all members of some arrays, 512 of which are there at a time: `lax.map` in batches would
    copy the arrays."""
    count = len(jax.tree.leaves(arrays)[0])
    rows = min(512, count)

    def turn(start):
        """Of the members from one on."""
        return jax.vmap(function)(*jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, start, rows), arrays))

    starts, places = np.minimum(np.arange(0, count, rows), count - rows), np.arange(count)
    return jax.tree.map(
        lambda a: a[places // rows, places - starts[places // rows]], lax.map(turn, jnp.asarray(starts))
    )


# ---- products of batches
def eliminate(gram, least):
    """Rows with the Gram matrix `gram` freed from the rows before them: the combinations [B, B], and the
    squared norms of what remains.

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
    """`rows` [B, M] made orthonormal in their order, 0 where what is new of one has a squared norm below
    `floor` [B].

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
    """Orthonormal rows for what vectors have beyond the bases of `chain`, which they have been freed from:
    Gram–Schmidt in blocks, twice."""
    rows = orthonormal(rest, floor, weights, tolerance)
    return orthonormal(projected(chain, rows, weights)[1], jnp.full_like(floor, 0.25), weights, tolerance)


@directions.defjvp
def directions_jvp(primals, tangents):
    """The derivative in `rest` = L·rows: of rows that were dropped it is 0."""
    rest, _, _, weights, _ = primals
    rows, change = directions(*primals), tangents[0]
    there = jnp.any(rows, axis=1)
    lower = jnp.tril((rest * weights) @ rows.T) + jnp.diag(jnp.where(there, 0, 1).astype(rows.dtype))
    change = jnp.where(
        there[:, None], lax.linalg.triangular_solve(lower, change, left_side=True, lower=True), 0
    )
    above = jnp.triu((change * weights) @ rows.T, 1)
    below = jnp.tril((change * weights) @ rows.T)
    return rows, change - (below + above.T) @ rows


def meet_all(chain, xs, weights, tolerance, noise=0.0):
    """`meet` for the rows of `xs` [B, M], one after the other: coordinates on the bases as they were, those
    on new directions, their Gaussians."""
    found, rest = projected(chain, xs, weights)
    scale = jnp.sum(xs * weights * xs, axis=1)
    last = chain[-1]
    capacity = starts(last)[-1]
    rows = directions(
        rest, *lax.stop_gradient((chain, least(weights, tolerance, noise) * scale)), weights, tolerance
    )
    there = jnp.any(rows, axis=1)
    slots = last.count + jnp.cumsum(there, dtype=jnp.int32) - there
    met = there & (slots < capacity)
    slots = jnp.where(met, slots, capacity)
    own = jnp.tril((rest * weights) @ rows.T)
    without = lax.stop_gradient(jnp.sum(jnp.where(met, 0, own) ** 2, axis=1) / jnp.where(scale > 0, scale, 1))
    lost = jnp.maximum(
        last.lost, jnp.sqrt(jnp.max(jnp.where(without > least(weights, tolerance, noise), without, 0)))
    )
    g = jnp.zeros((len(rows), last.g[0].shape[-1]), rows.dtype)
    for block, start in zip(last.g, starts(last), strict=False):
        g = g + block.at[jnp.where(slots >= start, slots - start, len(block))].get(mode="fill", fill_value=0)
    own = jnp.where(met, own, 0)
    reach = reached(last, found[-1]).at[slots].max(jnp.max(jnp.abs(own), axis=0), mode="drop")
    return (
        found,
        own,
        g,
        (
            *chain[:-1],
            Basis(
                written(last, rows, slots), last.g, last.count + jnp.sum(met, dtype=jnp.int32), lost, reach
            ),
        ),
    )


def multiply_all(near, far, xs, hat, dot, weights, tolerance, noise=0.0):
    """`multiply` for the rows of `xs` [B, M], one after the other."""
    found, own, fresh, grown = meet_all(near, xs, weights, tolerance, noise)
    gaussian = own @ fresh + sum(combination(b, b.g, c) for b, c in zip(near, found, strict=True))
    return hat * gaussian + dot * onsager(far, xs, weights, noise), grown
