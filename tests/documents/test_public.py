"""What users may rely on: one list of names, and documents that use no other."""

import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tpc
from tpc.core import program as core
from tpc.derive import limit as derived

ROOT = Path(__file__).parents[2]
PUBLIC = """
    Diagnostic Evaluator GaussianProcessKernel KernelWarning Kernels Limit Program Result Samples TpcError
    Verdict after_flow after_steps classify conditions draw load parse posterior register verify
"""
MOST_PUBLIC = 24
DOCUMENTS = (
    "README.md",
    "programs/README.md",
    *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("notebooks/*.ipynb")),
)
IMPORT = re.compile(r"(?:from|import)\s+(tpc[\w.]*)")
DOTTED = re.compile(r"\btpc((?:\.\w+)+)")
TEXT = "width n\nvector x : n ~ N(0, 1)\noutput c[t] for t < 2 = mean(x^2)\n"


def text_of(document: str) -> str:
    """What a document says: of a notebook the sources of its cells."""
    text = (ROOT / document).read_text(encoding="utf-8")
    if not document.endswith(".ipynb"):
        return text
    return "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])


def test_the_list_of_names():
    assert tpc.__all__ == PUBLIC.split()
    assert dir(tpc) == sorted(tpc.__all__)
    assert len(tpc.__all__) <= MOST_PUBLIC


@pytest.mark.parametrize("name", PUBLIC.split())
def test_every_name_is_there_and_says_what_it_is(name):
    assert getattr(tpc, name).__doc__


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module tpc has no attribute nothing"):
        tpc.nothing  # noqa: B018


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_name_only_what_is_public(document):
    """Of what is below, only the experiments have modules of their own."""
    text = text_of(document)
    for module in IMPORT.findall(text):
        assert module in ("tpc", "tpc.experiments")
    for path in DOTTED.findall(text):
        first = path.split(".")[1]
        assert first in (*tpc.__all__, "experiments", "tp"), f"tpc{path}"


def test_importing_tpc_imports_nothing_else():
    code = "import sys, tpc; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name for name in found.stdout.split() if re.match(r"(tpc|numpy|jax|sympy)\b", name)}
    assert loaded == {"tpc"}


# programs and limits with their verbs


@pytest.fixture
def program():
    return tpc.load(ROOT / "programs/paper/thm_6_4.tp", dims={"T": 3})


def test_what_is_made_of_a_program_has_its_verbs(program):
    limit = program.derive()
    for made in (
        program,
        program.unroll(),
        limit.program,
        limit.of,
        limit.unroll().of,
        program.compile(samples=8).program,
    ):
        assert isinstance(made, tpc.Program)
        assert made.unroll().graph.number_of_nodes() > 10
    assert isinstance(limit.unroll(), tpc.Limit)
    assert isinstance(limit, derived.Limit)
    assert limit.compile(samples=8).source == program.compile(samples=8).source


def test_a_program_is_the_same_data(program):
    """Equality, repr and pickling are those of data; what passes make of parts is the same program."""
    again = pickle.loads(pickle.dumps(program))
    assert again == program
    assert hash(again) == hash(program)
    assert type(again) is tpc.Program
    assert again.source == program.source
    plain = core.Program(**{name: getattr(program, name) for name in core.Program.__dataclass_fields__})
    assert repr(program) == repr(plain)
    assert str(program) == str(plain)
    limit = pickle.loads(pickle.dumps(program.derive()))
    assert limit.text() == program.derive().text()


def test_verbs_are_those_of_the_public_program_alone():
    assert not {"derive", "scale", "compile", "kernels", "simulate", "graph", "unroll"} & {*dir(core.Program)}
    assert not hasattr(derived.Limit, "compile")
