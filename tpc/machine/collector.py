"""Python's collector of garbage in a process of the command's own: a third of a short run, if left alone.

Imports and plans make hundreds of thousands of objects that stay. The collector goes through them again and
again, and once more when the process ends.
"""

from __future__ import annotations

import gc

SELDOM = 100_000  # objects more than were freed, at which the collector goes through them
_usual: list[tuple[int, int, int]] = []  # what was set before, while it is otherwise


def collect_seldom() -> None:
    """From here on, until `collect_as_usual`."""
    if not _usual:
        _usual.append(gc.get_threshold())
        gc.set_threshold(SELDOM, *_usual[0][1:])


def collect_as_usual() -> None:
    """All that has been made while it was seldom stays; nothing if it was not."""
    if _usual:
        gc.freeze()
        gc.set_threshold(*_usual.pop())


def collect_nothing_more() -> None:
    """The process ends, and everything with it."""
    gc.freeze()
