"""The parts of emitted modules that draw points and run `limit` on them: each module has the sections that its plan needs."""

# ruff: noqa: F811
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import ndtri, roots_hermitenorm
from scipy.stats import qmc

DTYPE, TOLERANCE, GAUSSIANS, GRIDS, SAMPLES, REPEATS, WHITEN = "float64", 1e-8, 1, (8, 6), 64, 4, True
NODES = ((2, 2), (3,))
INPUTS: dict[str, Any] = {}


def limit(inputs, points, weights):
    return {}, jnp.zeros(())


# ---- every module
compiled = jax.jit(limit)


def prepared(inputs):
    """All inputs, defaults filled in. Raises ValueError for one that is missing, unknown or of another shape."""
    given = dict(inputs or {})
    for name in given:
        if name not in INPUTS:
            raise ValueError(f"there is no input {name}")
    out = {}
    for name, (shape, default) in INPUTS.items():
        if name not in given and default is None:
            raise ValueError(f"the input {name}, of shape {shape}, is missing")
        out[name] = given.get(name, None if default is None else np.full(shape, default))
        if np.shape(out[name]) != shape:
            raise ValueError(f"the input {name} has shape {np.shape(out[name])}, and should have {shape}")
    return out


def evaluated(inputs, points, weights):
    """The outputs on given points. Warns if a matrix met more directions than there was room for."""
    points, weights = jax.tree.map(lambda a: jnp.asarray(a, DTYPE), (points, weights))
    if any(str(a.dtype) != DTYPE for a in jax.tree.leaves(points)):
        raise ValueError(f"this was planned for {DTYPE}: call jax.config.update('jax_enable_x64', True) first")
    outputs, lost = compiled(inputs, points, weights)
    if not isinstance(lost, jax.core.Tracer) and lost > 0:
        warnings.warn(f"directions of relative norm up to {float(lost):.1e} were dropped: the rank is too small", stacklevel=3)
    return outputs


# ---- whitening
def whitened(points):
    """Points [K, M] made to have mean 0 and covariance 1 in the sample."""
    centred = points - points.mean(axis=1, keepdims=True)
    root = np.linalg.cholesky(centred @ centred.T / points.shape[1])
    return solve_triangular(root, centred, lower=True)


# ---- sobol
def draw(seed, samples, repeats):
    """Points [GAUSSIANS, samples] and weights of every repeat: independent scramblings of Sobol's sequence, as standard Gaussians."""
    for own in np.random.SeedSequence(seed).spawn(repeats):
        sequence = qmc.Sobol(max(1, GAUSSIANS), scramble=True, rng=np.random.default_rng(own))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)               # balance is lost if samples is no power of 2, and nothing else
            points = ndtri(np.clip(sequence.random(samples).T, 1e-15, 1 - 1e-15))[:GAUSSIANS]
        yield whitened(points) if WHITEN and samples >= 2 * GAUSSIANS else points, np.full(samples, 1 / samples)


# ---- monte-carlo
def draw(seed, samples, repeats):
    """Points [GAUSSIANS, samples] and weights of every repeat: independent standard Gaussians."""
    for own in np.random.SeedSequence(seed).spawn(repeats):
        points = np.random.default_rng(own).standard_normal((GAUSSIANS, samples))
        yield whitened(points) if WHITEN and samples >= 2 * GAUSSIANS else points, np.full(samples, 1 / samples)


# ---- gauss-hermite
def draw(count):
    """Points [GAUSSIANS, count**GAUSSIANS] and weights of the product of Gauss–Hermite rules."""
    nodes, weights = roots_hermitenorm(count)
    grid = np.stack(np.meshgrid(*[nodes] * GAUSSIANS, indexing="ij")).reshape(GAUSSIANS, -1)
    product = np.ones(())
    for _ in range(GAUSSIANS):
        product = np.multiply.outer(product, weights / weights.sum())
    return grid, product.reshape(-1)


# ---- rules
def draw():
    """The points [Gaussians, M] and weights [M] of every sector: the product of Gauss–Hermite rules of the sizes in NODES."""
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


# ---- coefficients
def draw():
    """Every standard Gaussian as its coefficients on 1 and the standard Gaussians."""
    return np.eye(GAUSSIANS + 1)[1:], np.ones(GAUSSIANS + 1)


# ---- repeats
def run(inputs=None, seed=0, samples=SAMPLES, repeats=REPEATS, progress=None):
    """{output: (value, standard error)}, from a seed; can be jitted, vmapped over and differentiated in `inputs`.

    progress: called with the numbers of repeats done and of all.
    """
    given, done = prepared(inputs), []
    for points, weights in draw(seed, samples, repeats):
        done.append(evaluated(given, points, weights))
        if progress is not None:
            jax.block_until_ready(done[-1])
            progress(len(done), repeats)
    values = {name: jnp.stack([outputs[name] for outputs in done]) for name in done[0]}
    return {name: (jnp.mean(v, axis=0), jnp.std(v, axis=0, ddof=1) / repeats**0.5) for name, v in values.items()}


# ---- grids
def run(inputs=None, seed=0, progress=None):
    """{output: (value, error estimate)}; can be jitted, vmapped over and differentiated in `inputs`. The seed plays no part."""
    given = prepared(inputs)
    fine, rough = [evaluated(given, *draw(count)) for count in GRIDS]
    return {name: (value, jnp.abs(value - rough[name])) for name, value in fine.items()}


# ---- exact
def run(inputs=None, seed=0, progress=None):
    """{output: (value, None)}, exact; can be jitted, vmapped over and differentiated in `inputs`. The seed plays no part."""
    return {name: (value, None) for name, value in evaluated(prepared(inputs), *draw()).items()}


# ---- main
if __name__ == "__main__":
    jax.config.update("jax_enable_x64", DTYPE == "float64")
    for name, (value, stderr) in run().items():
        print(name, "=", value, *(() if stderr is None else ("±", stderr)))
