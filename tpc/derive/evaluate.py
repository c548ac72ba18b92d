"""Numbers from the formulas as they stand.

ZDot in derivative form, its partial derivatives by their recurrences. A check, not the product.

Every Z is an array of values at points of the standard Gaussians, every expectation a mean over the points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tpc.core.expr import Delta, Expr, Gather, Index, Position, Ref, Sum, Value
from tpc.core.numeric import Namespace, evaluate
from tpc.core.program import For, Input, MatMul, Op
from tpc.core.spectral import SpectralMap, mapped
from tpc.derive.formula import (
    ZDot,
    ZFormula,
    ZHat,
    ZInit,
    ZMatMul,
    ZMoment,
    ZNonlin,
    ZOuter,
    ZOuterMul,
    ZPartial,
    ZScalar,
)
from tpc.derive.limit import Limit
from tpc.derive.nodes import Copied, CopyMean, Expectation, Partial, Ring, Stein, TableKernel, Z

Array = NDArray[np.float64]
Member = tuple[str, tuple[int, ...]]
Rounds = Mapping[str, int]
TOLERANCE = 1e-10  # relative norm under which a new direction counts as none
MAX_HERMITE = 3


@dataclass
class Points:
    """Standard Gaussians, handed out one dimension after the other, at weighted points."""

    columns: Array
    weights: Array
    used: int = 0

    def next(self) -> Array:
        self.used += 1
        return np.asarray(self.columns[:, self.used - 1])


def sobol_points(dimensions: int, samples: int, seed: int) -> Points:
    from scipy.special import ndtri
    from scipy.stats import qmc

    uniform = qmc.Sobol(max(1, dimensions), scramble=True, rng=np.random.default_rng(seed)).random(samples)
    return Points(ndtri(np.clip(uniform, 1e-16, 1 - 1e-16)), np.full(samples, 1 / samples))


def hermite_points(dimensions: int, nodes: int) -> Points:
    if dimensions > MAX_HERMITE:
        raise ValueError(
            f"Gauss–Hermite points are for at most {MAX_HERMITE} Gaussians, and this limit has {dimensions}"
        )
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    columns = np.array(list(product(x, repeat=dimensions))).reshape(nodes**dimensions, dimensions)
    weights = np.array([np.prod(c) for c in product(w / w.sum(), repeat=dimensions)])
    return Points(columns, weights)


@dataclass
class FamilyOnPoints:
    """The products met on one side of a matrix.

    A basis of their operands, orthonormal in L², and a Gaussian for each of its vectors.
    """

    basis: list[Array] = field(default_factory=list)
    gaussians: list[Array] = field(default_factory=list)


def evaluate_limit(
    limit: Limit, inputs: Mapping[str, Any], *, samples: int, seed: int, method: str
) -> dict[str, Array]:
    dimensions = count_gaussians(limit)
    points = (
        hermite_points(dimensions, samples)
        if method == "hermite"
        else sobol_points(dimensions, samples, seed)
    )
    return Interpreter(limit, inputs, points).run()


def count_gaussians(limit: Limit) -> int:
    initial = sum(
        len(group.names) * int(np.prod([count for _, count in group.axes]))
        for group in limit.program.gaussians
    )
    return initial + sum(1 for op, _ in rounds_of(limit.program.body, {}, ()) if isinstance(op, MatMul))


def rounds_of(body: Sequence[Op], env: Rounds, path: tuple[int, ...]) -> Any:
    """Every round of every instruction in order.

    (its place, the values of the loop variables) with the instruction.
    """
    for i, op in enumerate(body):
        if isinstance(op, For):
            for t in range(op.count.at(env)):
                yield from rounds_of(op.body, {**env, op.variable: t}, (*path, i))
        else:
            yield op, ((*path, i), env)


class Interpreter:
    """Runs through the formulas round by round.

    made: where and in which round each member was made; order: when.
    """

    def __init__(self, limit: Limit, inputs: Mapping[str, Any], points: Points) -> None:
        import scipy.special

        self.limit, self.points = limit, points
        self.ns = Namespace(np, scipy.special)
        self.inputs = {item.name: input_value(item, inputs) for item in limit.program.inputs}
        self.formula: dict[tuple[int, ...], ZFormula] = {f.path: f for f in limit.formulas if f.path}
        self.recurrences: dict[tuple[tuple[int, ...], tuple[int, ...]], ZPartial] = {
            (p.path, p.by_path): p for p in limit.partials
        }
        self.values: dict[Member, Array] = {}
        self.hats: dict[Member, Array] = {}
        self.made: dict[Member, tuple[tuple[int, ...], Rounds]] = {}
        self.order: dict[Member, int] = {}
        self.families: dict[tuple[Member, bool], FamilyOnPoints] = {}
        self.derivatives: dict[tuple[Member, Member], Any] = {}
        self.means: dict[tuple[Expr, tuple[tuple[str, int], ...]], Any] = {}
        self.coefficients: dict[Member, dict[Member, float]] = {}

    def run(self) -> dict[str, Array]:
        for group in self.limit.program.gaussians:
            self.initial([self.formula_of(name) for name in group.names], group.axes)
        for _, (path, env) in rounds_of(self.limit.program.body, {}, ()):
            self.instruction(self.formula[path], path, env)
        return {o.name: self.output(o.ref, o.axes) for o in self.limit.program.outputs if not o.check}

    def formula_of(self, name: str) -> ZInit:
        found = next(f for f in self.limit.formulas if f.of.name == name)
        assert isinstance(found, ZInit)
        return found

    def output(self, ref: Ref, axes: Sequence[tuple[str, int]]) -> Array:
        shape = tuple(count for _, count in axes)
        out = np.zeros(shape)
        for index in product(*map(range, shape)):
            env = dict(zip((variable for variable, _ in axes), index, strict=True))
            out[index] = self.scalar(ref, env)
        return out

    def scalar(self, ref: Ref, env: Rounds) -> Any:
        name, index = self.member(ref, env)
        return self.inputs[name][index] if name in self.inputs else self.values[name, index]

    # indices

    def member(self, ref: Ref, env: Rounds) -> Member:
        return ref.name, tuple(self.index(i, env) for i in ref.index)

    def index(self, i: Index, env: Rounds) -> int:
        return (
            int(self.inputs[i.input][tuple(j.at(env) for j in i.index)])
            if isinstance(i, Gather)
            else i.at(env)
        )

    # rules

    def initial(self, group: Sequence[ZInit], axes: Sequence[tuple[str, int]]) -> None:
        """ZInit: jointly Gaussian vectors from independent Gaussians.

        The Cholesky factor lets variances be 0.
        """
        for index in product(*(range(count) for _, count in axes)):
            env = dict(zip((variable for variable, _ in axes), index, strict=True))
            covariance = np.zeros((len(group), len(group)))
            for i, f in enumerate(group):
                covariance[i, i] = self.value(f.variance, env)
                for other, x in f.covariances:
                    j = next(j for j, g in enumerate(group) if g.of == other)
                    covariance[i, j] = covariance[j, i] = self.value(x, env)
            factor = cholesky(covariance)
            normals = [self.points.next() for _ in group]
            for row, f in zip(factor, group, strict=True):
                self.values[f.of.name, index] = self.value(f.mean, env) + sum(
                    c * g for c, g in zip(row, normals, strict=True)
                )

    def instruction(self, f: ZFormula, path: tuple[int, ...], env: Rounds) -> None:
        member = self.member(f.of, env)
        self.made[member], self.order[member] = (path, env), len(self.order)
        match f:
            case ZNonlin() | ZMoment() | ZScalar():
                self.values[member] = self.value(f.value, env)
            case ZOuter() | ZOuterMul():
                self.values[member] = self.value(f.value, env, tabular=isinstance(f, ZOuter))
            case ZMatMul():
                self.hats[member] = self.hat(f.hat, f.product, env)
                self.values[member] = self.hats[member] + self.dot(f.dot, env)

    def hat(self, f: ZHat, op: MatMul, env: Rounds) -> Array:
        """ZHat by Gram–Schmidt: `Ẑ^{Wx} = √scale (Σ_r ⟨p_r, x⟩ g_r + ‖x_⊥‖ g_new)`."""
        family = self.families.setdefault((self.member(op.matrix, env), op.transposed), FamilyOnPoints())
        x, new = (
            self.values[self.member(op.operand, env)] + np.zeros_like(self.points.weights),
            self.points.next(),
        )
        total, norm = self.mean(x * x), np.zeros_like(x)
        scale = np.sqrt(self.value(f.variance, env) / total) if total > 0 else 0.0
        for p, g in zip(family.basis, family.gaussians, strict=True):
            c = self.mean(p * x)
            norm, x = norm + c * g, x - c * p
        rest = np.sqrt(self.mean(x * x))
        if rest > TOLERANCE * np.sqrt(total):
            family.basis.append(x / rest)
            family.gaussians.append(new)
            norm = norm + rest * new
        return np.asarray(scale * norm)

    def dot(self, f: ZDot, env: Rounds) -> Any:
        return self.value(f.value, env) if f.terms else 0.0

    def stein(self, h: Member) -> dict[Member, float]:
        """Remark F.2: `a = C⁺b` over the opposing products of h, times its factor in ρ."""
        if h not in self.coefficients:
            path, env = self.made[h]
            f = self.formula[path]
            assert isinstance(f, ZMatMul)
            met = list(self.opposing(f.dot, env))
            y = np.array([self.values[member] + np.zeros_like(self.points.weights) for _, member in met])
            g = np.array([self.hats[member] for member, _ in met])
            x = self.values[self.member(f.dot.operand, env)]
            gram, b = (y * self.points.weights) @ y.T, (g * self.points.weights) @ x
            a = self.value(f.dot.stein, env) * np.linalg.pinv(gram, rcond=TOLERANCE, hermitian=True) @ b
            self.coefficients[h] = {member: float(c) for (member, _), c in zip(met, a, strict=True)}
        return self.coefficients[h]

    def opposing(self, f: ZDot, env: Rounds) -> Any:
        """The opposing products, member by member, with their operands."""
        for term in f.terms:
            for at in range_rounds(term.ranges, env):
                if self.value(term.same, at):
                    yield self.member(term.g, at), self.member(term.y, at)

    # values

    def mean(self, x: Any) -> Any:
        return self.points.weights @ (x + np.zeros_like(self.points.weights))

    def value(self, x: Expr, env: Rounds, *, tabular: bool = False) -> Any:
        """tabular: as an array over the points, and beside each of them those of an independent copy."""
        return evaluate(x, lambda node: self.leaf(node, env, tabular), self.ns)

    def table_leaf(self, x: Expr, env: Rounds) -> Any:
        """What has another meaning in a table: columns of Z's, rows of copies, kernels."""
        match x:
            case Z(ref):
                return (self.values[self.member(ref, env)] + np.zeros_like(self.points.weights))[:, None]
            case Copied(body):
                return self.value(body, env)
            case TableKernel(ref, flipped):
                kernel = self.values[self.member(ref, env)]
                return np.transpose(kernel) if flipped else kernel
            case SpectralMap():
                root = np.sqrt(np.multiply.outer(self.points.weights, self.points.weights))
                tables = [self.value(table, env, tabular=True) + np.zeros_like(root) for table in x.tables]
                scalars = [self.value(c, env) for c in x.coefficients]
                return mapped(np, x, [table * root for table in tables], scalars) / root
        return None

    def leaf(self, x: Expr, env: Rounds, tabular: bool = False) -> Any:
        if tabular and (own := self.table_leaf(x, env)) is not None:
            return own
        match x:
            case Z(ref):
                return self.values[self.member(ref, env)]
            case CopyMean(body):
                size = len(self.points.weights)
                return (self.value(body, env, tabular=True) + np.zeros((size, size))) @ self.points.weights
            case Ring(ref) | Value(ref, _):
                return self.scalar(ref, env)
            case Position(index):
                return float(index.at(env))
            case Delta(left, right):
                return float(self.index(left, env) == self.index(right, env))
            case Sum(variable, count, body):
                rounds = ({**env, variable: s} for s in range(count.at(env)))
                return sum((self.value(body, at, tabular=tabular) for at in rounds), start=0.0)
            case Expectation(body):
                key = (body, tuple(sorted(env.items())))
                if key not in self.means:
                    self.means[key] = self.mean(self.value(body, env))
                return self.means[key]
            case Partial(of, by):
                return self.partial(self.member(of, env), self.member(by, env))
            case Stein(of, by):
                return self.stein(self.member(of, env)).get(self.member(by, env), 0.0)
        return None

    def partial(self, of: Member, by: Member) -> Any:
        """`∂Z^of/∂Ẑ^by` by its recurrence; 0 if `of` comes first, or no recurrence says otherwise."""
        if of not in self.order or self.order[of] < self.order[by]:
            return 0.0
        if (of, by) not in self.derivatives:
            (path, env), (by_path, by_env) = self.made[of], self.made[by]
            entry = self.recurrences.get((path, by_path))
            self.derivatives[of, by] = (
                0.0
                if entry is None
                else self.value(
                    entry.value,
                    {**env, **dict(zip((r.variable for r in entry.ranges), by_env.values(), strict=True))},
                )
            )
        return self.derivatives[of, by]


def input_value(item: Input, given: Mapping[str, Any]) -> Array:
    if item.name not in given and item.default is None:
        raise ValueError(f"the input {item.name} is missing")
    # integers have no negative powers
    value = np.asarray(given.get(item.name, item.default or 0), dtype=float)
    if value.shape != item.shape:
        raise ValueError(f"the input {item.name} has shape {item.shape}, not {value.shape}")
    return value


def range_rounds(ranges: Sequence[Any], env: Rounds) -> Any:
    if not ranges:
        yield env
        return
    for s in range(ranges[0].count.at(env)):
        yield from range_rounds(ranges[1:], {**env, ranges[0].variable: s})


def cholesky(covariance: Array) -> Array:
    """A lower triangular factor of a positive semidefinite matrix.

    It has zero columns where there is no new direction.
    """
    n = len(covariance)
    factor = np.zeros((n, n))
    for i in range(n):
        rest = covariance[i, i] - factor[i] @ factor[i]
        if rest > TOLERANCE * max(1.0, covariance[i, i]):
            factor[i, i] = np.sqrt(rest)
            factor[i + 1 :, i] = (covariance[i + 1 :, i] - factor[i + 1 :, :i] @ factor[i, :i]) / factor[i, i]
    return factor
