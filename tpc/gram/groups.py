"""Expectations of products of functions of Gaussians.

Apart where they are independent, in closed form where there is one, else by quadrature.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tpc.core.affine import Affine
from tpc.core.calculus import NotDifferentiableError
from tpc.core.expr import (
    ONE,
    ZERO,
    Add,
    Expr,
    Mul,
    Number,
    Pow,
    Ref,
    Sum,
    Value,
    add,
    children,
    is_vector,
    mul,
    number,
    rebuild,
    replace,
)
from tpc.core.signs import has_poles
from tpc.core.traverse import index_variables, indices, substitute
from tpc.gram.axes import skeleton
from tpc.gram.basis import fewer
from tpc.gram.factors import (
    LOGISTIC,
    Combination,
    closed_together,
    combination,
    half_moment,
    moment,
    polynomial,
    symmetry,
)
from tpc.gram.gaussian_functions import derivative, expression_of, gaussians, normal_form, parity
from tpc.gram.ir import Closed, Factor, Integral, NotGramError, TooManyGaussiansError
from tpc.gram.isserlis import covariance_of, isserlis
from tpc.gram.labels import text_of
from tpc.gram.registered import registered
from tpc.gram.slopes import without_slopes
from tpc.gram.sources import Sources, meet
from tpc.plan.space import degree

if TYPE_CHECKING:
    from tpc.gram.covariance import Covariances

MOST_DIMENSIONS = 4  # of a quadrature


def require_mean(factors: Sequence[Expr]) -> None:
    """Raises NotGramError where a product that is odd, or times a mean that is 0, may have none itself."""
    if any(map(has_poles, factors)):
        raise NotGramError("it has quotients by what may be 0, whose means need not exist")


def expectation_of_groups(engine: Covariances, factors: Sequence[Expr]) -> Expr:
    """`E Π factors`, all vectors in them being Gaussian."""
    return Groups(engine).product(factors)


class Groups:
    """Gaussians are named `z0`, `z1`, … here.

    Linear combinations of vectors, that functions are applied to or that are multiplied.
    """

    def __init__(self, engine: Covariances) -> None:
        self.engine = engine
        self.names: dict[Expr, str] = {}
        self.meaning: dict[str, Expr] = {}
        self.sources: dict[str, Sources] = {}
        self.means: dict[str, Expr] = {}

    def product(self, factors: Sequence[Expr]) -> Expr:
        return self.expanded([self.in_gaussians(f) for f in factors])

    # Gaussians

    def in_gaussians(self, x: Expr) -> Expr:
        """`x` with its greatest linear parts as multiples of named Gaussians."""
        if not is_vector(x):
            return x
        if degree(x) <= 1:
            coefficient, base = normal_form(x)
            return mul(coefficient, Value(Ref(self.name(base)), True))
        if isinstance(x, Sum):
            if x.count.const > MOST_DIMENSIONS:
                raise TooManyGaussiansError(
                    f"`{text_of(x)}`, inside of a function, is of {x.count} Gaussians"
                )
            return self.in_gaussians(
                add(*(substitute(x.body, {x.variable: Affine(k)}) for k in range(x.count.const)))
            )
        return rebuild(x, [self.in_gaussians(part) for part in children(x)])

    def name(self, base: Expr) -> str:
        if base not in self.names:
            name = f"z{len(self.names)}"
            self.names[base], self.meaning[name] = name, base
            self.sources[name] = self.engine.vectors.sources_of(base)
            self.means[name] = self.engine.mean(base)
        return self.names[base]

    def covariance(self, a: str, b: str) -> Expr:
        x, y = self.meaning[a], self.meaning[b]
        found = covariance_of(self.engine, x, y, self.means[a], self.means[b])
        return self.engine.arrays.expectation(found, [x, y])

    # products

    def expanded(self, factors: Sequence[Expr]) -> Expr:
        """Multiplied out, and every group of dependent factors by itself."""
        flat: list[Expr] = []
        for factor in factors:
            flat += factor.factors if isinstance(factor, Mul) else (factor,)
        for k, factor in enumerate(flat):
            if isinstance(factor, Add) and is_vector(factor):
                return add(*(self.expanded([*flat[:k], term, *flat[k + 1 :]]) for term in factor.terms))
            if isinstance(factor, Pow) and is_vector(factor) and (times := _whole_exponent(factor)):
                return self.expanded([*flat[:k], *[factor.base] * times, *flat[k + 1 :]])
        return self.apart(flat)

    def apart(self, factors: Sequence[Expr]) -> Expr:
        """A product by groups, those of vectors alone first: as soon as one is 0 it is all."""
        out = [self.engine.scalar(f) for f in factors if not is_vector(f)]
        groups = sorted(
            self.dependent([f for f in factors if is_vector(f)]),
            key=lambda group: not all(isinstance(f, Value) for f in group),
        )
        for group in groups:
            if ZERO in out:
                require_mean(group)
            else:
                out = [*out, self.group(group)]
        return mul(*out)

    def dependent(self, factors: Sequence[Expr]) -> list[list[Expr]]:
        """Factors in groups that are independent of each other.

        They share no matrix and no initial vector.
        """
        groups: list[tuple[Sources, list[Expr]]] = []
        for factor in factors:
            own = frozenset().union(*(self.sources[z] for z in gaussians(factor)))
            joined, others = [factor], list[tuple[Sources, list[Expr]]]()
            for sources, members in groups:
                if meet(own, sources):
                    own, joined = own | sources, [*members, *joined]
                else:
                    others.append((sources, members))
            groups = [*others, (own, joined)]
        return [members for _, members in groups]

    def group(self, factors: list[Expr]) -> Expr:
        names = list(dict.fromkeys(z for f in factors for z in gaussians(f)))
        centred = all(self.means[z] == ZERO for z in names)
        if centred and parity(mul(*factors)) == -1:
            require_mean(factors)
            return ZERO
        if all(isinstance(f, Value) for f in factors):
            return isserlis(self.engine, [self.meaning[f.ref.name] for f in factors if isinstance(f, Value)])
        if centred and len(names) <= 2:
            found = self.closed(factors, names)
            if found is not None:
                return found
        factors, names = self.in_fewer(factors, names)
        found = self.by_stein(factors, names) if len(names) > 1 else None
        return self.integral(factors, names) if found is None else found

    # closed forms

    def closed(self, factors: list[Expr], names: list[str]) -> Expr | None:
        if any(len(gaussians(f)) > 1 for f in factors):
            return None
        parts = [mul(*(f for f in factors if gaussians(f) == [z])) for z in names]
        # a square, of a function with itself
        if len(names) == 1 and all(factors.count(f) % 2 == 0 for f in factors):
            parts = [mul(*(f for f in dict.fromkeys(factors) for _ in range(factors.count(f) // 2)))] * 2
        found = self.registered(parts, [*names, *names][:2])
        if found is not None:
            return found
        if len(names) == 1:
            return self.of_one(factors, names[0])
        sums = [combination(part) for part in parts]
        if any(s is None for s in sums):
            return None
        left, right = (s or {} for s in sums)
        if not all(closed_together(f, g) for f in left for g in right):
            return None
        return self.combined(left, right, names)

    def of_one(self, factors: list[Expr], name: str) -> Expr | None:
        """`E f(u)`, or as `E f(u)·g(v)` with v = u, of which more are known."""
        whole = combination(mul(*factors))
        if whole is not None:
            return self.combined(whole, {Factor(): ONE}, [name])
        for k in range(1, len(factors)):
            left, right = combination(mul(*factors[:k])), combination(mul(*factors[k:]))
            if (
                left is not None
                and right is not None
                and all(closed_together(f, g) for f in left for g in right)
            ):
                return self.combined(left, right, [name, name])
        return None

    def registered(self, parts: list[Expr], names: list[str]) -> Expr | None:
        form = registered(*parts) if len(parts) == 2 else None
        if form is None:
            return None
        order = names[::-1] if form.swapped else names
        q, c, r = (
            self.covariance(a, b)
            for a, b in ((order[0], order[0]), (order[0], order[1]), (order[1], order[1]))
        )
        formula = Closed(Factor(), Factor(), q, c, r, self.same(*order), form.name)
        return self.engine.arrays.expectation(formula, [self.meant(p) for p in parts])

    def combined(self, left: Combination, right: Combination, names: list[str]) -> Expr:
        q = self.covariance(names[0], names[0])
        c, r = (
            (self.covariance(names[0], names[1]), self.covariance(names[1], names[1]))
            if len(names) > 1
            else (ZERO, ONE)
        )
        same = self.same(*names) if len(names) > 1 else ()
        terms = []
        for f, a in left.items():
            for g, b in right.items():
                if {f.kind, g.kind} & LOGISTIC and symmetry(f) * symmetry(g) == -1:
                    continue
                if polynomial(f) and polynomial(g):
                    value = moment(f.power, g.power, q, c, r)
                elif (known := _with_a_step(f, g, q, c) or _with_a_step(g, f, r, c)) is not None:
                    value = known
                else:
                    resolved = [
                        Factor(x.power, x.kind, self.engine.scalar(x.scale), self.engine.scalar(x.weight))
                        for x in (f, g)
                    ]
                    value = self.engine.arrays.expectation(
                        Closed(resolved[0], resolved[1], q, c, r, same), self.of_factors(f, g, names)
                    )
                terms.append(mul(self.engine.scalar(a), self.engine.scalar(b), value))
        return add(*terms)

    def of_factors(self, f: Factor, g: Factor, names: list[str]) -> list[Expr]:
        """Two factors as expressions, for the name of their expectation."""
        return [
            x
            for factor, z in zip((f, g), names, strict=False)
            if (x := expression_of(factor, self.meaning[z])) != ONE
        ]

    def meant(self, x: Expr) -> Expr:
        return replace(
            x,
            lambda node: (
                self.meaning[node.ref.name]
                if isinstance(node, Value) and node.ref.name in self.meaning
                else None
            ),
        )

    def same(self, a: str, b: str) -> tuple[tuple[str, str], ...]:
        """The pairs of axes whose agreement makes the two Gaussians one: () if that is not known."""
        x, y = self.meaning[a], self.meaning[b]
        if skeleton(x) != skeleton(y):
            return ()
        pairs: dict[tuple[str, str], None] = {}
        for i, j in zip(indices(x), indices(y), strict=True):
            if i != j:
                mine, theirs = (sorted(index_variables(index)) for index in (i, j))
                if (
                    len(mine) != 1
                    or len(theirs) != 1
                    or str(i).replace(mine[0], "") != str(j).replace(theirs[0], "")
                ):
                    return ()
                if self.engine.axes.extents[mine[0]] != self.engine.axes.extents[theirs[0]]:
                    return ()
                pairs[mine[0], theirs[0]] = None
        return tuple(pairs)

    # other ways

    def by_stein(self, factors: list[Expr], names: list[str]) -> Expr | None:
        """`E z·F = E z·E F + Σ_b Cov(z, b) E ∂F/∂b` for a factor z that F does not depend on.

        None if F cannot be differentiated.
        """
        for k, factor in enumerate(factors):
            others = [*factors[:k], *factors[k + 1 :]]
            if not isinstance(factor, Value) or any(factor.ref.name in gaussians(f) for f in others):
                continue
            try:
                slopes = {b: [derivative(f, b) for f in others] for b in names if b != factor.ref.name}
            except NotDifferentiableError:
                continue
            terms = (
                [mul(self.means[factor.ref.name], self.expanded(others))]
                if self.means[factor.ref.name] != ZERO
                else []
            )
            for b, derivatives in slopes.items():
                c = self.covariance(factor.ref.name, b)
                if c != ZERO:
                    terms += [
                        mul(c, self.expanded([*others[:j], slope, *others[j + 1 :]]))
                        for j, slope in enumerate(derivatives)
                        if slope != ZERO
                    ]
            return add(*terms)
        return None

    def in_fewer(self, factors: list[Expr], names: list[str]) -> tuple[list[Expr], list[str]]:
        """The factors in the vectors that the Gaussians are made of, if these are fewer.

        What is added to them has to be no part of a Gaussian.
        """
        found = fewer(self.meaning, names)
        if found is None:
            return factors, names
        meant = {
            z: add(*(mul(k, self.gaussian(atom)) for atom, k in parts.items())) for z, parts in found.items()
        }
        factors = [
            replace(f, lambda node: meant.get(node.ref.name) if isinstance(node, Value) else None)
            for f in factors
        ]
        return factors, list(dict.fromkeys(z for f in factors for z in gaussians(f)))

    def gaussian(self, atom: Expr) -> Expr:
        return ONE if atom == ONE else Value(Ref(self.name(atom)), True)

    def integral(self, factors: list[Expr], names: list[str]) -> Expr:
        if len(names) > MOST_DIMENSIONS:
            some = ", ".join(f"`{text_of(self.meaning[z])}`" for z in names[:3])
            raise TooManyGaussiansError(
                f"a mean of a function of {len(names)} dependent Gaussians ({some}, …)"
            )
        factors = [without_slopes(f) for f in factors]
        own = [self.engine.scalar(f) for f in factors]
        table = tuple(tuple(self.covariance(a, b) for b in names[: k + 1]) for k, a in enumerate(names))
        same = self.same(names[0], names[1]) if len(names) == 2 else ()
        formula = Integral(tuple(names), tuple(own), tuple(self.means[z] for z in names), table, same)
        return self.engine.arrays.expectation(formula, [self.meant(f) for f in factors])


def _whole_exponent(x: Pow) -> int:
    """The exponent if it is a whole number, 1 at least; or else 0."""
    k = x.exponent.value if isinstance(x.exponent, Number) else 0
    return int(k) if k.denominator == 1 and k > 0 else 0


def _with_a_step(f: Factor, g: Factor, q: Expr, c: Expr) -> Expr | None:
    """`E u^a·step(u)`, or times v, which is `a·c·E u^(a−1)·step(u)` by Stein's lemma.

    None for other functions.
    """
    if f.kind != "step" or f.weight != ZERO or not polynomial(g) or g.power > min(1, f.power):
        return None
    return mul(number(f.power), c, half_moment(f.power - 1, q)) if g.power else half_moment(f.power, q)
