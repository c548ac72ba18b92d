"""What is known of an elementwise function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal

from tpc.core.expr import ONE, ZERO, Expr

Shape = Literal["smooth", "kink", "jump"]
Growth = Literal["polynomial", "exponential", "local"]
Sign = Literal["any", "not negative", "positive", "of its argument"]
Parity = Literal[-1, 0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Elementwise:
    """All facts of a function; adding one takes no other file."""

    name: str
    arguments: int
    # one builder per argument, None where there is no derivative
    derivatives: tuple[Callable[..., Expr] | None, ...]
    # format strings over the printed arguments
    jax: str
    latex: str
    # of a `tpc.core.numeric.Namespace` and arrays
    array: Callable[..., Any] = field(compare=False)
    # of sympy and its expressions; an undefined function if there is none
    sympy: Callable[..., Any] | None = field(default=None, compare=False)
    # smooth (analytic near the reals), kink (continuous, a derivative almost everywhere), or jump (no
    # derivative at all, TP4 Remark F.2)
    shape: Shape = "smooth"
    # polynomial (pseudo-Lipschitz if not a jump), exponential, or local (defined on part of the line only)
    growth: Growth = "polynomial"
    bounded: bool = False
    # of its values
    sign: Sign = "any"
    # 1: even, -1: odd, in all arguments together; 0: neither
    parity: Parity = 0
    # d, where f(cx) = c^d f(x) for all c > 0; None where there is none
    degree: Fraction | None = None
    # its value where all arguments are 0; None where that is no rational number
    at_zero: Expr | None = None
    # whether it has a kink or jump, or what is narrow for large arguments, where its argument is 0 (of
    # several, where the first two are one, or the condition changes)
    bends: bool = True
    # whether it is 0, or falls to 0 exponentially or faster, on part of the line
    fades: bool = True
    # the function by others whose Gaussian expectations are known; None where it is one of these, or has none
    simpler: Callable[..., Expr] | None = None

    @property
    def rests(self) -> bool:
        """Whether, having a kink or a jump, it may be 0, or have a derivative of 0, at more than points."""
        return self.shape != "smooth" and self.growth == "polynomial"

    @property
    def is_root(self) -> bool:
        """Whether its derivative at 0 is infinite, and its value is not."""
        return self.degree is not None and 0 < self.degree < 1

    @property
    def harmless(self) -> Expr | None:
        """A number at which it and its derivatives are small numbers; None if they are everywhere."""
        return {"polynomial": None, "exponential": ZERO, "local": ONE}[self.growth]
