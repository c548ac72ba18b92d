"""The parts of emitted modules that draw points and run `limit` on them.

Each module has the sections that its plan needs.
"""

# ruff: noqa: F811
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec
from scipy.special import ndtri, roots_hermitenorm

DTYPE, TOLERANCE, GAUSSIANS, GRIDS, SAMPLES, REPEATS, WHITEN = "float64", 1e-8, 1, (8, 6), 64, 4, True
NODES = ((2, 2), (3,))
POINTS = 8
INPUTS: dict[str, Any] = {}


def limit(inputs, points, weights, loop=lax.fori_loop):
    return {}, jnp.zeros(())


def draw(seed, k, samples=SAMPLES):
    return np.zeros((GAUSSIANS, samples)), np.full(samples, 1 / samples)


# ---- copied
compiled = jax.jit(limit)


def prepared(inputs):
    """All inputs, defaults filled in.

    Raises ValueError for one that is missing, unknown or of another shape.
    """
    given = dict(inputs or {})
    for name in given:
        if name not in INPUTS:
            raise ValueError(f"there is no input {name}")
    out = {}
    for name, (shape, default) in INPUTS.items():
        if name not in given and default is None:
            raise ValueError(f"the input {name}, of shape {shape}, is missing")
        out[name] = given.get(name, None if default is None else np.full(shape, default))
        if isinstance(out[name], list | tuple) and traced(out[name]):
            out[name] = jnp.asarray(out[name])
        if np.shape(out[name]) != shape:
            raise ValueError(f"the input {name} has shape {np.shape(out[name])}, and should have {shape}")
    return out


def spread(array, mesh):
    """Points or weights [..., M] with the samples shared out over the devices of a mesh of one axis.

    Each process sends its devices only theirs.

    Points of weight 0 make the shares equal.
    """
    short = [(0, 0)] * (array.ndim - 1) + [(0, -array.shape[-1] % mesh.size)]
    array = np.pad(array, short, **({"mode": "edge"} if array.ndim > 1 else {}))
    columns = NamedSharding(mesh, PartitionSpec(*[None] * (array.ndim - 1), *mesh.axis_names))
    return jax.make_array_from_callback(array.shape, columns, lambda index: array[index])


def evaluated(inputs, points, weights, mesh=None):
    """What `limit` gives on these points."""
    place = (
        (lambda a: jnp.asarray(a, DTYPE)) if mesh is None else (lambda a: spread(np.asarray(a, DTYPE), mesh))
    )
    points, weights = jax.tree.map(place, (points, weights))
    if any(str(a.dtype) != DTYPE for a in jax.tree.leaves(points)):
        raise ValueError(
            f"this was planned for {DTYPE}: call jax.config.update('jax_enable_x64', True) first"
        )
    function = (
        compiled if mesh is None else jax.jit(limit, out_shardings=NamedSharding(mesh, PartitionSpec()))
    )
    return function(inputs, points, weights)


def evaluations(inputs, drawn, count, progress=None, kept=None, mesh=None):
    """What `limit` gives on the points and weights `drawn(k)`, for k < count.

    Those not in the mapping `kept` are computed and added to it.
    """
    given, kept = prepared(inputs), {} if kept is None else kept
    for k in range(count):
        if k not in kept:
            kept[k] = evaluated(given, *drawn(k), mesh)
        jax.block_until_ready(kept[k])  # several at once would take the memory of all
        if progress is not None:
            progress(k + 1, count)
    return [kept[k] for k in range(count)]


def outputs_of(done):
    """The outputs of some evaluations. Warns if a matrix met more directions than there was room for."""
    lost = [lost for _, lost in done]
    if numeric(lost) is np and (most := np.max([float(each) for each in lost])) > 0:
        warnings.warn(
            f"directions of relative norm up to {most:.1e} were dropped: the rank is too small", stacklevel=4
        )
    return [outputs for outputs, _ in done]


def numeric(arrays):
    """NumPy for arrays of numbers, for which JAX would compile every operation; JAX for what is traced."""
    return jnp if traced(arrays) else np


def traced(arrays):
    """Whether there is an array among them that JAX only traces, of which there are no numbers yet."""
    try:
        for array in jax.tree.leaves(arrays):
            np.asarray(array)
    except jax.errors.TracerArrayConversionError:
        return True
    return False


def whitened(points):
    """Points [K, M] made to have mean 0 and covariance 1 in the sample."""
    centred = points - points.mean(axis=1, keepdims=True, dtype=np.float64).astype(points.dtype)
    root = np.linalg.cholesky(centred @ centred.T / points.shape[1])  # its condition is about 1
    if len(points) < 128:  # for so few that is faster than the import
        return np.linalg.inv(root) @ centred
    from scipy.linalg.blas import get_blas_funcs

    (solve,) = get_blas_funcs(("trsm",), (centred,))  # X Lᵀ = Cᵀ, where C is
    return solve(1, root, centred.T, side=1, lower=1, trans_a=1, overwrite_b=1).T


BITS, AT_ONCE = 30, 1 << 18  # of Sobol's numbers; numbers that are made at a time
DIRECTIONS = {}  # of Sobol's sequence, by the count of dimensions


def sobol_directions(count):
    """The direction numbers [count, BITS] of Sobol's sequence, from SciPy's table; None if it is elsewhere.

    By the recursion of Bratley and Fox (1988).
    """
    if count in DIRECTIONS:
        return DIRECTIONS[count]
    try:
        with np.load(f"{scipy.__path__[0]}/stats/_sobol_direction_numbers.npz") as table:
            polynomials, initial = table["poly"][:count], table["vinit"][:count]
    except (OSError, KeyError):
        return None
    degrees = np.array([int(p).bit_length() - 1 for p in polynomials])
    numbers = np.zeros((count, BITS), np.int64)
    for j in range(BITS):
        numbers[:, j] = initial[:, min(j, initial.shape[1] - 1)]
        for degree in set(degrees[degrees <= j]):
            rows = np.flatnonzero(degrees == degree)
            new = numbers[rows, j - degree]
            for k in range(degree):
                bit = (polynomials[rows] >> (degree - 1 - k)) & 1
                new = new ^ (bit * numbers[rows, j - k - 1] << (k + 1))
            numbers[rows, j] = new
    numbers[0] = 1
    DIRECTIONS[count] = numbers << np.arange(BITS - 1, -1, -1)
    return DIRECTIONS[count]


def scrambled_sobol(count, samples, rng):
    """Sobol's points, scrambled by triangular matrices and a shift, some dimensions [K, samples] at a time.

    They are those of `scipy.stats.qmc.Sobol(count, rng=rng)`, bit by bit. Importing scipy.stats takes longer
    than most limits do.
    """
    numbers = sobol_directions(count)
    if numbers is None:
        from scipy.stats import qmc

        with warnings.catch_warnings():
            # balance is lost if samples is no power of 2, and nothing else
            warnings.simplefilter("ignore", UserWarning)
            points = qmc.Sobol(count, scramble=True, rng=rng).random(samples)
        yield points.T
        return
    powers, own = 1 << np.arange(BITS), rng.spawn(1)[0]
    shift = (own.integers(0, 2, (count, BITS), np.uint32) @ powers).astype(np.uint32)
    lower = np.tril(own.integers(0, 2, (count, BITS, BITS), np.uint32), -1) + np.eye(BITS, dtype=np.uint32)
    digits = (numbers[:, None, :] >> np.arange(BITS - 1, -1, -1)[:, None]) & 1  # the first one is of 1/2
    numbers = (((lower.astype(float) @ digits).astype(np.int64) & 1) * powers[::-1, None]).sum(1)
    numbers, together = numbers.astype(np.uint32), max(1, AT_ONCE // samples)
    for start in range(0, count, together):
        some = numbers[start : start + together]
        points = np.empty((len(some), samples), np.uint32)
        points[:, 0], made = shift[start : start + together], 1
        for j in range(BITS):  # Gray's code: the second half of 2^(j+1) points is the first one backwards
            more = min(made, samples - made)
            points[:, made : made + more] = points[:, made - more : made][:, ::-1] ^ some[:, j, None]
            made += more
        yield points * 2.0**-BITS


def draw_sobol(seed, k, samples=SAMPLES):
    """Points [GAUSSIANS, samples] and weights of the k-th repeat.

    A scrambling of its own of Sobol's sequence, as standard Gaussians.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(k,)))
    points, made = np.empty((GAUSSIANS, samples), "float64" if DTYPE == "float64" else "float32"), 0
    for part in scrambled_sobol(GAUSSIANS, samples, rng) if GAUSSIANS else ():
        points[made : made + len(part)] = ndtri(np.clip(part, 1e-15, 1 - 1e-15, out=part))
        made += len(part)
    return whitened(points) if WHITEN and samples >= 2 * GAUSSIANS else points, np.full(samples, 1 / samples)


# ---- sobol
draw = draw_sobol


# ---- monte-carlo
def draw(seed, k, samples=SAMPLES):
    """Points [GAUSSIANS, samples] and weights of the k-th repeat: independent standard Gaussians."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(k,)))
    points = rng.standard_normal((GAUSSIANS, samples))
    return whitened(points) if WHITEN and samples >= 2 * GAUSSIANS else points, np.full(samples, 1 / samples)


# ---- rules
def draw(seed, k):
    """The points [Gaussians, M] and weights [M] of every sector.

    The product of Gauss–Hermite rules of the sizes in NODES. Neither the seed nor k plays a part.
    """
    points, weights = zip(*map(product_rule, NODES), strict=True)
    return (points, weights) if len(NODES) > 1 else (points[0], weights[0])


def product_rule(counts):
    """Points and weights of the product of rules with so many nodes each."""
    points, product = np.empty((len(counts), *counts)), np.ones(())
    for axis, count in enumerate(counts):
        nodes, weights = roots_hermitenorm(count)
        points[axis] = nodes.reshape(-1, *[1] * (len(counts) - axis - 1))
        product = np.multiply.outer(product, weights / weights.sum())
    return points.reshape(len(counts), product.size), product.reshape(-1)


# ---- closed forms
def draw(seed, k):
    """Nothing is integrated over, so there are no points. Neither the seed nor k plays a part."""
    return np.zeros((1, 1)), np.ones(1)


# ---- quadrature
RULES = ((12.0, 0.5, 0.0), (10.7, 0.3, 1.0), (13.5, 0.7, 2.0))  # depth, offset and noise of each


def draw(seed, k):
    """Points [3, POINTS] and weights of the k-th rule for integrals. The seed plays no part.

    Points: fractions of a range; then the same in every column, the depth to which nodes grow dense by
    powers, and which errors of rounding are added to every integral, none for 0.
    """
    depth, offset, noise = RULES[k]
    fractions = (np.arange(POINTS) + offset) / POINTS
    return np.stack([fractions, np.full(POINTS, depth), np.full(POINTS, noise)]), np.full(POINTS, 1 / POINTS)


# ---- coefficients
def coefficients(size=GAUSSIANS + 1):
    """Every standard Gaussian as its coefficients on 1 and the standard Gaussians, and their weights.

    Up to `size`, zeros.
    """
    return jnp.eye(GAUSSIANS, size, 1, dtype=DTYPE), jnp.where(
        jnp.arange(size) <= GAUSSIANS, jnp.ones((), DTYPE), 0
    )


def draw(seed, k):
    """The same as arrays of NumPy. Neither the seed nor k plays a part."""
    return np.eye(GAUSSIANS, GAUSSIANS + 1, 1, dtype=DTYPE), np.ones(GAUSSIANS + 1, DTYPE)


# ---- rules compared
def summary(done):
    """{output: (value, error estimate)}.

    By the first rule, and four times the largest difference from the others, which have the errors of
    rounding that the first one may have; inf where these are not finite.
    """
    first, *others = outputs_of(done)

    def apart(name):
        """The error estimate of an output."""
        values = [each[name] for each in (first, *others)]
        by = numeric(values)
        value, *rest = map(by.asarray, values)
        with np.errstate(all="ignore"):
            found = 4 * by.max(by.stack([by.abs(other - value) for other in rest]), axis=0)
        return jnp.asarray(by.where(by.isnan(found), by.inf, found))

    return {name: (value, apart(name)) for name, value in first.items()}


# ---- all rules
def run(inputs=None, seed=0, progress=None, kept=None, mesh=None):
    """{output: (value, error estimate)}; can be jitted, vmapped over and differentiated in `inputs`.

    The seed plays no part.

    progress: called with the numbers of rules done and of all. kept: a mapping of what is done, by rule, to
    begin with and to add to.
    mesh: a `jax.sharding.Mesh` of one axis, over whose devices the points are shared out.
    """
    return summary(evaluations(inputs, lambda k: draw(seed, k), len(RULES), progress, kept, mesh))


# ---- exact
def summary(done):
    """{output: (value, None)} of the one evaluation."""
    return {name: (value, None) for name, value in outputs_of(done)[0].items()}


# ---- once
def run(inputs=None, seed=0, progress=None, kept=None, mesh=None):
    """{output: (value, None)}, exact; can be jitted, vmapped over and differentiated in `inputs`.

    The seed plays no part.

    progress: called when done. kept: a mapping to which the outcome is added, or which has it.
    mesh: a `jax.sharding.Mesh` of one axis, over whose devices the coefficients are shared out.
    """
    return summary(evaluations(inputs, lambda k: draw(seed, k), 1, progress, kept, mesh))


# ---- in segments
def begin(inputs, points, weights):
    """What the loop that is run in parts carries before its first round."""
    carried = []
    limit(inputs, points, weights, lambda first, count, step, state: carried.append(state) or state)
    return carried[0]


def advance(inputs, points, weights, state, start, until):
    """What it carries before round `until`, from what it carried before round `start`."""
    carried = []
    limit(
        inputs,
        points,
        weights,
        lambda first, count, step, before: carried.append(lax.fori_loop(start, until, step, state)) or before,
    )
    return carried[0]


def finish(inputs, points, weights, state, wanted):
    """The outputs of these names as they are if the loop ends with `state`, and the status of `limit`."""
    outputs, lost = limit(inputs, points, weights, lambda first, count, step, before: state)
    return {name: outputs[name] for name in wanted}, lost


# ---- main
if __name__ == "__main__":
    jax.config.update("jax_enable_x64", DTYPE == "float64")
    for name, (value, stderr) in run().items():
        print(name, "=", value, *(() if stderr is None else ("±", stderr)))
