"""A whole emitted module: header, helpers, `limit`, `draw`, `run`."""

from __future__ import annotations

import math
from dataclasses import replace

from tpc.core.program import Program
from tpc.emit import checked
from tpc.emit.assemble import Setting, assembled, inputs_setting
from tpc.emit.body import Body
from tpc.emit.docstring import docstring
from tpc.emit.error_checks import checks, evaluations, may_cancel, run_sections
from tpc.emit.identifiers import Names
from tpc.emit.library import names_for_limit
from tpc.emit.opening import Opening
from tpc.emit.python import Assign, Def, Py, Return, Statement
from tpc.emit.segments import segmented
from tpc.emit.unused import without_unused
from tpc.gram.write import emit_gram
from tpc.plan.chaos import Kept
from tpc.plan.gaussians import Layout, lay_out
from tpc.plan.matrix_members import taken_apart
from tpc.plan.plan import NAMES, SECONDS, Plan, UnrepresentableError, gram_plan, make_plan
from tpc.plan.structure import Structure, structure
from tpc.reassociate import reassociate

LONG = 0.05  # seconds of a linear plan beyond which covariances are tried as well
AT_ONCE = 2.5e8  # bytes that all rounds of a loop may take at once, or half of what the others do
# small blocks waste less, and take longer to compile, 0.03 s for each use of one
BLOCK, BATCH_BLOCK, BLOCKS = 128, 32, 8
BY_SECTOR = ("points", "weights", "size", "inner", "mean", "product", "product_all")
LOCALS = ("inputs", *BY_SECTOR, "loop", "dtype", "one", "state", "TOLERANCE", "NOISE")


def planned(
    program: Program,
    *,
    method: str = "auto",
    samples: int | None = None,
    repeats: int | None = None,
    dtype: str = "float64",
    max_rank: int | None = None,
) -> tuple[Program, Plan, Structure | None, Layout | None]:
    """The program with its sums in order, its plan and what that rests on (nothing, for covariances). Raises
    UnrepresentableError."""
    by_covariances = gram_plan(program, method, "float32" if dtype == "float32" else "float64")
    if isinstance(by_covariances, Plan):
        return program, by_covariances, None, None
    whole, program = program, taken_apart(program)
    plan, parts, layout = _planned(program, method, samples, repeats, dtype, max_rank)
    if plan.method != "chaos":
        reordered = reassociate(program, plan.samples)
        if reordered is not program:
            again, own, its = _planned(reordered, plan.method, samples, repeats, dtype, max_rank, plan.reason)
            if again.gaussians <= plan.gaussians:
                return reordered, _explained(again, by_covariances), own, its
    plan = _explained(plan, by_covariances)
    if method == "auto" and plan.method == "linear" and plan.seconds > LONG:
        try:
            other = gram_plan(whole, "gram", plan.dtype, SECONDS)
        except UnrepresentableError:
            other = ""
        if isinstance(other, Plan) and other.exact and other.seconds < plan.seconds:
            return whole, other, None, None
    return program, plan, parts, layout


def _explained(plan: Plan, by_covariances: str) -> Plan:
    """The plan with what `gram_plan` says of it."""
    return replace(plan, why=f"{plan.why}; {by_covariances}") if by_covariances and not plan.exact else plan


def _planned(
    program: Program,
    method: str,
    samples: int | None,
    repeats: int | None,
    dtype: str,
    max_rank: int | None,
    reason: str = "asked for",
) -> tuple[Plan, Structure, Layout]:
    """reason: as of `make_plan`."""
    parts = structure(program)
    program = replace(program, body=parts.body)
    rows = max((math.prod(r.greatest for r in nest) for nest in parts.blocks.values()), default=1)
    layout = replace(lay_out(program, parts.confined, max_rank), rows=rows)
    kept = {
        s.family.name: Kept(
            _members(s.family.shape, s.kept),
            math.prod(r.greatest for r in s.dropped.values() if id(r) in parts.parallel),
        )
        for s in parts.storage.values()
        if s.family.kind == "vector"
    }
    plan = make_plan(
        program,
        layout,
        kept,
        parts.confined,
        method=method,
        samples=samples,
        repeats=repeats,
        dtype="float32" if dtype == "float32" else "float64",
        reason=reason,
    )
    # more directions than dimensions of the sample
    crowded = max(layout.capacity.values(), default=0) > plan.samples
    if max_rank is None and crowded and not plan.exact:
        layout = replace(lay_out(program, parts.confined, plan.samples), rows=rows)
        plan = make_plan(
            program,
            layout,
            kept,
            parts.confined,
            method=method,
            samples=samples or plan.samples,
            repeats=repeats,
            dtype=plan.dtype,
            reason=reason,
        )
    return plan, parts, layout


def _members(shape: tuple[int, ...], kept: tuple[int, ...]) -> int:
    return math.prod(shape[axis] for axis in kept)


def emit(
    program: Program,
    plan: Plan,
    parts: Structure | None,
    layout: Layout | None,
    *,
    segments: bool = False,
    over: str | None = None,
) -> str:
    """The source of a module that evaluates `program` as planned.

    segments: with functions that run its longest loop in parts, or the one over the variable `over`.
    """
    if parts is None or layout is None:
        return emit_gram(program, plan)
    names = _names(plan)
    body = Body(program, parts, layout, plan.space, names)
    body.sampled = plan.noise > 0
    body.vector_bytes = plan.samples * (8 if plan.dtype == "float64" else 4) if plan.method == "nodes" else 0
    body.at_once = max(AT_ONCE, plan.memory / 2)
    if plan.packed:
        body.expressions.packed = tuple(
            name for name, s in parts.storage.items() if s.carry is not None and s.family.kind == "vector"
        )
    body.in_parts = segmented(parts, over) if segments else None
    head = Opening(program, layout, names, body)
    head.run()
    body.run()
    return assembled(
        _header(program, plan),
        _settings(program, plan, layout),
        _limit(body, head, segments),
        sections=_sections(plan, may_cancel(program, plan)),
        public=_public(plan, segments),
    )


def _names(plan: Plan) -> Names:
    """What is free to be called something."""
    by_sector = [f"{name}{suffix}" for suffix in plan.space.sectors.suffixes for name in BY_SECTOR]
    return Names((*names_for_limit(), *LOCALS, *by_sector))


def _limit(body: Body, head: Opening, segments: bool) -> Def:
    """The function, once all is emitted. segments: whether a parameter of it runs a loop."""
    outputs = [head.output(o) for o in head.program.outputs]
    status = head.names.fresh("lost")
    lost = [f"jnp.max({body.top.chains[side].name}[0].lost)" for side in body.layout.capacity]
    ending: list[Statement] = [
        Assign(
            (status,), Py(f"jnp.max(jnp.stack([{', '.join(lost)}]))") if lost else Py("jnp.zeros((), dtype)")
        ),
        Return(
            Py(
                f"as_outputs({{{', '.join(f'{key!r}: {value.text}' for key, value in outputs)}}}, dtype), "
                f"{status}"
            )
        ),
    ]
    lines = [*body.top.prologue, *body.top.statements, *ending]
    doc = (
        f"The outputs on {head.shapes}, and the greatest relative norm of a direction there was no room for."
    )
    return Def(
        "limit",
        ("inputs", "points", "weights", *["loop=lax.fori_loop"] * segments),
        without_unused((*head.opening(), *lines)),
        doc,
    )


def _header(program: Program, plan: Plan) -> str:
    if any(plan.checks):
        how = checked.described(plan)
    elif plan.points == "rules":
        how = (
            "Vectors are polynomials of standard Gaussians, given by their values at the nodes of "
            "products of "
            "Gauss–Hermite\n"
            "rules that integrate all that occurs: the result is exact."
        )
    elif plan.exact:
        how = "Vectors are coefficients on standard Gaussians; the result is exact."
    else:
        kind = f"{NAMES[plan.points]}{', whitened' if plan.whiten else ''}"
        how = (
            f"Vectors are values at {plan.samples} points ({kind}) of {plan.gaussians} standard\n"
            f"Gaussians; the errors shown are standard errors of the mean over {plan.repeats} independent "
            "randomisations."
        )
    return docstring(program, how)


def _settings(program: Program, plan: Plan, layout: Layout) -> list[Setting]:
    lines = [
        Setting(
            {"DTYPE": repr(plan.dtype), "TOLERANCE": repr(plan.tolerance), "GAUSSIANS": str(layout.total)}
        )
    ]
    if any(plan.checks):
        lines += checked.settings(plan)
    elif plan.points == "rules":
        lines.append(Setting({"NODES": repr(plan.rule)}, "of the rule for every Gaussian, by sector"))
    if may_cancel(program, plan):
        lines.append(evaluations(plan))
    elif not plan.exact and not any(plan.checks):
        drawn = {"SAMPLES": plan.samples, "REPEATS": plan.repeats, "WHITEN": plan.whiten, "NOISE": plan.noise}
        lines += [Setting({name: str(value) for name, value in drawn.items()}), *checks(program, plan)]
    block = BATCH_BLOCK if layout.rows > 1 else BLOCK
    blocks = {"BLOCK": str(block), "BLOCKS": str(BLOCKS)}
    lines.append(Setting(blocks, "of bases and histories: rows at least, and how many at most"))
    return [*lines, inputs_setting(program)]


def _sections(plan: Plan, cancels: bool) -> tuple[str, ...]:
    """Of helpers that there are several kinds of, those that the plan needs."""
    if plan.exact:
        return plan.points, *run_sections(plan, cancels)
    return plan.points, "checked" if any(plan.checks) else "claims"


def _public(plan: Plan, segments: bool) -> tuple[str, ...]:
    """What the evaluator calls besides `run`."""
    own = {"coefficients": ("coefficients",), "panels": ("points_of",)}.get(plan.points, ())
    return (*own, *("begin", "advance", "finish") * segments)
