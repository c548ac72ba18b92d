"""Word vectors of a nonlinear net: its limit stands at points, which its finite widths approach; runs are
resumed; what is refused."""

import dataclasses
import shutil

import numpy as np
import pytest

import tpc
from tests.experiments.test_word2vec import settings, written
from tpc.cli.main import main
from tpc.experiments import room as memory
from tpc.experiments.word2vec import Word2VecExperiment, program, settings_for

SIZE, STEPS, BATCH, WINDOW, SHARED = 6, 12, 5, 2, 4


def a_few_steps():
    rng = np.random.default_rng(1)
    length = BATCH + 2 * WINDOW
    near = np.zeros((STEPS, BATCH, length))
    for i in range(BATCH):
        near[:, i, [i, i + 1, i + 3]] = 1 / 3
    return {
        "words": rng.integers(0, SIZE, (STEPS, length)),
        "others": rng.integers(0, SIZE, (STEPS, SHARED)),
        "near": near,
        "weight": np.full((STEPS, BATCH, SHARED), 0.5),
        "eta": np.full(STEPS, 1.0),
        "lambda": 0.01,
        "compared": np.arange(SIZE),
    }


def test_the_limit_is_that_of_finite_widths():
    """Inner products of word vectors, and how sure the net is of each batch: within errors that are far
    smaller than what φ changes."""
    inputs = a_few_steps()
    dims = {"T": STEPS, "B": BATCH, "w": WINDOW, "K": SHARED, "d": SIZE, "A": SIZE}
    net = program("tanh", dims)
    limit, linear = (
        net.compile(method="nodes", samples=4096, repeats=8)(inputs),
        program("linear", dims).compile(method="linear")(inputs),
    )
    finite = net.simulate(inputs, width=1024, seeds=range(32))
    for name, first in (("gram", 0), ("guessed", 1)):  # before the first step all is 1/2
        values, found, other = (
            finite.outputs[name][:, first:],
            limit[name].value[first:],
            linear[name].value[first:],
        )
        mean, error = (
            values.mean(axis=0),
            np.hypot(values.std(axis=0, ddof=1) / 32**0.5, limit[name].stderr[first:]),
        )
        assert np.abs((found - mean) / error).max() < 4
        assert np.abs((other - mean) / error).max() > 100


def test_a_run_goes_on_from_what_it_kept_to_the_same_parameters(tmp_path):
    nothing_asked = tmp_path / "questions.txt"
    nothing_asked.write_text("north south to nowhere\n", encoding="utf-8")
    wanted = settings(tmp_path, activation="tanh", samples=64, epochs=2, questions=str(nothing_asked))

    def copy(done, *_):
        if 1.3 < done < 1.5:
            shutil.copytree(tmp_path / "out", tmp_path / "stopped", dirs_exist_ok=True)

    whole, resumed = (
        Word2VecExperiment(wanted, tmp_path / "out", keep_every=0),
        Word2VecExperiment(wanted, tmp_path / "stopped"),
    )
    expected = whole.run(progress=copy)
    done = []
    outcome = resumed.run(resume=True, progress=lambda epochs, *_: done.append(epochs))
    assert 1.3 < done[0] < 2
    assert dataclasses.replace(outcome, words_per_second=None) == dataclasses.replace(
        expected, words_per_second=None
    )
    for one, other in zip(
        resumed.training.leaves(resumed.state).values(),
        whole.training.leaves(whole.state).values(),
        strict=True,
    ):
        assert np.array_equal(one, other, equal_nan=True)
    for other in ({"activation": "relu"}, {"samples": 32}):
        with pytest.raises(tpc.TpcError, match=r"TP624.*other settings"):
            Word2VecExperiment(dataclasses.replace(wanted, **other), tmp_path / "out").run(resume=True)


def test_points_are_counted_where_there_are_any(tmp_path):
    for model, activation, samples in (
        ("mup", "tanh", 1024),
        ("mup", "linear", None),
        (16, "tanh", None),
        ("ntk", "tanh", None),
    ):
        assert (
            Word2VecExperiment(settings(tmp_path, model=model, activation=activation)).settings.samples
            == samples
        )
    assert Word2VecExperiment(settings(tmp_path, model="ntk", activation="tanh")).run().analogy_accuracy == 0
    assert [
        settings_for(text, activation=activation).lr
        for text in (None, "t.txt")
        for activation in ("relu", "tanh")
    ] == [0.15, 0.25, 0.3, 0.5]


def test_what_is_refused(tmp_path, capsys, monkeypatch):
    options = ["experiment", "word2vec", "--corpus", str(written(tmp_path)), "--epochs", "1"]
    with pytest.raises(SystemExit, match="2"):
        main([*options, "--activation", "swish"])
    assert "argument --activation: invalid choice: 'swish' (choose from" in capsys.readouterr().err
    assert main([*options, "--activation", "tanh", "--samples", "1"]) == 2
    assert "error[TP602]: --samples: must be at least 2, not 1" in capsys.readouterr().err
    free = memory.Size(points=lambda _: 1024).needed(30) + 100
    monkeypatch.setattr(memory, "free_memory", lambda devices: free)
    assert main([*options, "--vocab", "36", "--activation", "tanh"]) == 2
    message = capsys.readouterr().err
    assert "error[TP628]" in message
    assert "--vocab 30 would fit" in message
