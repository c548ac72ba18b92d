"""The parts of emitted modules that see what rounding does to the outputs, where numbers may cancel."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tpc.emit.helpers.runner import (
    DTYPE,
    compiled,
    draw,
    evaluated,
    evaluations,
    prepared,
    summary,
    traced,
)

EVALUATIONS = 1

# ---- copied
ROUNDED = frozenset(
    (
        "add",
        "sub",
        "mul",
        "div",
        "dot_general",
        "reduce_sum",
        "exp",
        "exp2",
        "expm1",
        "log",
        "log1p",
        "tanh",
        "logistic",
        "erf",
        "erfc",
        "sqrt",
        "rsqrt",
        "pow",
        "integer_pow",
        "sin",
        "cos",
        "sinh",
        "cosh",
    )
)
COARSER, SAFETY = 12, 8.0  # bits fewer than the numbers have
WAYS = 1.0, -1.0, 0.5  # in which operations are off
MOST_STEPS = 4000  # operations that are compiled for that, which takes up to 10 s


def rounding(inputs, points, weights, values, enough, mesh=None):
    """{output: about what rounding may change it by}.

    All operations are done with numbers of so many bits fewer that their errors are not lost in those of
    rounding, and what comes of them is taken in proportion: the middle one of three WAYS to be off, since
    errors of one may happen to cancel, or to make another choice. values: the outputs on these points, of
    which `enough` will do.

    NaN where there are so many operations that compiling them once more takes minutes.
    """
    if mesh is not None or (enough < np.inf and len(weights) > enough):
        count = max(enough, 2 * len(points))
        points, weights = points[:, :count], np.full(min(count, len(weights)), 1 / min(count, len(weights)))
        values, _ = evaluated(inputs, points, weights)
    given = {name: jnp.asarray(value) for name, value in inputs.items()}
    drawn = jax.tree.map(lambda a: jnp.asarray(a, DTYPE), (points, weights))  # of every sector
    if size_of(compiled.trace(given, *drawn).jaxpr.jaxpr) > MOST_STEPS:
        return {name: np.full(np.shape(value), np.nan) for name, value in values.items()}
    coarse = [replayed(given, *drawn, jnp.asarray(way, DTYPE)) for way in WAYS]
    return {
        name: SAFETY
        * 2.0**-COARSER
        * middle(np.stack([np.asarray(one[name]) for one in coarse]) - np.asarray(value))
        for name, value in values.items()
    }


def middle(x):
    """The middle one of three sizes along the first axis, of which NaN is the largest."""
    return np.sort(np.abs(x), axis=0)[1]


def size_of(jaxpr):
    """How many operations a jaxpr has, those of what it calls each time that it does."""
    inner = [
        getattr(part, "jaxpr", part)
        for equation in jaxpr.eqns
        for value in equation.params.values()
        for part in (value if isinstance(value, tuple | list) else (value,))
        if hasattr(getattr(part, "jaxpr", part), "eqns")
    ]
    return len(jaxpr.eqns) + sum(map(size_of, inner))


def replays(inputs, points, weights, way):
    """The outputs of `limit`, its operations done with fewer bits."""
    known = compiled.trace(inputs, points, weights)  # as it was traced to be compiled
    flat = jax.tree.leaves((inputs, points, weights))
    made = replay(known.jaxpr.jaxpr, known.jaxpr.consts, flat, way)
    return jax.tree.unflatten(jax.tree.structure(known.out_info), made)[0]


# It runs once, on few points: what makes programs fast takes longer than it.
replayed = jax.jit(
    replays, compiler_options={"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
)


def replay(jaxpr, consts, arguments, way):
    """The results of a jaxpr, each of its operations followed by `coarsened`."""
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *arguments), strict=True))

    def value(atom):
        """The value of a variable or a literal."""
        return atom.val if hasattr(atom, "val") else known[atom]

    for place, step in enumerate(jaxpr.eqns):
        known.update(
            zip(step.outvars, operation(step, [value(atom) for atom in step.invars], place, way), strict=True)
        )
    return [value(atom) for atom in jaxpr.outvars]


def operation(step, arguments, place, way):
    """What one equation of a jaxpr makes, with what is inside it replayed."""
    name, inner = step.primitive.name, step.params

    def inside(closed):
        """A closed jaxpr as a function."""
        return lambda *own: replay(closed.jaxpr, closed.consts, own, way)

    if name == "while":
        first, second = inner["cond_nconsts"], inner["cond_nconsts"] + inner["body_nconsts"]
        test, body = arguments[:first], arguments[first:second]
        going, turned = (
            (lambda state: inside(inner["cond_jaxpr"])(*test, *state)[0]),
            inside(inner["body_jaxpr"]),
        )

        def next_round(state):
            """One round, in which those of several loops side by side that have come to their ends rest."""
            on = going(state)
            return [
                jnp.where(on.reshape(on.shape + (1,) * (made.ndim - on.ndim)), made, own) if on.ndim else made
                for own, made in zip(state, turned(*body, *state), strict=True)
            ]

        return lax.while_loop(lambda state: jnp.any(going(state)), next_round, arguments[second:])
    if name == "scan":
        first, second = inner["num_consts"], inner["num_consts"] + inner["num_carry"]

        def turn(state, own):
            """One round."""
            made = inside(inner["jaxpr"])(*arguments[:first], *state, *own)
            return made[: inner["num_carry"]], made[inner["num_carry"] :]

        state, stacked = lax.scan(
            turn, arguments[first:second], arguments[second:], inner["length"], inner["reverse"]
        )
        return [*state, *stacked]
    if name == "cond":
        return lax.switch(arguments[0], [inside(branch) for branch in inner["branches"]], *arguments[1:])
    called = next((inner[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in inner), None)
    if called is not None:
        return replay(getattr(called, "jaxpr", called), getattr(called, "consts", ()), arguments, way)
    made = step.primitive.bind(*arguments, **inner)
    made = made if step.primitive.multiple_results else [made]
    return [coarsened(one, place, way) if name in ROUNDED else one for one in made]


def coarsened(x, place, way):
    """x rounded to COARSER bits fewer, and off by about as much again in a way of the operation's own.

    So a number that is just 1 is off, too.
    """
    if not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    kind = jnp.finfo(x.dtype)
    off = 1 + way.astype(x.dtype) * (place * 0.618034 % 1 - 0.5) * 2.0 ** (COARSER - kind.nmant)
    return lax.reduce_precision(x, kind.nexp, kind.nmant - COARSER) * off


# ---- and rounding
SHOWN = 1e-11  # of a value: rounding errors from here on are told


def run(inputs=None, seed=0, progress=None, kept=None, mesh=None):
    """{output: (value, error)}, with the error of rounding where numbers cancel, else None.

    It can be jitted, vmapped over and differentiated in `inputs`, without that. The seed plays no part.

    progress: called with the numbers of evaluations done and of all. kept: a mapping of what is done, to
    begin with and to add to. mesh: a `jax.sharding.Mesh` of one axis, over whose devices the points or
    coefficients are shared out.
    """
    done = evaluations(inputs, lambda k: draw(seed, k), EVALUATIONS, progress, kept, mesh)
    found = summary(done)
    if traced(done):
        return found
    lost = rounding(
        prepared(inputs),
        *draw(seed, 0),
        {name: np.asarray(value) for name, (value, _) in found.items()},
        enough=np.inf,
    )
    return {
        name: (value, with_rounding(np.asarray(value), error, lost[name]))
        for name, (value, error) in found.items()
    }


def with_rounding(value, error, lost):
    """The error of a value with that of rounding, if it matters."""
    lost = np.nan_to_num(lost)
    if not np.any(lost > max(SHOWN, 64 * np.finfo(DTYPE).eps) * np.abs(value)):
        return error
    return lost if error is None else np.hypot(np.asarray(error), lost)
