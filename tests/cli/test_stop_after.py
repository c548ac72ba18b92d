"""Every stage on the way from a file to its limit can be printed.

`stages/network.STAGE.txt` is what a stage makes of `stages/network.tp`; `pytest tests/cli --update-golden`
records it anew.
"""

import json
import typing
from pathlib import Path

import pytest

from tests.documents.test_examples import EXAMPLES
from tpc.cli.main import main
from tpc.cli.stop_after import OF_THE_FILE, OF_THE_PROGRAM
from tpc.pipeline import load, parse, print_after, print_expansion
from tpc.syntax import tree
from tpc.syntax.parse import parse_file
from tpc.syntax.walk import inner_fields, walk

ROOT = Path(__file__).parents[2]
CASES = Path(__file__).parent / "stages"
NETWORK, EVERY = CASES / "network.tp", CASES / "every_statement.tp"
PROGRAMS = sorted([*ROOT.glob("programs/**/*.tp"), *ROOT.glob("tpc/experiments/*.tp")])
TEXTS = [
    *(pytest.param(p.read_text(encoding="utf-8"), id=str(p.relative_to(ROOT))) for p in PROGRAMS),
    *EXAMPLES,
]


def printed(capsys, *arguments, status=0):
    assert main([str(a) for a in arguments]) == status
    return capsys.readouterr()


@pytest.mark.parametrize("stage", [*OF_THE_FILE, *OF_THE_PROGRAM])
def test_a_stage_is_printed_as_recorded(stage, capsys, request):
    found = printed(capsys, "compile", NETWORK, "--stop-after", stage, "--set", "T=2").out
    recorded = CASES / f"network.{stage}.txt"
    if request.config.getoption("--update-golden"):
        recorded.write_text(found, encoding="utf-8")
    assert found == recorded.read_text(encoding="utf-8")
    data = json.loads(printed(capsys, "derive", NETWORK, "--stop-after", stage, "--set", "T=2", "--json").out)
    assert data == {"file": str(NETWORK), "after": stage, "text": found}
    if stage != "expand":
        assert printed(capsys, "lower", NETWORK, "--stop-after", stage, "--set", "T=2").out == found


@pytest.mark.parametrize("stage", ["networks", "autodiff", "updates"])
def test_after_is_another_name(stage, capsys):
    found = [printed(capsys, "lower", NETWORK, option, stage).out for option in ("--after", "--stop-after")]
    assert found[0] == found[1]


def test_the_program_is_what_lower_prints(capsys):
    whole = printed(capsys, "lower", NETWORK).out
    assert printed(capsys, "lower", NETWORK, "--stop-after", "lower").out == whole


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_printed_is_the_same_program(text):
    """Stages print files: from each the rest of the way leads to the same program."""
    program = parse(text)
    for stage in ("parse", "updates", "resolve"):
        assert str(parse(print_after(text, "program", {}, stage))) == str(program)
    again = print_after(text, "program", {}, "parse")
    assert print_after(again, "program", {}, "parse") == again


def test_the_limit_is_printed_as_a_program():
    """Whose limit it is, as it has no powers of n."""
    text = print_expansion(load(NETWORK))
    limit = parse(text)
    assert print_expansion(limit) == str(limit)
    assert str(limit) == "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))


def test_every_statement_has_a_text():
    text = EVERY.read_text(encoding="utf-8")
    kinds = {type(node) for node in walk(parse_file(text, "every"))}
    training = (tree.Examples, tree.Loss, tree.Update, tree.Gradient, tree.Adapted)
    assert {*typing.get_args(tree.Statement), *training, *typing.get_args(tree.Tree)} <= kinds
    once = print_after(text, "every", {}, "parse")
    assert parse_file(once, "every") == parse_file(print_after(once, "every", {}, "parse"), "every")
    assert _without_places(parse_file(once, "every")) == _without_places(parse_file(text, "every"))


def _without_places(node):
    """What a tree says, wherever it stands."""
    if isinstance(node, tuple):
        return tuple(map(_without_places, node))
    if not isinstance(node, tree.Node):
        return node
    return type(node).__name__, *(_without_places(getattr(node, name)) for name in inner_fields(node))


def test_later_stages_are_not_run(capsys):
    assert "error[TP7" in printed(capsys, "lower", EVERY, status=2).err
    assert printed(capsys, "lower", EVERY, "--stop-after", "parse").err == ""


def test_a_stage_that_there_is_not(capsys):
    for command, stage in (("lower", "expand"), ("lower", "nothing"), ("compile", "nothing")):
        with pytest.raises(SystemExit) as stop:
            main([command, str(NETWORK), "--stop-after", stage])
        assert stop.value.code == 2
        told = capsys.readouterr().err
        assert f"argument --stop-after: invalid choice: '{stage}' (choose from" in told
        assert "resolve" in told


def test_options_that_a_stage_cannot_follow(capsys):
    for option in ("--unroll", "--format=latex"):
        told = printed(capsys, "derive", NETWORK, "--stop-after", "lower", option, status=2).err
        assert "error[TP602]: --stop-after: prints no formulas" in told
    for stage in ("parse", "lower"):
        told = printed(capsys, "lower", NETWORK, "--stop-after", stage, "--set", "S=1", status=2).err
        assert "error[TP504]" in told
        assert "it has T, xi, y" in told
    told = printed(capsys, "lower", NETWORK, "--stop-after", "parse", "--set", "T=1/2", status=2).err
    assert "error[TP507]" in told


def test_the_module_is_written_or_a_stage_is_printed(tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["compile", str(NETWORK), "-o", str(tmp_path / "m.py"), "--stop-after", "lower"])
    assert stop.value.code == 2
    assert "not allowed with" in capsys.readouterr().err
    assert not (tmp_path / "m.py").exists()
