"""The tutorial and the how-tos as a reader follows them: every command and every block of Python runs."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import tpc
from tpc.cli.main import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "tpc" / "docs"
STARTER = ROOT / "tpc" / "cli" / "starter" / "net.tp"
SMALL = ("--samples", "64", "--repeats", "2")  # enough to run
FEWER = ("--widths 64,256 --seeds 4", "--widths 8 --seeds 2")


def blocks(page, kind):
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_tutorial(tmp_path, monkeypatch, capsys):
    """Its commands in their order, in an empty folder, with two steps instead of eight; then its Python."""
    monkeypatch.chdir(tmp_path)
    for block in blocks("tutorial.md", "sh"):
        for line in block.splitlines():
            command, *words = shlex.split(line.replace(*FEWER))
            assert command == "tpc"
            assert main([*words, *(SMALL if words[0] == "run" else ())]) == 0, line
            if words[0] == "new":
                text = Path("mynet.tp").read_text(encoding="utf-8")
                assert "dim T = 8" in text
                Path("mynet.tp").write_text(text.replace("dim T = 8", "dim T = 2"), encoding="utf-8")
    said = capsys.readouterr().out
    assert "at width 8" in said
    assert "best: lr = " in said
    assert {"mynet.png", "rates.png", "rates.csv"} <= {path.name for path in tmp_path.iterdir()}
    classes = tpc.parse(blocks("tutorial.md", "tp")[1])
    assert (
        classes.simulate({"x": np.ones((6, 2)), "y": [0, 1, 2] * 2}, width=4, seeds=1).outputs["score"].size
    )
    table = np.loadtxt("mynet.csv", delimiter=",", skiprows=1)
    here = {"x": table[:, :2], "y": table[:, 2]}
    for block in blocks("tutorial.md", "python"):
        exec(block.replace("samples=4096", "samples=64, repeats=2"), here)
    assert here["sweep"].outputs["test"].value.shape == (3, 2)


def test_the_tutorial_shows_what_new_writes():
    shown = blocks("tutorial.md", "tp")[0]
    assert str(tpc.parse(shown, name="net")) == str(
        tpc.parse(STARTER.read_text(encoding="utf-8"), name="net")
    )
    data = STARTER.with_name("net.csv").read_text(encoding="utf-8").splitlines()
    assert blocks("tutorial.md", "text")[0].splitlines() == data[:3]


def test_python_of_the_comparison():
    x = np.random.default_rng(0).standard_normal((5, 3))
    network = "\n".join(
        line
        for line in blocks("comparison.md", "tp")[0].split("\n")
        if not line.startswith(("input", "output"))
    )
    here = {"tpc": tpc, "network": network, "x": x, "y": x[:, 0], "z": x[:2] + 0.1}
    for block in blocks("comparison.md", "python"):
        exec(block, here)
    assert here["S"].shape == here["Θ"].shape == (5, 5)
    assert here["predicted"].mean.shape == (2,)


def test_python_of_the_how_tos(tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).standard_normal((6, 2))
    here = {"x": x, "y": np.sign(x[:, 0] * x[:, 1]), "z": x[:2] + 0.1}
    for block in blocks("howto.md", "python"):
        exec(block, here)
    assert here["predicted"].shape == here["exact"].mean.shape == here["trained"].std.shape == (2,)
    assert here["model"].shape_fit_ == (6, 2)
    for again in (here["same"], here["rows"].predict(here["z"])):
        np.testing.assert_allclose(again, here["predicted"], rtol=1e-12)
    program = tpc.parse(blocks("howto.md", "tp")[0])
    with np.load("data.npz") as data:
        result = program.compile(samples=64, repeats=2)({name: data[name] for name in data.files})
    assert result["whole"].value.shape == (7,)
