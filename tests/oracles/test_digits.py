"""The main job: digits.tp on the handwritten digits shipped with it, at n = ∞ and at finite width."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import tpc

HERE = Path(__file__).parents[2] / "programs" / "experiments"
SMALL = {"T": 5, "N": 4, "d": 64}


@cache
def data():
    with np.load(HERE / "digits.npz") as arrays:
        return dict(arrays)


@cache
def result():
    return tpc.load(HERE / "digits.tp").compile()(data())


def small_data(steps, held_out):
    return {"xi": data()["xi"][:steps], "y": data()["y"][:steps], "xs": data()["xs"][:held_out], "ys": data()["ys"][:held_out]}


def test_data_is_normalised_and_of_two_classes():
    assert data()["xi"].shape == (50, 64)
    assert data()["xs"].shape == (100, 64)
    for images, labels in (("xi", "y"), ("xs", "ys")):
        np.testing.assert_allclose(np.linalg.norm(data()[images], axis=1), 1.0, atol=1e-3)
        assert set(data()[labels]) == {-1.0, 1.0}
        assert abs(data()[labels].mean()) <= 0.25


def test_no_held_out_image_is_a_training_image():
    distances = np.linalg.norm(data()["xi"][:, None] - data()["xs"][None], axis=-1)
    assert distances.min() > 0.05


def test_data_is_what_the_script_makes(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    source = (HERE / "make_digits.py").read_text()
    monkeypatch.setattr("numpy.savez_compressed", lambda path, **arrays: made.update(arrays))
    made: dict[str, np.ndarray] = {}
    exec(compile(source, "make_digits.py", "exec"), {"__name__": "__main__", "__file__": str(tmp_path / "make_digits.py")})
    assert set(made) == set(data())
    for name, array in made.items():
        np.testing.assert_array_equal(array, data()[name])


def test_the_limit_learns():
    outcome = result()
    assert outcome["accuracy"].value >= 0.95
    losses = outcome["loss"].value
    assert losses[0] == pytest.approx(0.5, abs=5e-3)                             # f_0 = 0 in μP, labels ±1
    assert losses[-10:].mean() < 0.1 * losses[:5].mean()
    right = (outcome["test"].value * data()["ys"] > 0).mean()
    assert outcome["accuracy"].value == pytest.approx(right, abs=0.011)          # an image on the boundary is counted in some randomisations


def test_standard_errors_are_small_by_default():
    for outcome in result().outputs.values():
        assert np.all(outcome.stderr <= 0.02 * np.maximum(0.1, np.abs(outcome.value)))


def test_wide_networks_agree_with_the_limit():
    """The means of 6 networks of width 1024 are within 5 of their standard errors, and a bias of 10/n, of the limit."""
    samples = tpc.load(HERE / "digits.tp").simulate(data(), width=1024, seeds=6)
    for name in ("loss", "test", "test_loss", "accuracy"):
        spread = samples.std[name] / np.sqrt(6)
        gap = np.abs(samples.mean[name] - result()[name].value)
        typical = np.sqrt(np.mean(spread**2))                                    # of six seeds, one entry's own spread is too uncertain
        assert np.all(gap <= 5 * np.hypot(np.maximum(spread, typical), result()[name].stderr) + 10 / 1024), name


def test_a_short_training_is_verified_in_width():
    program, given = tpc.load(HERE / "digits.tp", dims=SMALL), small_data(5, 4)
    limits = program.compile()(given).limits
    report = tpc.verify(limits, [program.simulate(given, width=width, seeds=24) for width in (128, 256, 512)])
    assert report.agrees, str(report)


def test_pixels_enter_by_inner_products_only():
    """A rotation of the images leaves everything as it is: the 64 vectors U are a way to write a Gaussian of covariance ξ·ξ'."""
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((64, 64)))[0]
    given = small_data(5, 4)
    turned = {**given, "xi": given["xi"] @ rotation, "xs": given["xs"] @ rotation}
    evaluator = tpc.load(HERE / "digits.tp", dims=SMALL).compile()
    one, other = evaluator(given), evaluator(turned, seed=1)
    for name in ("loss", "test", "test_loss"):
        assert np.all(np.abs(one[name].value - other[name].value) <= 5 * np.hypot(one[name].stderr, other[name].stderr)), name
