"""The plan: the cheapest representation that is exact, or else how many points of which kind, and what they
will cost."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tpc.core.affine import Ranges, bounds
from tpc.core.dependence import is_parallel
from tpc.core.expr import Call, Expr, is_vector, walk
from tpc.core.functions import elementwise
from tpc.core.program import For, Moment, Nonlin, Program, instructions
from tpc.gram import (
    Closed,
    CovarianceProgram,
    NotGramError,
    TooDearError,
    TooManyGaussiansError,
    covariance_program,
)
from tpc.gram.cuts import quadrature_entries, seconds_of_compiling
from tpc.plan.chaos import Kept, Rule, find_rule
from tpc.plan.degrees import TooMuchError
from tpc.plan.gaussians import Confined, Layout, lay_out
from tpc.plan.sectors import Sectors, separate
from tpc.plan.space import Chaos, Linear, Nodes, Space

Points = Literal[
    "coefficients", "rules", "closed forms", "quadrature", "panels", "gauss-hermite", "sobol", "monte-carlo"
]
DType = Literal["float64", "float32"]
GRID = {3: 48, 4: 20}  # Gauss–Hermite points in each of so many dimensions
# the most points of panels in so many dimensions, in turn: each is compiled for
PANELS = {1: (4096, 16_384), 2: (65_536, 262_144)}
ORDERS = {1: 7, 2: 5}  # of the Gauss rules of panels
FEW = max(*GRID, *PANELS)  # from more Gaussians on there is no quadrature over all at once
SOBOL_DIMENSIONS = 21_201  # where scipy's direction numbers end
SAMPLES, REPEATS = 4096, 8
# repeats while all take so many seconds: their mean's errors have nearly no Student's tails
MANY, BRIEF = 32, 0.2
PER_GAUSSIAN, MOST = 64, 16_384  # samples for each Gaussian, but no more than MOST by that
# this many for each keep the bias below the error (tests/bench/bias.py), up to LARGE
UNBIASED, LARGE = 16, 65_536
RULE = 96  # points of a quadrature on each part that a Gaussian's line is cut in
RULES = 3  # of different kind, whose differences are the error
# seconds for an entry of an array, or a value of an integrand; more than so many are too many
PER_ENTRY, SECONDS = 1e-8, 20
FINDING, QUICK = 8, 1  # seconds that finding covariances may take unasked, and where points do as well
# seconds for a value of a vector; evaluations on the last size that all turns are worth
PER_POINT, TURNS = 2.5e-9, 6
MOST_ROUNDS = 200  # of loops that covariances are tried on unasked: they are written out
DRAWN = 3e-8  # seconds that an entry of the points, or of a vector made from them, takes
AT_LEAST = 4  # samples for each Gaussian in any case
NOISE = 0.25  # of Sobol points: 0.1 to 1.7 was seen, and less than half of it removed is safe
MEMORY = 4e9  # bytes of a repeat that more than MOST samples may take by default
# bytes and operations a second, for the prediction of time (tests/bench/batches.py)
BANDWIDTH, FLOPS = 2e10, 3e10


@dataclass(frozen=True, slots=True)
class Plan:
    """How a program is evaluated.

    method: the representation. points: what kind. gaussians: standard Gaussians (dimensions). samples: points
    of one repeat, M. repeats: independent randomisations, whose spread is the standard error. whiten: whether
    points are made to have mean 0 and covariance 1. tolerance: the relative norm below which a new direction
    is dropped. seconds, memory: predicted for one repeat, in s and bytes. sectors, rule: of chaos, which
    vectors have points of their own, and the nodes of every Gaussian in each sector. covariances: of gram,
    what is computed. packed: whether loops carry vectors as bfloat16. capacities: the most points of panels,
    in turn. sensitive: whether it is affordable to know how outputs depend on every point, by which panels
    are bisected. reason: of nodes, why it is that.
    """

    method: Literal["linear", "gram", "chaos", "nodes"]
    points: Points
    exact: bool
    why: str
    gaussians: int
    samples: int
    repeats: int
    grid: int
    whiten: bool
    tolerance: float
    dtype: DType
    seconds: float
    memory: float
    sectors: Sectors = field(default_factory=Sectors)
    rule: tuple[tuple[int, ...], ...] = ()
    covariances: CovarianceProgram | None = field(default=None, compare=False, repr=False)
    packed: bool = False
    capacities: tuple[int, ...] = ()
    sensitive: bool = False
    reason: str = field(default="", compare=False, repr=False)

    @property
    def noise(self) -> float:
        """The squared error of inner products, in units of that on M independent points, that is taken for
        certain; 0 if they are not sampled."""
        return NOISE if self.points in ("sobol", "monte-carlo") else 0.0

    @property
    def checks(self) -> tuple[int, int]:
        """How many Sobol points, and repeats, check quadrature over all Gaussians."""
        return (SAMPLES, REPEATS) if self.points in ("panels", "gauss-hermite") else (0, 0)

    @property
    def space(self) -> Space:
        return (
            Linear()
            if self.method in ("linear", "gram")
            else Chaos(self.sectors)
            if self.method == "chaos"
            else Nodes()
        )

    def __str__(self) -> str:
        if self.exact:
            how = f"{self.method}, exact: {self.why}"
        elif self.points == "quadrature":
            how = (
                f"{self.method}, {NAMES[self.points]}, {RULES} rules of {self.grid} points on each part of "
                f"a line: {self.why}"
            )
        elif any(self.checks):
            size = (
                f"{self.grid}^{self.gaussians} and {coarse(self.grid)}^{self.gaussians} points"
                if self.points == "gauss-hermite"
                else f"up to {self.samples} points of {self.gaussians} Gaussian{'s' * (self.gaussians > 1)}"
            )
            how = (
                f"{self.method}, {NAMES[self.points]}, {size}, checked by {self.checks[1]} x "
                f"{self.checks[0]} Sobol points: {self.why}"
            )
        else:
            how = (
                f"{self.method}, {NAMES[self.points]}, {self.samples} points of {self.gaussians} "
                "Gaussians, "
                f"{self.repeats} repeats: {self.why}"
            )
        return (
            f"{how}; about {_shown(self.seconds)} and {self.memory / 1e6:.0f} "
            f"MB{' in all' if any(self.checks) else ' a repeat'}"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "method": self.method,
            "exact": self.exact,
            "why": self.why,
            "points": self.points,
            "gaussians": self.gaussians,
            "samples": self.samples,
            "repeats": self.repeats,
            "dtype": self.dtype,
            "seconds": self.seconds,
            "memory": self.memory,
            **(
                {"checks": {"points": "sobol", "samples": self.checks[0], "repeats": self.checks[1]}}
                if any(self.checks)
                else {}
            ),
        }


NAMES = {
    "coefficients": "coefficients",
    "closed forms": "closed forms",
    "quadrature": "quadrature",
    "rules": "products of Gauss–Hermite rules",
    "panels": "adaptive panels",
    "gauss-hermite": "Gauss–Hermite quadrature",
    "sobol": "scrambled Sobol points",
    "monte-carlo": "Monte Carlo",
}


class UnrepresentableError(ValueError):
    """The method asked for cannot represent the program."""


def coarse(grid: int) -> int:
    """The points of the second Gauss–Hermite grid, whose difference from the first is the error estimate."""
    return max(2, round(grid * 0.75))


def gram_plan(program: Program, method: str, dtype: DType, seconds: float | None = None) -> Plan | str:
    """The plan by covariances, if it is asked for or the best one; else what another plan should say of it.
    Raises UnrepresentableError.

    seconds: what finding the covariances may take, FINDING if they are not asked for.
    """
    if method not in ("auto", "gram") or (method == "auto" and Linear().refuses(program) is None):
        return ""
    few = method == "auto" and _few_in_rounds(program)
    if method == "auto" and (rounds := rounds_in_order(program)) > MOST_ROUNDS:
        return f"gram was not tried, which would write out the {rounds:,} rounds of its loops"
    try:
        covariances = covariance_program(program, QUICK if few else FINDING if method == "auto" else seconds)
    except NotGramError as error:
        if method == "gram":
            raise UnrepresentableError(str(error)) from None
        return (
            f"gram would need too many dimensions of quadrature: {error}"
            if isinstance(error, TooManyGaussiansError)
            else f"gram was given up: {error}"
            if isinstance(error, TooDearError)
            else ""
        )
    if few and covariances.integrals:
        return ""
    integrals, entries, size = covariances.integrals, covariances.entries, 8 if dtype == "float64" else 4
    made = sum(isinstance(p.formula, Closed) for d in covariances.definitions for p in d.pieces)
    why = f"all outputs follow from covariances, in {len(covariances.definitions)} arrays"
    if made:
        why += f" with {made} Gaussian expectation{'s' * (made > 1)} in closed form"
    if not integrals:
        return Plan(
            "gram",
            "closed forms",
            True,
            why,
            0,
            1,
            1,
            0,
            False,
            0.0,
            dtype,
            entries * PER_ENTRY,
            3.0 * entries * size,
            covariances=covariances,
        )
    why += f"{' and' if made else ' with'} {integrals} by quadrature"
    work = RULES * quadrature_entries(covariances, RULE)
    taken = work * PER_ENTRY + seconds_of_compiling(covariances)
    if method == "auto" and taken > SECONDS:
        return f"gram would take {_shown(taken)}, {integrals} expectations by quadrature"
    return Plan(
        "gram",
        "quadrature",
        False,
        why,
        0,
        1,
        1,
        RULE,
        False,
        0.0,
        dtype,
        work * PER_ENTRY,
        3.0 * entries * size,
        covariances=covariances,
    )


def rounds_in_order(program: Program) -> int:
    """The rounds of loops that depend on each other, which covariances would write out: the most of any
    instruction."""
    rounds = (
        math.prod(max(0, bounds(loop.count, ranges)[1]) for loop, ranges in _in_order(loops))
        for _, loops in instructions(program.body)
    )
    return max(rounds, default=0)


def total_rounds(program: Program) -> int:
    """The rounds of all loops around the instruction that has the most."""
    ranges = (tuple((loop.variable, loop.count) for loop in loops) for _, loops in instructions(program.body))
    return max(
        (math.prod(max(0, bounds(count, own[:k])[1]) for k, (_, count) in enumerate(own)) for own in ranges),
        default=0,
    )


def _in_order(loops: Sequence[For]) -> Iterator[tuple[For, Ranges]]:
    ranges: Ranges = ()
    for loop in loops:
        if not is_parallel(loop, ranges):
            yield loop, ranges
        ranges = (*ranges, (loop.variable, loop.count))


def _few_in_rounds(program: Program) -> bool:
    """Whether a training is of so few Gaussians that points for all of them at once are cheaper than an
    integral for every moment of each round."""
    return rounds_in_order(program) > 1 and 0 < lay_out(program, {}, None).total <= max(GRID)


def make_plan(
    program: Program,
    layout: Layout,
    kept: Mapping[str, Kept],
    confined: Confined,
    *,
    method: str = "auto",
    samples: int | None = None,
    repeats: int | None = None,
    dtype: DType = "float64",
    reason: str = "asked for",
) -> Plan:
    """kept: the vectors of each family, for the prediction. confined: as for `lay_out`. reason: why a method
    other than "auto" is taken.

    Raises UnrepresentableError.
    """
    vectors = sum(number.count for number in kept.values())
    refused = Linear().refuses(program)
    k = layout.total
    if method == "linear" and refused:
        raise UnrepresentableError(refused)
    if method in ("auto", "linear") and refused is None:
        why = "the program is linear in its vectors, so coefficients on Gaussians represent it"
        return Plan(
            "linear",
            "coefficients",
            True,
            why,
            k,
            k + 1,
            1,
            0,
            False,
            1e-12 if dtype == "float64" else 1e-5,
            dtype,
            *_cost(layout, vectors, k + 1, dtype),
        )
    chaos = (
        _chaos(program, layout, kept, confined, dtype, method == "chaos")
        if method in ("auto", "chaos")
        else ""
    )
    if isinstance(chaos, Plan):
        return chaos
    smooth = all(_smooth(op.phi) for op, _ in instructions(program.body) if isinstance(op, Nonlin | Moment))
    reason = f"{refused}{chaos}" if method == "auto" else reason
    by_quadrature = (
        _by_quadrature(program, layout, vectors, dtype, smooth, reason)
        if samples is None and repeats is None
        else None
    )
    if by_quadrature is not None:
        return by_quadrature
    m = samples or max(
        SAMPLES,
        min(MOST, _power_of_two(PER_GAUSSIAN * k)),
        min(LARGE, _power_of_two(UNBIASED * k)),
        _power_of_two(AT_LEAST * k),
    )
    while samples is None and m > MOST and _cost(layout, vectors, m, dtype)[1] > MEMORY:
        m //= 2
    seconds, memory = _cost(layout, vectors, m, dtype)
    # larger ones cost the same, and have half the bias
    few = REPEATS if samples or m <= MOST else REPEATS // 2
    again = repeats or max(few, min(MANY, int(BRIEF / total_seconds(1, seconds, m, k))))
    points: Points = "sobol" if k <= SOBOL_DIMENSIONS else "monte-carlo"
    return Plan(
        "nodes",
        points,
        False,
        reason,
        k,
        m,
        again,
        0,
        2 * k <= m,
        1e-8 if dtype == "float64" else 1e-4,
        dtype,
        seconds,
        memory,
        reason=reason,
    )


def total_seconds(repeats: int, seconds: float, samples: int, gaussians: int) -> float:
    """Predicted of so many repeats of so many seconds each, drawing the points included."""
    return repeats * (seconds + DRAWN * samples * (gaussians + 10))


def _by_quadrature(
    program: Program, layout: Layout, vectors: int, dtype: DType, smooth: bool, reason: str
) -> Plan | None:
    """The plan for few Gaussians: panels for one or two of them, Gauss–Hermite rules for more if all
    functions are smooth. None where it is no use.

    How outputs depend on each point is had backwards, for which a loop keeps the history of its rounds.
    Without, kinks cannot be found.
    """
    k = layout.total
    if not (k in PANELS or (k in GRID and smooth)):
        return None
    rounds, entries = (
        max(1, rounds_in_order(program)),
        min(16, sum(math.prod(output.shape) for output in program.outputs)),
    )
    work = sum(_turns(loops) for op, loops in instructions(program.body) if isinstance(op, Nonlin))

    def needs(m: int, sensitive: bool) -> tuple[float, float]:
        """Seconds and bytes of all that is done on m points."""
        seconds, memory = _cost(layout, vectors, m, dtype)
        once = seconds + work * m * PER_POINT
        return (once * (1 + 2 * entries) * TURNS, memory * rounds) if sensitive else (3 * once, memory)

    sizes = PANELS.get(k) or (GRID[k] ** k,)
    room = tuple(m for m in sizes if needs(m, True)[0] <= SECONDS and needs(m, True)[1] <= MEMORY)
    if not room and (not smooth or needs(sizes[0], False)[1] > MEMORY):
        return None
    used = room or sizes[:1]
    (seconds, memory), (a_check, of_check) = needs(used[-1], bool(room)), needs(SAMPLES, False)
    why = f"{reason}, and its functions are {'smooth and ' * smooth}of {k} Gaussian{'s' * (k > 1)} only"
    return Plan(
        "nodes",
        "panels" if k in PANELS else "gauss-hermite",
        False,
        why,
        k,
        used[-1],
        1,
        GRID.get(k, 0),
        False,
        1e-11 if dtype == "float64" else 1e-5,
        dtype,
        seconds + REPEATS * a_check / 3,
        max(memory, of_check),
        capacities=used if k in PANELS else (),
        sensitive=bool(room),
        reason=reason,
    )


def _turns(loops: Sequence[For]) -> int:
    """How often the body of these loops is run, at most."""
    ranges: Ranges = ()
    out = 1
    for loop in loops:
        out *= max(0, bounds(loop.count, ranges)[1])
        ranges = (*ranges, (loop.variable, loop.count))
    return out


def _chaos(
    program: Program, layout: Layout, kept: Mapping[str, Kept], confined: Confined, dtype: DType, forced: bool
) -> Plan | str:
    """The exact plan for polynomials, or what to add to the reason for another one. forced: whatever it
    costs. Raises UnrepresentableError."""
    sectors = separate(program)
    refused = Chaos(sectors).refuses(program)
    if refused is not None:
        if forced:
            raise UnrepresentableError(refused)
        return ""
    try:
        rule = find_rule(program, layout, sectors, confined, kept, dtype)
    except TooMuchError as error:
        if forced:
            raise UnrepresentableError(f"it would need {error}") from None
        return f"; chaos would need {error}: nodes instead"
    over = rule.over_budget(dtype)
    if over is not None and not forced:
        return f"; chaos would need {over}: nodes instead"
    return _of_rule(rule, sectors, layout, dtype)


def _of_rule(rule: Rule, sectors: Sectors, layout: Layout, dtype: DType) -> Plan:
    why = (
        f"the vectors are polynomials of Gaussians, and {rule.shown} integrate all that occurs, of degree "
        f"{rule.degree} at most"
    )
    return Plan(
        "chaos",
        "rules",
        True,
        why,
        layout.total,
        sum(rule.points),
        1,
        0,
        False,
        1e-12 if dtype == "float64" else 1e-5,
        dtype,
        rule.seconds,
        rule.memory,
        sectors,
        rule.nodes,
    )


def _smooth(x: Expr) -> bool:
    """Whether every function of a vector in `x` is smooth."""
    return all(
        elementwise(node.function).shape == "smooth"
        for node in walk(x)
        if isinstance(node, Call) and is_vector(node)
    )


def _power_of_two(k: int) -> int:
    return 1 << max(0, math.ceil(math.log2(max(1, k))))


def _cost(layout: Layout, vectors: int, m: int, dtype: str) -> tuple[float, float]:
    """Seconds and bytes of one repeat: a product goes through the bases of both sides of its matrix, about
    seven times, and a vector through the history.

    A product of single vectors takes as long as memory is read, one of a batch of `layout.rows` as long as is
    computed.
    """
    size = 8 if dtype == "float64" else 4
    streamed = sum(
        n * (layout.capacity.get((name, False), 0) + layout.capacity.get((name, True), 0)) ** 2
        for name, n in layout.members.items()
    )
    entries = (3.5 * streamed + vectors * vectors / 2) * m
    seconds = max(entries * size / layout.rows / BANDWIDTH, 2 * entries / FLOPS if layout.rows > 1 else 0)
    return seconds, (2 * layout.total + 2 * layout.directions + vectors) * m * size


def _shown(seconds: float) -> str:
    return (
        f"{seconds * 1000:.0f} ms"
        if seconds < 1
        else f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
    )
