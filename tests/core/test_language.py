"""The papers' language that a program is in, by what it uses."""

import json
from pathlib import Path

import pytest

import tpc
from tpc.cli.main import main
from tpc.core.language import Language

HEAD = """width n
width m = 2*n
matrix A : n x m ~ N(0, 1/m)
matrix B[k < 2] : n x n ~ N(0, 1/n)
vector u : m ~ N(0, 1)
vector v : n ~ N(0, 1)
input c = 2
x = tanh(A @ u + c*v)
"""


@pytest.mark.parametrize(
    ("lines", "language"),
    [
        ("output q = mean(x*v)/(1 + mean(x^2))", "NETSOR"),
        ("y = A @ tanh(u)\noutput q = mean(x*y)", "NETSOR"),
        ("y = B[0] @ x\nz = B[1] @ x\noutput q = mean(y*z)", "NETSOR"),
        ("y = B[0] @ x - mean(x)\noutput q = mean(y^2)", "NETSOR⁺"),
        ("s = mean(x^2)\nr = 1/(1 + s)\noutput q = mean(tanh(r*x))", "NETSOR⁺"),
        ("y = A.T @ x\noutput q = mean(y^2)", "NETSOR⊤"),
        ("for t < 2:\n    y[t] = B[t] @ x\n    z[t] = B[t].T @ y[t]\noutput q = mean(z[1]^2)", "NETSOR⊤"),
        ("y = A.T @ x\noutput q = mean(y^2)/mean(x^2)", "NETSOR⊤"),
        ("y = A.T @ (x/mean(x^2))\noutput q = mean(y^2)", "NETSOR⊤⁺"),
        ("table T : n x m = abs(outer(x, u))\noutput q = mean((T @ u)^2)", "NE⊗OR⊤"),
    ],
)
def test_language(lines: str, language: str) -> None:
    program = tpc.parse(HEAD + lines + "\n")
    assert program.language is Language(language)


def test_check_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.tp"
    file.write_text(HEAD + "y = A.T @ x\noutput q = mean(y^2)\n", encoding="utf-8")
    assert main(["check", str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["language"] == "NETSOR⊤"
    assert main(["check", str(file)]) == 0
    assert capsys.readouterr().out.endswith("is a NETSOR⊤ program\n")
