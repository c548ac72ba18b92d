"""The program that kernels are read from: a network's declarations alone, as they stand in its file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tpc.core.expr import Expr, Gather, Index, Value, walk
from tpc.core.program import MatMul, OuterMul, Program, instructions
from tpc.syntax import tree

KEPT = (
    tree.ProgramName,
    tree.WidthStatement,
    tree.Dim,
    tree.InputStatement,
    tree.WeightStatement,
    tree.Activation,
    tree.Function,
    tree.Parametrization,
    tree.Network,
)


def fresh(text: str, wishes: Sequence[str]) -> list[str]:
    """Names that do not occur in a text."""
    out = []
    for wish in wishes:
        name = f"{wish}_of_kernel"
        while name in text:
            name += "_"
        out.append(name)
    return out


def declarations(program: Program) -> str:
    """The lines of a program that declare and define.

    Empty ones in place of what is trained and put out, so that all stand where they stood.

    Each statement goes on to where the next one begins.
    """
    lines = lines_of(program)
    statements = tree_of(program).statements
    starts = [s.span.line - 1 for s in statements] + [len(lines)]
    kept = [""] * len(lines)
    for s, start, stop in zip(statements, starts, starts[1:], strict=False):
        if isinstance(s, KEPT):
            kept[start:stop] = lines[start:stop]
    return "".join(f"{line}\n" for line in kept)


def lines_of(program: Program) -> list[str]:
    assert program.source is not None
    return program.source.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def tree_of(program: Program) -> tree.File:
    from tpc.syntax.parse import parse_file

    assert program.source is not None
    return parse_file(program.source.text, program.source.name)


def parsed(text: str, program: Program) -> Program:
    from tpc.pipeline import parse

    assert program.source is not None
    return parse(text, name=program.source.name, dims=dict(program.source.dims))


def without_unused_inputs(program: Program) -> Program:
    """The program without inputs that nothing mentions, such as the data of a training."""
    found: set[str] = set()
    waiting: list[Expr] = [w.ratio for w in program.widths] + [m.variance for m in program.matrices]
    waiting += [x for g in program.gaussians for x in (*g.mean, *(c for row in g.covariance for c in row))]
    indices: list[Index] = [i for o in program.outputs for i in o.ref.index]
    for op, _ in instructions(program.body):
        if isinstance(op, MatMul):
            indices += [*op.matrix.index, *op.operand.index]
        elif isinstance(op, OuterMul):
            indices += [*op.table.index, *op.operand.index]
        else:
            waiting.append(op.phi)
    for x in waiting:
        for node in walk(x):
            if isinstance(node, Value):
                found.add(node.ref.name)
                indices += node.ref.index
    found |= {i.input for i in indices if isinstance(i, Gather)}
    return replace(program, inputs=tuple(i for i in program.inputs if i.name in found))


def with_kernels(
    program: Program,
    network: str,
    kinds: Sequence[str],
    positions: tuple[int, ...],
    form: str,
    counts: tuple[int, int],
    shape: tuple[int, ...],
) -> tuple[list[str], str]:
    """The names of the inputs, and the network's program with the kernels as its outputs.

    kinds, positions: as `KernelBlocks` has them. form: "cross" for every row with every column, "square" if
    the columns are the rows, "own" for every row with itself. counts: of rows and columns. shape: of one.
    """
    taken = declarations(program)
    x, z, i, j, *places = fresh(taken, ["x", "z", "i", "j", *(f"p{k}" for k in range(2 * len(positions)))])
    names = [x, z] if form == "cross" else [x]
    lines = [
        f"input {name}[{', '.join(map(str, (count, *shape)))}]"
        for name, count in zip(names, counts, strict=False)
    ]
    ranges = [
        (i, counts[0]),
        *([] if form == "own" else [(j, counts[1])]),
        *zip(places, positions * 2, strict=True),
    ]
    at = f"[{', '.join(places)}]" if places else ""
    pair = f"{x}[{i}], {names[-1]}[{i if form == 'own' else j}]"
    loops = " ".join(f"for {v} < {count}" for v, count in ranges)
    for output, kind in zip(fresh(taken, ["K", "K2"]), kinds, strict=False):
        lines.append(
            f"output {output}[{', '.join(v for v, _ in ranges)}] = {kind}({network})({pair}){at} {loops}"
        )
    return names, taken + "\n".join(lines) + "\n"
