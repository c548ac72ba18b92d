"""`%%tp` in an IPython shell: a program in a variable, and errors with carets instead of a traceback."""

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

import tpc
from tpc.editors.cell_magic import CellError, arguments

CELL = "width n\ndim T = 2\nvector v : n ~ N(0, 1)\noutput m[t] = mean(v^2)*t for t < T\n"


@pytest.fixture
def shell():
    made = InteractiveShell()
    made.run_cell("%load_ext tpc")
    return made


def test_a_cell_is_a_program(shell):
    with capture_output() as printed:
        result = shell.run_cell(f"%%tp net --set T=3\n{CELL}")
    assert result.success
    program = shell.user_ns["net"]
    assert isinstance(program, tpc.Program)
    assert program.name == "net"
    assert program.outputs[0].shape == (3,)
    assert "Traceback" not in printed.stdout
    assert shell.run_cell(f"%%tp\n{CELL}").success
    assert isinstance(shell.user_ns["program"], tpc.Program)


def test_what_is_wrong_is_shown_with_carets(shell):
    with capture_output() as printed:
        result = shell.run_cell("%%tp\nwidth n\noutput c = mean(x)\n")
    assert not result.success
    assert isinstance(result.error_in_exec, CellError)
    shown = printed.stdout + printed.stderr
    assert "program:2:17" in shown
    assert "output c = mean(x)" in shown
    assert "^" in shown
    assert "Traceback" not in shown
    assert "cell_magic" not in shown
    assert "program" not in shell.user_ns


@pytest.mark.parametrize(
    "line", ["--set", "--set T", "a b", "1x", "--other", "'", "a --set T=x", "a --set T=-1", "a --set U=3"]
)
def test_arguments_that_are_none(shell, line):
    with capture_output() as printed:
        result = shell.run_cell(f"%%tp {line}\n{CELL}")
    assert isinstance(result.error_in_exec, CellError)
    assert "error[TP" in printed.stdout + printed.stderr
    assert "Traceback" not in printed.stdout + printed.stderr


def test_dims_are_whole_numbers():
    assert arguments("net --set T=3 --set d=4") == ("net", {"T": 3, "d": 4})
