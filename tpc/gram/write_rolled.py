"""Loops in modules of covariances.

Layers that are alike, the first of them written out, are rounds of one `lax.scan`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tpc.emit import python as py
from tpc.emit.python import Assign, Def, Py, Return, Statement
from tpc.gram.alike import Run, runs
from tpc.gram.gaps import OfSum, Product, alike
from tpc.gram.ir import Closed, Definition, expressions_in, mentioned
from tpc.gram.labels import best_name
from tpc.gram.write_arrays import Array
from tpc.gram.write_gaps import gap_of, goes_by_gap

if TYPE_CHECKING:
    from tpc.gram.write import _CovarianceWriter

Place = tuple[str, int]  # the array of all rounds that another one is a part of, and where


class _Noted(dict[str, Array]):
    """A table that notes what is read from it, a copy reading all."""

    def __init__(self, table: Mapping[str, Array]) -> None:
        super().__init__(table)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Array:
        self.read.add(name)
        return super().__getitem__(name)

    def __iter__(self) -> Iterator[str]:  # without its own, `dict` copies past `__getitem__`
        return super().__iter__()


class RolledWriter:
    """Writes runs of definitions. stacked: the arrays that are parts of those of a loop."""

    def __init__(self, writer: _CovarianceWriter, wanted: bool) -> None:
        self.writer, self.wanted = writer, wanted
        self.stacked: dict[str, Place] = {}

    def runs(self, definitions: Sequence[Definition]) -> list[Run]:
        return runs(definitions, self._facts) if self.wanted else []

    def _facts(self, definition: Definition) -> object:
        """What its gaps follow from; None if that is more than those of one layer before."""
        found: list[object] = []
        for piece in definition.pieces:
            if isinstance(piece.formula, Closed) and goes_by_gap(piece.formula):
                terms = self.writer.gaps.gaps.terms(piece.formula)
                if any(isinstance(term.gap, Product | OfSum) for term in terms):
                    return None
                found.append((tuple((t.gap, t.sign, t.q, t.r) for t in terms), alike(terms)))
        return tuple(found)

    def written(self, run: Run, definitions: Sequence[Definition]) -> list[Statement]:
        """The loop over all rounds but the first, whose arrays there are already.

        Afterwards, those of the others can be read.
        """
        writer, outside, made_outside = self.writer, self.writer.table, self.writer.gaps.made
        inside = _Noted(outside)
        before = self._before(run, inside)
        series = self._here(run, definitions, inside)
        writer.table, writer.gaps.made = inside, {}
        body = writer.define(definitions[run.start + run.period : run.start + 2 * run.period])
        writer.table, writer.gaps.made = outside, made_outside
        before, series = (
            {name: local for name, local in table.items() if name in inside.read}
            for table in (before, series)
        )
        after = dict(zip(run.names[0], run.names[1], strict=True))
        ends = [py.name(inside[_moved(name, after)].name) for name in before]
        start = [py.name(outside[name].name) for name in before]
        given = [
            self._series([_moved(name, run.meaning(k)) for k in range(1, len(run.names))]) for name in series
        ]
        kept = [
            *self._lasting(run, definitions),
            *(gap for name in run.names[1] if (gap := gap_of(name)) in inside),
        ]
        results = [py.name(inside[name].name) for name in kept]
        function, doc = (
            writer.names.fresh("layer"),
            f"One of {len(run.names) - 1} that are alike, in the names of the first of them.",
        )
        ending = Return(py.tuple_of([_tuple(ends), _tuple(results)]))
        opening = [*_unpacked(list(before.values()), "before"), *_unpacked(list(series.values()), "here")]
        stacks = [writer.names.fresh(f"{inside[name].name}_all") for name in kept]
        scan = py.call(
            "lax.scan", py.name(function), _tuple(start), _tuple(given), py.integer(len(run.names) - 1)
        )
        for name, stack in zip(kept, stacks, strict=True):
            for k in range(1, len(run.names)):
                part = _moved(name, run.meaning(k))
                self.stacked[part] = stack, k - 1
                outside[part] = Array(
                    py.subscript(py.name(stack), [py.integer(k - 1)]).text, inside[name].shape
                )
        return [
            Def(function, ("before", "here"), (*opening, *body, ending), doc),
            Assign((f"_, {_tuple(list(map(py.name, stacks))).text}",), scan),
        ]

    def _before(self, run: Run, inside: dict[str, Array]) -> dict[str, str]:
        """The arrays of the round before and any gaps of theirs, by the names that they have in a round."""
        names = [run.names[0][place] for place in run.before]
        names += [gap for name in names if (gap := gap_of(name)) in inside]
        return {
            name: self._local(name, f"{dict.__getitem__(inside, name).name}_before", inside) for name in names
        }

    def _here(self, run: Run, definitions: Sequence[Definition], inside: dict[str, Array]) -> dict[str, str]:
        """The arrays that are given to a round."""
        wishes = {d.name: best_name(d.also) for d in definitions}
        found = {name: self._local(name, f"{wishes[name]}_here", inside) for name in run.series}
        for name, of in run.series.items():
            if all(gap_of(other) in inside for other in of):
                found[gap_of(name)] = self._local(gap_of(name), f"{wishes[name]}_gap_here", inside)
        return found

    def _local(self, name: str, wish: str, inside: dict[str, Array]) -> str:
        local = self.writer.names.fresh(wish)
        inside[name] = replace(dict.__getitem__(inside, name), name=local)
        return local

    def _lasting(self, run: Run, definitions: Sequence[Definition]) -> list[str]:
        """The arrays of round 1 whose like are used outside of the run."""
        formulas = [formula for _, formula in self.writer.covariances.outputs.values()]
        formulas += [
            x for d in definitions[run.stop :] for piece in d.pieces for x in expressions_in(piece.formula)
        ]
        used = set().union(*map(mentioned, formulas))
        return [
            name
            for place, name in enumerate(run.names[1])
            if any(row[place] in used for row in run.names[1:])
        ]

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
        return (
            parts[0]
            if len(parts) == 1
            else py.call("jnp.concatenate", Py(f"[{', '.join(p.text for p in parts)}]"))
        )

    def _stretch(self, of: Sequence[str]) -> tuple[int, str] | None:
        """How many of the arrays, from the first one on, lie side by side in one, and that part of it.

        Forwards or backwards.
        """
        first = self.stacked.get(of[0])
        if first is None:
            return None
        stack, begin = first
        best = 1, f"{stack}[{begin}:{begin + 1}]"
        for step in (1, -1):
            count = 0
            while count < len(of) and self.stacked.get(of[count]) == (stack, begin + step * count):
                count += 1
            if count > best[0]:
                low, high = (begin, begin + count) if step == 1 else (begin - count + 1, begin + 1)
                best = count, f"{stack}[{low}:{high}]" + "[::-1]" * (step < 0)
        return best


def _moved(name: str, meaning: Mapping[str, str]) -> str:
    """What an array, or the gap of one, is called in another round."""
    own = name.removeprefix(gap_of(""))
    return name.removesuffix(own) + meaning.get(own, own)


def _tuple(items: Sequence[Py]) -> Py:
    return py.tuple_of(list(items)) if items else Py("()")


def _unpacked(names: Sequence[str], source: str) -> list[Statement]:
    return [Assign((f"{names[0]},",) if len(names) == 1 else tuple(names), py.name(source))] if names else []
