"""The main job: digits.tp on the handwritten digits shipped with it, at n = ∞ and at finite width. Here with
fewer steps and images."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import tpc
from tests.values import values_only

HERE = Path(__file__).parents[2] / "programs" / "experiments"
STEPS, BATCH, HELD_OUT = 8, 6, 40
DIMS = {"T": STEPS, "B": BATCH, "N": HELD_OUT}
FEW = 3, 2, 4  # steps, images a step, held-out images


@cache
def data():
    with np.load(HERE / "digits.npz") as arrays:
        return dict(arrays)


def small(steps=STEPS, batch=BATCH, held_out=HELD_OUT):
    whole = data()
    return {
        "images": whole["images"],
        "j": whole["j"][:steps, :batch],
        "y": whole["y"][:steps, :batch],
        "held_out": whole["held_out"][:held_out],
        "label": whole["label"][:held_out],
    }


@cache
def result():
    return values_only(tpc.load(HERE / "digits.tp", dims=DIMS).compile())(small())


@cache
def briefly():
    """A short training, and what evaluates its limit."""
    program = tpc.load(HERE / "digits.tp", dims=dict(zip("TBN", FEW, strict=True)))
    return program, values_only(program.compile())


def test_data_is_normalised_and_of_ten_classes():
    whole = data()
    assert whole["images"].shape == (400, 64)
    assert whole["held_out"].shape == (200, 64)
    for images in ("images", "held_out"):
        np.testing.assert_allclose(np.linalg.norm(whole[images], axis=1), 1.5, atol=1e-3)
    assert set(whole["y"].ravel()) == set(whole["label"]) == set(range(10))
    assert all(sorted(epoch) == list(range(400)) for epoch in whole["j"].reshape(3, 400))
    labels = {}
    for image, label in zip(whole["j"].ravel(), whole["y"].ravel(), strict=True):
        assert labels.setdefault(int(image), int(label)) == label


def test_no_held_out_image_is_a_training_image():
    distances = np.linalg.norm(data()["images"][:, None] - data()["held_out"][None], axis=-1)
    assert distances.min() > 0.05


def test_data_is_what_the_script_makes(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    source = (HERE / "make_digits.py").read_text()
    monkeypatch.setattr("numpy.savez_compressed", lambda path, **arrays: made.update(arrays))
    made: dict[str, np.ndarray] = {}
    exec(
        compile(source, "make_digits.py", "exec"),
        {"__name__": "__main__", "__file__": str(tmp_path / "make_digits.py")},
    )
    assert set(made) == set(data())
    for name, array in made.items():
        np.testing.assert_array_equal(array, data()[name])


def test_the_limit_learns():
    program = tpc.load(HERE / "digits.tp", dims={**DIMS, "T": 12})
    outcome = values_only(program.compile(samples=4096, repeats=2))(small(steps=12))
    losses = outcome["loss"].value
    assert losses[0] == pytest.approx(np.log(10), abs=5e-3)  # f_0 = 0 in μP
    assert losses[-3:].mean() < 0.75 * losses[0]
    assert outcome["accuracy"].value > 0.4


def test_standard_errors_are_small_by_default():
    for outcome in result().outputs.values():
        assert np.all(outcome.stderr <= 0.02 * np.maximum(0.1, np.abs(outcome.value)))


def test_wide_networks_agree_with_the_limit():
    """The means of 6 networks of width 1024 are within 5 of their standard errors, and a bias of 10/n, of the
    limit."""
    samples = tpc.load(HERE / "digits.tp", dims=DIMS).simulate(small(), width=1024, seeds=6)
    for name in ("loss", "test_loss"):
        spread = samples.std[name] / np.sqrt(6)
        gap = np.abs(samples.mean[name] - result()[name].value)
        typical = np.sqrt(np.mean(spread**2))  # of six seeds, one entry's own spread is too uncertain
        assert np.all(gap <= 5 * np.hypot(np.maximum(spread, typical), result()[name].stderr) + 10 / 1024), (
            name
        )


def test_a_short_training_is_verified_in_width():
    (program, evaluator), given = briefly(), small(*FEW)
    report = tpc.verify(
        evaluator(given).limits,
        [program.simulate(given, width=width, seeds=24) for width in (128, 256, 512)],
    )
    assert report.agrees, str(report)


def test_pixels_enter_by_inner_products_only():
    """A rotation of the images leaves everything as it is: the 64 vectors U are a way to write a Gaussian of
    covariance ξ·ξ'."""
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((64, 64)))[0]
    given = small(*FEW)
    turned = {**given, "images": given["images"] @ rotation, "held_out": given["held_out"] @ rotation}
    _, evaluator = briefly()
    one, other = evaluator(given), evaluator(turned, seed=1)
    for name in ("loss", "test_loss"):
        assert np.all(
            np.abs(one[name].value - other[name].value) <= 5 * np.hypot(one[name].stderr, other[name].stderr)
        ), name
