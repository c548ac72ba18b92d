"""Vectors in 16 bits a number. Tested as code."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


# ---- copied
class Packed(NamedTuple):
    """Vectors as bfloat16 numbers.

    They are kept as whole numbers, of which XLA reads and writes single rows, where it would widen or copy an
    array of bfloat16.
    """

    bits: jax.Array  # [..., M], 16 each


def restored(bits):
    """The vectors of the bits of a `Packed`."""
    return lax.bitcast_convert_type(bits.astype(jnp.uint32) << 16, jnp.float32)


def packed(x, turn=None, which=0):
    """float32 vectors [..., M] as bfloat16.

    The nearest, or above or below at random, x in the mean, by bits that `turn` and `which` number.

    What is added to a number and is less than 1/256 of it is lost in rounding to the nearest, however often
    it is added.
    """
    if turn is None:
        return Packed(lax.bitcast_convert_type(x.astype(jnp.bfloat16), jnp.uint16))
    rows = x.reshape(-1, x.shape[-1])
    places = jnp.arange(len(rows), dtype=jnp.uint32)[:, None] * jnp.uint32(0x9E3779B1) + jnp.arange(
        rows.shape[1], dtype=jnp.uint32
    )
    chance = scrambled(places ^ scrambled(turn * jnp.uint32(0x85EBCA77) + jnp.uint32(which))) >> 16
    up = (lax.bitcast_convert_type(rows, jnp.uint32) + chance) >> 16
    return Packed(up.astype(jnp.uint16).reshape(x.shape))


def scrambled(x):
    """32 bits that depend on all 32 of x, as if by chance.

    What rounding needs, for a tenth of the time of `jax.random`.
    """
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)


def increased(vectors, rows, values, turn, which):
    """Packed `vectors` [N, M] with `values` added to the members at `rows`.

    What one row gets is added together, so that it is rounded once.
    """
    rows, values = rows.reshape(-1), values.reshape(-1, values.shape[-1])
    first = jnp.argmax(rows[:, None] == rows, axis=1)
    together = jnp.zeros_like(values).at[first].add(values)
    new = packed(restored(vectors.bits[rows]) + together, turn, which)
    own = jnp.where(first == jnp.arange(len(rows)), rows, len(vectors.bits))
    return Packed(vectors.bits.at[own].set(new.bits, mode="drop"))


def inners(vectors, wx):
    """The inner products of wx/weights [M] with packed `vectors` [N, M], a few restored at a time."""
    return in_turns(lambda own: restored(own.bits) @ wx, vectors)


def in_turns(function, *arrays):
    """`function` of all members of some arrays, 512 of which are there at a time.

    `lax.map` in batches would copy the arrays.
    """
    count = len(jax.tree.leaves(arrays)[0])
    rows = min(512, count)

    def turn(start):
        """The inner products of the members from one on."""
        return jax.vmap(function)(*jax.tree.map(lambda a: lax.dynamic_slice_in_dim(a, start, rows), arrays))

    starts, places = np.minimum(np.arange(0, count, rows), count - rows), np.arange(count)
    return jax.tree.map(
        lambda a: a[places // rows, places - starts[places // rows]], lax.map(turn, jnp.asarray(starts))
    )
