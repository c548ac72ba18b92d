"""Programs without outputs, widths, vectors or entries of an output, through every command."""

import pytest

from tests.attack.seeds import WITHOUT
from tests.attack.trial import judged

COMMANDS = (
    "run p.tp",
    "run p.tp --sweep a=1,2 --plot s.png",
    "simulate p.tp --width 4 --seeds 2",
    "verify p.tp --widths 4,8 --seeds 2 --plot v.png",
    "corrections p.tp --within --plot c.png",
    "report p.tp -o r.html --widths 4 --seeds 2",
    "compile p.tp -o m.py",
    "derive p.tp",
    "graph p.tp -o g.svg",
    "lower p.tp",
)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("text", WITHOUT.values(), ids=WITHOUT)
def test_programs_without(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.tp").write_text(text)
    for line in COMMANDS:
        outcome, ran = judged(line.split(), {})
        assert not outcome.bad, outcome.detail
        needs_outputs = line.split()[0] in ("run", "simulate", "verify", "corrections")
        refused = "TP605" if "a=" not in line else "TP504"  # it has no input to sweep
        assert (ran.status == 2) == (needs_outputs and "output" not in text), (line, ran)
        assert ran.status == 0 or refused in ran.err
