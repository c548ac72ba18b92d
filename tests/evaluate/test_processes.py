"""Several processes on one machine work as one."""

import io
import shutil
import sys
from contextlib import redirect_stdout

import pytest

from tests.evaluate.programs import TWO_LAYERS
from tests.processes import together
from tpc.cli.main import main

RUN = [
    sys.executable,
    "-m",
    "tpc.cli.main",
    "run",
    str(TWO_LAYERS),
    "--set",
    "T=4",
    "--samples",
    "128",
    "--repeats",
    "4",
]


@pytest.fixture(scope="module")
def alone():
    with redirect_stdout(io.StringIO()) as printed:
        assert main(RUN[3:]) == 0
    return printed.getvalue()


def test_two_processes_print_what_one_does_and_once(alone):
    first, second = together(RUN, [], [], devices=2)
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert first[1] == alone
    assert second[1] == ""


def test_they_resume_from_the_folder_of_the_first(alone, tmp_path):
    """The folder of the second process stays empty: what there is to resume from comes from the first.
    Processes are told of each other by options or by the environment."""
    own = [["--checkpoint", str(tmp_path / str(k))] for k in range(2)]
    first, _ = together(RUN, *own)
    kept = sorted((tmp_path / "0").rglob("*.npz"))
    # halves, and what they tell
    assert [path.name.partition("-")[0] for path in kept] == ["check"] * 12 + ["repeat"] * 4
    before = [path.read_bytes() for path in kept]
    kept[9].unlink()
    kept[14].unlink()
    again, second = together(RUN, *own, by_environment=True)
    assert second[:2] == (0, ""), second[2]
    assert first[1] == again[1] == alone
    assert [path.read_bytes() for path in kept] == before
    assert not (tmp_path / "1").exists()
    shutil.rmtree(tmp_path / "0")


def test_processes_that_run_different_things_are_refused():
    first, second = together(RUN, [], ["--seed", "1"])
    assert (first[0], second[0]) == (2, 2), first[2] + second[2]
    assert "error[TP613]: the processes do not run the same program" in first[2]
    assert "TP613" not in second[2]


def test_bad_input_is_told_once():
    first, second = together(RUN, ["--set", "eta=x"], ["--set", "eta=x"])
    assert (first[0], second[0]) == (2, 2)
    assert "error[TP507]" in first[2]
    assert "TP507" not in second[2]
    assert (first[1], second[1]) == ("", "")
