"""Few-shot learning in the kernel regime is Algorithm 4 of TP4, with kernels that are made from the
program."""

import dataclasses
import json

import numpy as np
import pytest

from tests.experiments.test_maml import settings
from tests.oracles.algorithm_4 import Algorithm4, LinearClassifier, relu_kernels
from tpc.cli.main import main
from tpc.experiments.maml import FewShotExperiment

SIZES = {
    "input_scale": 0.8,
    "output_scale": 1.1,
    "bias": 0.9,
    "input_std": 1.0,
    "output_std": 1.0,
    "bias_std": 1.0,
}
DRAWN = {"input_std": 1.5, "output_std": 0.7, "bias_std": 0.5}
CLOSE = 1e-9  # arccos loses half of the digits where a drawing meets itself


@pytest.mark.parametrize(("kept", "drawn"), [(True, {}), (False, DRAWN)])
@pytest.mark.parametrize("model", ["ntk", "gp"])
def test_training_is_algorithm_4(model, kept, drawn, tmp_path, monkeypatch):
    monkeypatch.setattr("tpc.experiments.maml_kernel.SHARE", 0.4 if kept else 0)
    experiment, given = trained_on(tmp_path, model=model, activation="relu", **drawn)
    assert [rows.kept for rows in experiment.model.rows.values()] == [kept, kept, False]
    stds = drawn.values() or (1, 1, 1)
    oracle = Algorithm4(
        lambda x, z: relu_kernels(x, z, (0.8, 1.1, 0.9), stds)[model == "ntk"],
        np.arange(5),
        np.arange(5).repeat(2),
        given.lr,
        given.adapting_lr,
        5,
    )
    agree(experiment, oracle, CLOSE)


@pytest.mark.parametrize("model", ["ntk", "gp"])
def test_of_a_linear_net_it_is_a_linear_classifier_trained_in_its_weights(model, tmp_path):
    """Its kernel is c (ξ·ξ' + b²), with c = s_u²s_v², twice that for the NTK, and b the scale of the bias
    over that of the input's weights."""
    experiment, given = trained_on(tmp_path, model=model, activation="linear")
    c = (1 + (model == "ntk")) * (1.1 * 0.8) ** 2
    oracle = LinearClassifier(
        c, 0.9 / 0.8, np.arange(5), np.arange(5).repeat(2), given.lr, given.adapting_lr, 5, 16
    )
    agree(experiment, oracle, 1e-13)


def trained_on(tmp_path, **changes):
    given = settings(tmp_path, lr=0.3, batches=6, dtype="float64", **{**SIZES, **changes})
    experiment = FewShotExperiment(given)
    experiment.model.prepare(None)
    return experiment, given


def agree(experiment, oracle, close):
    """Whether two epochs of training end in the oracle's function, and adapted nets answer as it does."""
    images, state = experiment.parts["train"].images.astype(float), None
    for epoch in range(2):
        support, query = experiment._drawn(epoch)
        state = experiment.model.train(state, support, query)
        for shown, asked in zip(support, query, strict=True):
            oracle.step([(images[s], images[q]) for s, q in zip(shown, asked, strict=True)])
    found = oracle.f(images)
    assert np.abs(found).max() > 0.03
    np.testing.assert_allclose(state.values, found, rtol=0, atol=close)
    for part in ("val", "test"):
        others = experiment.parts[part].images.astype(float)
        np.testing.assert_allclose(
            experiment.model._values(state, part), oracle.f(others), rtol=0, atol=close
        )
        for steps in (1, 7):
            shown, asked = experiment._tasks(part, (9,), 20, 3)
            answers = [
                oracle.adapted(others[s], others[a], steps).argmax(1)
                for s, a in zip(shown, asked, strict=True)
            ]
            right = [(own == np.arange(5).repeat(3)).mean() for own in answers]
            assert experiment.model.right(state, part, shown, asked, steps).tolist() == right


def test_gradients_are_clipped_by_their_norm_in_the_weights(tmp_path):
    """Of a linear kernel the weights can be written down."""
    experiment = FewShotExperiment(
        settings(tmp_path, model="gp", input_std=1.0, output_std=1.0, dtype="float64", batches=2)
    )
    experiment.model.prepare(None)
    support, query = experiment._drawn(0)
    state = experiment.model.train(None, support[:1], query[:1])
    images = experiment.parts["train"].images.astype(float)
    assert np.linalg.norm(images.T @ state.coefficients) == pytest.approx(0.1 * 0.5, rel=1e-12)


def test_an_interrupted_run_resumes_to_the_same_end(tmp_path):
    given = settings(tmp_path, model="ntk", activation="relu", output_std=1.0)
    prepared = []
    FewShotExperiment(dataclasses.replace(given, epochs=1), tmp_path / "out").run(
        preparing=lambda *done: prepared.append(done)
    )
    assert prepared == [(36, 36), (36, 36)]
    resumed, whole = FewShotExperiment(given, tmp_path / "out"), FewShotExperiment(given)
    outcome, expected = resumed.run(resume=True), whole.run()
    assert dataclasses.replace(outcome, meta_batches_per_second=None) == dataclasses.replace(
        expected, meta_batches_per_second=None
    )
    assert np.array_equal(resumed.state.values, whole.state.values)
    assert expected.test_accuracy > 0.3


def test_the_command_takes_hyperparameters_of_the_model_and_others(tmp_path, capsys):
    few = [
        f"--set={name}"
        for name in ("batches=3", "tasks=2", "validation_tasks=32", "test_tasks=64", "adapting_lr=0.2")
    ]
    assert main(["experiment", "maml", "--model", "gp", "--epochs", "1", "--json", *few]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [found["settings"][name] for name in ("model", "lr", "output_std", "adapting_lr", "batches")] == [
        "gp",
        0.01,
        1.0,
        0.2,
        3,
    ]
    assert found["test_accuracy"] > 0.5
