"""Word vectors at infinite width and at finite ones (TP4 Sec 9.1).

`word2vec.tp` fed from a text, and the word-analogy test.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tpc.api import Program, parse
from tpc.core.mesh import mesh_of
from tpc.evaluate.in_parts import State, Training
from tpc.experiments.analogies import BESIDE, read_questions, right_answers
from tpc.experiments.corpus import read_text
from tpc.experiments.outcome_tables import latex_of_outcomes, percent
from tpc.experiments.room import ITEMSIZE, Size, require
from tpc.experiments.state import KEPT, RESULT, kept_arrays, writing
from tpc.experiments.windows import Sampler, Shape, segments
from tpc.machine.files import digest, write_whole
from tpc.machine.interrupt import Interruptible
from tpc.machine.memory import refusing
from tpc.pipeline import compile_program
from tpc.plan.options import Options

PROGRAM = Path(__file__).with_name("word2vec.tp")
COMPARED = 64  # words whose products with all are computed at once
EMBEDDED = {"epochs": 20, "sample": 1e-2}
# the best rates of learning at width 256; of the embedded text half of them
RATES = {"linear": 0.2, "relu": 0.3, "tanh": 0.5}
POINTS, FEWEST = 2, 1024  # of a limit that stands at points, at least, for each word and in all
KEEP_EVERY = 120.0  # seconds between two checkpoints, or
KEEP_SHARE = 10  # so many times what the last one took, if that is more

Progress = Callable[[float, int, int, float], None]  # epochs done and all, words trained, words a second


@dataclass(frozen=True)
class Word2VecSettings:
    """What an experiment is run with."""

    corpus: str | None = None
    questions: str | None = None
    # at most so many words, of min_count occurrences or more
    vocabulary: int = 8000
    # "mup" (the limit), "ntk" or a width
    model: str | int = "mup"
    epochs: int = 5
    seed: int = 0
    # at first, decreasing to 0 (the paper has 0.05, for many more epochs of single words)
    lr: float = 0.2
    decay: float = 0.001
    window: int = 5
    # that a word counts, spread over the `shared` ones of its batch
    negatives: int = 5
    shared: int = 64
    batch: int = 64
    # of a segment
    steps: int = 50
    # the threshold of subsampling
    sample: float = 1e-4
    min_count: int = 5
    # φ, of the mean of the vectors around a word
    activation: str = "linear"
    # the points that stand for the limit, if φ is not linear; None: as `points_for` says
    samples: int | None = None
    # float32, or bfloat16 for what is carried of the limit's vectors
    dtype: str = "float32"
    # how many share the vectors of words, each with a part of every vector; None: one
    devices: int | None = None


def settings_for(corpus: str | None, **given: Any) -> Word2VecSettings:
    """Settings for a text and a net: those for the embedded text suit its length."""
    rate = RATES.get(given.get("activation", "linear"), Word2VecSettings.lr)
    own = {"lr": rate} if corpus is not None else {**EMBEDDED, "lr": rate / 2}
    return Word2VecSettings(**{**own, **given, "corpus": corpus})


def points_for(vocabulary: int) -> int:
    """How many points stand for the limit of a nonlinear net of so many words, if nothing else is asked for.

    So that the vectors at the start can have the second moments that they should.
    """
    return 1 << (max(FEWEST, POINTS * vocabulary) - 1).bit_length()


@dataclass(frozen=True)
class Word2VecOutcome:
    """What an experiment ends with."""

    # among the questions whose words are all in the vocabulary; None if there are none
    analogy_accuracy: float | None
    questions: int
    in_vocabulary: int
    vocabulary: int
    # by the whole run
    words_trained: int
    words_per_second: float | None
    settings: Word2VecSettings = field(repr=False)
    # the epoch after which a vector is not finite, by which training ends and nothing is answered; None if
    # all are finite
    diverged: int | None = None

    def __str__(self) -> str:
        if self.diverged is not None:
            return "there are no vectors to answer questions by"
        speed = "" if self.words_per_second is None else f"; {self.words_per_second:,.0f} words/s"
        found = (
            "no question has all its words in the vocabulary"
            if self.analogy_accuracy is None
            else f"{percent(self.analogy_accuracy)} % of the {self.in_vocabulary:,} questions in the "
            "vocabulary answered"
        )
        return f"{found} ({self.questions:,} questions, {self.vocabulary:,} words){speed}"

    def row(self) -> dict[str, str]:
        """What a table says of the run (see `latex_of_outcomes`)."""
        right = "none" if self.analogy_accuracy is None else percent(self.analogy_accuracy)
        return {
            r"analogies, \%": "diverged" if self.diverged is not None else right,
            "questions": str(self.in_vocabulary),
            "words": str(self.vocabulary),
        }

    def by_epoch(self) -> list[str]:
        """Nothing: vectors answer questions at the end only."""
        return []

    def to_latex(self, names: Mapping[str, str] | None = None, *, rows: int = 40) -> str:
        """A table of the run; `names` and `rows` as of `latex_of_outcomes`."""
        return latex_of_outcomes([self], names, rows=rows)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Word2VecExperiment:
    """One run: the program with its text, and how far it has come.

    keep_every: seconds between two checkpoints, 0: one after every segment.
    """

    def __init__(
        self, settings: Word2VecSettings, folder: Path | None = None, *, keep_every: float = KEEP_EVERY
    ) -> None:
        """Raises TpcError for a text or questions that cannot be used.

        Devices that are not there and a vocabulary that does not fit are refused, too.
        """
        s = settings
        if s.devices is not None:
            mesh_of(s.devices, "word2vec")  # before the text is read
        file = None if s.corpus is None else Path(s.corpus)
        self.text = read_text(file, s.vocabulary, s.min_count)
        self.points = _points(s)
        self.settings = s = replace(s, samples=None if self.points is None else self.points(self.size))
        self.folder, self.keep_every = folder, keep_every
        self.questions = read_questions(_questions(s), self.text.numbers)
        require(self.size, self.memory, str(file or "word2vec"))
        self.sampler = Sampler(
            self.text,
            Shape(s.steps, s.batch, s.window, s.shared),
            negatives=s.negatives,
            threshold=s.sample,
            seed=s.seed,
        )
        self.training = self._training()
        self.fingerprint = digest(
            f"{self.training.fingerprint} {replace(s, corpus=None, questions=None, devices=None)} "
            f"{self.text.words}",
            {"tokens": self.text.tokens, "lines": self.text.lines, "counts": self.text.counts},
        )
        self.epoch, self.segment, self.words = 0, 0, 0
        self.state: State | None = None

    @property
    def size(self) -> int:
        return len(self.text.words)

    @property
    def memory(self) -> Size:
        s = self.settings
        return Size(
            s.model if isinstance(s.model, int) else None, ITEMSIZE[s.dtype], s.devices or 1, self.points
        )

    # the program

    def _training(self) -> Training:
        s, d = self.settings, self.size
        dims = {"T": s.steps, "B": s.batch, "w": s.window, "K": s.shared, "d": d, "A": COMPARED}
        length = s.batch + 2 * s.window
        shapes = {
            "words": (s.steps, length),
            "others": (s.steps, s.shared),
            "near": (s.steps, s.batch, length),
            "weight": (s.steps, s.batch, s.shared),
            "compared": (COMPARED,),
        }
        integers = ("words", "others", "compared")
        inputs: dict[str, Any] = {
            name: np.zeros(shape, np.int32 if name in integers else np.float32)
            for name, shape in shapes.items()
        }
        inputs |= {"eta": np.zeros(s.steps), "lambda": np.array(s.decay)}
        if not isinstance(s.model, int):
            if s.samples is not None:
                evaluator = compile_program(
                    program(s.activation, dims),
                    Options(method="nodes", samples=s.samples, repeats=2, dtype=s.dtype),
                )
            else:  # in the kernel limit as well, where vectors stay as they are drawn, whatever φ is
                evaluator = compile_program(program("linear", dims), Options(method="linear", dtype=s.dtype))
            return evaluator.training(inputs, seed=s.seed, devices=s.devices)
        # there are no matrices: a network of width n is n points of weight 1/n
        evaluator = compile_program(
            program(s.activation, dims), Options(method="nodes", samples=s.model, repeats=2, dtype=s.dtype)
        )
        dtype = np.dtype(s.dtype)
        drawn = np.random.default_rng(np.random.SeedSequence(s.seed, spawn_key=(2,))).standard_normal(
            (evaluator.plan.gaussians, s.model), dtype
        )
        return evaluator.training(
            inputs, seed=s.seed, points=(drawn, np.full(s.model, 1 / s.model, dtype)), devices=s.devices
        )

    # evaluation

    def products(self, state: State, words: np.ndarray) -> np.ndarray:
        """Inner products of the vectors of some words with those of all, [words, d]."""
        wanted = -(-len(words) // COMPARED) * COMPARED
        padded = np.pad(words, (0, wanted - len(words)))
        found = [
            self.training.outputs(state, ["gram"], {"compared": padded[k : k + COMPARED]})["gram"]
            for k in range(0, wanted, COMPARED)
        ]
        return np.concatenate(found)[: len(words)]

    def accuracy(self, state: State) -> float | None:
        """The share of right answers to the questions in the vocabulary."""
        if not len(self.questions.numbers):
            return None
        square = self.training.outputs(state, ["square"])["square"]
        return float(
            right_answers(self.questions.numbers, square, lambda words: self.products(state, words)).mean()
        )

    # the run

    @refusing("word2vec", remedy="use a smaller --vocab, or fewer --samples")
    def run(self, *, resume: bool = False, progress: Progress | None = None) -> Word2VecOutcome:
        """Trains and tests. With a folder, an interrupted run can be resumed, and gets to the same end.

        Raises TpcError: a folder that cannot be written (TP606) or that holds another run (TP624).
        """
        s = self.settings
        if self.folder is not None:
            writing(self.folder / KEPT, lambda _: None)  # the folder, before any work
            if resume:
                self._resume(self.folder)
        state = self.training.start() if self.state is None else self.state
        if s.model != "ntk" and self.epoch < s.epochs:  # in the kernel limit the vectors of words do not move
            # compiled before time is taken
            state = self.training.advance(
                state if state.round == 0 else State(0, state.carried), 0, keep=False
            )
            state, seconds, trained = self._train(state, progress)
            speed = trained / seconds if seconds else None
        else:
            speed = None
        self.state = state
        diverged = None if self._finite(state) else self.epoch
        accuracy = self.accuracy(state) if diverged is None else None
        outcome = Word2VecOutcome(
            accuracy,
            self.questions.asked,
            len(self.questions.numbers),
            self.size,
            self.words,
            speed,
            s,
            diverged,
        )
        if self.folder is not None:
            writing(
                self.folder / RESULT,
                lambda path: path.write_text(
                    json.dumps(outcome.to_json(), allow_nan=False), encoding="utf-8"
                ),
            )
        return outcome

    def _train(self, state: State, progress: Progress | None) -> tuple[State, float, int]:
        """The state after the last epoch, seconds and the words trained on in them."""
        s, running = self.settings, Interruptible()
        seconds, trained, kept = 0.0, 0, time.monotonic()
        while self.epoch < s.epochs and self._finite(state):
            started = time.perf_counter()
            whole = self.sampler.epoch(self.epoch)
            for count, inputs in segments(whole, self.segment):
                done = self.epoch + (self.segment * s.steps + np.arange(s.steps)) / max(1, whole.steps)
                with running:
                    state = self.training.advance(
                        State(0, state.carried),
                        s.steps,
                        {**inputs, "eta": self._rates(done, count)},
                        keep=False,
                    )
                    running.wait(state.carried)
                    now = time.perf_counter()
                    seconds, started = seconds + now - started, now
                    trained, self.words, self.segment = trained + count, self.words + count, self.segment + 1
                    if self.segment < len(whole) and time.monotonic() > kept + self.keep_every:
                        begun = time.monotonic()
                        self._keep(state)
                        kept, started = time.monotonic(), time.perf_counter()
                        self.keep_every = (
                            max(self.keep_every, KEEP_SHARE * (kept - begun)) if self.keep_every else 0
                        )
                running.check()
                if progress is not None:
                    progress(self.epoch + self.segment / len(whole), s.epochs, self.words, trained / seconds)
            self.epoch, self.segment = self.epoch + 1, 0
            self._keep(state)
            kept = time.monotonic()
        return state, seconds, trained

    def _finite(self, state: State) -> bool:
        """Whether all vectors of words are."""
        return bool(np.isfinite(self.training.outputs(state, ["square"])["square"]).all())

    def _rates(self, done: np.ndarray, count: int) -> np.ndarray:
        """Rates of a segment's steps: decreasing with the epochs done, to 0 at the end.

        0 for steps past the end of the text.
        """
        s = self.settings
        rates = s.lr * np.maximum(1 - done / s.epochs, 1e-4)
        return np.where(np.arange(s.steps) * s.batch < count, rates, 0)

    def _keep(self, state: State) -> None:
        if self.folder is not None:
            done = np.array([self.epoch, self.segment, self.words])
            arrays = {**self.training.leaves(state), "done": done, "fingerprint": np.array(self.fingerprint)}
            writing(self.folder / KEPT, lambda path: write_whole(path, arrays))

    def _resume(self, folder: Path) -> None:
        """Goes on from what is kept in the folder, if anything is."""
        arrays = kept_arrays(folder, self.fingerprint)
        if arrays is None:
            return
        self.epoch, self.segment, self.words = (int(n) for n in arrays["done"])
        self.state = self.training.of_leaves(arrays)


def program(activation: str, dims: Mapping[str, int]) -> Program:
    """`word2vec.tp` with this φ."""
    text = PROGRAM.read_text(encoding="utf-8").replace(
        "activation φ = linear", f"activation φ = {activation}"
    )
    return parse(text, name="word2vec", dims=dims)


def _points(s: Word2VecSettings) -> Callable[[int], int] | None:
    """How many points stand for the limit, by the number of words.

    None for a net that does not stand at points.
    """
    if s.model != "mup" or s.activation == "linear":
        return None
    samples = s.samples
    return points_for if samples is None else lambda _: samples


def _questions(s: Word2VecSettings) -> Path | None:
    """The file of questions: that of the settings, or the one beside the text, if there is one."""
    if s.questions is not None:
        return Path(s.questions)
    beside = None if s.corpus is None else Path(s.corpus).parent / BESIDE
    return beside if beside is not None and beside.is_file() else None
