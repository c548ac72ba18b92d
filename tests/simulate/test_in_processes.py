"""Coordinates shared out over processes: two on one machine simulate as one."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.evaluate.programs import TWO_LAYERS, two_layers
from tpc.simulate import simulate

ROOT = Path(__file__).parents[2]
WIDTH = 24


def in_two(*own):
    """`tpc simulate` in two processes, each with options of its own: status, standard output and error."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{free.getsockname()[1]}"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tpc", "simulate", str(TWO_LAYERS), "--width", str(WIDTH), "--json"]
    processes = [
        subprocess.Popen(
            [*command, *options, "--coordinator", at, "--processes", "2", "--process", str(k)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for k, options in enumerate(own)
    ]
    try:
        printed = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, printed, strict=True)]


def test_two_processes_give_what_one_does_and_resume_from_the_file_of_the_first(tmp_path):
    program, _ = two_layers(2)
    given = {"xi": np.ones(2), "y": -np.ones(2), "eta": np.array(1.0)}
    alone = simulate(program, given, width=WIDTH, seeds=range(3))
    paths = [tmp_path / f"{k}.npz" for k in range(2)]
    simulate(program, given, width=WIDTH, seeds=range(2), checkpoint=paths[0])
    options = [["--set", "T=2", "--seeds", "3", "--save", str(path)] for path in paths]
    first, second = in_two(*options)
    assert (first[0], *second[:2]) == (0, 0, ""), first[2] + second[2]
    for name, output in json.loads(first[1])["outputs"].items():
        np.testing.assert_allclose(output["mean"], alone.mean[name], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(output["std"], alone.std[name], rtol=1e-9, atol=1e-12)
    with np.load(paths[0]) as kept:
        assert sorted(kept["seeds"]) == [0, 1, 2]
    assert not paths[1].exists()


def test_processes_with_other_seeds_are_refused():
    first, second = in_two(["--set", "T=1", "--seed", "0"], ["--set", "T=1", "--seed", "1"])
    assert (first[0], second[0]) == (2, 2), first[2] + second[2]
    assert "error[TP613]" in first[2]
    assert "TP613" not in second[2]
