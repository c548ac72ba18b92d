"""Coordinates shared out over processes: two on one machine simulate as one."""

import json
import sys

import numpy as np

from tests.evaluate.programs import TWO_LAYERS, two_layers
from tests.processes import together
from tpc.simulate import simulate

WIDTH = 24
OPTIONS = ["simulate", str(TWO_LAYERS), "--width", str(WIDTH), "--json"]
COMMAND = [sys.executable, "-m", "tpc", *OPTIONS]
SHORT_OF_MEMORY = """
import sys
from tpc.cli.main import main
from tpc.simulate import finite_program
if sys.argv[-1] == "1":
    finite_program.free_of_devices = lambda devices: 1000.0
sys.exit(main(sys.argv[1:]))
"""


def test_two_processes_give_what_one_does_and_resume_from_the_file_of_the_first(tmp_path):
    program, _ = two_layers(2)
    given = {"xi": np.ones(2), "y": -np.ones(2), "eta": np.array(1.0)}
    alone = simulate(program, given, width=WIDTH, seeds=range(3))
    paths = [tmp_path / f"{k}.npz" for k in range(2)]
    simulate(program, given, width=WIDTH, seeds=range(2), checkpoint=paths[0])
    options = [["--set", "T=2", "--seeds", "3", "--save", str(path)] for path in paths]
    first, second = together(COMMAND, *options)
    assert (first[0], *second[:2]) == (0, 0, ""), first[2] + second[2]
    for name, output in json.loads(first[1])["outputs"].items():
        np.testing.assert_allclose(output["mean"], alone.mean[name], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(output["std"], alone.std[name], rtol=1e-9, atol=1e-12)
    with np.load(paths[0]) as kept:
        assert sorted(kept["seeds"]) == [0, 1, 2]
    assert not paths[1].exists()


def test_processes_with_other_seeds_are_refused():
    first, second = together(COMMAND, ["--set", "T=1", "--seed", "0"], ["--set", "T=1", "--seed", "1"])
    assert (first[0], second[0]) == (2, 2), first[2] + second[2]
    assert "error[TP613]" in first[2]
    assert "TP613" not in second[2]


def test_one_without_memory_has_all_of_them_refuse():
    """Others would wait for it."""
    command = [sys.executable, "-c", SHORT_OF_MEMORY, *OPTIONS]
    first, second = together(command, ["--set", "T=1"], ["--set", "T=1"])
    assert (first[0], second[0]) == (2, 2), first[2] + second[2]
    assert "error[TP604]" in first[2]
    assert "a width of" in first[2]
    assert "TP604" not in second[2]
