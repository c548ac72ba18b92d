"""Index variables of covariances: a letter, as a person would write it, and a mark that makes them unique."""

from __future__ import annotations

import re

MARK = "%"  # no name of the language has one
MARKED = re.compile(rf"\w+{MARK}[0-9{MARK}]*")
LETTERS = ("i", "j", "p", "q", "r", "s", "k", "l", "m", "a", "b", "c", "d", "e", "f", "g")


def numbered_variable(wish: str, count: int) -> str:
    return f"{plain_variable(wish)}{MARK}{count}"


def axis_variable(k: int, extent: int) -> str:
    """That of the k-th axis, of this length, of any array."""
    return f"{LETTERS[k] if k < len(LETTERS) else f'i{k}'}{MARK}{extent}{MARK}"


def bound_variable(k: int, extent: int) -> str:
    """That of the k-th sum in an array's entries."""
    return f"t{k}{MARK}{MARK}{extent}"


def plain_variable(variable: str) -> str:
    """A variable as a person would write it."""
    return variable.partition(MARK)[0]


def place_of_axis(variable: str) -> int:
    """The place of an array's axis, by its variable."""
    name = plain_variable(variable)
    return LETTERS.index(name) if name in LETTERS else int(name[1:])


def without_marks(text: str) -> str:
    """A text with its variables as a person would write them, different ones alike."""
    return re.sub(rf"{MARK}[0-9{MARK}]*", "", text)


def with_plain_variables(line: str) -> str:
    """A line with names that a person would give to its variables, different ones told apart."""
    names: dict[str, str] = {}
    for variable in MARKED.findall(line):
        base, k = plain_variable(variable), 1
        while variable not in names:
            name = base if k == 1 else f"{base}_{k}"
            if name not in names.values():
                names[variable] = name
            k += 1
    return MARKED.sub(lambda found: names[found[0]], line)
