"""Few-shot learning at infinite width and at finite ones (TP4 Sec 9.2).

`maml.tp` with tasks drawn from a file, validated by epochs, tested.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.experiments.drawings import memory_of_tasks, read_parts, tasks
from tpc.experiments.outcome_tables import latex_of_outcomes, percent
from tpc.experiments.state import KEPT, RESULT, kept_arrays, writing
from tpc.machine.files import digest, write_whole
from tpc.machine.interrupt import Interruptible
from tpc.machine.memory import SURE, free_memory, refusing, require_memory
from tpc.show.entries import plain

KERNELS = {"ntk": "ntk", "gp": "nngp"}  # models in the kernel regime, by the kernel
SMALLER = "use fewer --samples, or fewer tasks, ways or batches by --set"
HEADS = (r"test accuracy, \%", r"validation, \%", "best epoch")  # of a table
TRAINED, VALIDATION, TEST = 0, 1, 2  # whose tasks a stream of random numbers is for

# epochs done and all, validation accuracy, meta-batches a second, seconds to go
Progress = Callable[[int, int, float, float, float], None]


@dataclass(frozen=True)
class FewShotSettings:
    """What an experiment is run with, here as the paper has it for the μP limit."""

    data: str | None = None
    # "mup" (the limit), "ntk" or "gp" (limits in the kernel regime), or a width
    model: str | int = "mup"
    activation: str = "linear"
    epochs: int = 100
    seed: int = 0
    batches: int = 100
    tasks: int = 32
    ways: int = 5
    shots: int = 1
    # `queries`, `asked`: drawings of a class, besides the shots, that training takes the gradient at and that
    # an evaluation asks for, all if there are fewer
    queries: int = 1
    asked: int = 15
    lr: float = 0.1
    adapting_lr: float = 0.4
    adapting_steps: int = 20
    # `input_std`, `output_std`, `bias_std`: of the weights at first
    input_std: float = 1.0
    output_std: float = 1 / 32
    bias_std: float = 0.0
    # `input_scale`, `output_scale`, `bias`: what stands in front of them
    input_scale: float = 1.0
    output_scale: float = 1.0
    bias: float = 1.0
    validation_tasks: int = 640
    test_tasks: int = 2560
    samples: int | None = None
    dtype: str = "float32"
    # how many share the points or coefficients, None: one
    devices: int | None = None


# what the paper found best for other models. What it took for those of the kernel regime is not known here:
# of the rates 0.01, 0.1 and 1 the first one is best on the validation part of Omniglot. Larger ones, and
# larger kernels, make f prefer some classes for good: the paper's linear nets do as those with lr 0.1 and
# output_scale 2.45 (notebooks/maml.ipynb)
CHOSEN: Mapping[str | int, Mapping[str, float]] = {
    2: {"lr": 0.05, "input_std": 0.5, "output_std": 0.5, "bias": 2.0},
    8: {"input_std": 0.5, "output_std": 0.25},
    32: {"lr": 0.4, "output_std": 0.125, "bias": 0.5},
    128: {"output_std": 0.125},
    "ntk": {"lr": 0.01, "output_std": 1.0, "bias": 0.0},
    "gp": {"lr": 0.01, "output_std": 1.0, "bias": 0.0},
}


def settings_for(model: str | int, changes: Mapping[str, str], **given: Any) -> FewShotSettings:
    """The settings for a model, changed by name as a command asks for it. Raises TpcError (TP602)."""
    kinds = {
        f.name: type(f.default)
        for f in fields(FewShotSettings)
        if type(f.default) in (int, float) and f.name not in ("epochs", "seed")
    }
    found: dict[str, Any] = {**CHOSEN.get(model, {}), **given}
    errors = []
    for name, text in changes.items():
        try:
            found[name] = _number(text, kinds[name], least=2 if name in ("ways", "batches") else 1)
        except KeyError:
            errors.append(
                catalogue.running.bad_option("--set", f"there is no `{name}`; there are {', '.join(kinds)}")
            )
        except ValueError as error:
            errors.append(catalogue.running.bad_option("--set", f"{name} {error}, not {text}"))
    if errors:
        raise TpcError(errors, "maml")
    return FewShotSettings(model=model, **found)


def _number(text: str, kind: type, least: int) -> float:
    """Raises ValueError, with what is due."""
    try:
        value: float = kind(text)
    except ValueError:
        value = -1
    if kind is int and value < least:
        raise ValueError(f"is a whole number of at least {least}")
    if not 0 <= value < math.inf:
        raise ValueError("is a number of at least 0")
    return value


@dataclass(frozen=True)
class FewShotOutcome:
    """What an experiment ends with."""

    test_accuracy: float
    test_stderr: float
    # mean accuracy after each epoch
    validation: tuple[float, ...]
    # the first epoch of the best one, whose network is tested; None, and what is found of it NaN, if there is
    # none that is finite
    best_epoch: int | None
    meta_batches_per_second: float | None
    settings: FewShotSettings = field(repr=False)
    # the epoch after which the network is not finite, by which training ends; None if it is
    diverged: int | None = None

    def __str__(self) -> str:
        if self.best_epoch is None:
            return "there is no network to be tested"
        speed = (
            ""
            if self.meta_batches_per_second is None
            else f"; {self.meta_batches_per_second:.1f} meta-batches/s"
        )
        return (
            f"test accuracy {percent(self.test_accuracy, self.test_stderr)} % of the network after epoch "
            f"{self.best_epoch}, whose validation accuracy is the best, "
            f"{percent(self.validation[self.best_epoch - 1])} %{speed}"
        )

    def row(self) -> dict[str, str]:
        """What a table says of the run (see `latex_of_outcomes`)."""
        if self.best_epoch is None:
            return dict.fromkeys(HEADS, "diverged")
        found = (
            percent(self.test_accuracy, self.test_stderr),
            percent(self.validation[self.best_epoch - 1]),
            str(self.best_epoch),
        )
        return dict(zip(HEADS, found, strict=True))

    def by_epoch(self) -> list[str]:
        """Validation accuracies in percent."""
        return [percent(a) if math.isfinite(a) else "diverged" for a in self.validation]

    def to_latex(self, names: Mapping[str, str] | None = None, *, rows: int = 40) -> str:
        """Tables of the run and of its validation; `names`, `rows` as of `latex_of_outcomes`."""
        return latex_of_outcomes([self], names, rows=rows)

    def to_json(self) -> dict[str, Any]:
        """As plain data, with null for what is not finite."""
        return {
            **asdict(self),
            "test_accuracy": plain(self.test_accuracy),
            "test_stderr": plain(self.test_stderr),
            "validation": [plain(a) for a in self.validation],
        }


class Model(Protocol):
    """What is trained. A state is what one epoch leaves to the next: None at the start."""

    @property
    def fingerprint(self) -> str:
        """What tells apart all that states depend on but the drawings and settings."""

    def prepare(self, progress: Callable[[int, int], None] | None) -> None:
        """What is done once, compilation and the like.

        progress: called with how much of it is done, and all.
        """

    def train(self, state: Any, support: np.ndarray, query: np.ndarray) -> Any:
        """An epoch on the tasks [batches, tasks, …], given as indices of drawings."""

    def wait(self, state: Any, running: Interruptible) -> None:
        """Until the state is computed."""

    def right(self, state: Any, part: str, shown: np.ndarray, asked: np.ndarray, steps: int) -> np.ndarray:
        """The share of right answers in each task of a part.

        It is that after one step of adapting, or as many as at the test.
        """

    def leaves(self, state: Any) -> Mapping[str, np.ndarray]:
        """A state as arrays by name."""

    def of_leaves(self, arrays: Mapping[str, np.ndarray]) -> Any:
        """The state of these arrays."""


class FewShotExperiment:
    """One run: the model with its data, and what has been found so far."""

    def __init__(self, settings: FewShotSettings, folder: Path | None = None) -> None:
        """Raises TpcError for data that cannot be used."""
        parts = read_parts(
            None if settings.data is None else Path(settings.data), settings.ways, settings.shots
        )
        left = next(iter(parts.values())).drawings - settings.shots
        self.settings = replace(
            settings, queries=min(settings.queries, left), asked=min(settings.asked, left)
        )
        self.parts, self.folder = parts, folder
        self._require_room()
        self.model = self._model()
        self.fingerprint = digest(
            f"{self.model.fingerprint} "
            f"{replace(self.settings, data=None, epochs=0, test_tasks=0, devices=None)}",
            {name: part.images for name, part in parts.items()},
        )
        self.validation: list[float] = []
        self.state: Any = None
        self.best: Any = None

    def _model(self) -> Model:
        from tpc.experiments.maml_kernel import KernelMachine
        from tpc.experiments.maml_network import FiniteNetwork

        return (
            KernelMachine(self.settings, self.parts)
            if self.settings.model in KERNELS
            else FiniteNetwork(self.settings, self.parts)
        )

    def _require_room(self) -> None:
        """Refuses more tasks than there is memory to draw at once. Raises TpcError (TP604)."""
        s = self.settings
        for part, count, queries, names in (
            ("train", s.batches * s.tasks, s.queries, "batches or tasks"),
            ("val", s.validation_tasks, s.asked, "validation_tasks"),
            ("test", s.test_tasks, s.asked, "test_tasks"),
        ):
            require_memory(
                memory_of_tasks(self.parts[part], count, s.ways, s.shots, queries),
                "maml",
                free=SURE * free_memory(),
                remedy=f"use fewer {names}, by --set",
            )

    def _drawn(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """The tasks of an epoch."""
        s = self.settings
        support, query = self._tasks("train", (TRAINED, epoch), s.batches * s.tasks, s.queries)
        return support.reshape(s.batches, s.tasks, -1), query.reshape(s.batches, s.tasks, -1)

    def _tasks(
        self, part: str, key: tuple[int, ...], count: int, queries: int
    ) -> tuple[np.ndarray, np.ndarray]:
        s = self.settings
        return tasks(
            np.random.default_rng(np.random.SeedSequence(s.seed, spawn_key=key)),
            self.parts[part],
            count,
            s.ways,
            s.shots,
            queries,
        )

    def accuracies(self, state: Any, part: str, key: tuple[int, ...], count: int, steps: int) -> np.ndarray:
        """The share of right answers in each of `count` tasks of a part."""
        return self.model.right(state, part, *self._tasks(part, key, count, self.settings.asked), steps)

    @refusing("maml", remedy=SMALLER)
    def run(
        self,
        *,
        resume: bool = False,
        progress: Progress | None = None,
        preparing: Callable[[int, int], None] | None = None,
    ) -> FewShotOutcome:
        """Trains, validates after each epoch and tests the best network.

        With a folder, an interrupted run can be resumed, and gets to the same end.

        Raises TpcError: a folder that cannot be written (TP606) or that holds another run (TP624).
        """
        if self.folder is not None:
            writing(self.folder / KEPT, lambda _: None)  # the folder, before any work
            if resume:
                self._resume(self.folder)
        s, state = self.settings, self.state
        begun, seconds, running = len(self.validation), 0.0, Interruptible()
        self.model.prepare(preparing)  # before time is taken
        opened = time.perf_counter()
        for epoch in range(begun, s.epochs):
            if self.diverged is not None:
                break
            drawn = self._drawn(epoch)
            with running:
                started = time.perf_counter()
                state = self.model.train(state, *drawn)
                self.model.wait(state, running)
                seconds += time.perf_counter() - started
                self._validate(state)
            running.check()
            if progress is not None:
                done, each = epoch + 1 - begun, (time.perf_counter() - opened) / (epoch + 1 - begun)
                progress(
                    epoch + 1,
                    s.epochs,
                    self.validation[-1],
                    done * s.batches / seconds,
                    each * (s.epochs - epoch - 1),
                )
        accuracy, stderr = self._tested()
        speed = (len(self.validation) - begun) * s.batches / seconds if seconds else None
        outcome = FewShotOutcome(
            accuracy, stderr, tuple(self.validation), self.best_epoch, speed, s, self.diverged
        )
        if self.folder is not None:
            text = json.dumps(outcome.to_json(), allow_nan=False)
            writing(self.folder / RESULT, lambda path: path.write_text(text, encoding="utf-8"))
        return outcome

    @property
    def best_epoch(self) -> int | None:
        """The first epoch of the best validation, counted from 1; None if no network has been finite."""
        finite = [a for a in self.validation if math.isfinite(a)]
        return 1 + self.validation.index(max(finite)) if finite else None

    @property
    def diverged(self) -> int | None:
        """The epoch after which the network is not finite."""
        return next((1 + k for k, a in enumerate(self.validation) if not math.isfinite(a)), None)

    def _tested(self) -> tuple[float, float]:
        """The accuracy of the best network, and its standard error."""
        if self.best_epoch is None:
            return math.nan, math.nan
        right = self.accuracies(
            self.best, "test", (TEST,), self.settings.test_tasks, self.settings.adapting_steps
        )
        return float(right.mean()), float(right.std(ddof=1) / len(right) ** 0.5)

    def _validate(self, state: Any) -> None:
        """Notes how good a network is, whether it is the best, and keeps everything."""
        self.state = state
        self.validation.append(
            float(self.accuracies(state, "val", (VALIDATION,), self.settings.validation_tasks, 1).mean())
        )
        if self.best is None or self.best_epoch == len(self.validation):
            self.best = state
        if self.folder is not None:
            arrays = {
                f"{which} {name}": array
                for which, kept in (("state", state), ("best", self.best))
                for name, array in self.model.leaves(kept).items()
            }
            arrays |= {"validation": np.array(self.validation), "fingerprint": np.array(self.fingerprint)}
            writing(self.folder / KEPT, lambda path: write_whole(path, arrays))

    def _resume(self, folder: Path) -> None:
        """Goes on from what is kept in the folder, if anything is."""
        arrays = kept_arrays(folder, self.fingerprint)
        if arrays is None:
            return
        if len(arrays["validation"]) > self.settings.epochs:
            raise TpcError(
                [
                    catalogue.experiments.other_run(
                        str(folder), f"it has gone on for {len(arrays['validation'])} epochs"
                    )
                ],
                str(folder),
            )
        self.validation = [float(a) for a in arrays["validation"]]
        self.state, self.best = (
            self.model.of_leaves(
                {
                    name.removeprefix(f"{which} "): array
                    for name, array in arrays.items()
                    if name.startswith(f"{which} ")
                }
            )
            for which in ("state", "best")
        )
