"""Tables of runs in LaTeX: from outcomes, from the folders of runs, and on the command line."""

import dataclasses
import json
import math

import pytest

import tpc
from tpc.cli.main import main
from tpc.experiments.kept_outcomes import read_outcome
from tpc.experiments.maml import FewShotOutcome, FewShotSettings
from tpc.experiments.outcome_tables import latex_of_outcomes
from tpc.experiments.word2vec import Word2VecOutcome, Word2VecSettings

LIMIT = FewShotOutcome(0.7258, 0.0271, (0.8, 0.8317, 0.8192), 2, 44.5, FewShotSettings())
WIDTH = FewShotOutcome(0.51812, 0.00163, (0.284,), 1, None, FewShotSettings(model=8, activation="tanh"))
LOST = FewShotOutcome(math.nan, math.nan, (math.nan,), None, None, FewShotSettings(model="gp"), 1)
WORDS = Word2VecOutcome(0.125, 90, 64, 500, 1000, 2e5, Word2VecSettings(model="ntk"))
SMALL = ("batches=2", "tasks=2", "validation_tasks=16", "test_tasks=16", "adapting_steps=2")


def body(table):
    """The cells of each line that is not a rule."""
    return [line.removesuffix(r" \\").split(" & ") for line in table.split("\n") if "&" in line]


def keep(outcome, folder):
    folder.mkdir(exist_ok=True)
    (folder / "result.json").write_text(json.dumps(outcome.to_json()))
    return folder


def test_a_row_for_each_run():
    runs, epochs, words = latex_of_outcomes([LIMIT, WORDS, WIDTH, LOST]).split("\n\n")
    assert body(runs) == [
        ["model", "activation", r"test accuracy, \%", r"validation, \%", "best epoch"],
        [r"$\mu\mathrm{P}$", r"$\mathrm{linear}$", r"$72.6 \pm 2.7$", "$83.17$", "$2$"],
        ["$n = 8$", r"$\tanh$", r"$51.81 \pm 0.16$", "$28.40$", "$1$"],
        [r"$\mathrm{GP}$", r"$\mathrm{linear}$", "diverged", "diverged", "diverged"],
    ]
    assert [line[1:] for line in body(epochs)[1:]] == [
        ["$80.00$", "$28.40$", "diverged"],
        ["$83.17$", "", ""],
        ["$81.92$", "", ""],
    ]
    assert body(words)[1] == [r"$\mathrm{NTK}$", r"$\mathrm{linear}$", "$12.50$", "$64$", "$500$"]


def test_names_and_rows_are_as_asked():
    table = latex_of_outcomes([LIMIT, WIDTH], {"mup": r"\infty", "width=8": "8", "tanh": r"\phi"})
    assert [line[:2] for line in body(table)[1:3]] == [
        [r"$\infty$", r"$\mathrm{linear}$"],
        ["$8$", r"$\phi$"],
    ]
    long = dataclasses.replace(LIMIT, validation=(0.5,) * 100).to_latex(rows=5)
    assert len(body(long.split("\n\n")[1])) == 1 + 5
    assert r"\vdots & \vdots" in long
    with pytest.raises(ValueError, match="3 rows"):
        LIMIT.to_latex(rows=2)


def test_runs_that_differ_in_settings_are_told_apart():
    """By columns of these alone, whatever they are called; what is anybody's is no LaTeX."""
    changed = dataclasses.replace(
        WIDTH.settings, lr=0.05, adapting_lr=1e-5, data=r"\input{a_b}.npz", devices=2
    )
    other = dataclasses.replace(WIDTH, settings=changed)
    runs, epochs = map(body, latex_of_outcomes([WIDTH, other]).split("\n\n"))
    assert runs[0][:5] == ["model", "activation", "data", "lr", r"adapting\_lr"]
    assert [line[2:5] for line in runs[1:]] == [
        [r"$\textrm{--}$", "$0.1$", "$0.4$"],
        [r"$\textrm{\textbackslash{}input\{a\_b\}.npz}$", "$0.05$", r"$1 \cdot 10^{-5}$"],
    ]
    assert "lr $0.1$" in epochs[0][1]
    assert "lr $0.05$" in epochs[0][2]
    assert body(latex_of_outcomes([WIDTH, WIDTH]))[0][2] == r"test accuracy, \%"


@pytest.mark.parametrize("outcome", [LIMIT, WIDTH, LOST, WORDS, dataclasses.replace(WORDS, diverged=3)])
def test_a_kept_outcome_has_the_table_of_its_run(outcome, tmp_path):
    assert read_outcome(keep(outcome, tmp_path)).to_latex() == outcome.to_latex()


@pytest.mark.parametrize(
    "changes",
    [
        {"best_epoch": 4},
        {"best_epoch": math.inf},
        {"validation": ["a", 1, 2]},
        {"test_accuracy": [1]},
        {"more": 1},
        {"settings": {}},
        {"settings": {"model": "mup", "activation": r"}\input{x}"}},
        {"settings": {"model": r"\input{x}", "activation": "tanh"}},
    ],
)
def test_what_no_experiment_writes_is_refused(changes, tmp_path):
    keep(LIMIT, tmp_path)
    (tmp_path / "result.json").write_text(json.dumps({**LIMIT.to_json(), **changes}))
    with pytest.raises(tpc.TpcError) as error:
        read_outcome(tmp_path)
    assert error.value.diagnostics[0].code == "TP629"


def test_the_command(tmp_path, capsys, monkeypatch):
    """A run is saved as a table, which is that of its folder; what tpc did not write stays as it is."""
    monkeypatch.chdir(tmp_path)
    settings = [part for setting in SMALL for part in ("--set", setting)]
    run = ["experiment", "maml", "--epochs", "1", *settings, "--model", "width=2"]
    assert main([*run, "--out", "run", "--save", "run.tex"]) == 0
    kept = (tmp_path / "run.tex").read_text()
    assert capsys.readouterr().out.startswith("test accuracy")
    assert main(["experiment", "table", "run"]) == 0
    assert kept == f"% written by tpc\n{capsys.readouterr().out}"
    keep(WIDTH, tmp_path / "other")
    assert main(["experiment", "table", "run", "other", "--save", "run.tex"]) == 0
    assert (tmp_path / "run.tex").read_text().count("n = ") == 4
    assert main(["experiment", "table", "run", "other", "--json"]) == 0
    assert [run["settings"]["model"] for run in json.loads(capsys.readouterr().out)["runs"]] == [2, 8]
    (tmp_path / "mine.tex").write_text("mine\n")
    for file in ("mine.tex", "table.csv"):
        assert main([*run, "--save", file]) == 2
        assert main(["experiment", "table", "run", "--save", file]) == 2
    assert main(["experiment", "table", "nothing"]) == 2
    said = capsys.readouterr().err
    assert said.count("TP606") == 4
    assert "TP629" in said
    assert (tmp_path / "mine.tex").read_text() == "mine\n"
