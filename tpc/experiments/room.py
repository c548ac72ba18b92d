"""Whether a vocabulary fits into memory, before anything is allocated."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.machine.memory import free_of_devices as free_memory

ARRAYS, DRAWN = 2, 3  # of the vocabulary's length and the width: U and V; of a finite net also what was drawn
DRAWING = 32  # bytes for a coordinate of a point while points are drawn: four arrays in double precision
ITEMSIZE = {"float64": 8, "float32": 4, "bfloat16": 2}
BESIDES = 400 << 20  # bytes: JAX, the text, a batch


@dataclass(frozen=True)
class Size:
    """The size of a net: its width, None for the limit."""

    width: int | None = None
    # bytes of a coefficient
    itemsize: int = 4
    # how many share it
    devices: int = 1
    # how many a limit stands at, by the number of words
    points: Callable[[int], int] | None = None

    def needed(self, vocabulary: int) -> float:
        """Bytes on each device."""
        if self.points is not None:
            return DRAWING * float(vocabulary) * math.ceil(self.points(vocabulary) / self.devices) + BESIDES
        columns = vocabulary + 1 if self.width is None else self.width
        return self._arrays * float(vocabulary) * math.ceil(columns / self.devices) * self.itemsize + BESIDES

    def fits(self, free: float) -> int:
        """The most words that so many free bytes on each device have room for."""
        least, beyond = 0, 1
        while self.needed(beyond) <= free:
            least, beyond = beyond, 2 * beyond
        while beyond - least > 1:
            middle = (least + beyond) // 2
            least, beyond = (middle, beyond) if self.needed(middle) <= free else (least, middle)
        return least

    @property
    def _arrays(self) -> int:
        return ARRAYS if self.width is None else DRAWN


def require(vocabulary: int, size: Size, file: str) -> None:
    """Raises TpcError (TP628) with the number of words that would fit, if these do not."""
    free = free_memory(size.devices)
    if size.needed(vocabulary) > free:
        raise TpcError(
            [
                catalogue.experiments.too_many_words(
                    vocabulary, size.needed(vocabulary), size.fits(free), free, size.devices
                )
            ],
            file,
        )
