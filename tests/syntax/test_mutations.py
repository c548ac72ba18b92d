"""Mutated programs and files of rubbish: a program or a diagnostic, soon; never another exception.

A few hundred in the suite. `TPC_MUTATIONS=10000 pytest tests/syntax/test_mutations.py` takes ten thousand.
"""

import os
import signal
from collections import Counter
from contextlib import contextmanager
from random import Random

import numpy as np
import pytest

import tpc
from tests.syntax.mutations import SOURCES, mutated
from tpc.cli.main import main
from tpc.core.program import instructions
from tpc.core.wellformed import instances

COUNT = int(os.environ.get("TPC_MUTATIONS", "300"))
PIECE = 100  # mutations of one test
SECONDS = 10
SMALL, FEW = 60, 300  # instructions of a program that is derived; instances of one that is run, too
RUN_EVERY = 25  # of those, one in so many is run


class TooLongError(BaseException):
    """Past the limit of time; no `except Exception` on the way swallows it."""


@contextmanager
def at_most(seconds):
    """A limit of the processor's time, which does not depend on what else the machine does."""

    def stop(*_):
        raise TooLongError(f"more than {seconds} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def outcome(text, run):
    """How far `text` comes: the code of the first thing refused, or which stage was the last."""
    try:
        with at_most(SECONDS):
            program = tpc.parse(text)
            if len(list(instructions(program.body))) > SMALL:
                return "parsed"
            program.derive().text()
            evaluator = program.compile(samples=16, repeats=2)
            compile(evaluator.source, "limit", "exec")
        if not run or instances(program.body) > FEW or not program.outputs:
            return "compiled"
        with at_most(3 * SECONDS), np.errstate(all="ignore"):  # JAX compiles
            evaluator({})
        return "run"
    except tpc.TpcError as error:
        refused = error
    assert refused.render(colour=False)
    assert refused.to_json()["errors"]
    return refused.diagnostics[0].code


@pytest.mark.parametrize("first", range(0, COUNT, PIECE))
def test_mutated_programs_are_programs_or_refused(first):
    seen = Counter()
    for seed in range(first, min(first + PIECE, COUNT)):
        text = mutated(seed)
        try:
            seen[outcome(text, seed % RUN_EVERY == 0)] += 1
        except (Exception, TooLongError) as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}\n{text}") from error
    print(dict(seen))  # shown by -s
    assert seen["compiled"] + seen["run"] + seen["parsed"] > 0  # the mutations are neither all fatal
    assert len(seen) > 5  # nor all harmless


def rubbish(kind):
    """A megabyte, give or take, as bytes."""
    random = Random(7)
    if kind == "bytes":
        return random.randbytes(1 << 20)
    if kind == "text":
        alphabet = "".join(map(chr, (*range(32, 127), 10, 10, *range(0x370, 0x400))))
        return "".join(random.choices(alphabet, k=800_000)).encode()
    base = max(SOURCES, key=len)
    text = base * ((1 << (17 if kind.startswith("large") else 20)) // len(base.encode()))
    if kind.endswith("mutated"):
        found = list(text)
        for _ in range(2000):
            found[random.randrange(len(found))] = chr(random.randrange(32, 0x250))
        text = "".join(found)
    return text.encode()


@pytest.mark.parametrize("size", [None, 200_000])  # the whole, and as much of it as a file may have
@pytest.mark.parametrize(
    ("command", "kind"),
    [("check", "bytes"), ("check", "text"), ("check", "mutated"), ("check", "repeated"), ("run", "mutated")],
)
def test_rubbish_ends_in_a_diagnostic(command, kind, size, tmp_path, capsys):
    path = tmp_path / "rubbish.tp"
    data = rubbish(kind)[:size]
    path.write_bytes(data if size is None or kind == "bytes" else data.decode(errors="ignore").encode())
    with at_most(SECONDS):
        status = main([command, str(path)])
    printed = capsys.readouterr()
    assert status == 2
    assert "error[TP" in printed.err
    assert "Traceback" not in printed.err
    assert len(printed.err) < 20_000


LOOP = (
    "width n\n"
    "vector v : n ~ N(0, 1)\n"
    "x[0] = v\n"
    "for t < {0}:\n"
    "    x[t+1] = tanh(x[t])/2 + v\n"
    "output m = mean(x[{0}]*v)\n"
)


def test_a_loop_of_ten_thousand_rounds_is_checked_derived_and_compiled_at_once():
    with at_most(SECONDS):
        program = tpc.parse(LOOP.format(10_000))
        assert "x[10000]" in program.derive().text()
        assert len(program.compile().source.splitlines()) == len(
            tpc.parse(LOOP.format(3)).compile().source.splitlines()
        )


def test_a_loop_of_ten_thousand_rounds_runs():
    long, short = (tpc.parse(LOOP.format(rounds)).compile()({})["m"] for rounds in (10_000, 100))
    assert abs(long.value - short.value) < 1e-10  # x tends to a fixed point


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (
            "width n\nvector v : n ~ N(0, 1)\nx = "
            + "(" * 10_000
            + "v"
            + ")" * 10_000
            + "\noutput m = mean(x)\n",
            {"TP006"},
        ),
        (
            "width n\nvector v : n ~ N(0, 1)\nx = " + " + ".join(["v"] * 10_000) + "\noutput m = mean(x*v)\n",
            set(),
        ),
        (
            "width n\nvector v : n ~ N(0, 1)\nx = "
            + "*".join(["v", "tanh(v)"] * 5_000)
            + "\noutput m = mean(x*v)\n",
            {"TP109"},
        ),
        (
            "width n\nvector v : n ~ N(0, 1)\nx = 1/"
            + "/".join([f"exp({k}*v)" for k in range(5_000)])
            + "\noutput m = mean(x*v)\n",
            {"TP109"},
        ),
        ("width n\nvector v : n ~ N(0, 1)\nx = " + "^".join(["v"] * 10_000) + "\n", {"TP006"}),
        (
            "width n\nvector v : n ~ N(0, 1)\noutput m = mean(v^(10^9))\noutput k = mean((1 + v)^1000)\n",
            set(),
        ),
        (
            "width n\nmatrix W : n x n ~ N(0, 1/n)\nvector v : n ~ N(0, 1)\n"
            "x = W @ v\ny = W.T @ (" + "*".join(["x", "tanh(x)"] * 250) + ")\noutput m = mean(y*v)\n",
            set(),
        ),
        ("width n\nvector v : n ~ N(0, 2^-2^70)\nx = v*2^-2^70\noutput m = mean(x^2)\n", {"TP216"}),
        (
            "width n\nvector v : n ~ N(0, 1)\nx = 1e300*"
            + "*".join(["(1e300*v)"] * 10_000)
            + "\noutput m = mean(x)\n",
            {"TP216"},
        ),
        ("width n\ndim T = 10^9\nvector v[t < T] : n ~ N(0, 1)\noutput m = mean(v[0])\n", {"TP307", "TP308"}),
        ("width n\ndim T = 1000000000\n" + LOOP.format("T").partition("\n")[2], {"TP307", "TP308"}),
        ("width n\ndim T = 10^10^10^10\n", {"TP307", "TP308"}),
        (
            "width n\nvector v : n ~ N(0, 1)\nx[10^10^10^10] = v\n",
            {"TP301", "TP308", "TP310", "TP306", "TP216", "TP307"},
        ),
        ("width n\nvector v : n ~ N(0, 10^10^10^10)\noutput m = mean(v)\n", {"TP216"}),
        ("width n\nwidth m = 10^10^10^10*n\nvector v : m ~ N(0, 1)\noutput m = mean(v)\n", {"TP216"}),
    ],
)
def test_what_is_deep_or_huge_is_handled_or_refused(text, codes):
    with at_most(SECONDS):
        result = outcome(text, False)
    assert result in (codes or {"compiled"})
