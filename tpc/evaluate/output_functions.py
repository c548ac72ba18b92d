"""Outputs as JAX functions of the inputs, on points that are drawn once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.core.inputs import bind_inputs
from tpc.evaluate.moved_jumps import with_moved_jumps
from tpc.machine.precision import has_64_bits, in_own_precision, precision, traced
from tpc.plan.plan import CheckedPlan, PanelsPlan, PointsPlan

if TYPE_CHECKING:
    from tpc.evaluate.evaluator import Evaluator

NARROW = (
    "JAX's 64 bits are off, so a function that it transforms (jit, grad, vmap, …) is computed in float32: "
    "call jax.config.update('jax_enable_x64', True) before, or compile(dtype='float32')"
)
# what is said of derivatives of outputs with jumps
JUMPING = (
    "derivatives of {} leave out what inputs move across a jump (of `sign`, `step` or a `where`, as in the "
    "gradient of `relu`): at points they are those between jumps, while the limit also changes by the "
    "density there; compare values at two inputs, or take a smooth function"
)


@in_own_precision
def functions_of(
    evaluator: Evaluator, outputs: Sequence[str], seed: int, at: Mapping[str, Any] | None
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Outputs by name as a JAX function of the inputs (see `Evaluator.function`).

    Raises ValueError for one that there is not.
    """
    import jax
    import jax.numpy as jnp

    known = [output.name for output in evaluator.program.outputs]
    for output in outputs:
        if output not in known:
            raise ValueError(f"there is no output {output}; there are {', '.join(known)}")
    rule, repeats, sampled = chosen_points(evaluator, outputs, seed, at)
    # of every sector
    on_rule, on_repeats = (
        jax.tree.map(lambda *parts: jnp.asarray(np.stack(parts), evaluator.dtype), *drawn) if drawn else None
        for drawn in (rule, repeats)
    )
    means, start = _means(at_points(evaluator, outputs), sampled), evaluator.start
    told = _told_of_jumps(evaluator, outputs)

    def function(inputs: Mapping[str, Any]) -> dict[str, Any]:
        if evaluator.dtype == "float64" and not has_64_bits() and traced(inputs):
            return in_single()(inputs)
        with precision(evaluator.dtype):
            return evaluated(dict(inputs))

    @cache
    def in_single() -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        warnings.warn(NARROW, stacklevel=4)
        with jax.ensure_compile_time_eval():
            return evaluator.single.functions(outputs, seed=seed, at=at)

    def evaluated(given: dict[str, Any]) -> dict[str, Any]:
        if start is not None and any(name not in given for name in start.names):
            own = {name: value for name, value in given.items() if name not in start.names}
            given = {**jax.lax.stop_gradient(start.values(own, seed)), **given}
        found: dict[str, Any] = means(told(evaluator.module.prepared(given)), on_rule, on_repeats)
        return found

    return function


def _told_of_jumps(evaluator: Evaluator, outputs: Sequence[str]) -> Callable[[Any], Any]:
    """The identity, whose derivative warns if it misses jumps."""
    import jax

    on_points = isinstance(evaluator.plan, PointsPlan)
    jumping = with_moved_jumps(evaluator.program) & {*outputs} if on_points else set[str]()

    @jax.custom_jvp
    def told(given: Any) -> Any:
        return given

    @told.defjvp
    def derivative(primals: Any, tangents: Any) -> Any:
        if jumping:
            warnings.warn(JUMPING.format(", ".join(f"`{name}`" for name in sorted(jumping))), stacklevel=2)
        return primals[0], tangents[0]

    return told


def _means(on_points: Callable[..., dict[str, Any]], sampled: Mapping[str, Any]) -> Callable[..., Any]:
    """The means of outputs over a rule and over repeats, compiled.

    Where there are both, `sampled` says which one counts. Each repeat is differentiated on its own.
    """
    import jax
    import jax.numpy as jnp

    @jax.jit
    def means(given: Mapping[str, Any], *groups: Any) -> Any:
        found = [
            jax.lax.map(jax.checkpoint(lambda own: on_points(given, *own)), group)
            for group in groups
            if group is not None
        ]
        values = [{name: jnp.mean(value, axis=0) for name, value in each.items()} for each in found]
        return (
            values[0]
            if len(values) == 1
            else {name: jnp.where(sampled[name], values[1][name], values[0][name]) for name in values[0]}
        )

    return means


@in_own_precision
def chosen_points(
    evaluator: Evaluator, outputs: Sequence[str], seed: int, at: Mapping[str, Any] | None
) -> tuple[list[Any], list[Any], dict[str, Any]]:
    """The points and weights of a rule, those of repeats, and where the latter are taken if there are both.

    They are as for a call with the inputs `at`; None: the defaults, or if some have none, what suits no
    inputs in particular.
    """
    draw, plan, start = evaluator.module.draw, evaluator.plan, evaluator.start
    if not isinstance(plan, CheckedPlan):
        # of several rules the first is the finest one
        return [], [draw(seed, k) for k in range(plan.repeats)], {}
    if at is None and any(
        item.default is None
        for item in evaluator.program.inputs
        if start is None or item.name not in start.names
    ):
        return [draw(seed, 0)], [], {}
    import jax

    module, points, kept = evaluator.module, draw(seed, 0), {}
    with jax.ensure_compile_time_eval(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        given = bind_inputs(evaluator.program, evaluator.inputs_with_start(at, seed))
        if isinstance(plan, PanelsPlan):
            seen = module.adapted(given)
            points, kept = module.points_of(seen), {0: module.integrated(given, None, seen)}
        module.run(given, seed=seed, kept=kept)
        verdicts = module.verdicts([kept[k] for k in range(plan.evaluations)])
        sampled = {name: np.asarray(found[2]) for name, found in verdicts.items()}
    better = any(np.any(sampled[name]) for name in outputs)
    return [points], [draw(seed, k) for k in range(1, plan.evaluations)] if better else [], sampled


def at_points(evaluator: Evaluator, outputs: Sequence[str]) -> Callable[..., dict[str, Any]]:
    """Some outputs as a JAX function of all inputs, points and weights."""

    def outputs_at(given: Any, points: Any, weights: Any) -> dict[str, Any]:
        found = evaluator.module.limit(given, points, weights)[0]
        return {name: found[name] for name in outputs}

    return outputs_at
