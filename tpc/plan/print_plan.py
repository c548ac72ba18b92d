"""A whole plan as text: the representation, and what it is made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tpc.core.printer import print_op
from tpc.core.storage import Leaf, Node, Storage
from tpc.gram.print_covariances import print_covariances
from tpc.plan.gaussians import Layout, Rows, Side
from tpc.plan.plan import ChaosPlan, CoefficientsPlan, CovariancesPlan, PanelsPlan, Plan, VectorsPlan
from tpc.plan.structure import Structure


def print_plan(plan: Plan) -> str:
    """The plan, then, of covariances, these, each as it follows from others.

    A plan by vectors says which Gaussians they are made of, where each family is kept, and the program's
    instructions with how their loops are run.
    """
    lines = [f"plan of {plan.program.name}: {plan}", f"in {plan.dtype}{_details(plan)}"]
    if isinstance(plan, CovariancesPlan):
        lines += ["", "covariances", *_indented(print_covariances(plan.covariances).splitlines())]
    elif isinstance(plan, VectorsPlan):
        lines += [
            "",
            f"{plan.gaussians} Gaussian{'s' * (plan.gaussians != 1)}",
            *_indented(_gaussians(plan.layout)),
        ]
        kept = [_place(s, plan.structure) for s in plan.structure.storage.values()]
        lines += ["", "families", *_indented(kept)]
        lines += ["", "instructions", *_nodes(plan.structure.nodes, plan.structure, "    ")]
    return "\n".join(lines) + "\n"


def _details(plan: Plan) -> str:
    """What a representation has besides points."""
    match plan:
        case CoefficientsPlan(packed=True):
            return ", loops carrying vectors in bfloat16"
        case ChaosPlan():
            sectors = "; ".join(" x ".join(map(str, nodes)) or "1" for nodes in plan.rule)
            return f", on rules of so many nodes: {sectors}"
        case PanelsPlan():
            how = "with" if plan.sensitive else "without"
            most = ", then ".join(map(str, plan.capacities))
            return f", {most} points at most, {how} the influence of each"
    return ""


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _gaussians(layout: Layout) -> Iterator[str]:
    for name, rows in layout.initial.items():
        yield f"{_rows(rows)}: {name}"
    yield from (f"{_directions(side, k, layout)}" for side, k in layout.capacity.items())
    yield from (f"{_directions(side, k, layout)} in each round" for side, k in layout.extra.items())


def _rows(rows: Rows) -> str:
    return f"{rows.start}" if rows.count == 1 else f"{rows.start} to {rows.stop - 1}"


def _directions(side: Side, count: int, layout: Layout) -> str:
    matrix, transposed = side
    members = layout.members[matrix]
    each = f" for each of {members}" if members > 1 else ""
    return f"directions of {matrix}{'ᵀ' * transposed}: {count}{each}"


def _place(storage: Storage, parts: Structure) -> str:
    """Where the members of a family are while the program runs."""
    family = storage.family
    shape = "".join(f"[{n}]" for n in family.shape)
    array = f"an array {[family.shape[axis] for axis in storage.kept]}" if storage.kept else "one member"
    if family.name in parts.histories:
        array += " in blocks"
    carried = (
        "" if storage.carry is None else f", carried from round to round of {storage.carry.region.variable}"
    )
    dropped = ", ".join(region.variable for region in storage.dropped.values())
    return (
        f"{family.kind} {family.name}{shape}: {array}{carried}{f' in a round of {dropped}' * bool(dropped)}"
    )


def _nodes(nodes: Sequence[Node], parts: Structure, indent: str) -> Iterator[str]:
    rows = {region for nest in parts.blocks.values() for region in nest}
    for node in nodes:
        if isinstance(node, Leaf):
            yield from print_op(node.op, indent)
            continue
        if node in parts.parallel:
            how = "side by side"
        elif node in rows:
            how = "one product of matrices"
        else:
            how = "round by round"
        yield f"{indent}for {node.variable} < {node.loop.count}:    # {how}"
        yield from _nodes(node.body, parts, indent + "    ")
