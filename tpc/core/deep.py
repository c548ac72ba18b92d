"""Functions that call each other to any depth, as generators.

The calls that are open stand in a list, not on the machine's stack.

`x = yield f(…)` takes the place of `x = f(…)` where f is such a generator, too, and `unwound(f(…))` that of a
call from outside.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

T = TypeVar("T")
# gives a T in the end; what it yields are calls, whose values it is sent
Deep = Generator["Deep[Any]", Any, T]


def unwound(call: Deep[T]) -> T:
    """The value of a call."""
    open_: list[Deep[Any]] = [call]
    value: Any = None
    while open_:
        try:
            inner = open_[-1].send(value)
        except StopIteration as end:
            open_.pop()
            value = end.value
        else:
            open_.append(inner)
            value = None
    return value  # type: ignore[no-any-return]
