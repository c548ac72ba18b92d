"""Algorithm 3 of TP4 with first-order MAML, transcribed by hand: few-shot learning of a linear net at
infinite width.

It keeps the coefficients of u, v and the bias on their initial values (A, B, C, D), takes kernels of drawings
in place of adapted weights, and is one jitted loop.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax


@partial(jax.jit, static_argnames=("steps", "ways"))
def algorithm_3(images, support, query, y, z, eta, eps, *, steps, ways, std=1 / 32):
    """The losses, and the end of u [d, k], v [ways, k] and the bias [k], as coefficients on the initial u, v
    and bias. Linear net, one inner step."""
    d, ways = images.shape[1], 5 if y.shape[0] % 5 == 0 else 3
    u = jnp.eye(d, d + ways, dtype=images.dtype)
    v = std * jnp.eye(ways, d + ways, d, dtype=images.dtype)
    b = jnp.zeros(d + ways, images.dtype)
    right_s, right_q = (
        jax.nn.one_hot(y, ways, dtype=images.dtype),
        jax.nn.one_hot(z, ways, dtype=images.dtype),
    )

    def step(t, state):
        losses, u, v, b = state
        xs, xq = images[support[t]], images[query[t]]  # [tasks, S, d], [tasks, Q, d]
        tasks, shots, queries = xs.shape[0], xs.shape[1], xq.shape[1]
        vu, vb, vv = v @ u.T, v @ b, v @ v.T  # inner products are those of coefficients
        chi = (jax.nn.softmax(xs @ vu.T + vb) - right_s) / shots  # [tasks, S, ways]
        h = (xs.reshape(-1, d) @ u + b).reshape(tasks, shots, -1)  # hidden vectors of the drawings adapted to
        gram = 1 + jnp.einsum("tsd,tqd->tqs", xs, xq)
        moved = eps * jnp.einsum("tqs,tsl->tql", gram, chi)  # the adapted net sends a drawing to h - moved v
        hu, hb, hv = (h.reshape(-1, h.shape[-1]) @ u.T).reshape(tasks, shots, d), h @ b, h @ v.T
        hq = jnp.einsum("tqd,tsd->tqs", xq, hu) + hb[:, None] - jnp.einsum("tql,tsl->tqs", moved, hv)
        f = xq @ vu.T + vb - moved @ vv - eps * jnp.einsum("tqs,tsl->tql", hq, chi)
        loss = -jnp.sum(jax.nn.log_softmax(f) * right_q) / queries
        chiq = (jax.nn.softmax(f) - right_q) / queries
        # the gradient in a hidden vector is chiq v + back h
        back = -eps * jnp.einsum("tql,tsl->tqs", chiq, chi)
        gu = jnp.einsum("tql,tqd->dl", chiq, xq) @ v + jnp.einsum("tqs,tqd->dts", back, xq).reshape(
            d, -1
        ) @ h.reshape(-1, h.shape[-1])
        gb = jnp.sum(chiq, (0, 1)) @ v + jnp.sum(back, 1).reshape(-1) @ h.reshape(-1, h.shape[-1])
        gv = (
            jnp.einsum("tql,tqd->ld", chiq, xq) @ u
            + jnp.sum(chiq, (0, 1))[:, None] * b
            - jnp.einsum("tql,tqm->lm", chiq, moved) @ v
        )
        rate = eta[t] * jnp.minimum(1, 0.5 / jnp.sqrt(sum(jnp.sum(g * g) for g in (gu, gb, gv))))
        return losses.at[t].set(loss), u - rate * gu, v - rate * gv, b - rate * gb

    return lax.fori_loop(0, steps, step, (jnp.zeros(steps, images.dtype), u, v, b))
