"""Programs of any length: nothing that goes through them stands on the machine's stack as deep as they are
long, nor takes exponential time."""

import cProfile
import inspect
import json
import os
import sys
from contextlib import contextmanager

import pytest

import tpc
from tests.depth import programs
from tpc.cli.main import main
from tpc.core.deep import unwound

DEPTH = int(os.environ.get("TPC_DEPTH", "24"))
ROOM = 320  # frames: a chain takes more where each of its members has a few of its own
# of which formulas have many derivatives
SHALLOW = {"recurrent": 3, "residual": 8, "attentive": 2, "normalised": 2}
# where a layer is several lines, fewer are as deep
LINES = {"attentive": 2, "normalised": 2}
PAIRED = (programs.recurrent, programs.read_along)
GROWING = [(net, uses) for net in programs.NETWORKS for uses in (programs.KERNEL, programs.TRAINED)]


@contextmanager
def little_room():
    """A stack of a few hundred frames more than there are."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + ROOM)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def everything(text):
    """All that is done with a program before numbers are computed."""
    program = tpc.parse(text)
    assert tpc.parse(str(program)) == program
    assert len(program.graph) > 1
    limit = program.derive()
    json.dumps(limit.to_json())
    return len(limit.text()), len(limit.latex()), len(program.compile(samples=64).source)


@pytest.fixture(scope="module", autouse=True)
def _loaded():
    """Modules are loaded before: an import takes stack, too."""
    everything(programs.plain(2, programs.TRAINED))
    everything(programs.plain(2, programs.KERNEL))
    tpc.parse(programs.plain(2, programs.TRAINED)).scale()


@pytest.mark.parametrize(
    "text",
    [
        programs.chain(4 * DEPTH),
        programs.chain(4 * DEPTH, step="tanh({x})"),
        programs.there_and_back(DEPTH),
        programs.chain(2 * DEPTH, step="relu(W @ {x})"),
        programs.outputs(4 * DEPTH),
    ],
    ids=["chain", "no matrix", "there and back", "closed", "outputs"],
)
def test_lines(text, monkeypatch):
    monkeypatch.setattr("tpc.derive.gaussian.MAX_OPERATIONS", 60)  # what is closed takes the time, not depth
    with little_room():
        everything(text)


def test_the_last_closed_form_may_be_asked_for_first(monkeypatch):
    monkeypatch.setattr("tpc.derive.gaussian.MAX_OPERATIONS", 60)
    limit = tpc.parse(programs.chain(2 * DEPTH, step="relu(W @ {x})")).derive()
    with little_room():
        assert limit.closed["q"] * 2 ** (2 * DEPTH) == 1


@pytest.mark.parametrize(
    ("net", "uses"),
    GROWING,
    ids=lambda x: getattr(x, "__name__", "trained" if x is programs.TRAINED else "kernel"),
)
def test_networks(net, uses):
    trained = uses is programs.TRAINED
    depth = min(SHALLOW.get(net.__name__, DEPTH), DEPTH)
    with little_room():
        tpc.parse(net(depth if net in PAIRED else LINES.get(net.__name__, 3) * DEPTH, uses))
        everything(net(depth, uses))
        if trained:
            tpc.parse(net(depth, uses)).scale()


def calls(function, *args):
    """How many functions of tpc were called."""
    counted = cProfile.Profile(builtins=False)
    counted.runcall(function, *args)
    ours = f"{os.sep}tpc{os.sep}"
    return sum(own.callcount for own in counted.getstats() if ours in own.code.co_filename)


@pytest.mark.parametrize(
    "net", [net for net in programs.NETWORKS if net not in PAIRED], ids=lambda net: net.__name__
)
def test_kernels_are_written_in_time_proportional_to_depth(net):
    small, large = (calls(tpc.parse, net(depth, programs.KERNEL)) for depth in (10, 20))
    assert large < 2.5 * small


@pytest.mark.parametrize("net", PAIRED, ids=lambda net: net.__name__)
def test_kernels_of_weights_used_many_times_take_pairs_of_uses(net):
    small, large = (calls(tpc.parse, net(depth, programs.KERNEL)) for depth in (6, 12))
    assert large < 4.5 * small


@pytest.mark.parametrize(
    "net",
    [programs.plain, programs.separate, programs.residual, programs.normalised],
    ids=lambda net: net.__name__,
)
def test_trainings_are_written_in_time_proportional_to_depth(net):
    small, large = (calls(tpc.parse, net(depth, programs.TRAINED)) for depth in (10, 20))
    assert large < 2.5 * small


@pytest.mark.parametrize("net", [programs.plain, programs.separate], ids=lambda net: net.__name__)
def test_formulas_of_trainings_take_time_proportional_to_depth(net):
    small, large = (calls(tpc.parse(net(depth, programs.TRAINED)).derive) for depth in (10, 20))
    assert large < 2.6 * small


@pytest.mark.parametrize("make", [programs.outputs, programs.chain])
def test_formulas_of_lines_take_time_proportional_to_their_number(make):
    small, large = (calls(tpc.parse(make(length)).derive) for length in (410, 820))
    assert large < 2.5 * small


def test_many_products_with_one_matrix_have_one_law():
    limit = tpc.parse(programs.chain(410)).derive()
    assert limit.text().count("for every g = W y before") == 410
    few = tpc.parse(programs.chain(30)).derive().text()
    assert few.count("Cov(") == 30 * 29 / 2
    assert "for every" not in few


def test_readouts_without_end_are_refused(tmp_path, capsys):
    path = tmp_path / "doubling.tp"
    body = ["x = U @ ξ", "y[0] = V @ x", "for l < 40:", "    y[l+1] = y[l] + y[l]", "return y[40]"]
    path.write_text(programs.network(body, programs.KERNEL), encoding="utf-8")
    assert main(["check", str(path)]) == 2
    assert "error[TP721]" in capsys.readouterr().err


def test_fresh_names_that_would_fill_pages_stay_names():
    """A network called twice on one line: the names of the second pass are numbered, as those of parts of
    lines are."""
    text = programs.residual(8, ["output d = f(1) - f(2)", "output e = f(1)*f(2)"])
    with little_room():
        assert len(tpc.parse(text).derive().text()) < 200_000


def test_calls_of_any_depth():
    def down(k):
        return 0 if k == 0 else 1 + (yield down(k - 1))

    assert unwound(down(50_000)) == 50_000
