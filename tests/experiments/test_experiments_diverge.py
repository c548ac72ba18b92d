"""An experiment whose training diverges ends, tests the best network before, and says so: in text, in JSON,
and by its status."""

import json

import numpy as np
import pytest

from tpc.cli.main import main
from tpc.experiments.maml import VALIDATION, FewShotExperiment, FewShotSettings

FEW = ["--set", "batches=2", "--set", "tasks=2", "--set", "validation_tasks=64", "--set", "test_tasks=64"]


def strict(text):
    """JSON as it is defined, without NaN."""

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    "options",
    [
        ["maml", "--epochs", "3", "--set", "lr=1e30", *FEW],
        ["word2vec", "--epochs", "2", "--vocab", "30", "--lr", "1e30"],
    ],
)
def test_status_and_json(options, tmp_path, capsys):
    for again in ([], ["--resume"]):
        assert main(["experiment", *options, "--out", str(tmp_path / "run"), "--json", *again]) == 2
        printed = capsys.readouterr()
        found = strict(printed.out)
        assert found["errors"][0]["code"] == "TP603"
        assert found["diverged"] == 1
        assert found.get("test_accuracy", found.get("analogy_accuracy")) is None
        assert "is not finite after epoch 1" in printed.err
        assert strict((tmp_path / "run" / "result.json").read_text())["diverged"] == 1


def test_the_best_network_before_is_tested(monkeypatch, tmp_path):
    experiment = FewShotExperiment(
        FewShotSettings(epochs=9, batches=2, tasks=2, validation_tasks=8, test_tasks=8, model=4), tmp_path
    )
    coming = iter([0.5, 0.7, 0.6, np.nan, 0.9])
    seen = []

    def accuracies(state, part, key, count, steps):
        seen.append((key[0], state))
        return np.full(count, next(coming) if key[0] == VALIDATION else 0.65)

    monkeypatch.setattr(experiment, "accuracies", accuracies)
    monkeypatch.setattr(experiment.model, "prepare", lambda progress: None)
    monkeypatch.setattr(experiment.model, "train", lambda state, *drawn: (state or 0) + 1)
    monkeypatch.setattr(experiment.model, "wait", lambda state, running: None)
    monkeypatch.setattr(experiment.model, "leaves", lambda state: {"epochs": np.array(state)})
    outcome = experiment.run()
    assert (outcome.best_epoch, outcome.diverged, outcome.test_accuracy) == (2, 4, pytest.approx(0.65))
    assert [state for _, state in seen] == [1, 2, 3, 4, 2]
    kept = strict((tmp_path / "result.json").read_text())
    assert kept["validation"] == [0.5, 0.7, 0.6, None]
    assert "of the network after epoch 2, whose validation accuracy is the best, 70.00 %" in str(outcome)
