"""A few trials of every attack. `python -m tests.attack mutants --count 100000` and the like make any number;
what they find is kept there."""

import os
import signal
import time
from random import Random

import pytest

from tests.attack import commands, damaged, hostile, kills, mutants, pool, programs, streams
from tests.attack.trial import Attack, Outcome

CHEAP = [
    reader
    for reader in damaged.READERS
    if reader.name
    not in (
        "drawings",
        "kept epochs",
        "kept seeds without matrices",
        "questions",
        "swept s.npz",
        "text c.txt",
        "text c.txt.xz",
        "text c.txt.gz",
    )
]


def attacked(attack, numbers, folder):
    for number in numbers:
        outcome, seconds, _ = pool.tried(attack, number, folder / str(number))
        assert not outcome.bad, f"{attack.name} {number}, {seconds:.1f} s: {outcome.label}\n{outcome.detail}"


@pytest.mark.parametrize("first", [0, 40])
def test_mutants_are_programs_or_refused(first, tmp_path):
    attacked(mutants.ATTACK, range(first, first + 25), tmp_path)


NET = """width n
input x[2], y[2], eta = 1
weight U : n x 1
weight W : n x n
weight V : 1 x n
{}network f(x) = V @ tanh(W @ tanh(U @ x))
train f for t < 2:
    batch (x[t], y[{}t])
    loss mse
    update {}
output loss
{}
"""
NOISE = "width n\nvector (u, v) : n ~ N([{}], [[{}, 0], [0, 1]])\n{}\n"
APART = "width n\nvector u : n ~ N(0, 1)\nvector v : n ~ N(0, 1)\n{}\n"
# by large numbers of mutants: a program, and the first stage that refuses it, with the code
FOUND = {
    "powers of n in a mean": (
        NOISE.format("n^(-1/2), 0", "1", "output a = mean(u^2)"),
        "check: TP404",
    ),
    "powers of n in a variance": (NOISE.format("0, 0", "n^(1/2)", "output a = mean(u^2)"), "check: TP404"),
    "many signs": (NET.format("", "-" * 100, "sgd(lr = eta)", ""), "through"),
    "an input beside powers of n": (
        NET.format("parametrization uniform(r = 1/4)\n", "", "sgd(lr = eta)", "output y\noutput eta"),
        "through",
    ),
    "a small constant of a rule": (NET.format("", "", "rmsprop(lr = 0.1, eps = 1e-300)", ""), "through"),
    "a large constant of a rule": (
        NET.format("", "", "adam(lr = 0.1, eps = 1e300, root = 1)", ""),
        "check: TP216",
    ),
    "a number near 0": (
        NET.format("", "", "sgd(lr = eta)", "output a = f(x[0])/(2^-2^70*3)"),
        "check: TP216",
    ),
    "powers far apart": (
        APART.format("x = tanh(u + v/n^(1/2))\noutput a = n^10*mean(v*x)"),
        "derive: TP808",
    ),
    "powers near 0": (APART.format("x = tanh(u + v/n^(1/24))\noutput a = n*mean(v*x)"), "derive: TP808"),
    "a triangle as an output": (
        APART.format("x[i] = u*(i + 1) for i < 3\noutput c[i, j] = mean(x[i]*x[j]) for i < 3 for j < i"),
        "check: TP307",
    ),
    "powers of n and tables": (
        NOISE.format("0, 0", "1", "table A : n x n = sign(outer(u, v))\noutput a = mean(A^2*n)"),
        "derive: TP801",
    ),
    "a comparison of vectors as an output": (APART.format("output s = 1 >= v"), "check: TP208"),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_mutants_have_found(name):
    text, label = FOUND[name]
    outcome = mutants.through_stages(text)
    assert (outcome.label, outcome.bad) == (label, False), outcome.detail


@pytest.mark.parametrize("first", [0, 10])
def test_commands_end_as_they_say(first, tmp_path):
    attacked(commands.ATTACK, range(first, first + 10), tmp_path)


@pytest.mark.parametrize("reader", CHEAP, ids=lambda reader: reader.name)
def test_damaged_files_are_not_taken_for_good(reader, tmp_path):
    for number in range(3):
        folder = tmp_path / str(number)
        with pool.in_folder(folder):
            outcome = damaged.damaged(reader, Random(f"{reader.name} {number}"), folder)
        assert not outcome.bad, f"{number}: {outcome.label}\n{outcome.detail}"


def test_hostile_files_are_refused(tmp_path):
    attacked(hostile.ATTACK, range(30), tmp_path)


@pytest.mark.parametrize("numbers", [range(1, 17, 2), range(0, 4, 2)], ids=["files", "streams"])
def test_what_cannot_be_written_is_told(numbers, tmp_path):
    attacked(streams.ATTACK, numbers, tmp_path)


def test_a_killed_run_goes_on(tmp_path):
    with pool.in_folder(tmp_path / "run"):
        outcome = kills.killed(kills.MODELS[1], Random(0), 1)
    assert not outcome.bad, f"{outcome.label}\n{outcome.detail}"


def test_a_random_training_is_that_of_finite_widths(tmp_path):
    attacked(programs.ATTACK, [51], tmp_path)  # one layer, one step


# what the attacks are made with


def misbehaved(number, folder):
    match number:
        case 1:
            raise ValueError("no")
        case 2:
            os.kill(os.getpid(), signal.SIGKILL)
        case 3:
            until = time.process_time() + 0.4
            while time.process_time() < until:
                pass
        case 4:
            held = bytearray(60_000_000)
            return Outcome(f"{len(held)} bytes")
        case 5:
            (folder / "x").mkdir(0)
            return Outcome("found", True, {"p.tp": "width n\n", "d.bin": b"\0"}, "how")
    return Outcome("fine")


def test_trials_are_noted_kept_and_not_done_again(tmp_path):
    attack = Attack("some", "", misbehaved, seconds=0.3, memory=4e7)
    first = pool.run(attack, range(3), tmp_path, 1)
    assert [first.notes[n].label for n in range(3)] == [
        "fine",
        "the trial itself: ValueError",
        "died: SIGKILL",
    ]
    with (tmp_path / "some.jsonl").open("a") as file:
        file.write('{"number": 7, "lab')  # as a killed command leaves it
    again = pool.run(attack, range(7), tmp_path, 2)
    assert again.notes[0] == first.notes[0]
    assert [again.notes[n].label for n in range(3, 7)] == [
        "more than 0 s",
        "more than 0.0 GB",
        "found",
        "fine",
    ]
    assert [n.bad for _, n in sorted(again.notes.items())] == [False, True, True, True, True, True, False]
    assert (tmp_path / "some-5" / "d.bin").read_bytes() == b"\0"
    assert (tmp_path / "some-1" / "what.txt").read_text().rstrip().endswith("ValueError: no")
    assert str(again).endswith(": 5 bad")
    assert len(pool.Journal(tmp_path, "some").notes) == 7
