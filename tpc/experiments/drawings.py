"""Few-shot tasks: classes of drawings read from a file, and tasks drawn from them as indices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tpc.core.inputs import load_data
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError

EMBEDDED = Path(__file__).with_name("digits.npz")
PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class DrawingsPart:
    """The classes of one part."""

    # [classes*drawings, pixels], ink 1, class after class: as they are, then turned by 90° and so on
    images: np.ndarray
    drawings: int
    turns: int = 1

    @property
    def classes(self) -> int:
        return len(self.images) // self.drawings

    @property
    def unturned(self) -> np.ndarray:
        """The images that are not turned."""
        return self.images[: len(self.images) // self.turns]


def read_parts(path: Path | None, ways: int, shots: int) -> Mapping[str, DrawingsPart]:
    """The parts of a file of drawings, of the embedded one if there is no path.

    For training and validation turned by 90, 180 and 270° as well.

    Raises TpcError: a file that cannot be read (TP505), is no such file (TP621) or is too small for the tasks
    (TP622, TP623).
    """
    name = "the embedded data" if path is None else path.name
    found = load_data(EMBEDDED if path is None else path)
    why = _wrong(found)
    if why is not None:
        raise TpcError([catalogue.experiments.bad_drawings(name, why)], str(path or name))
    images, split = found["images"], found["split"]
    parts = {part: _part(images[split == part], turned=part != "test") for part in PARTS}
    errors = [
        catalogue.experiments.few_classes(part, own.classes, ways)
        for part, own in parts.items()
        if own.classes < ways
    ]
    errors += [catalogue.experiments.few_drawings(images.shape[1], shots)] if images.shape[1] <= shots else []
    if errors:
        raise TpcError(errors, str(path or name))
    return parts


def _wrong(found: Mapping[str, np.ndarray]) -> str | None:
    for name in ("images", "split"):
        if name not in found:
            return f"it has no array `{name}`"
    images, split = found["images"], found["split"]
    if images.ndim != 4:
        return f"`images` has the shape {images.shape}"
    if images.shape[2] != images.shape[3]:
        return f"the drawings are of {images.shape[2]} x {images.shape[3]} pixels, not square"
    if 0 in images.shape:
        return f"`images` is empty: its shape is {images.shape}"
    if images.dtype != np.uint8:
        return f"`images` holds numbers of type {images.dtype}, not uint8"
    if split.shape != images.shape[:1]:
        return f"`split` has the shape {split.shape}, and there are {len(images)} classes"
    unknown = sorted(set(map(str, split.tolist())) - set(PARTS))
    return f"`split` has the label `{unknown[0]}`" if unknown else None


def _part(images: np.ndarray, *, turned: bool) -> DrawingsPart:
    turns = [np.rot90(images, k, axes=(2, 3)) for k in range(4 if turned else 1)]
    flat = np.concatenate(turns).reshape(-1, images.shape[2] * images.shape[3])
    return DrawingsPart(flat.astype(np.float32) / np.float32(255), images.shape[1], len(turns))


def tasks(
    rng: np.random.Generator, part: DrawingsPart, count: int, ways: int, shots: int, queries: int
) -> tuple[np.ndarray, np.ndarray]:
    """`count` tasks, as indices into the images of a part.

    Drawings to adapt to [count, ways*shots] and others [count, ways*queries], by class.
    """
    classes = _distinct(rng, (count,), part.classes, ways)
    drawings = _distinct(rng, (count, ways), part.drawings, shots + queries)
    index = (classes[:, :, None] * part.drawings + drawings).astype(np.int32)
    return index[:, :, :shots].reshape(count, -1), index[:, :, shots:].reshape(count, -1)


def memory_of_tasks(part: DrawingsPart, count: int, ways: int, shots: int, queries: int) -> float:
    """Bytes that drawing so many tasks takes.

    Every choice takes a number for each thing to choose from, or for each that is chosen, and its place.
    """
    choices = [(1, part.classes, ways), (ways, part.drawings, shots + queries)]
    return (
        8.0
        * count
        * sum(times * 2 * (among if among <= 4 * wanted else wanted) for times, among, wanted in choices)
    )


def _distinct(rng: np.random.Generator, shape: tuple[int, ...], among: int, wanted: int) -> np.ndarray:
    """[*shape, wanted] of whole numbers below `among`, different from each other along the last axis."""
    if among <= 4 * wanted:
        return np.argsort(rng.random((*shape, among)), axis=-1)[..., :wanted]
    found = rng.integers(0, among, (*shape, wanted))
    while True:
        ordered = np.sort(found, axis=-1)
        again = (ordered[..., 1:] == ordered[..., :-1]).any(axis=-1)
        if not again.any():
            return found
        found[again] = rng.integers(0, among, (int(again.sum()), wanted))
