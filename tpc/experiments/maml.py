"""Few-shot learning at infinite width and at finite ones (TP4 Sec 9.2): `maml.tp` with tasks drawn from a file, validated by epochs, tested."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tpc.experiments.drawings import Part, read_parts, tasks
from tpc.interrupt import Interruptible
from tpc.pipeline import parse
from tpc.segments import State, Training
from tpc.stored import digest, read_arrays, write_whole
from tpc.syntax import catalogue, catalogue_experiments
from tpc.syntax.diagnostic import TpcError

PROGRAM = Path(__file__).with_name("maml.tp")
KEPT = "training.npz"
EVALUATED = 64                                         # tasks of an evaluation at once
TRAINED, VALIDATION, TEST = 0, 1, 2                    # whose tasks a stream of random numbers is for

Progress = Callable[[int, int, float, float], None]    # epochs done and all, validation accuracy, meta-batches a second


@dataclass(frozen=True)
class Settings:
    """model: "mup" (the limit) or a width. queries, asked: drawings of a class, besides the shots, that training takes the gradient at and that an
    evaluation asks for, all if there are fewer. Rates as in the paper."""

    data: str | None = None
    model: str | int = "mup"
    activation: str = "linear"
    epochs: int = 100
    seed: int = 0
    batches: int = 100
    tasks: int = 32
    ways: int = 5
    shots: int = 1
    queries: int = 1
    asked: int = 15
    lr: float = 0.1
    adapting_lr: float = 0.4
    adapting_steps: int = 20
    validation_tasks: int = 640
    test_tasks: int = 2560
    samples: int | None = None
    dtype: str = "float32"


@dataclass(frozen=True)
class Outcome:
    """validation: mean accuracy after each epoch. best_epoch: the first epoch of the best one, whose network is tested."""

    test_accuracy: float
    test_stderr: float
    validation: tuple[float, ...]
    best_epoch: int
    meta_batches_per_second: float | None
    settings: Settings = field(repr=False)

    def __str__(self) -> str:
        speed = "" if self.meta_batches_per_second is None else f"; {self.meta_batches_per_second:.1f} meta-batches/s"
        return (f"test accuracy {100 * self.test_accuracy:.2f} ± {100 * self.test_stderr:.2f} % of the network after epoch {self.best_epoch}, "
                f"whose validation accuracy is the best, {100 * max(self.validation):.2f} %{speed}")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Experiment:
    """One run: the program with its data, and what has been found so far."""

    def __init__(self, settings: Settings, folder: Path | None = None) -> None:
        """Raises TpcError for data that cannot be used."""
        parts = read_parts(None if settings.data is None else Path(settings.data), settings.ways, settings.shots)
        left = next(iter(parts.values())).drawings - settings.shots
        self.settings = replace(settings, queries=min(settings.queries, left), asked=min(settings.asked, left))
        self.parts, self.folder = parts, folder
        self.training = self._training()
        self.fingerprint = digest(f"{self.training.fingerprint} {replace(self.settings, data=None, epochs=0, test_tasks=0)}",
                                  {name: part.images for name, part in parts.items()})
        self.validation: list[float] = []
        self.state: State | None = None
        self.best: State | None = None

    # the program

    def _training(self) -> Training:
        s, train = self.settings, self.parts["train"]
        unseen = max(len(self.parts[name].images) for name in ("val", "test"))
        dims = {"T": s.batches, "K": s.tasks, "ways": s.ways, "shots": s.shots, "queries": s.queries, "N": len(train.images),
                "d": train.images.shape[1], "E": EVALUATED, "L": unseen, "A": s.ways * s.asked, "adapting": s.adapting_steps}
        text = PROGRAM.read_text(encoding="utf-8")
        if s.activation != "linear":
            text = text.replace("activation φ = linear", f"activation φ = {s.activation}")
        program = parse(text, name="maml", dims=dims)
        options: dict[str, Any] = {"dtype": s.dtype, "samples": s.samples}
        if s.model != "mup":
            options |= {"method": "nodes", "samples": int(s.model), "repeats": 2}
        evaluator = program.compile(**options)
        points = None
        if s.model != "mup":                           # no matrices: a network of width n is n points of weight 1/n
            drawn = np.random.default_rng(np.random.SeedSequence(s.seed, spawn_key=(3,))).standard_normal((evaluator.plan.gaussians, int(s.model)))
            points = drawn, np.full(int(s.model), 1 / int(s.model))
        return evaluator.training(self._inputs(unseen), seed=s.seed, points=points)

    def _inputs(self, unseen: int) -> dict[str, Any]:
        s, train = self.settings, self.parts["train"]
        return {"eta": np.full(s.batches, s.lr), "epsilon": s.adapting_lr, "images": train.images, **self._drawn(0),
                "y": np.repeat(np.arange(s.ways), s.shots), "z": np.repeat(np.arange(s.ways), s.queries),
                "unseen": np.zeros((unseen, train.images.shape[1])), "shown": np.zeros((EVALUATED, s.ways * s.shots)),
                "asked": np.zeros((EVALUATED, s.ways * s.asked)), "w": np.repeat(np.arange(s.ways), s.asked)}

    def _drawn(self, epoch: int) -> dict[str, np.ndarray]:
        """The tasks of an epoch."""
        s = self.settings
        support, query = self._tasks(self.parts["train"], (TRAINED, epoch), s.batches * s.tasks, s.queries)
        return {"support": support.reshape(s.batches, s.tasks, -1), "query": query.reshape(s.batches, s.tasks, -1)}

    def _tasks(self, part: Part, key: tuple[int, ...], count: int, queries: int) -> tuple[np.ndarray, np.ndarray]:
        s = self.settings
        return tasks(np.random.default_rng(np.random.SeedSequence(s.seed, spawn_key=key)), part, count, s.ways, s.shots, queries)

    # evaluation

    def accuracies(self, state: State, output: str, part: str, key: tuple[int, ...], count: int) -> np.ndarray:
        """The share of right answers in each of `count` tasks of a part."""
        images = self.parts[part].images
        wanted = self.training.inputs["unseen"].shape[0]
        others = self.training.placed({"unseen": np.pad(images, ((0, wanted - len(images)), (0, 0)))})
        shown, asked = self._tasks(self.parts[part], key, math.ceil(count / EVALUATED) * EVALUATED, self.settings.asked)
        found = [self.training.outputs(state, [output], {**others, "shown": shown[k:k + EVALUATED], "asked": asked[k:k + EVALUATED]})[output]
                 for k in range(0, len(shown), EVALUATED)]
        return np.concatenate(found)[:count]

    # the run

    def run(self, *, resume: bool = False, progress: Progress | None = None) -> Outcome:
        """Trains, validates after each epoch and tests the best network. With a folder, an interrupted run can be resumed, and gets to the same end.

        Raises TpcError: a folder that cannot be written (TP606) or that holds another run (TP624).
        """
        if self.folder is not None:
            writing(self.folder / KEPT, lambda _: None)                        # the folder, before any work
            if resume:
                self._resume(self.folder)
        s, state = self.settings, self.state
        begun, seconds, running = len(self.validation), 0.0, Interruptible()
        if begun < s.epochs:
            self.training.advance(self.training.start(), 0)                    # compiled before time is taken
        for epoch in range(begun, s.epochs):
            drawn = self._drawn(epoch)
            with running:
                started = time.perf_counter()
                state = self.training.advance(self.training.start(), s.batches, drawn) if state is None else self.training.again(state, drawn)
                running.wait(state.carried)
                seconds += time.perf_counter() - started
                self._validate(state)
            running.check()
            if progress is not None:
                progress(epoch + 1, s.epochs, self.validation[-1], (epoch + 1 - begun) * s.batches / seconds)
        assert self.best is not None
        right = self.accuracies(self.best, "tested", "test", (TEST,), s.test_tasks)
        best = 1 + self.validation.index(max(self.validation))
        outcome = Outcome(float(right.mean()), float(right.std(ddof=1) / len(right)**0.5), tuple(self.validation), best,
                          (s.epochs - begun) * s.batches / seconds if seconds else None, s)
        if self.folder is not None:
            writing(self.folder / "result.json", lambda path: path.write_text(json.dumps(outcome.to_json()), encoding="utf-8"))
        return outcome

    def _validate(self, state: State) -> None:
        """Notes how good a network is, whether it is the best, and keeps everything."""
        accuracy = float(self.accuracies(state, "validated", "val", (VALIDATION,), self.settings.validation_tasks).mean())
        if self.best is None or accuracy > max(self.validation):
            self.best = state
        self.state = state
        self.validation.append(accuracy)
        if self.folder is not None:
            arrays = {f"{which} {name}": array for which, kept in (("state", state), ("best", self.best))
                      for name, array in self.training.leaves(kept).items()}
            arrays |= {"validation": np.array(self.validation), "fingerprint": np.array(self.fingerprint)}
            writing(self.folder / KEPT, lambda path: write_whole(path, arrays))

    def _resume(self, folder: Path) -> None:
        """Goes on from what is kept in the folder, if anything is."""
        path = folder / KEPT
        if not path.exists():
            return
        try:
            arrays = read_arrays(path)
        except ValueError as error:
            raise TpcError([catalogue_experiments.other_run(str(folder), f"{KEPT} is damaged ({error})")], str(path)) from None
        if str(arrays.get("fingerprint", "")) != self.fingerprint:
            raise TpcError([catalogue_experiments.other_run(str(folder), "it has other settings or data")], str(path))
        if len(arrays["validation"]) > self.settings.epochs:
            raise TpcError([catalogue_experiments.other_run(str(folder), f"it has gone on for {len(arrays['validation'])} epochs")], str(path))
        self.validation = [float(a) for a in arrays["validation"]]
        self.state, self.best = (self.training.of_leaves({name.removeprefix(f"{which} "): array for name, array in arrays.items()
                                                          if name.startswith(f"{which} ")}) for which in ("state", "best"))


def writing(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file, in a folder that is made if need be. Raises TpcError (TP606)."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except OSError as error:
        raise TpcError([catalogue.cannot_write(str(path), error.strerror or str(error))], str(path)) from None
