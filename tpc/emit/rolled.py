"""Loops in modules of covariances: layers that are alike, the first of them written out, are rounds of one `lax.scan`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tpc.emit import python as py
from tpc.emit.arrays import Array
from tpc.emit.python import Assign, Def, Py, Return, Statement
from tpc.hilbert.gram.names import best_name
from tpc.hilbert.gram.rolled import Run, runs
from tpc.hilbert.gram.terms import Closed, Definition

if TYPE_CHECKING:
    from tpc.emit.gram import _Writer

GAPPED = ("step",)                                     # kinds of functions that go by gaps, which depend on more than the formula
Place = tuple[str, int]                                # the array of all rounds that another one is a part of, and where


class RolledWriter:
    """Writes runs of definitions. stacked: the arrays that are parts of those of a loop."""

    def __init__(self, writer: _Writer, wanted: bool) -> None:
        self.writer, self.wanted = writer, wanted
        self.stacked: dict[str, Place] = {}

    def runs(self, definitions: Sequence[Definition]) -> list[Run]:
        return runs(definitions, self._allowed) if self.wanted else []

    def _allowed(self, definition: Definition) -> bool:
        return not any(isinstance(p.formula, Closed) and not p.formula.registered and {p.formula.left.kind, p.formula.right.kind} & {*GAPPED}
                       for p in definition.pieces)

    def written(self, run: Run, definitions: Sequence[Definition]) -> list[Statement]:
        """The loop over all rounds but the first, whose arrays there are already; afterwards, those of the others can be read."""
        names, table, kept = self.writer.names, self.writer.table, self._kept(run, definitions)
        outside = dict(table)
        before = [names.fresh(f"{table[run.names[0][place]].name}_before") for place in run.before]
        series = {name: names.fresh(f"{self._wish(name, definitions)}_here") for name in run.series}
        given = [self._series(of) for of in run.series.values()]
        start = [py.name(table[run.names[0][place]].name) for place in run.before]
        for place, local in zip(run.before, before, strict=True):
            table[run.names[0][place]] = replace(table[run.names[0][place]], name=local)
        for name, local in series.items():
            table[name] = replace(table[name], name=local)
        body = [self.writer.definition(d) for d in definitions[run.start + run.period:run.start + 2 * run.period]]
        made = {name: table[name] for name in run.names[1]}
        table.clear()
        table.update(outside)
        ends = [py.name(made[run.names[1][place]].name) for place in run.before]
        results = [py.name(made[run.names[1][place]].name) for place in kept]
        function, doc = names.fresh("layer"), f"One of {len(run.names) - 1} that are alike, in the names of the first of them."
        lines: list[Statement] = [Def(function, ("before", "here"), (
            *_unpacked(before, "before"), *_unpacked(list(series.values()), "here"), *body, Return(py.tuple_of([_tuple(ends), _tuple(results)]))), doc)]
        stacks = [names.fresh(f"{made[run.names[1][place]].name}_all") for place in kept]
        scan = py.call("lax.scan", py.name(function), _tuple(start), _tuple(given), py.integer(len(run.names) - 1))
        lines.append(Assign((f"_, ({', '.join(stacks)},)",), scan))
        for place, stack in zip(kept, stacks, strict=True):
            for k, row in enumerate(run.names[1:]):
                self.stacked[row[place]] = stack, k
                table[row[place]] = Array(py.subscript(py.name(stack), [py.integer(k)]).text, made[run.names[1][place]].shape)
        self.writer.used.add("scan")
        return lines

    def _kept(self, run: Run, definitions: Sequence[Definition]) -> list[int]:
        """The places in a round of what is used outside of the run."""
        from tpc.emit.gram import expressions_in, mentioned
        formulas = [formula for _, formula in self.writer.covariances.outputs.values()]
        formulas += [x for d in definitions[run.stop:] for piece in d.pieces for x in expressions_in(piece.formula)]
        used = set().union(*map(mentioned, formulas))
        return [place for place in range(run.period) if any(row[place] in used for row in run.names[1:])]

    def _wish(self, name: str, definitions: Sequence[Definition]) -> str:
        return next(best_name(d.also) for d in definitions if d.name == name)

    def _series(self, of: Sequence[str]) -> Py:
        """Arrays along a new first axis, those that are parts of one as they lie there."""
        parts: list[Py] = []
        left = list(of)
        while left:
            stretch = self._stretch(left)
            if stretch is None:
                parts.append(Py(f"{self.writer.table[left.pop(0)].name}[None]"))
                continue
            count, text = stretch
            parts.append(Py(text))
            left = left[count:]
        return parts[0] if len(parts) == 1 else py.call("jnp.concatenate", Py(f"[{', '.join(p.text for p in parts)}]"))

    def _stretch(self, of: Sequence[str]) -> tuple[int, str] | None:
        """How many of the arrays, from the first one on, lie side by side in one, forwards or backwards, and that part of it."""
        first = self.stacked.get(of[0])
        if first is None:
            return None
        stack, begin = first
        best = 1, f"{stack}[{begin}:{begin + 1}]"
        for step in (1, -1):
            count = sum(1 for _ in itertools.takewhile(lambda item, step=step: self.stacked.get(item[1]) == (stack, begin + step * item[0]),   # type: ignore[misc]
                                                       enumerate(of)))
            if count > best[0]:
                low, high = (begin, begin + count) if step == 1 else (begin - count + 1, begin + 1)
                best = count, f"{stack}[{low}:{high}]" + "[::-1]" * (step < 0)
        return best


def _tuple(items: Sequence[Py]) -> Py:
    return py.tuple_of(list(items)) if items else Py("()")


def _unpacked(names: Sequence[str], source: str) -> list[Statement]:
    return [Assign((f"{names[0]},",) if len(names) == 1 else tuple(names), py.name(source))] if names else []
