"""Every program in the documents is one: it parses, its limit can be evaluated, and at finite width it runs,
with finite numbers."""

import re
from pathlib import Path

import numpy as np
import pytest

import tpc
from tests.simulate.plain import run_plainly
from tpc.core.inputs import bind_inputs
from tpc.simulate.seeds import draws

ROOT = Path(__file__).parents[2]
DOCS = ("howto", "comparison")  # the tutorial runs in test_guides.py
DOCUMENTS = ("README.md", "programs/README.md", *(f"tpc/docs/{page}.md" for page in DOCS))
BLOCK = re.compile(r"^```tp\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(text, id=f"{name}:{number}")
    for name in DOCUMENTS
    for number, text in enumerate(BLOCK.findall((ROOT / name).read_text(encoding="utf-8")))
]


def some_inputs(program):
    """Values for the inputs that have no default."""
    r = np.random.default_rng(0)
    return {
        i.name: r.standard_normal(i.shape) if i.bound is None else r.integers(0, i.bound, i.shape)
        for i in program.inputs
        if i.default is None
    }


def test_there_are_examples():
    for name in DOCUMENTS:
        assert any(example.id.startswith(name) for example in EXAMPLES)


@pytest.mark.parametrize("text", EXAMPLES)
def test_example_runs(text):
    program = tpc.parse(text)
    assert program.outputs
    inputs = bind_inputs(program, some_inputs(program))
    found = run_plainly(program, inputs, draws(program, inputs, width=6, seed=0))
    limit = program.derive().compile(samples=32, repeats=2)(some_inputs(program))
    for output in (o for o in program.outputs if not o.check):
        assert np.all(np.isfinite(found[output.name]))
        assert limit[output.name].value.shape == found[output.name].shape
