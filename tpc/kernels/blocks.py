"""Some kernels of a network at once, for all pairs of two arrays of inputs, block by block."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.core.given import numbers
from tpc.core.greek import normalise
from tpc.core.inputs import bind_inputs, no_numbers
from tpc.core.program import Program
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.kernels import accuracy
from tpc.kernels.accuracy import Worst, warn
from tpc.kernels.compiled import Compiled, Pair
from tpc.kernels.kernel_program import declarations, lines_of, parsed, with_kernels, without_unused_inputs
from tpc.kernels.strips import Part, parts_of, side_by_side, threads, unlike
from tpc.machine.files import digest
from tpc.machine.memory import SURE, free_memory, refusing, require_memory

if TYPE_CHECKING:
    from tpc.evaluate.evaluator import Evaluator

IN_STRIPS = "`tpc kernel` writes it to a file in strips; there use fewer rows for each by --strip"
COMPARED = 3  # arrays of the size of a kernel while its errors are judged
# inputs taken at once, so that arrays stay in a cache; fewer, if these took more bytes
BLOCK, MEMORY = 200, 2e8


@dataclass(frozen=True)
class KernelBlocks:
    """Arrays of several kernels of every input in X with every one in Z.

    Each has the shape [len(X), len(Z), *positions, *positions]; one program makes all of them.
    """

    program: Program
    network: str
    # "nngp", "ntk" or both
    kinds: tuple[str, ...]
    dtype: str = "float64"
    # the extents of the axes of the network's output
    positions: tuple[int, ...] = ()
    # the inputs that the network mentions
    others: Mapping[str, Any] = field(default_factory=dict)
    # how many inputs are taken at once; None for as many as is fast
    block: int | None = None
    # each form and sizes once
    compiled: dict[tuple[Any, ...], Compiled] = field(default_factory=dict, repr=False, compare=False)
    blocks: dict[tuple[Any, ...], int] = field(default_factory=dict, repr=False, compare=False)

    def values(self, x: Any, z: Any = None, *, stacklevel: int = 2) -> list[np.ndarray]:
        """The array of every kernel; without z, of x with itself.

        Raises TpcError as `Kernel` does; warns (`KernelWarning`) of errors that are not
        small.
        """
        found, worst = self.measured(x, z)
        warn(worst, stacklevel + 1)
        return [values for values, _ in found]

    def measured(self, x: Any, z: Any = None) -> tuple[list[Pair], list[Worst]]:
        """The values of every kernel and estimates of their errors, and where these are not small.

        Where integrals are by quadrature, an error is from what other rules give, or what a value is beyond
        √(K(x, x)·K(z, z)).
        """
        rows = self._checked(x, "x")
        columns = rows if z is None else self._checked(z, "z")
        if z is not None and np.array_equal(rows, columns):
            z = None
        if columns.shape[1:] != rows.shape[1:]:
            raise TpcError(
                [catalogue.inputs.input_shape("z", (*columns.shape[:1], *rows.shape[1:]), columns.shape)],
                self.program.name,
                of_program=True,
            )
        shape = len(rows), len(columns), *self.positions, *self.positions
        with refusing(self.program.name, of_program=True):
            self._require_room(shape, exact=True)  # not to be compiled, to learn that
            return self._evaluated(rows, columns, shape, same=z is None)

    def _evaluated(
        self, rows: np.ndarray, columns: np.ndarray, shape: tuple[int, ...], *, same: bool
    ) -> tuple[list[Pair], list[Worst]]:
        """shape: of the arrays. same: rows and columns are the same inputs."""
        work, each = self._work(rows, columns, same=same)
        exact = not work or self._of_blocks(*work[0], same).exact
        self._require_room(shape, exact=exact)
        outs = [
            (np.empty(shape, self.dtype), None if exact else np.empty(shape, self.dtype)) for _ in self.kinds
        ]

        def fill(pair: tuple[Part, Part]) -> None:
            (a, b, first), (c, d, second) = pair
            own = same and a == c
            compiled = self._of_blocks(*pair, same)
            found = compiled(first) if own else compiled(first, second)
            for out, whole in zip(outs, found, strict=True):
                self._require_finite(whole[0][: b - a, : d - c], rows[a:b], columns[c:d], (a, c))
                for into, array in zip(out, whole, strict=True):
                    if into is None or array is None:
                        continue
                    part = array[: b - a, : d - c]
                    if own:
                        part = (part + self._turned(part)) / 2  # equal but for rounding
                    into[a:b, c:d] = part
                    if same and not own:  # the other half is the same
                        into[c:d, a:b] = self._turned(part)

        side_by_side(fill, work, alone=2, each=each)  # the first two compile
        return (
            (outs, []) if exact else self._judged(outs, self._scales(outs, rows, None if same else columns))
        )

    def _work(
        self, rows: np.ndarray, columns: np.ndarray, *, same: bool
    ) -> tuple[list[tuple[Part, Part]], float]:
        """The pairs of blocks to be evaluated, and the bytes that one takes.

        They have fewer inputs if the compiler says that it takes more than is free.

        Raises TpcError (TP604).
        """
        block = self.block or self._fitting("cross", rows.shape[1:])
        while True:
            firsts, seconds = list(parts_of(rows, block)), list(parts_of(columns, block))
            work = [
                (first, second) for first in firsts for second in seconds if not same or first[0] <= second[0]
            ]
            each = max(
                (self._of_blocks(*pair, same).memory(*(part[2] for part in pair)) for pair in unlike(work)),
                default=0.0,
            )
            free = SURE * free_memory()
            if each <= free or self.block is not None or block == 1:
                require_memory(
                    each,
                    self.program.name,
                    free=free,
                    remedy="take smaller inputs, or a smaller block",
                    of_program=True,
                )
                return work, each
            block = max(1, int(block * min(0.5, (free / each) ** 0.5)))

    def _arrays(self, shape: tuple[int, ...], *, exact: bool) -> float:
        """Bytes of values, and of errors with what these are compared to."""
        arrays = len(self.kinds) if exact else 2 * len(self.kinds) + COMPARED
        return float(arrays) * math.prod(shape) * np.dtype(self.dtype).itemsize

    def _require_room(self, shape: tuple[int, ...], *, exact: bool) -> None:
        """Refuses arrays that there is no memory for: values, and errors with what these are compared to.

        Raises TpcError (TP604).
        """
        require_memory(
            self._arrays(shape, exact=exact),
            self.program.name,
            free=SURE * free_memory(),
            remedy=IN_STRIPS,
            of_program=True,
        )

    def memory(self, x: Any, z: Any = None) -> float:
        """Bytes that `values` is predicted to take besides what the process has.

        The arrays, and as many blocks as are evaluated at a time.
        """
        rows = self._checked(x, "x")
        columns = rows if z is None else self._checked(z, "z")
        work, each = self._work(rows, columns, same=z is None)
        exact = not work or self._of_blocks(*work[0], z is None).exact
        return self._arrays(
            (len(rows), len(columns), *self.positions, *self.positions), exact=exact
        ) + each * threads(each, len(work))

    def diagonals(self, x: Any, *, stacklevel: int = 2) -> list[np.ndarray]:
        """Every kernel of every input with itself, [len(X), *positions, *positions]."""
        outs = self._diagonals(self._checked(x, "x"))
        _, worst = self._judged(outs, [accuracy.scale_of_own(values) for values, _ in outs])
        warn(worst, stacklevel + 1)
        return [values for values, _ in outs]

    def _judged(self, found: Sequence[Pair], scales: Sequence[np.ndarray]) -> tuple[list[Pair], list[Worst]]:
        """Values with errors, and the worst error of every kernel.

        Errors are no less than what the values are beyond their bound.
        """
        pairs, worst = list[Pair](), list[Worst]()
        for kind, (values, errors), of in zip(self.kinds, found, scales, strict=True):
            if errors is not None:
                errors = accuracy.no_less(errors, values, of)
                own = accuracy.worst(kind, errors, of)
                worst += [own] if own is not None else []
            pairs.append((values, errors))
        return pairs, worst

    def _scales(
        self, found: Sequence[Pair], rows: np.ndarray, columns: np.ndarray | None
    ) -> list[np.ndarray]:
        """√(K(x, x)·K(z, z)) of every entry."""
        if columns is None:
            diagonals = [np.moveaxis(np.diagonal(values), -1, 0) for values, _ in found]
            return [accuracy.scale(own, own) for own in diagonals]
        left, right = self._diagonals(rows), self._diagonals(columns)
        return [accuracy.scale(a, b) for (a, _), (b, _) in zip(left, right, strict=True)]

    def _diagonals(self, rows: np.ndarray) -> list[Pair]:
        """The values of every input with itself, and estimates of their errors."""
        parts = list(parts_of(rows, self.block or self._fitting("own", rows.shape[1:])))
        shape = len(rows), *self.positions, *self.positions
        exact = (
            not parts or self.compiled_for("own", len(parts[0][2]), len(parts[0][2]), rows.shape[1:]).exact
        )
        outs = [
            (np.empty(shape, self.dtype), None if exact else np.empty(shape, self.dtype)) for _ in self.kinds
        ]
        for a, b, part in parts:
            for out, found in zip(
                outs, self.compiled_for("own", len(part), len(part), rows.shape[1:])(part), strict=True
            ):
                for into, array in zip(out, found, strict=True):
                    if into is not None and array is not None:
                        into[a:b] = array[: b - a]
                self._require_finite(out[0][a:b, None], rows[a:b], rows[a:b], (a, a))
        return outs

    @property
    def identity(self) -> str:
        """What its values depend on besides the inputs, as text."""
        others = digest("", {name: np.asarray(value) for name, value in self.others.items()})
        options = f"{self.network} {' '.join(self.kinds)} {self.dtype} {self.positions} {self.block}"
        declared = "".join(f"{line}\n" for line in declarations(self.program).split("\n") if line)
        return f"{declared}\n{self.program}\n{options} {others}"

    def __getstate__(self) -> dict[str, Any]:
        """Without what is compiled, which cannot be pickled."""
        return {**self.__dict__, "compiled": {}}

    # blocks

    def _require_finite(
        self, found: np.ndarray, rows: np.ndarray, columns: np.ndarray, first: tuple[int, int]
    ) -> None:
        """Raises TpcError (TP639) for values of a block that are not finite.

        first: its first row and column.
        """
        if np.isfinite(found.sum()) or np.isfinite(found).all():  # the sum is much cheaper
            return
        i, j = np.argwhere(~np.isfinite(found))[0][:2]
        j = i if found.shape[1] == 1 < len(columns) else j  # a diagonal
        kind = self.kinds[0] if len(self.kinds) == 1 else "kernel"
        norms = float(np.linalg.norm(rows[i])), float(np.linalg.norm(columns[j]))
        raise TpcError(
            [catalogue.kernels.entry_finite(kind, first[0] + i, first[1] + j, norms)],
            self.program.name,
            of_program=True,
        )

    def _of_blocks(self, first: Part, second: Part, same: bool) -> Compiled:
        """What evaluates a pair of blocks. same: rows and columns are the same inputs."""
        form = "square" if same and first[0] == second[0] else "cross"
        return self.compiled_for(form, len(first[2]), len(second[2]), first[2].shape[1:])

    def _turned(self, k: np.ndarray) -> np.ndarray:
        """K(z, x) from K(x, z)."""
        p = len(self.positions)
        return np.transpose(k, (1, 0, *range(2 + p, 2 + 2 * p), *range(2, 2 + p)))

    def _fitting(self, form: str, shape: tuple[int, ...]) -> int:
        """How many inputs to take at once, each with every other ("cross") or with itself ("own")."""
        key = form, *shape
        if key not in self.blocks:
            block, needed = self._planned(form, shape)
            share = min(1.0, MEMORY / needed) if needed else 1.0
            self.blocks[key] = max(1, int(block * (share if form == "own" else share**0.5)))
        return self.blocks[key]

    def _planned(self, form: str, shape: tuple[int, ...]) -> tuple[int, float]:
        """BLOCK, or fewer inputs if those are too many for a program (TP308).

        With it comes the memory that these take.
        """
        block = BLOCK
        while True:
            try:
                return block, self._evaluator(form, block, block, shape)[1].plan.memory
            except TpcError as error:
                if block == 1 or any(d.code != "TP308" for d in error.diagnostics):
                    raise
                block = max(1, block // 4)

    def _checked(self, x: Any, name: str) -> np.ndarray:
        try:
            array = numbers(x)
        except (ValueError, TypeError) as error:
            raise TpcError([no_numbers(error, name)], self.program.name, of_program=True) from None
        if array.ndim == 0:
            raise TpcError([catalogue.inputs.input_shape(name, (1,), ())], self.program.name, of_program=True)
        if not np.all(np.isfinite(array)):
            raise TpcError([catalogue.inputs.not_finite(name, "")], self.program.name, of_program=True)
        return array

    def compiled_for(self, form: str, n: int, m: int, shape: tuple[int, ...]) -> Compiled:
        """What evaluates n inputs of a shape with m others, compiled once."""
        key = form, n, m, shape
        if key not in self.compiled:
            self.compiled[key] = self._compile(form, n, m, shape)
        return self.compiled[key]

    def _compile(self, form: str, n: int, m: int, shape: tuple[int, ...]) -> Compiled:
        names, evaluator = self._evaluator(form, n, m, shape)
        program = evaluator.program
        asked = tuple(item for item in program.inputs if item.name not in names)
        mentioned = {item.name for item in asked}
        others = bind_inputs(
            replace(program, inputs=asked),
            {name: value for name, value in self.others.items() if normalise(name) in mentioned},
        )
        rules = [evaluator.points(0, k) for k in range(evaluator.evaluations)]
        return Compiled(
            evaluator.module, rules, others, tuple(names), tuple(output.name for output in program.outputs)
        )

    def _evaluator(self, form: str, n: int, m: int, shape: tuple[int, ...]) -> tuple[list[str], Evaluator]:
        """The names of the arrays that are its inputs, and the evaluator."""
        from tpc.pipeline import compile_program
        from tpc.plan.options import Options

        names, text = with_kernels(
            self.program, self.network, self.kinds, self.positions, form, (n, m), shape
        )
        try:
            program = without_unused_inputs(parsed(text, self.program))
        except TpcError as error:
            raise self._of_the_file(error, shape) from None
        own = len(self.positions) * 2 + (1 if form == "own" else 2)
        if any(len(output.shape) != own for output in program.outputs):
            assert self.program.source is not None
            raise TpcError(
                [catalogue.networks.kernel_positions(self.network, self.positions)],
                self.program.source.name,
                self.program.source.text,
            )
        try:
            return names, compile_program(
                program, Options(method="gram", dtype=self.dtype, program=program.name)
            )
        except TpcError as error:
            if error.diagnostics[0].code != "TP601":
                raise
            for kind in self.kinds if len(self.kinds) > 1 else ():
                # that of the one which does not follow, if it is one
                replace(self, kinds=(kind,))._evaluator(form, n, m, shape)
            raise TpcError(
                [catalogue.kernels.no_gram(self.kinds[-1], self.network, error.diagnostics[0].message)],
                self.program.name,
                of_program=True,
            ) from None

    def _of_the_file(self, error: TpcError, shape: tuple[int, ...]) -> TpcError:
        """What is refused in a program that was written for inputs of a shape, without what was written."""
        source = self.program.source
        assert source is not None
        own = len(lines_of(self.program))
        found = []
        for d in error.diagnostics:
            if d.at is not None and d.at.span.line > own:  # the kernels' entries that are asked for
                found.append(catalogue.networks.kernel_positions(self.network, self.positions))
            else:
                also = tuple(label for label in d.also if label.span.line <= own)
                given = catalogue.networks.each_input(self.network, shape)
                found.append(replace(d, also=also, help=f"{given}; {d.help}" if d.help else given))
        return TpcError(list(dict.fromkeys(found)), source.name, source.text)
