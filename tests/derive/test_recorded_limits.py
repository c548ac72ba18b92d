"""Limits as they are shown, to the letter, in every form: `recorded/NAME.FORM.txt` of `recorded/NAME.tp`.

`pytest tests/derive --update-golden` records them anew; whether they are right is seen by reading them.
"""

import json
from pathlib import Path

import pytest

import tpc
from tpc.derive.mathml import mathml_formula

RECORDED = Path(__file__).parent / "recorded"
PROGRAMS = sorted(RECORDED.glob("*.tp"))
FORMS = {
    "text": lambda limit: limit.text(),
    "page": lambda limit: limit.to_latex({"rho": r"\varrho"}),
    "cell": lambda limit: limit._repr_html_(),
    "latex": lambda limit: f"{limit.latex()}\n\n{limit._repr_latex_()}",
    "mathml": lambda limit: "\n".join(
        f"{rule}: {shown}" for formula in limit.formulas for shown, rule in mathml_formula(formula)
    ),
    "formulas": lambda limit: "\n\n".join(
        f"{formula}\n{formula.latex()}\n{formula._repr_latex_()}" for formula in limit.formulas
    ),
    "sympy": lambda limit: "\n".join(
        f"{formula.of}: {formula.sympy}" for formula in limit.formulas if formula.equations
    ),
    "data": lambda limit: json.dumps(limit.to_json(), indent=1, ensure_ascii=False),
}


@pytest.fixture(scope="module")
def limits():
    return {path.stem: tpc.load(path).derive() for path in PROGRAMS}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [path.stem for path in PROGRAMS])
def test_a_limit_is_shown_as_recorded(limits, name, form, request):
    found = FORMS[form](limits[name]).rstrip() + "\n"
    recorded = RECORDED / f"{name}.{form}.txt"
    if request.config.getoption("--update-golden"):
        recorded.write_text(found, encoding="utf-8")
    assert found == recorded.read_text(encoding="utf-8")
