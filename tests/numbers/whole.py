"""Random expressions of indices, as text and as exact numbers with bounds of what rounding makes of them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from fractions import Fraction

T = 4
C = (3, 0, 1, 2)  # the index input
LARGEST, EXACT = 10**9, 2**24  # of what is computed on; of whole numbers that single precision has


class NotTestedError(Exception):
    """Not a number, too large or small to go on with, or a comparison that rounding decides."""


@dataclass(frozen=True)
class Rounded:
    """A number, and how far rounding may take it, in units of the precision to first order; 0 if all numbers
    on the way are exact."""

    value: Fraction
    error: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        if (self.value and not Fraction(1, LARGEST) <= abs(self.value) <= LARGEST) or self.error > 1000 * abs(
            self.value
        ):
            raise NotTestedError

    @property
    def index(self) -> bool:
        return not self.error and self.value.denominator == 1


def computed(value: Fraction, error: Fraction, *operands: Rounded, whole: bool = True) -> Rounded:
    """The result of an operation: with one more rounding, unless it is one of exact whole numbers that are
    not too large."""
    if whole and value.denominator == 1 and abs(value) < EXACT and all(x.index for x in operands):
        return Rounded(value)
    return Rounded(value, error + abs(value))


@dataclass(frozen=True)
class Node:
    """An operation on other nodes, or a leaf: an index `t`, `s` or `c`, or a number."""

    op: str
    parts: tuple[Node, ...] = ()
    number: Fraction = Fraction(0)

    def text(self) -> str:
        own = [part.text() for part in self.parts]
        match self.op:
            case "number":
                return (
                    str(self.number)
                    if self.number.denominator == 1 and self.number >= 0
                    else f"({self.number})"
                )
            case "c":
                return "c[t]"
            case "t" | "s":
                return self.op
            case "+" | "-" | "*" | "/" | "^":
                return f"({own[0]} {self.op} {own[1]})" if self.op != "^" else f"({own[0]})^({own[1]})"
            case "where":
                return f"where({own[0]} < {own[1]}, {own[2]}, {own[3]})"
            case "sum":
                return f"sum(s < t: {own[0]})"
        return f"{self.op}({', '.join(own)})"

    @property
    def variable(self) -> bool:
        return self.op in ("t", "s", "c", "sum") or any(part.variable for part in self.parts)

    def at(self, indices: dict[str, int]) -> Rounded:
        """The value. Raises NotTestedError."""
        match self.op:
            case "number":
                return computed(self.number, Fraction(0), whole=True)
            case "t" | "s" | "c":
                return Rounded(Fraction(indices[self.op]))
            case "sum":
                return added([self.parts[0].at({**indices, "s": s}) for s in range(indices["t"])])
            case "where":
                a, b = self.parts[0].at(indices), self.parts[1].at(indices)
                return self.parts[2 if below(a, b) else 3].at(indices)
        a, *others = (part.at(indices) for part in self.parts)
        match self.op:
            case "+":
                return added([a, others[0]])
            case "-":
                return added([a, Rounded(-others[0].value, others[0].error)])
            case "*":
                b = others[0]
                return computed(a.value * b.value, abs(a.value) * b.error + abs(b.value) * a.error, a, b)
            case "/":
                b = others[0]
                if not b.value:
                    raise NotTestedError
                error = a.error / abs(b.value) + abs(a.value) * b.error / b.value**2
                return computed(a.value / b.value, error + abs(a.value / b.value), a, b, whole=False)
            case "^":
                return powered(a, others[0])
            case "abs" | "relu" | "sign":
                if self.op == "sign" and not a.index and abs(a.value) < a.error / 1000:
                    raise NotTestedError
                value = {
                    "abs": abs(a.value),
                    "relu": max(a.value, Fraction(0)),
                    "sign": Fraction((a.value > 0) - (a.value < 0)),
                }[self.op]
                return Rounded(value, a.error if value else Fraction(0))
            case "max" | "min":
                b = others[0]
                return Rounded((max if self.op == "max" else min)(a.value, b.value), max(a.error, b.error))
        raise AssertionError(self.op)


def added(terms: list[Rounded]) -> Rounded:
    total = sum((x.value for x in terms), Fraction(0))
    size = sum((abs(x.value) for x in terms), Fraction(0))
    if all(x.index for x in terms) and size < EXACT:
        return Rounded(total)
    return Rounded(total, sum((x.error for x in terms), Fraction(0)) + len(terms) * size)


def below(a: Rounded, b: Rounded) -> bool:
    if not (a.index and b.index) and abs(a.value - b.value) < (a.error + b.error) / 10**4 + Fraction(
        1, 10**6
    ):
        raise NotTestedError
    return a.value < b.value


def powered(a: Rounded, b: Rounded) -> Rounded:
    if not b.index or (not a.value and b.value < 0) or abs(b.value) > 40:
        raise NotTestedError
    k = int(b.value)
    value = a.value**k
    error = (abs(k) * abs(value / a.value) * a.error if a.value else Fraction(0)) + (2 * abs(k) + 2) * abs(
        value
    )
    return computed(value, error, a, whole=k >= 0)


def is_proper(node: Node) -> bool:
    """Whether no number is divided by a number that is 0, which is an error of a program."""
    divisor = node.parts[1] if node.op == "/" else node.parts[0] if node.op == "^" else None
    if divisor is not None and not divisor.variable:
        try:
            if not divisor.at({}).value:
                return False
        except NotTestedError:
            return False
    return all(is_proper(part) for part in node.parts)


def drawn(rng: random.Random, depth: int, variables: tuple[str, ...]) -> Node:
    """A random expression."""
    if depth == 0 or rng.random() < 0.1:
        if rng.random() < 0.7:
            return Node(rng.choice(variables))
        return Node("number", number=Fraction(rng.randint(-9, 9), rng.choice((1, 1, 1, 2, 3, 7))))
    op = rng.choice(
        ("+", "-", "*", "*", "/", "^", "^", "^", "max", "min", "where", "abs", "relu", "sign", "sum")
    )
    if op == "sum" and "s" in variables:
        op = "*"
    inner = (*variables, "s") if op == "sum" else variables
    if op == "^":
        exponent = (
            Node("number", number=Fraction(rng.randint(-8, 8)))
            if rng.random() < 0.4
            else _exponent(rng, variables)
        )
        return Node("^", (drawn(rng, depth - 1, variables), exponent))
    count = {"where": 4, "abs": 1, "relu": 1, "sign": 1, "sum": 1}.get(op, 2)
    return Node(op, tuple(drawn(rng, depth - 1, inner) for _ in range(count)))


def _exponent(rng: random.Random, variables: tuple[str, ...]) -> Node:
    """A whole number made of indices: `±v + k`, or a product of two of them, or something with a
    conditional."""

    def linear() -> Node:
        return Node(
            rng.choice("+-"),
            (Node("number", number=Fraction(rng.randint(-3, 3))), Node(rng.choice(variables))),
        )

    kind = rng.random()
    if kind < 0.6:
        return linear()
    return Node("*", (linear(), linear())) if kind < 0.9 else Node("max", (linear(), linear()))


@dataclass(frozen=True)
class Case:
    """An expression and its values at all t, None where it is not tested."""

    text: str
    values: tuple[Rounded | None, ...]


def cases(seed: int, count: int) -> list[Case]:
    """Expressions with at least one value that is tested, and indices in them."""
    rng = random.Random(seed)
    found: list[Case] = []
    while len(found) < count:
        node = drawn(rng, rng.choice((1, 2, 2, 3)), ("t", "c"))
        values: list[Rounded | None] = []
        for t in range(T):
            try:
                values.append(node.at({"t": t, "c": C[t]}))
            except NotTestedError:
                values.append(None)
        if node.variable and is_proper(node) and any(v is not None for v in values):
            found.append(Case(node.text(), tuple(values)))
    return found
