"""The first minutes: a program of one's own, examples, pages, codes, what is misspelled."""

import argparse
import gzip
import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import tpc
from tpc.cli.beginning import SHELLS
from tpc.cli.main import main, parser
from tpc.cli.pages import explanations
from tpc.core.csv_data import read_csv
from tpc.machine.shipped import pages, programs


def run(capsys, *arguments, status=0):
    assert main([str(a) for a in arguments]) == status
    return capsys.readouterr()


def refused(capsys, *arguments):
    """What is said on standard error of arguments that are none."""
    with pytest.raises(SystemExit) as caught:
        main([str(a) for a in arguments])
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_a_new_program_is_one(tmp_path, capsys, monkeypatch):
    """The commands that `new` and its file tell of are what a reader types."""
    monkeypatch.chdir(tmp_path)
    said = run(capsys, "new", "mynet").out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mynet.csv", "mynet.tp"]
    for command in ("tpc check mynet.tp", "tpc run mynet.tp --data mynet.csv"):
        assert command in said
        assert command in (tmp_path / "mynet.tp").read_text(encoding="utf-8")
    run(capsys, "check", "mynet.tp", "--data", "mynet.csv")
    small = ("--set", "T=2", "--samples", "64", "--repeats", "2")
    found = json.loads(run(capsys, "run", "mynet.tp", "--data", "mynet.csv", *small, "--json").out)
    assert len(found["outputs"]["test"]["value"]) == 2
    assert found["outputs"]["loss"]["value"][1] < found["outputs"]["loss"]["value"][0]


@pytest.mark.parametrize("name", ["", ".", "..", "x/..", "a\x1b[31m", "/dev/null/x"])
def test_names_that_are_none(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert "error[TP60" in run(capsys, "new", name, status=2).err
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path, capsys):
    data = tmp_path / "mynet.csv"
    data.write_text("mine")
    assert "TP606" in run(capsys, "new", tmp_path / "mynet.tp", status=2).err
    assert data.read_text() == "mine"
    assert not (tmp_path / "mynet.tp").exists()
    run(capsys, "examples", "wishart", "digits", "-o", tmp_path / "ours")
    assert sorted(path.name for path in (tmp_path / "ours").iterdir()) == [
        "digits.npz",
        "digits.tp",
        "wishart.tp",
    ]
    assert "TP606" in run(capsys, "examples", "matrices", "-o", tmp_path / "ours", status=2).err
    assert not (tmp_path / "ours" / "amp.tp").exists()


def test_examples_are_listed_with_what_they_are(capsys):
    told = json.loads(run(capsys, "examples", "--json").out)
    assert set(told) == {f"{path.parent.name}/{path.stem}" for path in programs().glob("*/*.tp")}
    assert all(len(words) > 10 for words in told.values())
    assert "did you mean `wishart`?" in run(capsys, "examples", "wishert", status=2).err


def test_pages(capsys):
    listed = run(capsys, "help").out
    for topic, path in pages().items():
        assert f"\n{topic} " in f"\n{listed}"
        assert run(capsys, "help", topic).out.strip() == path.read_text(encoding="utf-8").strip()
    assert "--method" in run(capsys, "help", "run").out
    assert "did you mean `numerics`?" in run(capsys, "help", "numeric", status=2).err


def test_codes_are_explained(capsys):
    text = run(capsys, "explain", "TP203").out
    assert text == run(capsys, "explain", "203").out == run(capsys, "explain", "tp203").out
    assert "A.T @" in json.loads(run(capsys, "explain", "TP203", "--json").out)["text"] or "B.T @" in text
    assert "TP661" in run(capsys, "explain", "TP999", status=2).err
    assert len(explanations()) > 120
    listed = json.loads(run(capsys, "explain", "--json").out)
    assert listed["TP203"] == "A matrix is multiplied with a vector of the wrong side."


def test_data_is_no_program(capsys, tmp_path):
    (tmp_path / "d.csv").write_text("y\n1\n")
    (tmp_path / "d.csv.gz").write_bytes(gzip.compress(b"y\n1\n"))
    for name in ("d.csv", "d.csv.gz"):
        assert "a .csv file is no program" in run(capsys, "run", str(tmp_path / name), status=2).err


def test_a_start_may_be_compressed(capsys, tmp_path):
    path, start = tmp_path / "p.tp", tmp_path / "f.json.gz"
    path.write_text("width n\nvector v : n ~ N(0, 1)\nf = n^(1/2)*mean(v)\noutput q = f^2\n")
    start.write_bytes(gzip.compress(b'{"f0": 3}'))
    printed = run(capsys, "run", str(path), "--initial", str(start), "--json").out
    assert json.loads(printed)["outputs"]["q"]["value"] == 9
    assert "or a data file, not 3" in refused(capsys, "run", str(path), "--initial", "3")


def test_what_is_misspelled_is_suggested(capsys):
    assert "did you mean `check`?" in refused(capsys, "chek", "x.tp")
    assert "did you mean `--samples`?" in refused(capsys, "run", "x.tp", "--sampels=3")
    assert "did you mean `--width`?" in refused(capsys, "simulate", "x.tp", "--widht", "3")
    assert "by `--set epochs=…`; there are --checkpoint" in refused(capsys, "run", "x.tp", "--epochs", "3")
    assert "by `--set lr=…`" in refused(capsys, "experiment", "maml", "--lr", "3")
    assert "did you mean `maml`?" in refused(capsys, "experiment", "mmal")
    assert "did you mean `--epochs`?" in refused(capsys, "experiment", "maml", "--epochz", "3")
    assert "there are new, examples, check" in refused(capsys, "zzz")


def commands(top, name="tpc"):
    """Every parser, by what is typed for it."""
    yield name, top
    if top.commands is not None:
        for word, below in top.commands.choices.items():
            yield from commands(below, f"{name} {word}")


@pytest.mark.parametrize(("name", "made"), [pytest.param(*pair, id=pair[0]) for pair in commands(parser())])
def test_every_option_is_in_the_help_with_its_default(name, made):
    text = " ".join(made.format_help().split())
    for action in made._actions:
        if not action.option_strings:
            continue
        assert action.help not in (None, "", argparse.SUPPRESS), (name, action.dest)
        assert all(option in text for option in action.option_strings)
        if action.default is not False and action.default not in (None, [], argparse.SUPPRESS):
            shown = ",".join(map(str, action.default)) if isinstance(action.default, list) else action.default
            assert f"(default: {shown})" in text, (name, action.dest)


def test_standard_input_is_a_program(capsys, monkeypatch):
    def given(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    given(b"width n\nvector v : n ~ N(0, 1)\noutput q = mean(v^2)\n")
    assert "q = 1" in run(capsys, "run", "-").out
    given(b"width n\nx = $\n")
    assert "stdin:2:5: error[TP004]" in run(capsys, "check", "-", status=2).err
    given(b"\xff\xfe")
    assert "TP002" in run(capsys, "check", "-", status=2).err
    given(b"#" * (1 << 19))
    assert "TP003" in run(capsys, "check", "-", status=2).err
    monkeypatch.setattr(sys, "stdin", None)
    assert "TP001" in run(capsys, "check", "-", status=2).err


def test_the_version_and_the_module():
    done = subprocess.run(
        [sys.executable, "-m", "tpc", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"tpc {tpc.__version__}\n"


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_knows_every_command_and_option(shell, capsys, tmp_path):
    pytest.importorskip("shtab")
    text = run(capsys, "completion", shell).out
    for word in ("simulate", "explain", "word2vec", "max-rank", "min-count"):
        assert word in text
    path = tmp_path / "completion"
    path.write_text(text, encoding="utf-8")
    if shutil.which(shell):
        assert subprocess.run([shell, "-n", str(path)]).returncode == 0
    if shell == "bash":
        typed = (
            f"source {path}; COMP_WORDS=(tpc run --sam); COMP_CWORD=2\n"
            "$(complete -p tpc | sed 's/.*-F \\([^ ]*\\).*/\\1/'); echo ${COMPREPLY[*]}"
        )
        assert (
            subprocess.run(["bash", "-c", typed], capture_output=True, text=True).stdout.strip()
            == "--samples"
        )


# tables


def test_tables(tmp_path):
    made = read_csv("x[1], x[0],y\n1,2,3\n4,5,-6e-1\n\n", "s")
    assert made["x"].tolist() == [[2, 1], [5, 4]]
    assert made["y"].tolist() == [3, -0.6]
    assert read_csv("1,2\n3,4\n", "s")["s"].tolist() == [[1, 2], [3, 4]]
    assert read_csv("1\n3\n", "s")["s"].shape == (2,)
    assert read_csv('"k[0,0]","k[0,1]"\n1,2\n', "s")["k"].shape == (1, 1, 2)
    assert read_csv("y\n", "s")["y"].shape == (0,)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("y\nabc\n", "'abc' in line 2, y, is no number"),
        ("x[0];x[1];y\n1;2;3\n", "its columns are separated by semicolons, and not by commas"),
        ("x[0]\ty\n1\t3\n", "its columns are separated by tabs, and not by commas"),
        ("x,y\n1\n", "line 2 has 1 cells"),
        ("x[1]\n1\n", "not one for each index"),
        ("x[0],x\n1,2\n", "not one for each index"),
        ("x[0],x[0]\n1,2\n", "twice"),
        ("x[0],x[999999]\n1,2\n", "not one for each index"),
        ("a b\n1\n", "no name of a column"),
        ('"y\n1\n', "unexpected end"),
    ],
)
def test_tables_that_are_none(text, why, tmp_path, capsys):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8")
    program = tmp_path / "p.tp"
    program.write_text("width n\ninput y[2] = 1\nvector v : n ~ N(0, 1)\noutput q = mean(v^2)*y[0]\n")
    said = run(capsys, "check", program, "--data", path, status=2).err
    assert "error[TP505]" in said
    assert why in said


def test_what_is_no_input_is_ignored_with_a_note(tmp_path, capsys):
    program, data, more = tmp_path / "p.tp", tmp_path / "d.npz", tmp_path / "y.csv"
    program.write_text("width n\ninput y[2] = 1\nvector v : n ~ N(0, 1)\noutput q = mean(v^2)*y[0]\n")
    np.savez(data, yy=np.ones(2), labels=np.array(["a"]))
    more.write_text("3\n4\n")
    printed = run(capsys, "run", program, "--data", data, "--data", more)
    assert "note: `yy` in d.npz is no input of the program, and is ignored; did you mean `y`?" in printed.err
    assert "note: `labels` in d.npz" in printed.err
    assert "q = 3" in printed.out
    assert "in an earlier file" in run(capsys, "run", program, "--data", more, "--data", more, status=2).err
