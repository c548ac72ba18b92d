"""Networks that learn from few examples, of infinite width in μP or of finite width: `maml.tp`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tpc.api import Program, parse
from tpc.evaluate.in_parts import State, Training
from tpc.experiments.drawings import DrawingsPart
from tpc.machine.interrupt import Interruptible
from tpc.machine.memory import SURE, free_of_devices, require_memory
from tpc.pipeline import compile_program
from tpc.plan.options import Options

if TYPE_CHECKING:
    from tpc.experiments.maml import FewShotSettings

PROGRAM = Path(__file__).with_name("maml.tp")
EVALUATED = 64  # tasks of an evaluation at once


def program(settings: FewShotSettings, dims: Mapping[str, int]) -> Program:
    """`maml.tp` with the activation and sizes that are wanted."""
    text = PROGRAM.read_text(encoding="utf-8")
    if settings.activation != "linear":
        text = text.replace("activation φ = linear", f"activation φ = {settings.activation}")
    return parse(text, name="maml", dims=dims)


def sizes(settings: FewShotSettings) -> dict[str, float]:
    """The inputs of the program that say how large weights are at first, and what stands in front of them."""
    return {
        "sigma": settings.input_std,
        "tau": settings.output_std,
        "rho": settings.bias_std,
        "kappa": settings.input_scale,
        "lambda": settings.output_scale,
        "alpha": settings.bias,
    }


class FiniteNetwork:
    """The program with its data."""

    def __init__(self, settings: FewShotSettings, parts: Mapping[str, DrawingsPart]) -> None:
        self.settings, self.parts = settings, parts
        self.training = self._training()

    @property
    def fingerprint(self) -> str:
        return self.training.fingerprint

    def _training(self) -> Training:
        s, train = self.settings, self.parts["train"]
        unseen = max(len(self.parts[name].images) for name in ("val", "test"))
        sized = program(
            s,
            {
                "T": s.batches,
                "K": s.tasks,
                "ways": s.ways,
                "shots": s.shots,
                "queries": s.queries,
                "N": len(train.images),
                "d": train.images.shape[1],
                "E": EVALUATED,
                "L": unseen,
                "A": s.ways * s.asked,
                "adapting": s.adapting_steps,
            },
        )
        evaluator = compile_program(sized, self._options())
        require_memory(evaluator.plan.memory / 2, "maml")  # not to be compiled, to learn that
        points = None
        if s.model != "mup":  # no matrices: a network of width n is n points of weight 1/n
            drawn = np.random.default_rng(np.random.SeedSequence(s.seed, spawn_key=(3,))).standard_normal(
                (evaluator.plan.gaussians, int(s.model))
            )
            points = drawn, np.full(int(s.model), 1 / int(s.model))
        return evaluator.training(
            self._inputs(unseen), seed=s.seed, points=points, over="t", devices=s.devices
        )

    def _options(self) -> Options:
        s = self.settings
        if s.model == "mup":
            return Options(dtype=s.dtype, samples=s.samples)
        return Options(dtype=s.dtype, method="nodes", samples=int(s.model), repeats=2)

    def _inputs(self, unseen: int) -> dict[str, Any]:
        s, train = self.settings, self.parts["train"]
        return {
            "eta": np.full(s.batches, s.lr),
            "epsilon": s.adapting_lr,
            **sizes(s),
            "images": train.images,
            "support": np.zeros((s.batches, s.tasks, s.ways * s.shots)),
            "query": np.zeros((s.batches, s.tasks, s.ways * s.queries)),
            "y": np.repeat(np.arange(s.ways), s.shots),
            "z": np.repeat(np.arange(s.ways), s.queries),
            "unseen": np.zeros((unseen, train.images.shape[1])),
            "shown": np.zeros((EVALUATED, s.ways * s.shots)),
            "asked": np.zeros((EVALUATED, s.ways * s.asked)),
            "w": np.repeat(np.arange(s.ways), s.asked),
        }

    # the model

    @property
    def memory(self) -> float:
        """Bytes that each device needs, by the compiler's account, and for the best network so far.

        What is compiled for that is what is run.

        What validation has taken is given back some time after the test has begun.
        """
        import jax

        given = sum(a.nbytes for a in jax.tree.leaves((self.training.inputs, self.training.shares.given)))
        given += sum(math.prod(a.shape) * a.dtype.itemsize for a in self.training.carried.like)
        return float(
            sum(max(self.training.memory([name], keep=True).values()) for name in ("validated", "tested"))
            + given
        )

    def prepare(self, progress: Any) -> None:
        from tpc.experiments.maml import SMALLER

        require_memory(
            self.memory, "maml", free=SURE * free_of_devices(self.settings.devices or 1), remedy=SMALLER
        )
        self.training.advance(self.training.start(), 0)

    def train(self, state: State | None, support: np.ndarray, query: np.ndarray) -> State:
        drawn = {"support": support, "query": query}
        if state is None:
            return self.training.advance(self.training.start(), self.settings.batches, drawn)
        return self.training.again(state, drawn)

    def wait(self, state: State, running: Interruptible) -> None:
        running.wait(state.carried)

    def right(self, state: State, part: str, shown: np.ndarray, asked: np.ndarray, steps: int) -> np.ndarray:
        output = "validated" if steps == 1 else "tested"
        images, wanted = self.parts[part].images, self.training.inputs["unseen"].shape[0]
        others = self.training.placed({"unseen": np.pad(images, ((0, wanted - len(images)), (0, 0)))})
        whole = math.ceil(len(shown) / EVALUATED) * EVALUATED
        more = np.arange(whole) % len(shown)  # a part of fewer tasks has some of them twice
        found = [
            self.training.outputs(state, [output], {**others, "shown": shown[own], "asked": asked[own]})[
                output
            ]
            for own in more.reshape(-1, EVALUATED)
        ]
        return np.concatenate(found)[: len(shown)]

    def leaves(self, state: State) -> Mapping[str, np.ndarray]:
        return self.training.leaves(state)

    def of_leaves(self, arrays: Mapping[str, np.ndarray]) -> State:
        return self.training.of_leaves(arrays)
