"""Batches of windows: stretches of a text.

They have the mean around each word as a matrix, and negatives that the windows of a batch share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from tpc.experiments.corpus import Text


@dataclass(frozen=True)
class Shape:
    """The shape of a segment of training.

    Steps, words a step, the greatest distance in a window, negatives that a step's words share.
    """

    steps: int
    batch: int
    window: int
    shared: int

    @property
    def length(self) -> int:
        return self.batch + 2 * self.window


class Sampler:
    """Draws what the epochs of a text train on.

    The same seed and epoch give the same, whatever was drawn before.
    """

    def __init__(self, text: Text, shape: Shape, *, negatives: int, threshold: float, seed: int) -> None:
        self.text, self.shape, self.negatives, self.threshold, self.seed = (
            text,
            shape,
            negatives,
            threshold,
            seed,
        )
        noise = text.counts**0.75
        self.noise = np.cumsum(noise / noise.sum())

    def epoch(self, epoch: int) -> Segments:
        rng = self._rng(0, epoch)
        tokens, lines = self.text.kept(rng, self.threshold)
        return Segments(
            self, epoch, tokens, lines, rng.integers(1, self.shape.window + 1, len(tokens), dtype=np.int32)
        )

    def _rng(self, *key: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=key))


@dataclass(frozen=True)
class Segments:
    """The words that an epoch trains on, by segments of a fixed number of steps.

    With them come their lines and the radii of their windows.
    """

    sampler: Sampler
    number: int
    tokens: np.ndarray
    lines: np.ndarray
    radii: np.ndarray

    @property
    def steps(self) -> int:
        return -(-len(self.tokens) // self.sampler.shape.batch)

    def __len__(self) -> int:
        return -(-self.steps // self.sampler.shape.steps)

    def segment(self, k: int) -> tuple[int, Mapping[str, np.ndarray]]:
        """How many words segment k trains on, and the inputs of the program.

        Steps past the end of the text change nothing but by decay.
        """
        s = self.sampler.shape
        first = k * s.steps * s.batch
        here = slice(first, min(len(self.tokens), first + s.steps * s.batch))
        count = here.stop - first
        starts = first + s.batch * np.arange(s.steps)
        places = starts[:, None] + np.arange(-s.window, s.batch + s.window)  # [steps, length]
        inside = (places >= 0) & (places < len(self.tokens))
        places = np.clip(places, 0, len(self.tokens) - 1)
        words, lines = self.tokens[places], np.where(inside, self.lines[places], -1)
        near = _near(lines, np.where(inside, self.radii[places], 0), s)
        rng = self.sampler._rng(1, self.number, k)
        others = np.searchsorted(
            self.sampler.noise, rng.random((s.steps, s.shared)) * self.sampler.noise[-1]
        ).astype(np.int32)
        own = words[:, s.window : s.window + s.batch]
        counts = np.any(near, axis=2)  # words with others around them
        counted = np.logical_and(own[:, :, None] != others[:, None, :], counts[..., None])
        weight = np.float32(self.sampler.negatives / s.shared) * counted
        return count, {"words": words, "others": others, "near": near, "weight": weight}


def _near(lines: np.ndarray, radii: np.ndarray, s: Shape) -> np.ndarray:
    """What the words of a stretch have in the mean around each: [steps, batch, length]."""
    own = slice(s.window, s.window + s.batch)
    found = np.zeros((len(lines), s.batch, s.length), np.float32)
    row = np.arange(s.batch)
    for offset in range(-s.window, s.window + 1):
        if offset:
            beside = lines[:, s.window + offset : s.window + offset + s.batch]
            found[:, row, row + s.window + offset] = (beside == lines[:, own]) & (
                abs(offset) <= radii[:, own]
            )
    found /= np.maximum(found.sum(axis=2, keepdims=True), 1)
    return found


def segments(whole: Segments, begin: int) -> Iterator[tuple[int, Mapping[str, np.ndarray]]]:
    """The segments of an epoch from one on, the next one drawn while one is used."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(whole.segment, begin) if begin < len(whole) else None
        while following is not None:
            found, begin = following.result(), begin + 1
            following = pool.submit(whole.segment, begin) if begin < len(whole) else None
            yield found
