"""What is written of a program itself, without the helpers: `bodies/NAME.txt`.

Of programs of every structure, and of trainings so long that they keep histories.

`pytest tests/emit --update-golden` records them anew.
"""

import ast
from pathlib import Path

import pytest

import tpc

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LONG = {"T": 40}
PROGRAMS = {path.stem: (path, {}) for path in sorted((HERE / "structures").glob("*.tp"))} | {
    "training_long": (HERE / "structures" / "training.tp", {"T": 6, "B": 6}),
    "muon_long": (ROOT / "programs/optimisers/muon.tp", LONG),
    "muon_linear_long": (ROOT / "programs/optimisers/muon_linear.tp", LONG),
    "adafactor_long": (ROOT / "programs/optimisers/adafactor.tp", LONG),
}
HELPERS = {
    node.name
    for path in (ROOT / "tpc/emit/helpers").glob("*.py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef | ast.ClassDef)
}


OWN = {"limit"}  # helpers are written for one of each


def body(source):
    lines, start, kept = source.splitlines(), 0, []
    for node in ast.parse(source).body:
        if getattr(node, "name", "") not in HELPERS - OWN:
            kept += lines[start : node.end_lineno]
        start = node.end_lineno
    return "\n".join(kept).strip() + "\n"


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_written_as_recorded(name, request):
    path, dims = PROGRAMS[name]
    found = body(tpc.load(path, dims=dims).compile().source)
    file = HERE / "bodies" / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8")
