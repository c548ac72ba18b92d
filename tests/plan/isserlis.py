"""Polynomials of jointly Gaussian variables in rational arithmetic, for oracles: nothing here is tpc's."""

from collections import defaultdict
from fractions import Fraction


class Poly:
    """Σ coefficient · monomial; a monomial is a sorted tuple of (variable, power)."""

    def __init__(self, terms=()):
        self.terms = {m: c for m, c in dict(terms).items() if c}

    @staticmethod
    def variable(name):
        return Poly({((name, 1),): Fraction(1)})

    def __add__(self, other):
        out = defaultdict(Fraction, self.terms)
        for m, c in other.terms.items():
            out[m] += c
        return Poly(out)

    def __mul__(self, other):
        if not isinstance(other, Poly):
            return Poly({m: c * other for m, c in self.terms.items()})
        out = defaultdict(Fraction)
        for m, c in self.terms.items():
            for k, d in other.terms.items():
                powers = dict(m)
                for name, power in k:
                    powers[name] = powers.get(name, 0) + power
                out[tuple(sorted(powers.items()))] += c * d
        return Poly(out)

    __rmul__ = __mul__

    def __sub__(self, other):
        return self + other * -1

    def __pow__(self, k):
        out = Poly({(): Fraction(1)})
        for _ in range(k):
            out = out * self
        return out

    def derivative(self, name):
        out = defaultdict(Fraction)
        for m, c in self.terms.items():
            power = dict(m).get(name, 0)
            if power:
                out[lowered(m, name)] += c * power
        return Poly(out)


def lowered(monomial, name):
    """The monomial divided by a variable."""
    return tuple((other, power - (other == name)) for other, power in monomial if other != name or power > 1)


class Law:
    """The joint law of variables of mean 0: `covariance` of pairs (in either order), the others independent
    with variance 1."""

    def __init__(self, covariance=()):
        self.covariance = dict(covariance)
        self.memo = {(): Fraction(1)}

    def of(self, a, b):
        return self.covariance.get((a, b), self.covariance.get((b, a), Fraction(a == b)))

    def moment(self, monomial):
        """E g·m = Σ_j Cov(g, g_j) E ∂_j m."""
        if monomial not in self.memo:
            first = monomial[0][0]
            rest = lowered(monomial, first)
            pairs = [(self.of(first, name) * power, name) for name, power in rest]
            self.memo[monomial] = sum(
                (c * self.moment(lowered(rest, name)) for c, name in pairs if c), Fraction(0)
            )
        return self.memo[monomial]

    def mean(self, poly):
        return sum((c * self.moment(m) for m, c in poly.terms.items()), Fraction(0))
