"""The tables of the language have what the language has."""

import re
from pathlib import Path

from tpc.core.composed import COMPOSED
from tpc.core.functions import CONSTANTS, FUNCTIONS
from tpc.train.attributes import ATTRIBUTES
from tpc.train.losses import LOSSES
from tpc.train.matrix_aware import MATRIX_AWARE
from tpc.train.optimizer_rules import OPTIMIZERS, named_rule
from tpc.train.parametrization import NAMES as PARAMETRIZATIONS

PAGE = Path(__file__).parents[2] / "tpc" / "docs" / "tables.md"


def first_column(title):
    """The names in the first column of the table under a heading."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_tables_are_whole():
    assert first_column("Functions") == {*FUNCTIONS, *COMPOSED, *CONSTANTS}
    assert first_column("Losses") == {*LOSSES}
    assert first_column("Attributes of weights") == {*ATTRIBUTES}
    assert first_column("Parametrizations") == {*PARAMETRIZATIONS}
    assert first_column("Other optimizers") - {"optimizer"} == {*OPTIMIZERS, *MATRIX_AWARE}


def test_optimizers_have_the_options_that_are_written():
    section = PAGE.read_text(encoding="utf-8").split("\n## Other optimizers\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ((?:`\w+` )+)\| (.*) \|$", section, re.MULTILINE)
    assert len(rows) > 5
    for names, options in rows:
        for name in re.findall(r"\w+", names):
            if name in MATRIX_AWARE:
                assert all(
                    f"{option} = {value}" in options for option, value in MATRIX_AWARE[name].untold.items()
                )
                continue
            rule = named_rule(name)
            given = {option: float(value) for option, value in re.findall(r"(\w+) = ([\w.-]+)", options)}
            assert given == {option: float(value.value) for option, value in rule.parameters.items()}
