"""Samples and coefficients are shared out over devices: the numbers stay, and no device holds more than its
share."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tpc
from tests.evaluate.on_devices import COEFFICIENTS, SHARE, WORDS
from tests.evaluate.programs import TWO_LAYERS, two_layers
from tpc.cli.main import main

ROOT = Path(__file__).parents[2]
VIRTUAL = {
    **os.environ,
    "XLA_FLAGS": f"--xla_force_host_platform_device_count=8 {os.environ.get('XLA_FLAGS', '')}",
    "JAX_PLATFORMS": "cpu",
    "PYTHONPATH": str(ROOT),
}


@pytest.fixture(scope="module")
def found():
    done = subprocess.run(
        [sys.executable, "-m", "tests.evaluate.on_devices"],
        capture_output=True,
        text=True,
        env=VIRTUAL,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", ["sobol", "uneven and of low rank", "linear", "grids"])
def test_numbers_are_the_same_on_any_number_of_devices(found, kind):
    """A sum over M samples in another order differs by about √M·2^-53 < 1e-14 of its terms' size; 20 steps of
    training amplify that by less than 1e4 (with random ±1 data, the derivatives of the losses by the first
    values are below that), which leaves 1e-10."""
    alone, *shared = (numbers[kind] for numbers in found["numbers"])
    for numbers in shared:
        for name, (value, stderr) in alone.items():
            np.testing.assert_allclose(numbers[name][0], value, rtol=1e-10, atol=1e-10)
            np.testing.assert_allclose(numbers[name][1], stderr, rtol=1e-8, atol=1e-10)


def test_no_device_holds_all_samples(found):
    compiled = found["compiled"]
    assert compiled["whole"] == 0
    assert compiled["shares"] > 100
    assert compiled["bases"] > 0
    assert compiled["bytes"] < compiled["bytes alone"] / 8 * 1.05


def test_devices_exchange_inner_products_only(found):
    assert found["compiled"]["reductions"] > 0
    assert found["compiled"]["gathers"] == 0


def test_bases_are_shared_out(found):
    for part in found["intermediates"]:
        assert part == [[20, SHARE]] * 8


def test_a_training_by_coefficients_is_the_same_on_any_number_of_devices(found):
    """Inner products of 291 coefficients in another order: √291·2^-53 = 2e-15 of their terms, which six steps
    hardly amplify."""
    alone, *shared = found["trained"]["numbers"]
    assert np.abs(np.array(alone["gram"])[0, 1:20]).max() > 0.01
    for numbers in shared:
        for name, value in alone.items():
            np.testing.assert_allclose(numbers[name], value, rtol=1e-12, atol=1e-13)
    assert found["trained"]["same bits"]
    # U and V; before them is `a`, which all have
    assert found["trained"]["shares"][1:] == [[[WORDS, COEFFICIENTS // 8]] * 8] * 2
    assert all(stored[-2:] == [[WORDS, WORDS + 1]] * 2 for stored in found["trained"]["stored"])


@pytest.mark.parametrize("part", ["begin", "advance", "finish", "limit"])
def test_no_device_holds_all_coefficients(found, part):
    """Not even where U is the identity at first. Inner products are all that is exchanged; nothing, before
    there are any."""
    counts = found["coefficients"][part]
    assert counts["whole"] == counts["gathers"] == 0
    assert counts["shares"] > 5
    assert (counts["reductions"] > 0) == (part != "begin")


def test_all_words_of_text8_fit_an_accelerator_of_141_gb(found):
    """Without an array being allocated: what the compiled parts need is what the experiment asks for, but for
    its allowance for other things."""
    (alone, asked), (share, asked_each) = found["large"]
    assert 40.6e9 < alone < asked < 42e9  # twice 71,291 x 71,292 numbers of 4 bytes
    assert 2.54e9 < share < asked_each < 3e9  # an eighth of 2 bytes each, never all of them restored at once


def test_an_experiment_on_devices_is_resumed_to_the_same_bits(found):
    assert found["resumed"]["same"]
    assert len(set(found["resumed"]["accuracy"])) == len(set(found["resumed"]["words"])) == 1


@pytest.mark.parametrize("kind", ["free", "dense"])
def test_coordinates_of_finite_width_are_shared_out(found, kind):
    """The same numbers to rounding, at widths that are no multiple of the devices, too; and an eighth of the
    memory. Sums of 101 terms in another order differ by 1e-15 of them, which a few steps hardly amplify.
    """
    alone, shared = found["finite width"][kind]["numbers"]
    for name, value in alone.items():
        np.testing.assert_allclose(shared[name], value, rtol=1e-12, atol=1e-13)
    alone, shared = found["finite width"][kind]["code"]
    assert shared["bytes"] < alone["bytes"] / 8 * (1.1 if kind == "free" else 1.4)
    assert shared["shares"] > 100
    assert shared["reductions"] > 0
    if kind == "free":  # a matrix that is drawn is multiplied with all of a vector
        assert shared["whole"] == shared["gathers"] == 0


def test_the_command_shares_as_well(found):
    *done, (status, _, told) = found["commands"]
    assert [status for status, *_ in done] == [0] * 4
    (_, alone, _), (_, shared, _), (_, alone_at_width, _), (_, shared_at_width, _) = done
    assert "loss" in alone
    assert alone == shared
    assert "width 50" in alone_at_width
    assert alone_at_width == shared_at_width
    assert status == 2
    assert "error[TP611]: 9 devices are asked for, and JAX sees 8 (cpu)" in told
    assert "XLA_FLAGS=--xla_force_host_platform_device_count=9" in told


def test_no_devices_at_all(capsys):
    program, inputs = two_layers(2)
    with pytest.raises(tpc.TpcError, match="--devices: must be at least 1"):
        program.compile(samples=64)(inputs, devices=0)
    with pytest.raises(tpc.TpcError, match="--devices: must be at least 1"):
        program.simulate(inputs, width=4, seeds=1, devices=0)
    with pytest.raises(tpc.TpcError, match="TP611"):
        program.simulate(inputs, width=4, seeds=1, devices=1000)
    with pytest.raises(SystemExit):
        main(["run", str(TWO_LAYERS), "--devices", "0"])
    assert "not a positive whole number" in capsys.readouterr().err
