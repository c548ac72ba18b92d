"""A run that is kept in a folder resumes bit for bit; one that is interrupted gives what it has."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tpc
from tests.evaluate.programs import TWO_LAYERS, same_bits, two_layers
from tpc.cli.main import main

PROGRAM, INPUTS = two_layers(4)


@pytest.fixture
def evaluator():
    return PROGRAM.compile(samples=128, repeats=5)


def stop_after(count):
    def progress(done, total):
        if done == count:
            raise KeyboardInterrupt

    return progress


def counted(evaluator, monkeypatch):
    """Two lists that grow by one for every repeat, and every half of one, that is computed. Halves have
    points of weight 0."""
    repeats, halves, honest = [], [], evaluator.module.evaluated

    def evaluated(given, points, weights, *mesh):
        (repeats if np.all(weights) else halves).append(1)
        return honest(given, points, weights, *mesh)

    monkeypatch.setitem(evaluator.module.__dict__, "evaluated", evaluated)
    return repeats, halves


def test_an_interrupted_run_gives_the_repeats_that_are_done(evaluator):
    whole, part = evaluator(INPUTS), evaluator(INPUTS, progress=stop_after(3))
    assert (whole.interrupted, part.interrupted) == (False, True)
    assert part.notes == ("interrupted after 3 of 5 repeats",)
    module = PROGRAM.compile(samples=128, repeats=3).module
    # errors by their spread: no more was found out
    three = module.summary(module.evaluations(INPUTS, lambda k: module.draw(0, k), 3))
    for name in whole.outputs:
        assert np.array_equal(part[name].value, three[name][0])
        assert np.array_equal(part[name].stderr, three[name][1])


def test_an_interrupted_run_does_not_say_that_a_small_program_is_too_large():
    """Of repeats that agree rounding is looked at, which an interruption comes before."""
    one = "width n\nvector v : n ~ N(0, 1)\noutput one = mean(v^2)/mean(v^2)\n"
    evaluator = tpc.parse(one).compile(method="nodes", samples=64, repeats=5)
    assert evaluator(progress=stop_after(3)).notes == ("interrupted after 3 of 5 repeats",)


def test_interrupted_after_the_last_repeat(evaluator, tmp_path, monkeypatch):
    """What is known of the errors by then counts, and the rest is made up for."""
    whole, honest = evaluator(INPUTS), evaluator.module.halves

    def halves(points):
        if len(list(tmp_path.rglob("check-halves-*.npz"))) == 2:
            raise KeyboardInterrupt
        return honest(points)

    with monkeypatch.context() as patch:
        patch.setitem(evaluator.module.__dict__, "halves", halves)
        part = evaluator(INPUTS, checkpoint=tmp_path)
    assert part.interrupted
    assert part.notes[-1] == "interrupted before the errors were checked"
    repeats, halved = counted(evaluator, monkeypatch)
    assert same_bits(evaluator(INPUTS, checkpoint=tmp_path), whole)
    assert (len(repeats), len(halved)) == (0, 2 * (evaluator.module.HALVED - 2))


@pytest.mark.parametrize("done", [0, 1])
def test_interrupted_before_there_is_a_standard_error(evaluator, done, monkeypatch):
    honest = evaluator.module.draw

    def draw(seed, k):
        if k == done:
            raise KeyboardInterrupt
        return honest(seed, k)

    monkeypatch.setitem(evaluator.module.__dict__, "draw", lambda seed, k, samples: draw(seed, k))
    with pytest.raises(
        KeyboardInterrupt, match=f"interrupted after {done} of 5 repeats, before there is anything to report"
    ):
        evaluator(INPUTS)


def test_interrupted_before_repeats_begin(evaluator, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tpc.evaluate.stages.EvaluationCheckpoint.open", interrupted)
    with pytest.raises(
        KeyboardInterrupt, match="interrupted after 0 of 5 repeats, before there is anything to report"
    ):
        evaluator(INPUTS, checkpoint=tmp_path)


def test_it_resumes_bit_for_bit(evaluator, tmp_path, monkeypatch):
    whole = evaluator(INPUTS, seed=3)
    evaluator(INPUTS, seed=3, progress=stop_after(2), checkpoint=tmp_path)
    computed = counted(evaluator, monkeypatch)
    assert same_bits(evaluator(INPUTS, seed=3, checkpoint=tmp_path), whole)
    assert tuple(map(len, computed)) == (3, 8)
    assert same_bits(evaluator(INPUTS, seed=3, checkpoint=tmp_path), whole)
    assert tuple(map(len, computed)) == (3, 8)
    assert not list(tmp_path.rglob("*.part"))


def test_what_a_repeat_depends_on_is_its_identity(evaluator):
    """The number of repeats is not; points, precision, bases and all of the program are."""
    for options in ({"repeats": 2}, {"repeats": 40}):
        more = PROGRAM.compile(samples=128, **options)
        assert more.source != evaluator.source
        assert more.identity == evaluator.identity
    text, dims = PROGRAM.source.text, dict(PROGRAM.source.dims)
    remarked = tpc.parse(f"# another remark\n{text}", dims=dims).compile(samples=128, repeats=5)
    assert remarked.source != evaluator.source
    assert remarked.identity == evaluator.identity
    changed = [text.replace("tanh", "erf"), text.replace("N(0, 1)", "N(0, 2)", 1)]
    others = [
        *(
            PROGRAM.compile(repeats=5, **{"samples": 128, **o})
            for o in ({"samples": 256}, {"dtype": "float32"})
        ),
        PROGRAM.compile(samples=128, repeats=5, max_rank=1),
        two_layers(3)[0].compile(samples=128, repeats=5),
        *(tpc.parse(other, dims=dims).compile(samples=128, repeats=5) for other in changed),
    ]
    identities = [other.identity for other in (evaluator, *others)]
    assert len(set(identities)) == len(identities)


def test_more_repeats_go_on_from_fewer(evaluator, tmp_path, monkeypatch):
    evaluator(INPUTS, checkpoint=tmp_path)
    more = PROGRAM.compile(samples=128, repeats=7)
    computed = counted(more, monkeypatch)
    resumed = more(INPUTS, checkpoint=tmp_path)
    assert tuple(map(len, computed)) == (2, 0)
    assert same_bits(resumed, PROGRAM.compile(samples=128, repeats=7)(INPUTS))


def test_other_runs_are_kept_apart(evaluator, tmp_path):
    evaluator(INPUTS, checkpoint=tmp_path)
    others = [
        (evaluator, {**INPUTS, "eta": 0.25}, 0),
        (evaluator, INPUTS, 1),
        (PROGRAM.compile(samples=256, repeats=5), INPUTS, 0),
        (PROGRAM.compile(samples=128, repeats=5, dtype="float32"), INPUTS, 0),
        (two_layers(4)[0].compile(samples=128, max_rank=2), INPUTS, 0),
    ]
    for count, (other, inputs, seed) in enumerate(others, 2):
        assert same_bits(other(inputs, seed=seed, checkpoint=tmp_path), other(inputs, seed=seed))
        assert len(list(tmp_path.iterdir())) == count


@pytest.mark.parametrize("damage", ["cut", "empty", "words", "flipped", "another's"])
def test_a_damaged_file_is_computed_again_with_a_note(evaluator, tmp_path, damage):
    whole = evaluator(INPUTS, checkpoint=tmp_path)
    path = next(tmp_path.rglob("repeat-0001.npz"))
    good = path.read_bytes()
    if damage == "another's":
        evaluator(INPUTS, seed=9, checkpoint=tmp_path / "other")
        bad = next((tmp_path / "other").rglob("repeat-0001.npz")).read_bytes()
    else:
        middle = good.index(b"output f.npy") + 160  # in the numbers, after the headers
        flipped = good[:middle] + bytes([good[middle] ^ 255]) + good[middle + 1 :]
        bad = {"cut": good[:200], "empty": b"", "words": b"no archive", "flipped": flipped}[damage]
    path.write_bytes(bad)
    again = evaluator(INPUTS, checkpoint=tmp_path)
    assert len(again.notes) == 1
    assert "repeat-0001.npz of the checkpoint is damaged" in again.notes[0]
    assert all(np.array_equal(again[name].value, whole[name].value) for name in whole.outputs)
    assert path.read_bytes() == good


def test_notes_of_a_run_are_those_of_its_kept_repeats(tmp_path):
    evaluator = PROGRAM.compile(samples=128, repeats=4, max_rank=1)
    whole = evaluator(INPUTS)
    assert len(whole.notes) == 1
    assert "rank" in whole.notes[0]
    evaluator(INPUTS, progress=stop_after(2), checkpoint=tmp_path)
    assert same_bits(evaluator(INPUTS, checkpoint=tmp_path), whole)


def test_exact_runs_and_grids_can_be_kept(tmp_path):
    for path in ("matrices/wishart.tp", "paper/thm_6_1.tp"):
        evaluator = tpc.load(TWO_LAYERS.parents[1] / path).compile()
        first = evaluator(checkpoint=tmp_path)
        again = evaluator(checkpoint=tmp_path)
        assert all(np.array_equal(first[name].value, again[name].value) for name in first.outputs)
        assert not again.interrupted


def test_outputs_may_have_any_names(tmp_path):
    program = tpc.parse(
        "width n\nvector v : n ~ N(0, 1)\noutput file = mean(v^2)\noutput allow_pickle = mean(v)\n"
    )
    evaluator = program.compile()
    evaluator(checkpoint=tmp_path)
    result = evaluator(checkpoint=tmp_path)
    result.save(tmp_path / "saved.npz")
    saved = np.load(tmp_path / "saved.npz", allow_pickle=False)
    assert {name: float(saved[name]) for name in saved} == {"file": 1, "allow_pickle": 0}
    program.simulate(width=4, seeds=2, checkpoint=tmp_path / "seeds.npz")
    assert len(np.load(tmp_path / "seeds.npz")["output allow_pickle"]) == 2


def test_a_folder_that_cannot_be_made(evaluator, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(tpc.TpcError, match="cannot be written"):
        evaluator(INPUTS, checkpoint=file)
    assert main(["run", str(TWO_LAYERS), "--samples", "64", "--checkpoint", str(file)]) == 2
    assert "error[TP606]" in capsys.readouterr().err


def started(tmp_path, *arguments):
    """`tpc run` of a second or more a repeat in a process of its own, and the folder in which it keeps its
    repeats."""
    folder = tmp_path / "kept"
    command = [
        sys.executable,
        "-m",
        "tpc.cli.main",
        "run",
        str(TWO_LAYERS),
        "--set",
        "T=300",
        "--set",
        "eta=0.1",
        "--samples",
        "4096",
        "--repeats",
        "50",
        "--checkpoint",
        str(folder),
        "--json",
        *arguments,
    ]
    ahead = (
        "import signal, sys, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "sys.argv = sys.argv[1:]; runpy.run_module('tpc.cli.main', run_name='__main__')"
    )
    # so that it compiles
    env = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    process = subprocess.Popen(
        [command[0], "-c", ahead, *command[2:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )
    return process, folder


def wait_for(condition, process, seconds=240):
    until = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < until
        time.sleep(0.05)


def test_ctrl_c_on_the_command_line(tmp_path):
    process, folder = started(tmp_path, "--samples", "512")
    wait_for(lambda: len(list(folder.rglob("*.npz"))) >= 2, process)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    data = json.loads(out)
    kept = len(list(folder.rglob("*.npz")))
    assert data["notes"] == [f"interrupted after {kept} of 50 repeats"]
    assert np.isfinite(data["outputs"]["loss"]["value"]).all()
    assert (np.array(data["outputs"]["loss"]["stderr"])[1:] > 0).all()


@pytest.mark.parametrize("delay", [0, 0.4, 0.8])
def test_ctrl_c_with_nothing_to_report(tmp_path, delay):
    """While the points are drawn, `limit` is traced or compiled, or the first repeat is computed."""
    process, folder = started(tmp_path)
    wait_for(folder.exists, process)
    time.sleep(delay)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.startswith("tpc: interrupted after ")
    assert "before there is anything to report" in err
