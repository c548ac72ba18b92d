"""What names stand for while networks are written out, and names that nothing else has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import chain, count, islice

from tpc.core.composed import COMPOSED
from tpc.core.functions import CONSTANTS, FUNCTIONS
from tpc.core.names import SplitName, Together, free_part
from tpc.syntax import tree
from tpc.syntax.layout import RESERVED
from tpc.syntax.walk import walk

# wishes of what the user gave no name: numbered, h1, h2, …, which no name of the user's is
PRE_ACTIVATION, ACTIVATION = "h#", "x#"
VARIABLES = (*"jklpqrs", *(f"{letter}{k}" for k in range(1, 30) for letter in "jk"))
PAST = (*"srqpl", *(f"s{k}" for k in range(1, 30)))


def more_variables() -> Iterator[str]:
    """Bound variables for a file that needs more of them than wishes go."""
    return (f"{letter}{k}" for k in count(30) for letter in "jk")


class Names:
    """Fresh names for one file.

    A wish is granted if nothing in the file is called that, else it gets a number, `h$1`.
    """

    def __init__(self, file: tree.File) -> None:
        self.written = {node.name for node in walk(file) if isinstance(node, tree.Name)}
        self.taken = {*self.written, *RESERVED, *CONSTANTS}
        self.others: dict[str, list[str]] = {}

    def reserved(self, declared: set[str]) -> set[str]:
        """The names that are taken if these are declared."""
        return {*declared, *RESERVED, *CONSTANTS}

    def fresh(self, wish: str) -> str:
        base = SplitName.of(wish).base
        taken = Together((self.taken, FUNCTIONS, COMPOSED))
        name = free_part(base, taken) if base in taken else base
        self.taken.add(name)
        return name

    def variables(
        self, number: int, avoid: Collection[str] = (), wishes: Iterable[str] = VARIABLES
    ) -> list[str]:
        """`number` bound variables that mean nothing in the file, nor in `avoid`."""
        return list(
            islice(
                (v for v in chain(wishes, more_variables()) if v not in self.written and v not in avoid),
                number,
            )
        )

    def another(self, variable: str, avoid: Collection[str]) -> str:
        """A bound variable in the place of one that would mean two things, if possible the same each time.

        Nothing else is called that later.
        """
        found = next((v for v in self.others.get(variable, ()) if v not in avoid), None)
        if found is None:
            (found,) = self.variables(1, avoid)
            self.others.setdefault(variable, []).append(found)
            self.written.add(found)
        return found
