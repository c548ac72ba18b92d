"""The dependency graph of a program: what is made from what, within a round of a loop and across rounds.

A node is an input, a matrix, an initial vector, an instruction's output or an output of the program; loops
are not unrolled. Node attributes:
  kind   "vector", "scalar", "table", "matrix", "input" or "output"
  op     the name of what makes it: Input, Matrix, Gaussians, MatMul, Nonlin, Moment, Scalar, OuterNonlin,
         OuterMul, Output
  label  its line of the program
  loop   the loops around it, ((variable, count), …) as text
Edge attributes:
  role      "operand", "matrix", "index" (an index read from an input), "law" (of a matrix or vector),
  "output" or "zdot"
  distance  for each loop around both ends how many rounds lie between them, None where that varies; the
  least, if there are several
  zdot      True from a product Wᵀy to each later product Wx of the same matrix whose operand depends on it,
  to which it so gives a Ż (TP4 Def 7.3);
            such an edge that is no dependency itself has role "zdot"
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import networkx as nx

from tpc.core.affine import Affine, Ranges
from tpc.core.expr import Expr, Gather, Index, Ref, Sum, Value, children
from tpc.core.places import may_meet
from tpc.core.printer import print_axes, print_expr, print_op
from tpc.core.program import (
    Axis,
    For,
    Gaussians,
    Instruction,
    MatMul,
    Matrix,
    Nonlin,
    OuterMul,
    OuterNonlin,
    Output,
    Product,
    Program,
    instructions,
    loop_ranges,
)

Distance = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class FamilyDefinition:
    """A node that makes members of a family: `index` in terms of `loops`."""

    node: str
    index: tuple[Index, ...]
    loops: tuple[For, ...] = ()
    ranges: Ranges = ()
    # its place in program order, -1 if it is given
    place: int = -1


@dataclass(frozen=True, slots=True)
class Use:
    """A reference in an instruction."""

    ref: Ref
    role: str
    # the loops and sums around it
    ranges: Ranges


def dependency_graph(program: Program) -> nx.DiGraph:
    """The graph of `program`; see above for its attributes.

    Nodes are in program order, named by what they make, `x[t+1]`.
    """
    graph = nx.DiGraph(name=program.name)
    made: dict[str, list[FamilyDefinition]] = {}
    _declare(graph, made, program)
    ops = [(_node(graph, op.out), op, loops) for op, loops in instructions(program.body)]
    for place, (node, op, loops) in enumerate(ops):
        _define(graph, made, node, op, loops, place)
    for place, (node, op, loops) in enumerate(ops):
        for use in _uses(op, loop_ranges(loops)):
            _connect(graph, made, node, use, loops, place)
    for output in program.outputs:
        _add_output(graph, made, output, len(ops))
    _add_zdots(graph, [(node, op) for node, op, _ in ops if isinstance(op, MatMul)])
    return graph


def _add_output(
    graph: nx.DiGraph, made: dict[str, list[FamilyDefinition]], output: Output, place: int
) -> None:
    node = _node(graph, Ref(f"output {output.name}"))
    graph.add_node(
        node, kind="output", op="Output", label=f"output {output.name}{print_axes(output.axes)}", loop=()
    )
    ranges = tuple((variable, Affine(count)) for variable, count in output.axes)
    for use in _ref_uses(output.ref, "output", ranges):
        _connect(graph, made, node, use, (), place)


# nodes


def _declare(graph: nx.DiGraph, made: dict[str, list[FamilyDefinition]], program: Program) -> None:
    """Adds what is given: inputs, matrices, initial vectors, and what their laws need."""
    for item in program.inputs:
        bound = "" if item.bound is None else f" : index({item.bound})"
        shape = f"[{', '.join(map(str, item.shape))}]" if item.shape else ""
        _given(
            graph, made, item.name, _axes(item.shape), "input", "Input", f"input {item.name}{shape}{bound}"
        )
    for matrix in program.matrices:
        law = f"N(0, {print_expr(matrix.variance, 2)}/{matrix.columns})"
        sides = f"{matrix.rows} x {matrix.columns}"
        _given(
            graph,
            made,
            matrix.name,
            matrix.axes,
            "matrix",
            "Matrix",
            f"{matrix.name}{print_axes(matrix.axes)} : {sides} ~ {law}",
        )
    for group in program.gaussians:
        for i, name in enumerate(group.names):
            law = f"N({print_expr(group.mean[i])}, {print_expr(group.covariance[i][i])})"
            _given(
                graph,
                made,
                name,
                group.axes,
                "vector",
                "Gaussians",
                f"{name}{print_axes(group.axes)} : {group.width} ~ {law}",
            )
    _laws(graph, made, program)


def _node(graph: nx.DiGraph, ref: Ref) -> str:
    """A name for a new node: the reference as text, numbered if two are alike.

    The node is put into the graph, to keep the order.
    """
    name, k = str(ref), 1
    while name in graph:
        k += 1
        name = f"{ref} ({k})"
    graph.add_node(name)
    return name


def _axes(shape: tuple[int, ...]) -> tuple[Axis, ...]:
    return tuple((f"i{k}", count) for k, count in enumerate(shape))


def _given(
    graph: nx.DiGraph,
    made: dict[str, list[FamilyDefinition]],
    name: str,
    axes: tuple[Axis, ...],
    kind: str,
    op: str,
    label: str,
) -> None:
    graph.add_node(name, kind=kind, op=op, label=label, loop=())
    ranges = tuple((variable, Affine(count)) for variable, count in axes)
    made[name] = [FamilyDefinition(name, tuple(Affine.var(variable) for variable, _ in axes), ranges=ranges)]


def _define(
    graph: nx.DiGraph,
    made: dict[str, list[FamilyDefinition]],
    node: str,
    op: Instruction,
    loops: tuple[For, ...],
    place: int,
) -> None:
    kind = (
        "vector" if isinstance(op, Product | Nonlin) else "table" if isinstance(op, OuterNonlin) else "scalar"
    )
    around = tuple((loop.variable, str(loop.count)) for loop in loops)
    graph.add_node(node, kind=kind, op=type(op).__name__, label=print_op(op)[0], loop=around)
    made.setdefault(op.out.name, []).append(
        FamilyDefinition(node, op.out.index, loops, loop_ranges(loops), place)
    )


def _laws(graph: nx.DiGraph, made: dict[str, list[FamilyDefinition]], program: Program) -> None:
    def link(names: tuple[str, ...], item: Matrix | Gaussians, parts: tuple[Expr, ...]) -> None:
        ranges = tuple((variable, Affine(count)) for variable, count in item.axes)
        for part in parts:
            for use in _expr_uses(part, "law", ranges):
                for name in names:
                    _connect(graph, made, name, use, (), 0)

    for matrix in program.matrices:
        link((matrix.name,), matrix, (matrix.variance,))
    for group in program.gaussians:
        link(group.names, group, (*group.mean, *(x for row in group.covariance for x in row)))


# uses


def _uses(op: Instruction, ranges: Ranges) -> Iterator[Use]:
    if isinstance(op, MatMul):
        yield from _ref_uses(op.matrix, "matrix", ranges)
        yield from _ref_uses(op.operand, "operand", ranges)
    elif isinstance(op, OuterMul):
        yield from _ref_uses(op.table, "operand", ranges)
        yield from _ref_uses(op.operand, "operand", ranges)
    else:
        yield from _expr_uses(op.phi, "operand", ranges)


def _expr_uses(x: Expr, role: str, ranges: Ranges) -> Iterator[Use]:
    if isinstance(x, Value):
        yield from _ref_uses(x.ref, role, ranges)
    inner = (*ranges, (x.variable, x.count)) if isinstance(x, Sum) else ranges
    for part in children(x):
        yield from _expr_uses(part, role, inner)


def _ref_uses(ref: Ref, role: str, ranges: Ranges) -> Iterator[Use]:
    yield Use(ref, role, ranges)
    for index in ref.index:
        if isinstance(index, Gather):
            yield from _ref_uses(Ref(index.input, index.index), "index", ranges)


# edges


def _connect(
    graph: nx.DiGraph,
    made: dict[str, list[FamilyDefinition]],
    node: str,
    use: Use,
    loops: tuple[For, ...],
    place: int,
) -> None:
    """Edges from all that may make what `use` refers to."""
    for definition in made.get(use.ref.name, []):
        distance = _distance(definition, use, loops, place)
        if distance is None:
            continue
        if graph.has_edge(definition.node, node):
            edge = graph.edges[definition.node, node]
            edge["distance"] = min(edge["distance"], distance, key=_length)
        else:
            graph.add_edge(definition.node, node, role=use.role, distance=distance, zdot=False)


def _length(distance: Distance) -> tuple[int, ...]:
    """Sorts distances, those that vary as 1: the nearest earlier round may be meant."""
    return tuple(1 if d is None else d for d in distance)


def _distance(definition: FamilyDefinition, use: Use, loops: tuple[For, ...], place: int) -> Distance | None:
    """How many rounds of each common loop lie between definition and use.

    None if the one never makes what the other means.
    """
    common = [a for a, b in zip(definition.loops, loops, strict=False) if a is b]
    found: dict[str, int] = {}
    for i, j in zip(definition.index, use.ref.index, strict=True):
        if isinstance(i, Gather) or isinstance(j, Gather):
            continue
        if not may_meet(i, definition.ranges, j, use.ranges):
            return None
        if i.terms == j.terms and len(i.terms) == 1 and i.terms[0][0] in {loop.variable for loop in common}:
            variable, k = i.terms[0]
            if (i.const - j.const) % k or found.setdefault(variable, (i.const - j.const) // k) != (
                i.const - j.const
            ) // k:
                return None
    distance = tuple(found.get(loop.variable) for loop in common)
    moving = [d for d in distance if d != 0]
    if moving and moving[0] is not None and moving[0] < 0:
        return None
    return None if not moving and definition.place >= place else distance


def _add_zdots(graph: nx.DiGraph, products: list[tuple[str, MatMul]]) -> None:
    """Links Wᵀy to every Wx whose operand depends on it, and the other way round."""
    across: dict[tuple[str, bool], list[tuple[str, MatMul]]] = {}
    for node, op in products:
        across.setdefault((op.matrix.name, not op.transposed), []).append((node, op))
    place = {node: k for k, (node, op) in enumerate(products) if (op.matrix.name, op.transposed) in across}
    made_of = _made_of(graph, place)
    operands = {
        node: [u for u, _, data in graph.in_edges(node, data=True) if data["role"] == "operand"]
        for node in place
    }
    for earlier, one in products:
        for later, two in across.get((one.matrix.name, one.transposed), ()):
            if _opposite(one, two) and any(
                made_of[operand] >> place[earlier] & 1 for operand in operands[later]
            ):
                if graph.has_edge(earlier, later):
                    graph.edges[earlier, later]["zdot"] = True
                else:
                    graph.add_edge(earlier, later, role="zdot", distance=(), zdot=True)


def _made_of(graph: nx.DiGraph, place: dict[str, int]) -> dict[str, int]:
    """For each node which products it is or depends on, as the bits of an integer.

    place: the bit of a product.
    """
    found: dict[str, int] = {}
    groups = nx.condensation(graph)
    whole: dict[int, int] = {}
    for group in nx.topological_sort(groups) if place else ():
        nodes = groups.nodes[group]["members"]
        whole[group] = 0
        for before in groups.predecessors(group):
            whole[group] |= whole[before]
        for node in nodes:
            whole[group] |= 1 << place[node] if node in place else 0
        found |= dict.fromkeys(nodes, whole[group])
    return found


def _opposite(one: MatMul, two: MatMul) -> bool:
    """Whether two products may be with one matrix, from opposite sides."""
    if one.matrix.name != two.matrix.name or one.transposed == two.transposed:
        return False
    return not any(
        isinstance(i, Affine) and isinstance(j, Affine) and not i.terms and not j.terms and i != j
        for i, j in zip(one.matrix.index, two.matrix.index, strict=True)
    )
