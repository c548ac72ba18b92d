"""Few-shot learning: the command, its data, resuming, and what it finds beside networks of finite width."""

import dataclasses
import gzip
import json
import lzma
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tpc
from tpc.cli.main import main
from tpc.experiments.drawings import read_parts, tasks
from tpc.experiments.maml import FewShotExperiment, FewShotSettings

ROOT = Path(__file__).parents[2]
SMALL = FewShotSettings(
    epochs=3, batches=4, tasks=3, queries=2, asked=3, validation_tasks=64, test_tasks=64, adapting_steps=3
)


def drawings(classes=18, count=6, side=4, seed=0):
    """Classes that differ from each other more than their drawings do."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 2, (classes, 1, side, side)) * 160 + rng.integers(
        0, 90, (classes, count, side, side)
    )
    return {
        "images": images.astype(np.uint8),
        "split": np.array(["train", "val", "test"]).repeat(classes // 3),
    }


def written(tmp_path, **arrays):
    path = tmp_path / "drawings.npz"
    np.savez_compressed(path, **arrays)
    return path


def settings(tmp_path, **changes):
    return dataclasses.replace(SMALL, data=str(written(tmp_path, **drawings())), **changes)


def test_tasks_are_of_different_classes_and_drawings(tmp_path):
    part = read_parts(written(tmp_path, **drawings()), 5, 1)["train"]
    assert part.classes == 24
    assert part.images.max() <= 1
    assert np.array_equal(part.images[6 * 6].reshape(4, 4), np.rot90(part.images[0].reshape(4, 4)))
    shown, asked = tasks(np.random.default_rng(0), part, 500, 5, 1, 2)
    assert shown.shape == (500, 5)
    assert asked.shape == (500, 10)
    assert set((shown // 6).ravel().tolist()) == set(range(24))
    for own, others in zip(shown, asked.reshape(500, 5, 2), strict=True):
        assert len(set(own // 6)) == 5
        assert (others // 6 == own[:, None] // 6).all()
        assert len({*own, *others.ravel()}) == 15
    test = read_parts(written(tmp_path, **drawings()), 5, 1)["test"]
    assert test.classes == 6


def test_the_limit_learns_and_widths_approach_it(tmp_path):
    losses = {}
    for model in ("mup", 4096):
        experiment = FewShotExperiment(settings(tmp_path, model=model, batches=60, lr=0.3))
        state = experiment.model.train(None, *experiment._drawn(0))
        losses[model] = experiment.model.training.outputs(state, ["loss"])["loss"]
    assert losses["mup"][-20:].mean() < losses["mup"][:20].mean() - 0.05
    assert 1e-6 < np.abs(losses[4096] - losses["mup"]).mean() < 0.05


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.experiments.test_maml import FewShotExperiment, settings
def wait(done, *_):
    print(done, flush=True)
    time.sleep(30)
FewShotExperiment(settings(Path(sys.argv[2])), Path(sys.argv[2]) / "out").run(progress=wait)
"""


def test_a_killed_run_resumes_to_the_same_end(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(ROOT), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as child:
        assert child.stdout.readline() == "1\n"
        child.send_signal(signal.SIGKILL)
    epochs = []
    resumed = FewShotExperiment(settings(tmp_path), tmp_path / "out")
    outcome = resumed.run(resume=True, progress=lambda done, *_: epochs.append(done))
    assert epochs == [2, 3]
    whole = FewShotExperiment(settings(tmp_path))
    assert whole.fingerprint == resumed.fingerprint
    expected = whole.run()
    assert dataclasses.replace(outcome, meta_batches_per_second=None) == dataclasses.replace(
        expected, meta_batches_per_second=None
    )
    for one, other in zip(
        resumed.model.leaves(resumed.state).values(), whole.model.leaves(whole.state).values(), strict=True
    ):
        assert np.array_equal(one, other, equal_nan=True)
    assert json.loads((tmp_path / "out" / "result.json").read_text())["validation"] == list(
        expected.validation
    )
    again = resumed.run(resume=True)
    assert again.test_accuracy == expected.test_accuracy
    assert again.meta_batches_per_second is None
    resumed.settings = dataclasses.replace(resumed.settings, epochs=2)
    with pytest.raises(tpc.TpcError, match="gone on for 3 epochs"):
        resumed.run(resume=True)
    resumed.fingerprint = "of other settings"
    with pytest.raises(tpc.TpcError, match=r"TP624.*other settings"):
        resumed.run(resume=True)
    (tmp_path / "out" / "training.npz").write_bytes(b"no archive")
    with pytest.raises(tpc.TpcError, match=r"TP624.*damaged"):
        resumed.run(resume=True)


@pytest.mark.parametrize(
    ("broken", "code", "says"),
    [
        (lambda a: {"images": a["images"]}, "TP621", "no array `split`"),
        (lambda a: {**a, "images": a["images"][0]}, "TP621", "shape (6, 4, 4)"),
        (lambda a: {**a, "images": a["images"][..., :3]}, "TP621", "not square"),
        (lambda a: {**a, "images": a["images"] / 255}, "TP621", "not uint8"),
        (lambda a: {**a, "images": a["images"][:, :0]}, "TP621", "is empty"),
        (lambda a: {**a, "split": a["split"][:-1]}, "TP621", "there are 18 classes"),
        (lambda a: {**a, "split": np.array(["training"] * 18)}, "TP621", "label `training`"),
        (
            lambda a: {**a, "split": np.array(["train"] * 14 + ["val"] * 2 + ["test"] * 2)},
            "TP622",
            "`test` has 2 classes",
        ),
        (lambda a: {**a, "images": a["images"][:, :1]}, "TP623", "leave none"),
        (lambda a: {**a, "split": np.array([{}] * 18)}, "TP505", "pickled"),
    ],
)
def test_bad_drawings_are_refused(broken, code, says, tmp_path, capsys):
    path = written(tmp_path, **broken(drawings()))
    assert main(["experiment", "maml", "--data", str(path), "--epochs", "1"]) == 2
    message = capsys.readouterr().err
    assert f"error[{code}]" in message
    assert says in message


def test_drawings_may_be_compressed(tmp_path):
    plain = written(tmp_path, **drawings())
    (tmp_path / "drawings.npz.xz").write_bytes(lzma.compress(plain.read_bytes()))
    (tmp_path / "drawings.npz.gz").write_bytes(gzip.compress(plain.read_bytes()))
    for ending in ("xz", "gz"):
        assert np.array_equal(
            read_parts(tmp_path / f"drawings.npz.{ending}", 5, 1)["val"].images,
            read_parts(plain, 5, 1)["val"].images,
        )


def test_files_and_options_that_cannot_be_used(tmp_path, capsys):
    path = written(tmp_path, **drawings(count=200))
    (tmp_path / "cut.npz").write_bytes(path.read_bytes()[:4000])
    damaged = bytearray(path.read_bytes())
    damaged[3000:3100] = bytes(100)
    (tmp_path / "damaged.npz").write_bytes(damaged)
    (tmp_path / "file").write_text("")
    np.save(tmp_path / "single", np.zeros(3))
    (tmp_path / "single.npy").rename(tmp_path / "single.npz")
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(drawings()))
    (tmp_path / "cut.npz.xz").write_bytes(lzma.compress(path.read_bytes())[:4000])
    (tmp_path / "no.npz.gz").write_bytes(path.read_bytes())
    files = ("cut.npz", "damaged.npz", "single.npz", "pickle.npz", "cut.npz.xz", "no.npz.gz", "file", "")
    for options, code in (
        (["--data", "nowhere.npz"], "TP505"),
        *((["--data", str(tmp_path / name)], "TP505") for name in files),
        (["--model", "width=1"], "TP602"),
        (["--model", "wide"], "TP602"),
        (["--set", "lr=fast"], "TP602"),
        (["--set", "ways=1"], "TP602"),
        (["--set", "rate=1"], "TP602"),
        (["--set", "ways=7"], "TP622"),
        (["--activation", "relu", "--samples", "2000000000"], "TP604"),
        (["--resume"], "TP602"),
        (["--devices", "1000"], "TP611"),
        (["--devices", "1", "--model", "gp"], "TP602"),
        (["--out", str(tmp_path / "file")], "TP606"),
    ):
        assert main(["experiment", "maml", "--epochs", "1", *options]) == 2, options
        assert f"error[{code}]" in capsys.readouterr().err, options


def test_the_command_runs_on_embedded_drawings(tmp_path, capsys, monkeypatch):
    assert (
        main(
            [
                "experiment",
                "maml",
                "--epochs",
                "2",
                "--json",
                "--out",
                str(tmp_path),
                "--activation",
                "relu",
                "--samples",
                "256",
                "--devices",
                "1",
                *(
                    f"--set={n}={getattr(SMALL, n)}"
                    for n in ("batches", "tasks", "queries", "asked", "validation_tasks", "test_tasks")
                ),
            ]
        )
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= {"test_accuracy", "test_stderr", "validation", "meta_batches_per_second", "settings"}
    assert len(found["validation"]) == 2
    assert found == json.loads((tmp_path / "result.json").read_text())
    assert found["test_accuracy"] > 0.25
    assert (found["settings"]["activation"], found["settings"]["samples"]) == ("relu", 256)
