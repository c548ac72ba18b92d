"""Few-shot learning in the kernel regime (TP4 Algorithm 4).

The limits in which a wide network is linear in its weights.

The net f that adapting starts from is a sum of kernels at the drawings that gradients were taken at, f(x) = Σ
K(x, z) γ_z, which starts at 0. A task's net is f − ε Σ K(·, s) χ_s/S after a step of adapting to S drawings
s. K is the NTK of the net in `maml.tp` ("ntk"), or, if only the readout is trained, the NNGP kernel with a
readout of std 1 ("gp"). There are finitely many drawings: γ and the values of f are kept for each of them, a
step adds the rows of K at its queries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax

from tpc.experiments.drawings import DrawingsPart
from tpc.experiments.maml_network import program, sizes
from tpc.kernels.kernels import kernels
from tpc.machine.interrupt import Interruptible
from tpc.machine.memory import SURE, free_memory, physical_memory

if TYPE_CHECKING:
    from tpc.experiments.maml import FewShotSettings
    from tpc.kernels.kernels import Kernel

SHARE = 0.4  # of the machine's memory that kernels of drawings may take
STRIP = 2048  # rows of a kernel computed at once
EVALUATED = 16  # tasks of an evaluation at once
CLIP = 0.5


@dataclass(frozen=True)
class KernelFunction:
    """A function that a kernel spans: of the drawings trained on."""

    # `coefficients`, `values`: γ and f, [drawings trained on, ways]
    coefficients: np.ndarray
    values: np.ndarray


class KernelRows:
    """K(x, z) for x a drawing of one part before it is turned, z any drawing trained on, turned or not.

    [turns, drawings].

    The kernel of a net whose first layer is dense does not depend on the order of pixels, so K(turned x,
    turned z) = K(x, z).
    """

    def __init__(self, kernel: Kernel, left: DrawingsPart, right: DrawingsPart, kept: bool) -> None:
        """kept: whether there is memory to hold all of them."""
        self.kernel, self.left, self.right, self.kept = kernel, left.unturned, right, kept
        self.table = np.empty((0, right.turns, len(right.unturned)), kernel.dtype)

    def prepare(self, progress: Callable[[int, int], None] | None) -> None:
        if not self.kept or len(self.table):
            return
        table = np.empty((len(self.left), len(self.right.images)), self.kernel.dtype)
        for start in range(0, len(table), STRIP):
            table[start : start + STRIP] = self.kernel(self.left[start : start + STRIP], self.right.images)
            if progress is not None:
                progress(min(start + STRIP, len(table)), len(table))
        self.table = table.reshape(len(table), *self.table.shape[1:])

    def at(self, drawings: np.ndarray) -> np.ndarray:
        """[drawings, turns, unturned]."""
        if self.kept:
            return np.asarray(self.table[drawings])
        return self.kernel(self.left[drawings], self.right.images).reshape(
            len(drawings), *self.table.shape[1:]
        )

    def turned(self, drawings: np.ndarray) -> np.ndarray:
        """[drawings, all that is trained on] of drawings that may be turned."""
        turn, base = np.divmod(drawings, len(self.left))
        turns = (np.arange(self.right.turns) - turn[:, None]) % self.right.turns
        rows = (
            self.table[base[:, None], turns]
            if self.kept
            else np.take_along_axis(self.at(base), turns[:, :, None], axis=1)
        )
        return rows.reshape(len(drawings), -1)


class KernelMachine:
    """The kernel with its data."""

    def __init__(self, settings: FewShotSettings, parts: Mapping[str, DrawingsPart]) -> None:
        from tpc.experiments.maml import KERNELS

        self.settings, self.parts = settings, parts
        # the gradient does not see how V is drawn
        given = sizes(settings) | ({"tau": 1.0} if settings.model == "gp" else {})
        found = kernels(
            program(settings, {"d": parts["train"].images.shape[1]}), inputs=given, dtype=settings.dtype
        )
        self.kernel: Kernel = getattr(found, KERNELS[str(settings.model)])
        left, rows = min(SHARE * physical_memory(), SURE * free_memory()), {}
        for name in ("train", "val"):
            needed = (
                len(parts[name].unturned) * len(parts["train"].images) * np.dtype(settings.dtype).itemsize
            )
            rows[name] = KernelRows(self.kernel, parts[name], parts["train"], kept=needed <= left)
            left -= needed if needed <= left else 0
        self.rows = {**rows, "test": KernelRows(self.kernel, parts["test"], parts["train"], kept=False)}

    @property
    def fingerprint(self) -> str:
        return self.kernel.identity

    def prepare(self, progress: Callable[[int, int], None] | None) -> None:
        for rows in self.rows.values():
            rows.prepare(progress)

    # training

    def train(self, state: KernelFunction | None, support: np.ndarray, query: np.ndarray) -> KernelFunction:
        shape = (len(self.parts["train"].images), self.settings.ways)
        start = KernelFunction(*np.zeros((2, *shape), self.settings.dtype)) if state is None else state
        out = KernelFunction(start.coefficients.copy(), start.values.copy())
        for own, others in zip(support, query, strict=True):
            self._step(out, own, others)
        return out

    def _step(self, f: KernelFunction, support: np.ndarray, query: np.ndarray) -> None:
        """One meta-batch, in place. support: [tasks, S], query: [tasks, Q]."""
        s, flat = self.settings, query.ravel()
        rows = self.rows["train"].turned(flat)  # K(query, all)
        chi = self._residuals(f.values[support], s.shots)
        # K(query, support), [tasks, Q, S]
        own = np.take_along_axis(rows.reshape(*query.shape, -1), support[:, None], axis=2)
        outer = self._residuals(f.values[query] - s.adapting_lr * own @ chi, s.queries).reshape(len(flat), -1)
        # of the gradient, in the weights
        norm = np.sqrt(max(float(np.sum((rows[:, flat] @ outer) * outer)), 0.0))
        change = np.asarray(-s.lr * min(1.0, CLIP / norm) if norm else -s.lr, outer.dtype) * outer
        np.add.at(f.coefficients, flat, change)
        f.values[:] += rows.T @ change

    def _residuals(self, values: np.ndarray, each: int) -> np.ndarray:
        """The derivative of the mean cross-entropy, [tasks, drawings, ways].

        Each class has so many drawings.
        """
        labels = np.repeat(np.eye(self.settings.ways, dtype=values.dtype), each, axis=0)
        return np.asarray((softmax(values, axis=-1) - labels) / np.asarray(len(labels), values.dtype))

    def wait(self, state: KernelFunction, running: Interruptible) -> None:
        running.check()

    # evaluation

    def right(
        self, state: KernelFunction, part: str, shown: np.ndarray, asked: np.ndarray, steps: int
    ) -> np.ndarray:
        values, images = self._values(state, part), self.parts[part].images
        own = np.repeat(np.arange(self.settings.ways), self.settings.asked)
        found = []
        for start in range(0, len(shown), EVALUATED):
            first, second = shown[start : start + EVALUATED], asked[start : start + EVALUATED]
            kernel = self._kernels(images, first, np.concatenate([first, second], axis=1))
            answers = self._adapted(values[first], values[second], kernel, steps)
            ahead = answers >= np.take_along_axis(answers, own[None, :, None], axis=2)
            right = (ahead.sum(axis=2) == 1).mean(axis=1)  # no class but its own is ahead
            found.append(np.where(np.isfinite(answers).all(axis=(1, 2)), right, np.nan))
        return np.concatenate(found)

    def _kernels(self, images: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """K of each task's drawings, [tasks, S, …].

        Those of all tasks with each other are computed at once.
        """
        whole = self.kernel(images[first.ravel()], images[second.ravel()]).reshape(
            *first.shape, *second.shape
        )
        tasks = np.arange(len(first))
        return np.asarray(whole[tasks, :, tasks])

    def _adapted(self, shown: np.ndarray, asked: np.ndarray, kernel: np.ndarray, steps: int) -> np.ndarray:
        """The values at the drawings asked for after some steps of adapting.

        They follow from the values before at both.
        """
        count = shown.shape[1]
        moved = np.zeros_like(shown)
        for _ in range(steps):
            moved -= self.settings.adapting_lr * self._residuals(
                shown + kernel[:, :, :count] @ moved, self.settings.shots
            )
        return np.asarray(asked + np.swapaxes(kernel[:, :, count:], 1, 2) @ moved)

    def _values(self, state: KernelFunction, part: str) -> np.ndarray:
        """f at all drawings of a part."""
        own, train = self.parts[part], self.parts["train"]
        by_turn = state.coefficients.reshape(train.turns, -1, self.settings.ways)
        wanted = np.concatenate(
            [np.roll(by_turn, -turn, axis=0).reshape(len(train.images), -1) for turn in range(own.turns)],
            axis=1,
        )
        found = [
            self.rows[part]
            .at(np.arange(start, min(start + STRIP, len(own.unturned))))
            .reshape(-1, len(wanted))
            @ wanted
            for start in range(0, len(own.unturned), STRIP)
        ]
        return (
            np.concatenate(found)
            .reshape(len(own.unturned), own.turns, -1)
            .swapaxes(0, 1)
            .reshape(len(own.images), -1)
        )

    # keeping

    def leaves(self, state: KernelFunction) -> Mapping[str, np.ndarray]:
        return {"coefficients": state.coefficients, "values": state.values}

    def of_leaves(self, arrays: Mapping[str, Any]) -> KernelFunction:
        return KernelFunction(arrays["coefficients"], arrays["values"])
