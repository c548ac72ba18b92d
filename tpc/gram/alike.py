"""Definitions that come again and again, layer after layer.

Runs of rounds that are alike but for the arrays that they are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass

from tpc.core.affine import Affine
from tpc.core.expr import Ref, Sum
from tpc.gram.ir import Definition

LEAST = 8  # rounds that are worth a loop
PERIODS = 4  # of these many distances to the next definition of its kind one may be a period


@dataclass(frozen=True, slots=True)
class Run:
    """Definitions start … start + period·rounds − 1.

    Round 0 is by itself; the others are those of round 1 with other names.
    """

    start: int
    # of the definitions, by round
    names: tuple[tuple[str, ...], ...]
    # places in a round that are needed by the next one
    before: tuple[int, ...]
    # names of arrays made before the run that occur in round 1, with what stands there in rounds 1, 2, …
    series: Mapping[str, tuple[str, ...]]

    @property
    def period(self) -> int:
        return len(self.names[0])

    @property
    def stop(self) -> int:
        return self.start + self.period * len(self.names)

    def meaning(self, k: int) -> dict[str, str]:
        """What the names of round 1 stand for in round k, 1 at least; others stand for themselves."""
        own = dict(zip(self.names[1], self.names[k], strict=True))
        before = {self.names[0][place]: self.names[k - 1][place] for place in self.before}
        return {**own, **before, **{name: of[k - 1] for name, of in self.series.items()}}


Facts = Callable[[Definition], object]


def runs(
    definitions: Sequence[Definition], facts: Facts = lambda definition: (), least: int = LEAST
) -> list[Run]:
    """The runs of definitions, in order, as long as they go.

    facts: what else has to be alike, made of dataclasses and tuples; None: it can't be.
    """
    places = {d.name: k for k, d in enumerate(definitions)}
    spelled = [_spelled(d, facts(d), places) or (k, ()) for k, d in enumerate(definitions)]
    following = _following([kind for kind, _ in spelled])
    found: list[Run] = []
    start = 0
    while start < len(definitions):
        run = _at(start, following, spelled, definitions, places, least)
        found += [run] if run is not None else []
        start = start + 1 if run is None else run.stop
    return found


def _following(kinds: Sequence[Hashable]) -> list[int | None]:
    """Where the next one of the same kind is."""
    nearest: dict[Hashable, int] = {}
    following: list[int | None] = [None] * len(kinds)
    for k in reversed(range(len(kinds))):
        following[k] = nearest.get(kinds[k])
        nearest[kinds[k]] = k
    return following


# what a definition is like, and the names of arrays in it in the order in which they occur
Spelled = tuple[Hashable, tuple[str, ...]]


def _at(
    start: int,
    following: Sequence[int | None],
    spelled: Sequence[Spelled],
    definitions: Sequence[Definition],
    places: Mapping[str, int],
    least: int,
) -> Run | None:
    """The longest run that begins there."""
    best: Run | None = None
    after = following[start]
    for _ in range(PERIODS):
        if after is None:
            break
        period = after - start
        count = _rounds_alike(start, period, spelled)
        if count >= least:
            run = _matched(start, period, count, spelled, definitions, places)
            if len(run.names) >= least and (best is None or run.stop > best.stop):
                best = run
        after = following[after]
    return best


def _rounds_alike(start: int, period: int, spelled: Sequence[Spelled]) -> int:
    """How many periods there are of the same kinds, one after another."""
    count = 1
    while all(
        k + period < len(spelled) and spelled[k][0] == spelled[k + period][0]
        for k in range(start + (count - 1) * period, start + count * period)
    ):
        count += 1
    return count


def _matched(
    start: int,
    period: int,
    count: int,
    spelled: Sequence[Spelled],
    definitions: Sequence[Definition],
    places: Mapping[str, int],
) -> Run:
    """As many of the rounds as refer to others in the same way."""
    names = tuple(
        tuple(definitions[start + k * period + i].name for i in range(period)) for k in range(count)
    )
    slots = [
        [name for i in range(period) for name in spelled[start + k * period + i][1]] for k in range(count)
    ]
    inside = {name: (k, i) for k, row in enumerate(names[:2]) for i, name in enumerate(row)}
    whole, before, series = count, set[int](), dict[str, list[str]]()
    seen: dict[str, list[str]] = {}
    for slot, name in enumerate(slots[1]):
        of = [row[slot] for row in slots[1:whole]]
        ways = [
            ("fixed", [name] * len(of)),
            ("series", [other if places[other] < start else "" for other in of]),
        ]
        if name in inside:
            round_of, place = inside[name]
            ways.insert(1, ("own" if round_of else "before", [row[place] for row in names[round_of:]]))
        way, expected = max(ways, key=lambda item: _agree(of, item[1]))
        whole = min(whole, 1 + _agree(of, expected), 1 + _agree(of, seen.setdefault(name, of)))
        if way == "before":
            before.add(place)
        elif way == "series":
            series[name] = of
    return Run(
        start,
        names[:whole],
        tuple(sorted(before)),
        {name: tuple(of[: whole - 1]) for name, of in series.items()},
    )


def _agree(a: Sequence[str], b: Sequence[str]) -> int:
    """How many of them are the same, from the first one on."""
    return next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _spelled(definition: Definition, facts: object, arrays: Mapping[str, int]) -> Spelled | None:
    if facts is None:
        return None
    speller = _Speller(arrays)
    kind = definition.shape, definition.guarded, speller.of(definition.pieces), speller.of(facts)
    return kind, tuple(speller.names)


class _Speller:
    """Writes formulas with numbers for the names of arrays and for the variables of sums.

    These may differ; whatever the formulas are made of.
    """

    def __init__(self, arrays: Mapping[str, int]) -> None:
        self.arrays = arrays
        self.names: dict[str, int] = {}
        self.bound: dict[str, str] = {}

    def of(self, x: object) -> Hashable:
        match x:
            case Ref(name, index) if name in self.arrays:
                return self.names.setdefault(name, len(self.names)), self.of(index)
            case Affine(const, terms):
                return Affine.of(const, {self.bound.get(v, v): k for v, k in terms})
            case Sum(variable, count, body):
                self.bound.setdefault(variable, f"sum {len(self.bound)}")
                return Sum, self.bound[variable], self.of(count), self.of(body)
            case tuple():
                return tuple(map(self.of, x))
        if is_dataclass(x):
            return type(x), *(self.of(getattr(x, field.name)) for field in fields(x))
        assert isinstance(x, Hashable)
        return x
