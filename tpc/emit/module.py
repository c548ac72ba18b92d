"""A whole emitted module: header, helpers, `limit`, `draw`, `run`."""

from __future__ import annotations

import ast
from dataclasses import replace

from tpc.core.storage import Region
from tpc.emit import checked
from tpc.emit.assemble import Setting, assembled, inputs_setting
from tpc.emit.body import Body
from tpc.emit.docstring import docstring
from tpc.emit.error_checks import checks, evaluations, may_cancel, run_sections
from tpc.emit.identifiers import Identifiers
from tpc.emit.library import names_for_limit
from tpc.emit.opening import Opening
from tpc.emit.python import Assign, Def, Py, Return, Statement
from tpc.emit.unused import without_unused
from tpc.plan.cost import bytes_of
from tpc.plan.plan import (
    NAMES,
    ChaosPlan,
    CheckedPlan,
    CoefficientsPlan,
    GridPlan,
    PanelsPlan,
    Plan,
    PointsPlan,
    SampledPlan,
    VectorsPlan,
)

AT_ONCE = 2.5e8  # bytes that all rounds of a loop may take at once, or half of what the others do
# small blocks waste less, and take longer to compile, 0.03 s for each use of one
BLOCK, BATCH_BLOCK, BLOCKS = 128, 32, 8
BY_SECTOR = ("points", "weights", "size", "inner", "mean", "product", "product_all")
LOCALS = ("inputs", *BY_SECTOR, "loop", "dtype", "one", "state", "TOLERANCE")


def emit_vectors(plan: VectorsPlan, loop: Region | None = None) -> str:
    """The source of a module that evaluates a plan by vectors. loop: with functions that run it in parts."""
    names = _names(plan)
    body = _body(plan, names, loop)
    head = Opening(plan.program, plan.layout, names, body)
    head.run()
    body.run()
    return assembled(
        _header(plan),
        _settings(plan),
        _limit(body, head, loop is not None),
        sections=_sections(plan, may_cancel(plan)),
        public=_public(plan, loop is not None),
    )


def source_of_a_repeat(plan: Plan, source: str) -> str:
    """What each repeat of a plan's module depends on besides inputs and seed.

    Its code, without comments, the text of the program and the number of repeats.
    """
    tree = ast.parse(source)
    del tree.body[0]
    if not isinstance(plan, SampledPlan):
        return ast.unparse(tree)
    settings = _settings(replace(plan, repeats=1))
    told = {name for line in settings for name in line.values}
    tree.body = [line for line in tree.body if not told & _assigned(line)]
    return f"{ast.unparse(tree)}\n{[line.values for line in settings]}"


def _assigned(line: ast.stmt) -> set[str]:
    targets = line.targets if isinstance(line, ast.Assign) else []
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}


def _body(plan: VectorsPlan, names: Identifiers, loop: Region | None) -> Body:
    body = Body(plan.program, plan.structure, plan.layout, plan.space, names)
    body.exact = plan.exact
    body.vector_bytes = plan.samples * bytes_of(plan.dtype) if isinstance(plan, PointsPlan) else 0
    body.short = isinstance(plan, PointsPlan) and plan.dtype != "float64"
    body.at_once = max(AT_ONCE, plan.memory / 2)
    if isinstance(plan, CoefficientsPlan) and plan.packed:
        body.expressions.packed = tuple(
            name
            for name, s in plan.structure.storage.items()
            if s.carry is not None and s.family.kind == "vector"
        )
    body.in_parts = loop
    return body


def _names(plan: VectorsPlan) -> Identifiers:
    """What is free to be called something."""
    by_sector = [f"{name}{suffix}" for suffix in plan.space.sectors.suffixes for name in BY_SECTOR]
    sectors = plan.space.sectors
    products = {sectors.product_suffix(side, exact=plan.exact) for side in sectors.operands}
    by_side = [f"{name}{suffix}" for suffix in sorted(products) for name in ("product", "product_all")]
    return Identifiers((*names_for_limit(), *LOCALS, *by_sector, *by_side))


def _limit(body: Body, head: Opening, segments: bool) -> Def:
    """The function, once all is emitted. segments: whether a parameter of it runs a loop."""
    outputs = [head.output(o) for o in head.program.outputs]
    status = head.names.fresh("lost")
    by_name = ", ".join(f"{key!r}: {value.text}" for key, value in outputs)
    ending: list[Statement] = [
        Assign((status,), _greatest_loss(body)),
        Return(Py(f"as_outputs({{{by_name}}}, dtype), {status}")),
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


def _header(plan: VectorsPlan) -> str:
    match plan:
        case PanelsPlan() | GridPlan():
            how = checked.described(plan)
        case ChaosPlan():
            how = (
                "Vectors are polynomials of standard Gaussians, given by their values at the nodes of "
                "products of Gauss–Hermite\nrules that integrate all that occurs: the result is exact."
            )
        case SampledPlan():
            kind = f"{NAMES[plan.points]}{', whitened' if plan.whiten else ''}"
            how = (
                f"Vectors are values at {plan.samples} points ({kind}) of {plan.gaussians} standard\n"
                "Gaussians; the errors shown are standard errors of the mean over "
                f"{plan.repeats} independent randomisations."
            )
        case _:
            how = "Vectors are coefficients on standard Gaussians; the result is exact."
    return docstring(plan.program, how)


def _greatest_loss(body: Body) -> Py:
    lost = [f"jnp.max({body.top.chains[side].name}[0].lost)" for side in body.layout.capacity]
    return Py(f"jnp.max(jnp.stack([{', '.join(lost)}]))" if lost else "jnp.zeros((), dtype)")


def _settings(plan: VectorsPlan) -> list[Setting]:
    numbers = {"DTYPE": repr(plan.dtype), "TOLERANCE": repr(plan.tolerance)}
    lines = [Setting({**numbers, "GAUSSIANS": str(plan.layout.total)})]
    match plan:
        case PanelsPlan() | GridPlan():
            lines += checked.settings(plan)
        case ChaosPlan():
            lines.append(Setting({"NODES": repr(plan.rule)}, "of the rule for every Gaussian, by sector"))
        case SampledPlan():
            drawn = {"SAMPLES": plan.samples, "REPEATS": plan.repeats, "WHITEN": plan.whiten}
            lines += [Setting({name: str(value) for name, value in drawn.items()}), *checks(plan)]
    if may_cancel(plan):
        lines.append(evaluations(plan))
    block = BATCH_BLOCK if plan.layout.rows > 1 else BLOCK
    blocks = {"BLOCK": str(block), "BLOCKS": str(BLOCKS)}
    lines.append(Setting(blocks, "of bases and histories: rows at least, and how many at most"))
    return [*lines, inputs_setting(plan.program)]


def _sections(plan: VectorsPlan, cancels: bool) -> tuple[str, ...]:
    """The sections that the plan needs, where helpers are of several kinds."""
    if plan.exact:
        return plan.points, *run_sections(plan, cancels)
    return plan.points, "checked" if isinstance(plan, CheckedPlan) else "claims"


def _public(plan: VectorsPlan, in_parts: bool) -> tuple[str, ...]:
    """What the evaluator calls besides `run`."""
    own = {"coefficients": ("coefficients",), "panels": ("points_of",)}.get(plan.points, ())
    return (*own, *("begin", "advance", "finish") * in_parts)
