"""Shampoo: the gradient of a weight between two widths between roots of sums of its squares as a matrix.

After Gupta, Koren and Singer (arXiv 1802.09568): `L ← L + P Pᵀ`, `R ← R + Pᵀ P`, and w moves by
−η √(rows/columns)·(ε + L)^(−p) P (ε + R)^(−p), P the gradient of order 1 as an operator, p = 1/4. With β,
L ← β L + (1 − β) P Pᵀ, over 1 − β^(t+1) as in Adam. The factor √(rows/columns) is that of Muon (Yang, Simon
and Bernstein, arXiv 2310.17813), which the first step is for ε → 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import RefusedError
from tpc.syntax import tree
from tpc.syntax.tree import Tree
from tpc.train.build import Maker, is_number
from tpc.train.optimizer_rules import OptimizerRule
from tpc.train.option_ranges import ParameterRange, check_range
from tpc.train.scene import Scene
from tpc.train.simplified import simplified
from tpc.train.weights import Weight

if TYPE_CHECKING:
    from tpc.train.entrywise import Lines

# Adam in the basis of Shampoo's eigenvectors (Vyas et al., arXiv 2409.11321), those of the gradients before:
# of L = Σ P Pᵀ these are told in few directions out of n, and all others are any basis of the rest. Adam acts
# on the entries in it, so that what a new gradient has there moves w as the choice of the basis has it
SOAP = "soap"
EPS, POWER = Fraction(1, 10**6), Fraction(1, 4)
SHAMPOO = {"eps": "1e-6", "beta": "none", "power": "1/4"}


@dataclass(frozen=True, slots=True)
class Preconditioner:
    """Its options: numbers, or scalars of the step."""

    eps: Tree
    power: Tree
    # of an average of squares in place of their sum
    beta: Tree | None


def shampoo_rule(options: Mapping[str, tree.Option], m: Maker) -> OptimizerRule:
    """What is preconditioned: the gradient. β is a parameter where there is one."""
    parameters: dict[str, Tree | None] = {"eps": m.number(EPS), "power": m.number(POWER)}
    beta = options.get("beta")
    if beta is not None and not (isinstance(beta.value, tree.Name) and beta.value.name == "none"):
        parameters["beta"] = m.number(0)
    return OptimizerRule("shampoo", parameters, (), m.name("g"))


def check_preconditioner(scene: Scene, parameters: Mapping[str, Tree], time: tree.Range) -> None:
    """Raises RefusedError."""
    wanted = "above 0: where a gradient vanishes in a direction, there is nothing else to divide by"
    check_range(scene, "eps", parameters["eps"], time, ParameterRange(wanted, None))
    roots = "above 0, 1/4 being that of the paper"
    check_range(scene, "power", parameters["power"], time, ParameterRange(roots, None))


def preconditioner(parameters: Mapping[str, Tree]) -> Preconditioner:
    return Preconditioner(parameters["eps"], parameters["power"], parameters.get("beta"))


def check_hidden(weight: Weight, at: tree.Update) -> None:
    """Whether a weight is between two widths. Raises RefusedError."""
    if not weight.matrix:
        raise RefusedError(catalogue.optimizers.not_hidden(at.name.span, at.name.name, weight.name))


def preconditioned_step(lines: Lines, own: Preconditioner, gradient: Tree) -> Tree:
    """What w moves by, in what a program keeps.

    With r² = nm over the square of the first width, P is r g/√(nm), so that L is r² times what is kept of g,
    over 1 − β^(t+1): these factors go to ε and in front.
    """
    m, scaling, now = lines.m, lines.weight.scaling, lines.updates.then
    rows, columns = (ratio or m.number(1) for ratio in (scaling.rows, scaling.columns))
    square, kept = m.mul(rows, columns), m.number(1)
    if own.beta is not None:
        kept = m.sub(m.number(1), tree.Power(m.span, own.beta, now))
    grams = []
    for name, function, side in (("L", "left_gram", 0), ("R", "right_gram", 1)):
        of_side = lines.between(side, side)
        old, new = of_side.state(name), m.call(function, gradient)
        if own.beta is not None:
            old, new = m.mul(own.beta, old), m.mul(m.sub(m.number(1), own.beta), new)
        grams.append(of_side.advance(name, m.add(old, new)))
    twice = simplified(m.mul(m.number(2), own.power))
    front = m.mul(
        m.div(m.number(1), columns),
        raised(square, simplified(m.sub(m.number(Fraction(1, 2)), twice)), m),
        raised(kept, twice, m),
    )
    eps = m.div(m.mul(own.eps, kept), square)
    return m.mul(front, m.call("preconditioned", gradient, *grams, eps, own.power))


def smallest_divisor(lines: Lines, own: Preconditioner, square: Tree) -> Tree:
    """ε and the sum of a square of each gradient so far: there is no limit but for ε where these are 0."""
    m, updates = lines.m, lines.updates
    name = lines.fresh("size")
    old, new = lines.at(name, updates.now), lines.at(name, updates.then)
    start = lines.at(name, m.number(0))
    what = f"squares of gradients of {lines.weight.name}"
    updates.before.append(m.define(start, m.number(0), lines.clauses, what))
    grown = m.add(old, square)
    updates.lines.append(m.define(new, grown, lines.clauses, what))
    return lines.number("divisor", m.add(own.eps, new))


def raised(base: Tree, exponent: Tree, m: Maker) -> Tree:
    if is_number(base, 1) or is_number(exponent, 0):
        return m.number(1)
    return tree.Power(m.span, base, exponent)
