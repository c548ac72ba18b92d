"""Plans to the letter, with what they promise to six digits: `recorded/NAME.txt`.

`pytest tests/plan --update-golden` records them anew; whether they are right is seen by reading them.
"""

import json
from pathlib import Path

import pytest

from tpc.diagnostics.diagnostic import TpcError
from tpc.pipeline import load
from tpc.plan.make_plan import make_plan
from tpc.plan.options import Options
from tpc.plan.print_plan import print_plan

ROOT = Path(__file__).parents[2]
RECORDED = Path(__file__).parent / "recorded"
PROGRAMS = sorted([*ROOT.glob("programs/*/*.tp"), *ROOT.glob("tests/emit/structures/*.tp")])
PRINTED = ("paper", "matrices", "structures")  # folders of small programs
DIMS = {"training": {"T": 6, "B": 6}}  # so many that there are histories


def planned(path, method):
    """A plan as data, with the families that are kept in blocks, and as text; or why there is none."""
    try:
        plan = make_plan(load(path, dims=DIMS.get(path.stem)), Options(method=method))
    except TpcError as refused:
        return "\n".join(d.message for d in refused.diagnostics), ""
    data = {name: float(f"{x:.6g}") if isinstance(x, float) else x for name, x in plan.to_json().items()}
    data["histories"] = sorted(plan.structure.histories) if hasattr(plan, "structure") else []
    return json.dumps(data, indent=1, ensure_ascii=False), print_plan(plan)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_a_plan_is_as_recorded(path, request):
    data, text = planned(path, "auto")
    of_points, _ = planned(path, "nodes")
    found = f"{data}\n{of_points}\n{text if path.parent.name in PRINTED else ''}"
    file = RECORDED / f"{path.stem}.txt"
    if request.config.getoption("--update-golden"):
        file.write_text(found, encoding="utf-8")
    assert found == file.read_text(encoding="utf-8")
