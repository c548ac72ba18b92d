"""A wrong program for every code, and the exact message that it gets.

`cases/NAME.tp` is the program, `NAME.args` the command and options (`check` if there is none; another file
may be named in it), `NAME.txt`
what is printed on standard error, `NAME.out` what on standard output (nothing if there is none).
`pytest tests/errors --update-golden` records messages anew; read the difference before committing it.
"""

import inspect
import json
import re
from fractions import Fraction
from pathlib import Path

import pytest

import tpc
from tpc.cli.main import main
from tpc.core.inputs import bind_inputs
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Label, render
from tpc.diagnostics.spans import Span

CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.stem for path in CASES.glob("*.tp"))
MESSAGES = Path(__file__).parent / "messages.txt"
PARTS = [getattr(catalogue, name) for name in catalogue.__all__]
CATALOGUE = {part: Path(part.__file__).read_text(encoding="utf-8") for part in PARTS}
CODES = sorted(set(re.findall(r'"(TP\d{3})"', "".join(CATALOGUE.values()))))
# without a case: below, tests/cli, tests/evaluate, tests/kernels; what they say is recorded in `messages.txt`
ELSEWHERE = {"TP003", "TP508", "TP611", "TP612", "TP613", "TP614", "TP615", "TP726"}
ELSEWHERE |= {f"TP{n}" for n in range(621, 630)}  # tests/experiments
ELSEWHERE |= {f"TP63{k}" for k in range(1, 10)} | {"TP640"}  # tests/kernels


def run(name, monkeypatch, capsys, *options):
    monkeypatch.chdir(CASES)
    arguments = CASES / f"{name}.args"
    command, *rest = arguments.read_text().split() if arguments.exists() else ["check"]
    named = [] if any(option.endswith(".tp") for option in rest) else [f"{name}.tp"]
    status = main([command, *named, *rest, *options])
    return status, capsys.readouterr()


@pytest.mark.parametrize("name", NAMES)
def test_message(name, monkeypatch, capsys, request):
    status, printed = run(name, monkeypatch, capsys)
    recorded = CASES / f"{name}.txt"
    out = CASES / f"{name}.out"
    if request.config.getoption("--update-golden"):
        recorded.write_text(printed.err, encoding="utf-8")
        if out.exists():
            out.write_text(printed.out, encoding="utf-8")
    assert status == 2
    assert printed.err == recorded.read_text(encoding="utf-8")
    assert printed.out == (out.read_text(encoding="utf-8") if out.exists() else "")
    if name.startswith("TP"):
        assert f"error[{name[:5]}]" in printed.err


def test_every_code_has_a_case():
    assert {name[:5] for name in NAMES if name.startswith("TP")} | ELSEWHERE == set(CODES)


def test_a_code_is_at_home_in_one_file_of_the_catalogue():
    homes = {code: [part for part in PARTS if f'"{code}"' in CATALOGUE[part]] for code in CODES}
    assert {code for code, parts in homes.items() if len(parts) != 1} == set()


SAMPLES = {
    "Span": Span(1, 1, 1, 2),
    "Label | None": Label(Span(1, 1, 1, 2)),
    "str": "WORD",
    "str | None": None,
    "int": 7,
    "int | None": 7,
    "float": 0.25,
    "float | None": 0.25,
    "bool": True,
    "object": "WORD",
    "Fraction": Fraction(3, 2),
    "Sequence[str]": ["NAME", "OTHER"],
    "Iterable[str]": ["NAME", "OTHER"],
    "frozenset[str]": frozenset({"NAME"}),
    "tuple[int, ...]": (3, 2),
    "tuple[float, float]": (1.0, 2.0),
    "Sequence[tuple[str, str, bool]]": [("NAME", "[3]", True)],
    "Mapping[str, int]": {"t": 3},
    "Mapping[str, Fraction]": {"NAME": Fraction(-1, 4)},
    "Mapping[str, tuple[int, ...]]": {"NAME": (3, 2), "OTHER": ()},
}


def messages():
    """What every function of the catalogue says of samples of what it takes."""
    for name, part in zip(catalogue.__all__, PARTS, strict=True):
        for maker in vars(part).values():
            signature = inspect.signature(maker) if inspect.isfunction(maker) else None
            if (
                signature
                and maker.__module__ == part.__name__
                and signature.return_annotation == "Diagnostic"
            ):
                given = [SAMPLES[p.annotation] for p in signature.parameters.values()]
                yield f"{name}.{maker.__name__}\n{render(maker(*given), 'FILE', 'TEXT')}\n"


def test_every_message_is_recorded(request):
    said = "\n".join(messages())
    if request.config.getoption("--update-golden"):
        MESSAGES.write_text(said, encoding="utf-8")
    assert said == MESSAGES.read_text(encoding="utf-8")


def test_several_errors_are_reported_together(monkeypatch, capsys):
    status, printed = run("several", monkeypatch, capsys, "--json")
    assert status == 2
    assert len(json.loads(printed.out)["errors"]) >= 3


def test_json_has_code_place_and_remedy(monkeypatch, capsys):
    _, printed = run("TP101_unknown", monkeypatch, capsys, "--json")
    (error,) = json.loads(printed.out)["errors"]
    assert (error["code"], error["at"]["line"], error["at"]["column"]) == ("TP101", 6, 5)
    assert "hidden" in error["help"]


def test_file_that_is_too_large(tmp_path, capsys):
    path = tmp_path / "large.tp"
    path.write_text("# " + "x" * (1 << 20))
    assert main(["check", str(path)]) == 2
    assert "error[TP003]" in capsys.readouterr().err


def test_inputs_that_are_not_numbers():
    program = tpc.parse("width n\ninput eta\nvector v : n ~ N(0, 1)\noutput c = eta*mean(v)\n")
    with pytest.raises(tpc.TpcError) as caught:
        bind_inputs(program, {"eta": "a"})
    assert caught.value.diagnostics[0].code == "TP508"


def test_more_devices_than_there_are(monkeypatch, capsys):
    status, printed = run("TP603_diverged", monkeypatch, capsys, "--devices", "100000")
    assert status == 2
    assert "error[TP611]: 100000 devices are asked for" in printed.err
    assert printed.out == ""


def test_processes_join_before_anything_is_computed(monkeypatch, capsys):
    import jax

    jax.devices()
    status, printed = run("TP602_coordinator", monkeypatch, capsys, "--coordinator", "localhost:1234")
    assert status == 2
    assert "error[TP612]: this process cannot join the others at localhost:1234" in printed.err
    assert "--process" in printed.err
