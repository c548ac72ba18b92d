"""Plans: in which representation a program is evaluated, and if that is by points, by how many of which kind.

Each representation has a class of its own:

    CovariancesPlan         gram     numbers only: the covariances of vectors
    CoefficientsPlan        linear   vectors are coefficients on the standard Gaussians
    ChaosPlan               chaos    vectors are values at the nodes of rules that are exact for polynomials
    SampledPlan             nodes    … at points drawn at random, whose repeats tell the error
    PanelsPlan, GridPlan    nodes    … at the points of a quadrature, which sampled points check
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

from tpc.core.program import Program
from tpc.gram import CovarianceProgram
from tpc.plan.cost import shown_seconds
from tpc.plan.gaussians import Layout
from tpc.plan.options import DType, Method
from tpc.plan.plan_table import ShownPlan
from tpc.plan.sectors import Sectors, by_width
from tpc.plan.space import Chaos, Linear, Nodes, Space
from tpc.plan.structure import Structure, structure

Points = Literal[
    "coefficients", "rules", "closed forms", "quadrature", "panels", "gauss-hermite", "sobol", "monte-carlo"
]
NAMES: dict[Points, str] = {
    "coefficients": "coefficients",
    "closed forms": "closed forms",
    "quadrature": "quadrature",
    "rules": "products of Gauss–Hermite rules",
    "panels": "adaptive panels",
    "gauss-hermite": "Gauss–Hermite quadrature",
    "sobol": "scrambled Sobol points",
    "monte-carlo": "Monte Carlo",
}
ORDERS = {1: 7, 2: 5}  # of the Gauss rules of panels, by dimension
SOBOL_DIMENSIONS = 21_201  # where scipy's direction numbers end
SAMPLES, REPEATS = 4096, 8
RULE = 96  # points of a quadrature on each part that a Gaussian's line is cut in
RULES = 3  # of different kind, whose differences are the error


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan(ShownPlan):
    """How a program is evaluated: what all representations have in common."""

    method: ClassVar[Method]

    # as it is evaluated: its sums in an order that takes few operations
    program: Program = field(compare=False, repr=False)
    # of points and values
    dtype: DType
    # this representation, in words
    why: str
    # predicted of one repeat, or of all where there are none, in s
    seconds: float
    # the same, in bytes
    memory: float

    @property
    @abstractmethod
    def points(self) -> Points:
        """What kind they are."""

    @property
    def gaussians(self) -> int:
        """Standard Gaussians, the dimensions of points."""
        return 0

    @property
    def samples(self) -> int:
        """Points of one repeat, M."""
        return 1

    @property
    def repeats(self) -> int:
        """Independent randomisations, whose spread is the standard error."""
        return 1

    @property
    def exact(self) -> bool:
        """Whether there is no error but rounding."""
        return False

    @property
    def sampled(self) -> bool:
        """Whether points are drawn at random, and errors come from repeats."""
        return False

    @property
    def checks(self) -> tuple[int, int]:
        """How many sampled points, and repeats, check quadrature over all Gaussians."""
        return 0, 0

    @property
    def evaluations(self) -> int:
        """How many parts the work has that are kept: repeats, or rules, or rules and what checks them."""
        return self.repeats

    @property
    def shape(self) -> tuple[int, int] | None:
        """The points that one evaluation is given, [Gaussians, M], if it is one function of such."""
        return None

    @property
    @abstractmethod
    def _size(self) -> str:
        """How many points there are, in words."""

    def __str__(self) -> str:
        how = "exact" if self.exact else f"{NAMES[self.points]}, {self._size}"
        share = "in all" if any(self.checks) else "a repeat"
        return (
            f"{self.method}, {how}: {self.why}; about {shown_seconds(self.seconds)} and "
            f"{self.memory / 1e6:.0f} MB {share}"
        )

    def to_json(self) -> dict[str, Any]:
        samples, repeats = self.checks
        checks = {"points": "sobol", "samples": samples, "repeats": repeats}
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
            **({"checks": checks} if samples else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CovariancesPlan(Plan):
    """By covariances of vectors, which follow from each other."""

    method: ClassVar[Method] = "gram"

    covariances: CovarianceProgram = field(compare=False, repr=False)

    @property
    def exact(self) -> bool:
        return not self.covariances.integrals

    @property
    def points(self) -> Points:
        return "closed forms" if self.exact else "quadrature"

    @property
    def evaluations(self) -> int:
        return 1 if self.exact else RULES

    @property
    def shape(self) -> tuple[int, int]:
        return (1, 1) if self.exact else (3, RULE)

    @property
    def _size(self) -> str:
        return f"{RULES} rules of {RULE} points on each part of a line"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class VectorsPlan(Plan):
    """By arrays that represent the vectors, [M]; matrices by what they have been multiplied with."""

    tolerances: ClassVar[dict[DType, float]] = {"float64": 1e-12, "float32": 1e-5}

    # which loops are run at once, and where vectors are kept
    structure: Structure = field(compare=False, repr=False)
    # which vectors have which Gaussians
    layout: Layout = field(repr=False)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy finds its structure itself, which is of its own program's instructions."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "structure"}
        return _copied, (type(self), self.structure.joint, own)

    @property
    @abstractmethod
    def space(self) -> Space:
        """What the arrays are elements of."""

    @property
    def tolerance(self) -> float:
        """The relative norm below which a new direction is dropped."""
        return self.tolerances[self.dtype]

    @property
    def gaussians(self) -> int:
        return self.layout.total


def _copied(kind: type[VectorsPlan], joint: bool, own: dict[str, Any]) -> VectorsPlan:
    return kind(structure=structure(own["program"], joint=joint), **own)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CoefficientsPlan(VectorsPlan):
    """By the coefficients of vectors on 1 and the standard Gaussians."""

    method: ClassVar[Method] = "linear"

    # whether loops carry vectors as bfloat16
    packed: bool = False

    @property
    def exact(self) -> bool:
        return True

    @property
    def space(self) -> Space:
        return Linear()

    @property
    def points(self) -> Points:
        return "coefficients"

    @property
    def samples(self) -> int:
        return self.gaussians + 1

    @property
    def shape(self) -> tuple[int, int]:
        return self.gaussians, self.samples

    @property
    def _size(self) -> str:
        return f"{self.samples} coefficients"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ChaosPlan(VectorsPlan):
    """By the values of polynomials at the nodes of rules that integrate all that occurs."""

    method: ClassVar[Method] = "chaos"

    # which vectors have points of their own
    sectors: Sectors
    # the nodes for every Gaussian, by sector
    rule: tuple[tuple[int, ...], ...]

    @property
    def exact(self) -> bool:
        return True

    @property
    def space(self) -> Space:
        return Chaos(self.sectors)

    @property
    def points(self) -> Points:
        return "rules"

    @property
    def samples(self) -> int:
        return sum(math.prod(sector) for sector in self.rule)

    @property
    def _size(self) -> str:
        return f"{self.samples} points"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PointsPlan(VectorsPlan):
    """By the values of vectors at points."""

    method: ClassVar[Method] = "nodes"

    # why no other method is taken
    reason: str = field(compare=False, repr=False)

    @property
    def space(self) -> Space:
        return Nodes()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SampledPlan(PointsPlan):
    """By points that are drawn at random, so often that their spread tells the error."""

    tolerances: ClassVar[dict[DType, float]] = {"float64": 1e-8, "float32": 1e-4}
    fine_tolerances: ClassVar[dict[DType, float]] = {"float64": 1e-13, "float32": 1e-5}

    samples: int = field()
    repeats: int = field()
    # whether each width has points with weights of their own
    by_width: bool = False
    # whether directions as small as high powers of n^(-1/2) are kept, which corrections of a start need
    fine: bool = False

    @property
    def tolerance(self) -> float:
        return (self.fine_tolerances if self.fine else self.tolerances)[self.dtype]

    @property
    def space(self) -> Space:
        return Nodes(sectors=by_width(self.program) if self.by_width else Sectors())

    @property
    def points(self) -> Points:
        return "sobol" if self.gaussians <= SOBOL_DIMENSIONS else "monte-carlo"

    @property
    def sampled(self) -> bool:
        return True

    @property
    def whiten(self) -> bool:
        """Whether points are made to have mean 0 and covariance 1."""
        return 2 * self.gaussians <= self.samples

    @property
    def shape(self) -> tuple[int, int]:
        return self.gaussians, self.samples

    @property
    def _size(self) -> str:
        return f"{self.samples} points of {self.gaussians} Gaussians, {self.repeats} repeats"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CheckedPlan(PointsPlan):
    """By quadrature over all Gaussians, which are few, with sampled points to check it."""

    tolerances: ClassVar[dict[DType, float]] = {"float64": 1e-11, "float32": 1e-5}

    # whether it is affordable to know how outputs depend on every point, by which panels are bisected
    sensitive: bool

    @property
    def checks(self) -> tuple[int, int]:
        return SAMPLES, REPEATS

    @property
    def evaluations(self) -> int:
        return 1 + REPEATS

    @property
    @abstractmethod
    def _rule(self) -> str:
        """Its points, in words."""

    @property
    def _size(self) -> str:
        return f"{self._rule}, checked by {REPEATS} x {SAMPLES} Sobol points"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PanelsPlan(CheckedPlan):
    """One or two Gaussians: Gauss rules on panels, which are bisected where that is needed."""

    # the most points, in turn
    capacities: tuple[int, ...]

    @property
    def points(self) -> Points:
        return "panels"

    @property
    def samples(self) -> int:
        return self.capacities[-1]

    @property
    def _rule(self) -> str:
        return f"up to {self.samples} points of {self.gaussians} Gaussian{'s' * (self.gaussians > 1)}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GridPlan(CheckedPlan):
    """A few more Gaussians, where all functions are smooth: products of a Gauss–Hermite rule."""

    # the nodes for every Gaussian
    grid: int

    @property
    def points(self) -> Points:
        return "gauss-hermite"

    @property
    def coarse(self) -> int:
        """The nodes of the second grid, whose difference from the first is the error estimate."""
        return max(2, round(self.grid * 0.75))

    @property
    def samples(self) -> int:
        return int(self.grid**self.gaussians)

    @property
    def _rule(self) -> str:
        return f"{self.grid}^{self.gaussians} and {self.coarse}^{self.gaussians} points"
