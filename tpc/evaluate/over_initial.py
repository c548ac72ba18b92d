"""Outputs integrated over the scalars that are random in the limit.

Their means and covariances over the start.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.core.expr import Add, Call, Expr, Mul, Number, Pow, Sum, Value, children
from tpc.core.program import Instruction, MatMul, OuterMul, Program, instructions
from tpc.evaluate.output_functions import at_points, chosen_points

if TYPE_CHECKING:
    from tpc.evaluate.evaluator import Evaluator

DRAWS = 64  # at least so many draws of the start in a batch, and twice as many as scalars
BATCHES = 8  # where all is exact but the integral; else one for each repeat
OTHER = 2  # a degree: not affine


def affine_outputs(program: Program, names: Collection[str]) -> set[str]:
    """The outputs that are affine in the inputs `names`, seen from the instructions."""
    degrees = dict.fromkeys(names, 1)
    ops = [op for op, _ in instructions(program.body)]
    changed = True
    while changed:
        changed = False
        for op in ops:
            own = _degree_of(op, degrees)
            if own > degrees.get(op.out.name, 0):
                degrees[op.out.name] = own
                changed = True
    return {output.name for output in program.outputs if degrees.get(output.ref.name, 0) < OTHER}


def _degree_of(op: Instruction, degrees: Mapping[str, int]) -> int:
    if isinstance(op, MatMul):
        return degrees.get(op.operand.name, 0)
    if isinstance(op, OuterMul):
        return min(OTHER, degrees.get(op.table.name, 0) + degrees.get(op.operand.name, 0))
    return _degree(op.phi, degrees)


def _degree(x: Expr, degrees: Mapping[str, int]) -> int:
    if isinstance(x, Value):
        return degrees.get(x.ref.name, 0)
    parts = [_degree(part, degrees) for part in children(x)]
    match x:
        case Add() | Sum():
            return max(parts, default=0)
        case Mul():
            return min(sum(parts), OTHER)
        case Pow(_, Number(exponent)) if exponent == 1:
            return parts[0]
        case Call("where", _):
            return OTHER if parts[0] else max(parts[1:])
        case _:
            return OTHER if any(parts) else 0


def over_the_start(
    evaluator: Evaluator, inputs: Mapping[str, Any], seed: int, exact: Mapping[str, tuple[Any, Any]]
) -> dict[str, tuple[np.ndarray, np.ndarray | None, np.ndarray]]:
    """Each output's mean over the start, its error (None if exact), and the covariance [size, size].

    exact: the outputs and their errors at the mean of the start, which is the mean of those that are affine
    in it; their covariance is J K Jᵀ. The others are averaged over batches of draws that have mean 0 and
    covariance 1 in the sample, so that of quadratic ones the means are exact, too.
    """
    start = evaluator.start
    assert start is not None
    affine = affine_outputs(evaluator.program, start.names)
    root = np.asarray(start.root(inputs, seed))
    out = {}
    for name in exact:
        if name in affine:
            value, error = exact[name]
            slope = _slope(evaluator, name, inputs, seed, root.shape[0])
            half = slope.reshape(-1, root.shape[0]) @ root
            out[name] = np.asarray(value), None if error is None else np.asarray(error), half @ half.T
    rest = tuple(name for name in exact if name not in affine)
    if rest:
        out |= _averaged(evaluator, rest, inputs, seed, root, {name: exact[name][1] for name in rest})
    return {name: out[name] for name in exact}


def _slope(evaluator: Evaluator, name: str, inputs: Mapping[str, Any], seed: int, size: int) -> np.ndarray:
    """The derivative of an output in all scalars, [*shape, N]."""
    import jax
    import jax.numpy as jnp

    start = evaluator.start
    assert start is not None
    split: Callable[[Any], dict[str, Any]] = start.split
    function = evaluator.function(name, seed=seed, at={**inputs, **split(np.zeros(size))})
    return np.asarray(
        jax.jacfwd(lambda flat: function({**inputs, **split(flat)}))(jnp.zeros(size, evaluator.plan.dtype))
    )


def _averaged(
    evaluator: Evaluator,
    names: tuple[str, ...],
    inputs: Mapping[str, Any],
    seed: int,
    root: np.ndarray,
    errors: Mapping[str, Any],
) -> dict[str, tuple[np.ndarray, np.ndarray | None, np.ndarray]]:
    """errors: at the mean of the start, of which those of a grid are an estimate."""
    import jax

    start = evaluator.start
    assert start is not None
    size = root.shape[0]
    rule, repeats, _ = chosen_points(evaluator, names, seed, {**inputs, **start.split(np.zeros(size))})
    alike = not repeats or evaluator.plan.exact  # for all batches
    batches = BATCHES if alike else len(repeats)
    draws = max(DRAWS, 2 * size)
    found = []
    for k in range(batches):
        points = jax.tree.map(
            lambda a: jax.numpy.asarray(a, evaluator.plan.dtype), (repeats or rule)[0 if alike else k]
        )
        z = _whitened(np.random.default_rng([seed, k]).standard_normal((draws, size)))
        at = at_points(evaluator, names)
        found.append(
            jax.lax.map(
                lambda flat, at=at, points=points: at({**inputs, **start.split(flat)}, *points), z @ root.T
            )
        )
    out = {}
    for name in names:
        # [batches, draws, size]
        values = np.stack([np.asarray(batch[name]).reshape(draws, -1) for batch in found])
        means = values.mean(axis=1)
        shape = np.asarray(found[0][name]).shape[1:]
        centred = (values - means[:, None]).reshape(batches * draws, -1)
        error = means.std(axis=0, ddof=1) / batches**0.5
        if rule:
            error = np.hypot(error, np.asarray(errors[name]).reshape(-1))
        out[name] = (
            means.mean(axis=0).reshape(shape),
            error.reshape(shape),
            centred.T @ centred / (batches * (draws - 1)),
        )
    return out


def _whitened(z: np.ndarray) -> np.ndarray:
    """Draws [D, N] made to have mean 0 and covariance 1 in the sample."""
    z = z - z.mean(axis=0)
    root = np.linalg.cholesky(z.T @ z / len(z))
    return np.asarray(np.linalg.solve(root, z.T).T)
