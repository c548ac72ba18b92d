"""The paper's formulas for MLPs, transcribed (TP4v3 Thm 3.3, 3.4, 3.6, 3.8, Prop 5.3, 5.5): nothing here
knows of sizes and programs."""

from dataclasses import dataclass
from fractions import Fraction

HALF = Fraction(1, 2)


@dataclass(frozen=True)
class Theorems:
    """L = len(a) − 1 hidden layers; a[l − 1] is a_l."""

    a: tuple
    b: tuple
    c: Fraction

    @property
    def depth(self):
        return len(self.a) - 1

    @property
    def last(self):
        """(a_{L+1} + b_{L+1}, 2 a_{L+1} + c)."""
        return self.a[-1] + self.b[-1], 2 * self.a[-1] + self.c

    @property
    def r(self):
        return (
            min(self.last) + self.c - 1 + min(2 * a + (layer == 1) for layer, a in enumerate(self.a[:-1], 1))
        )

    def stable(self):
        """Thm 3.3."""
        at_first = self.a[0] + self.b[0] == 0 and all(
            a + b == HALF for a, b in zip(self.a[1:-1], self.b[1:-1], strict=True)
        )
        return (
            at_first
            and self.last[0] >= HALF
            and self.r >= 0
            and self.last[1] >= 1
            and self.last[0] + self.r >= 1
        )

    def nontrivial(self):
        """Thm 3.4, of a stable one."""
        return self.last[0] + self.r == 1 or self.last[1] == 1

    def regime(self):
        """Thm 3.6 and 3.8, of a stable one."""
        return None if not self.nontrivial() else "feature" if self.r == 0 else "kernel"

    def layers(self):
        """r_l of Prop 5.3, l ≤ L, of a stable one."""
        return [min(self.last) + self.c - 1 + 2 * a + (layer == 1) for layer, a in enumerate(self.a[:-1], 1)]

    def last_updated_maximally(self):
        return self.last[1] == 1

    def last_initialised_maximally(self):
        return self.last[0] + self.r == 1
