"""The kernels of a network at initialisation as functions of arrays of inputs: `program.kernels().ntk(X, Z)`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.core.expr import Expr, Gather, Index, Value, walk
from tpc.core.program import MatMul, Program, instructions
from tpc.inputs import bind_inputs
from tpc.stored import digest
from tpc.syntax import catalogue, catalogue_training, tree
from tpc.syntax.diagnostic import TpcError

if TYPE_CHECKING:
    from tpc.run import Evaluator

KINDS = ("nngp", "ntk")
BLOCK, MEMORY = 256, 2e8                               # inputs taken at once, so that arrays stay in a cache; fewer, if these took more bytes
KEPT = (tree.ProgramName, tree.Width, tree.Dim, tree.Input, tree.Weight, tree.Activation, tree.Function, tree.Parametrization, tree.Network)
Evaluate = Callable[..., list[np.ndarray]]


@dataclass(frozen=True)
class Kernels:
    """`nngp` and `ntk` of one network. network: its name."""

    network: str
    nngp: Kernel
    ntk: Kernel

    def __call__(self, x: Any, z: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Both, NNGP first, in the time of the NTK. Shapes and errors as of each."""
        nngp, ntk = self._both.matrices(x, z)
        return nngp, ntk

    @cached_property
    def _both(self) -> Kernel:
        return replace(self.ntk, kind="both", compiled={}, blocks={})


@dataclass(frozen=True)
class Kernel:
    """`kernel(X, Z)` is the array [len(X), len(Z), *positions, *positions] of the kernel of every input in X with every one in Z.

    X and Z are of one shape but for the first axis; without Z it is X, and the entries of an input with itself are exact. Each block of sizes is
    compiled once. kind: "nngp", "ntk", or "both". positions: the extents of the axes of the network's output. others: the inputs that the network
    mentions. block: how many inputs are taken at once; None for as many as is fast.
    """

    program: Program
    network: str
    kind: str
    dtype: str = "float64"
    positions: tuple[int, ...] = ()
    others: Mapping[str, Any] = field(default_factory=dict)
    block: int | None = None
    compiled: dict[tuple[Any, ...], Evaluate] = field(default_factory=dict, repr=False, compare=False)
    blocks: dict[tuple[int, ...], int] = field(default_factory=dict, repr=False, compare=False)

    def __call__(self, x: Any, z: Any = None) -> np.ndarray:
        """Raises TpcError: inputs of another shape than the network takes (as for `f(x)` in the language), or that are not finite (TP503), and a
        kernel that does not follow from covariances (TP726)."""
        return self.matrices(x, z)[0]

    @property
    def kinds(self) -> tuple[str, ...]:
        return KINDS if self.kind == "both" else (self.kind,)

    def matrices(self, x: Any, z: Any = None) -> list[np.ndarray]:
        """The matrix of each kind."""
        rows = self._checked(x, "x")
        columns = rows if z is None else self._checked(z, "z")
        if z is not None and np.array_equal(rows, columns):
            z = None
        if columns.shape[1:] != rows.shape[1:]:
            raise TpcError([catalogue.input_shape("z", (*columns.shape[:1], *rows.shape[1:]), columns.shape)], self.program.name, of_program=True)
        outs = [np.empty((len(rows), len(columns), *self.positions, *self.positions), self.dtype) for _ in self.kinds]
        block = self.block or self._fitting(rows.shape[1:])
        for a, b, first in _parts(rows, block):
            for c, d, second in _parts(columns, block):
                if z is None and a > c:                            # the other half is the same
                    continue
                square = z is None and a == c
                for out, found in zip(outs, self._square(first) if square else self._cross(first, second), strict=True):
                    part = found[:b - a, :d - c]
                    out[a:b, c:d] = (part + self._turned(part))/2 if square else part            # equal but for rounding
                    if z is None and not square:
                        out[c:d, a:b] = self._turned(part)
        return outs

    def diagonal(self, x: Any) -> np.ndarray:
        """The kernel of every input with itself, [len(X), *positions, *positions]."""
        rows = self._checked(x, "x")
        out = np.empty((len(rows), *self.positions, *self.positions), self.dtype)
        for a, b, part in _parts(rows, self.block or BLOCK):
            out[a:b] = self._compiled("own", len(part), len(part), rows.shape[1:])(part)[0][:b - a]
        return out

    @property
    def identity(self) -> str:
        """What its values depend on besides the inputs, as text."""
        others = digest("", {name: np.asarray(value) for name, value in self.others.items()})
        return f"{_declarations(self.program)}\n{self.program}\n{self.network} {self.kind} {self.dtype} {self.positions} {self.block} {others}"

    # blocks

    def _square(self, x: np.ndarray) -> list[np.ndarray]:
        return self._compiled("square", len(x), len(x), x.shape[1:])(x)

    def _cross(self, x: np.ndarray, z: np.ndarray) -> list[np.ndarray]:
        return self._compiled("cross", len(x), len(z), x.shape[1:])(x, z)

    def _turned(self, k: np.ndarray) -> np.ndarray:
        """K(z, x) from K(x, z)."""
        p = len(self.positions)
        return np.transpose(k, (1, 0, *range(2 + p, 2 + 2 * p), *range(2, 2 + p)))

    def _fitting(self, shape: tuple[int, ...]) -> int:
        """How many inputs to take at once."""
        if shape not in self.blocks:
            needed = self._evaluator("cross", BLOCK, BLOCK, shape)[1].plan.memory
            self.blocks[shape] = max(1, int(BLOCK * min(1.0, (MEMORY / needed) ** 0.5))) if needed else BLOCK
        return self.blocks[shape]

    def _checked(self, x: Any, name: str) -> np.ndarray:
        array = np.asarray(x)
        if array.dtype.kind not in "biuf":
            raise TpcError([catalogue.not_numbers(name)], self.program.name, of_program=True)
        if array.ndim == 0:
            raise TpcError([catalogue.input_shape(name, (1,), ())], self.program.name, of_program=True)
        if not np.all(np.isfinite(array)):
            raise TpcError([catalogue.not_finite(name, "")], self.program.name, of_program=True)
        return array

    def _compiled(self, form: str, n: int, m: int, shape: tuple[int, ...]) -> Evaluate:
        key = form, n, m, shape
        if key not in self.compiled:
            self.compiled[key] = self._compile(form, n, m, shape)
        return self.compiled[key]

    def _compile(self, form: str, n: int, m: int, shape: tuple[int, ...]) -> Evaluate:
        names, evaluator = self._evaluator(form, n, m, shape)
        program = evaluator.program
        others = bind_inputs(replace(program, inputs=tuple(i for i in program.inputs if i.name not in names)), self.others)
        module, points = evaluator.module, evaluator.points(0, 0)

        def evaluate(*arrays: np.ndarray) -> list[np.ndarray]:
            found = module.compiled({**others, **dict(zip(names, arrays, strict=True))}, *points)
            return [np.asarray(found[0][output.name]) for output in program.outputs]
        return evaluate

    def _evaluator(self, form: str, n: int, m: int, shape: tuple[int, ...]) -> tuple[list[str], Evaluator]:
        """The names of the arrays that are its inputs, and the evaluator."""
        from tpc.run import compile_program
        names, text = self._written(form, n, m, shape)
        program = _without_unused_inputs(_parsed(text, self.program))
        try:
            return names, compile_program(program, method="gram", dtype=self.dtype)
        except TpcError as error:
            if error.diagnostics[0].code != "TP601":
                raise
            raise TpcError([catalogue_training.no_gram(self.kinds[-1], self.network, error.diagnostics[0].message)], self.program.name,
                           of_program=True) from None

    def _written(self, form: str, n: int, m: int, shape: tuple[int, ...]) -> tuple[list[str], str]:
        """The names of the inputs, and the network's program with the kernel as its output."""
        taken = _declarations(self.program)
        x, z, i, j, *places = _fresh(taken, ["x", "z", "i", "j", *(f"p{k}" for k in range(2 * len(self.positions)))])
        names = [x, z] if form == "cross" else [x]
        lines = [f"input {name}[{', '.join(map(str, (count, *shape)))}]" for name, count in zip(names, (n, m), strict=False)]
        ranges = [(i, n), *([] if form == "own" else [(j, m)]), *zip(places, self.positions * 2, strict=True)]
        at = f"[{', '.join(places)}]" if places else ""
        pair = f"{x}[{i}], {names[-1]}[{i if form == 'own' else j}]"
        loops = " ".join(f"for {v} < {count}" for v, count in ranges)
        for kind, output in zip(self.kinds, _fresh(taken, self.kinds), strict=True):
            lines.append(f"output {output}[{', '.join(v for v, _ in ranges)}] = {kind}({self.network})({pair}){at} {loops}")
        return names, taken + "\n".join(lines) + "\n"


def kernels(program: Program, network: str | None = None, *, inputs: Mapping[str, Any] | None = None, dtype: str = "float64",
            positions: Sequence[int] = (), block: int | None = None) -> Kernels:
    """The kernels of a network of `program` at initialisation, in the NTK parametrization, its weights' `std` and `lr` as declared.

    network: its name; may be left out if there is one only. inputs: those that the network mentions besides its argument. dtype: "float64" or
    "float32". positions: the extents of the axes of the network's output, if it has any. Raises TpcError: no such network (TP709), a dtype that is
    neither (TP602).
    """
    if dtype not in ("float64", "float32"):
        raise TpcError([catalogue.bad_option("dtype", f"must be float64 or float32, not {dtype}")], program.name, of_program=True)
    if block is not None and block < 1:
        raise TpcError([catalogue.bad_option("block", f"must be at least 1, not {block}")], program.name, of_program=True)
    there = [] if program.source is None else [s.name.name for s in _tree_of(program).statements if isinstance(s, tree.Network)]
    chosen = network if network is not None else there[0] if len(there) == 1 else ""
    if chosen not in there:
        raise TpcError([catalogue_training.no_such_network(chosen, there)], program.name, of_program=True)
    return Kernels(chosen, *(Kernel(program, chosen, kind, dtype, tuple(positions), dict(inputs or {}), block) for kind in KINDS))


def _parts(rows: np.ndarray, block: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """The rows in blocks of one size, with where each begins and ends: the last one has its last row several times, if there are others."""
    for start in range(0, len(rows), block):
        stop = min(start + block, len(rows))
        part = rows[start:stop]
        lacking = block - len(part) if start else 0
        yield start, stop, np.concatenate([part, np.repeat(part[-1:], lacking, axis=0)]) if lacking else part


def _fresh(text: str, wishes: Sequence[str]) -> list[str]:
    """Names that do not occur in a text."""
    out = []
    for wish in wishes:
        name = f"{wish}_of_kernel"
        while name in text:
            name += "_"
        out.append(name)
    return out


def _declarations(program: Program) -> str:
    """The lines of a program that declare and define, without what is trained and put out. Each statement goes on to where the next one begins."""
    assert program.source is not None
    lines = program.source.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    statements = _tree_of(program).statements
    starts = [s.span.line - 1 for s in statements] + [len(lines)]
    kept = [lines[start:stop] for s, start, stop in zip(statements, starts, starts[1:], strict=False) if isinstance(s, KEPT)]
    return "".join(line + "\n" for own in kept for line in own)


def _tree_of(program: Program) -> tree.File:
    from tpc.syntax.parse import parse_file
    assert program.source is not None
    return parse_file(program.source.text, program.source.name)


def _parsed(text: str, program: Program) -> Program:
    from tpc.pipeline import parse
    assert program.source is not None
    return parse(text, name=program.source.name, dims=dict(program.source.dims))


def _without_unused_inputs(program: Program) -> Program:
    """The program without inputs that nothing mentions, such as the data of a training."""
    found: set[str] = set()
    waiting: list[Expr] = [w.ratio for w in program.widths] + [m.variance for m in program.matrices]
    waiting += [x for g in program.gaussians for x in (*g.mean, *(c for row in g.covariance for c in row))]
    indices: list[Index] = [i for o in program.outputs for i in o.ref.index]
    for op, _ in instructions(program.body):
        if isinstance(op, MatMul):
            indices += [*op.matrix.index, *op.operand.index]
        else:
            waiting.append(op.phi)
    for x in waiting:
        for node in walk(x):
            if isinstance(node, Value):
                found.add(node.ref.name)
                indices += node.ref.index
    found |= {i.input for i in indices if isinstance(i, Gather)}
    return replace(program, inputs=tuple(i for i in program.inputs if i.name in found))
