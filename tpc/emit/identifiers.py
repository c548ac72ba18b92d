"""Names of the program to Python identifiers, by a table.

Nothing a user writes reaches the source in another way.
"""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterable, Mapping, Sequence

from tpc.core.expr import Gather, Index
from tpc.core.names import distinct

TAKEN = (
    frozenset(keyword.kwlist)
    | frozenset(keyword.softkwlist)
    | frozenset(dir(builtins))
    | {"jax", "jnp", "np", "lax", "scipy", "erf"}
)


class Identifiers:
    """Hands out identifiers, each once; the same name always gets the same one."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self.used = set(TAKEN) | set(reserved)
        self.table: dict[str, str] = {}

    def __getitem__(self, name: str) -> str:
        if name not in self.table:
            self.table[name] = self.fresh(name)
        return self.table[name]

    def fresh(self, wish: str) -> str:
        """An identifier like `wish` that nothing else has."""
        plain = "".join(
            c if c.isascii() and (c.isalnum() or c == "_") else "_" if c in "$ .-[," else f"u{ord(c):x}"
            for c in wish
            if c != "]"
        )
        plain = (plain if plain[:1].isalpha() else f"x{plain}").rstrip("_")
        found = distinct(plain, self.used)
        self.used.add(found)
        return found


def local_name(family: str, index: Sequence[Index]) -> str:
    """A readable name for one member: `x[t+1]` is `x_t1`."""
    return "_".join(
        [
            family,
            *(
                "at" if isinstance(i, Gather) else str(i).replace("+", "").replace("-", "m").replace("*", "")
                for i in index
            ),
        ]
    )


def fixed_name(family: str, fixed: Mapping[int, Index]) -> str:
    """One for the members that have these indices on some of the axes."""
    return local_name(family, [fixed[axis] for axis in sorted(fixed)])


def chain_name(side: tuple[str, bool]) -> str:
    return f"{side[0]}T" if side[1] else side[0]
