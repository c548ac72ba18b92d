"""Word vectors: texts and questions as they are found, runs that learn, are killed and resumed, and what is
refused."""

import dataclasses
import gzip
import json
import lzma
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tpc
from tpc.cli.main import main
from tpc.experiments import room as memory
from tpc.experiments.analogies import read_questions, right_answers
from tpc.experiments.corpus import read_text
from tpc.experiments.windows import Sampler, Shape, segments
from tpc.experiments.word2vec import Word2VecExperiment, Word2VecSettings, settings_for

ROOT = Path(__file__).parents[2]
PLACES = ["north", "south", "east", "west", "upper", "lower"]


def written(tmp_path, lines=600, seed=0):
    """A text in which a town is to its land as each other town is to its own, by the words around them; and
    its questions beside it."""
    rng = np.random.default_rng(seed)
    kinds = {"town": ["streets", "market", "mayor", "square"], "land": ["border", "army", "king", "coast"]}
    own = {place: [f"{place}{k}" for k in range(4)] for place in PLACES}
    text = []
    for _ in range(lines):
        place, kind = rng.choice(PLACES), rng.choice(list(kinds))
        around = [*rng.choice(own[place], 3), *rng.choice(kinds[kind], 3)]
        words = list(rng.permutation(around))
        text.append(" ".join([*words[:3], f"{place}{kind}", *words[3:]]))
    path = tmp_path / "text.txt"
    path.write_text("\n".join(text), encoding="utf-8")
    pairs = [(f"{place}town", f"{place}land") for place in PLACES]
    (tmp_path / "questions-words.txt").write_text(
        ": towns\n"
        + "\n".join(" ".join((*a, *b)) for a in pairs for b in pairs if a != b)
        + "\nNorthTown northLand Atlantis nowhere\n",
        encoding="utf-8",
    )
    return path


def settings(tmp_path, **changes):
    small = {"min_count": 1, "epochs": 6, "batch": 16, "shared": 16, "steps": 20, "sample": 1.0, "lr": 0.5}
    return Word2VecSettings(**{"corpus": str(written(tmp_path)), **small, **changes})


def test_a_text_is_numbers_of_its_words_however_it_is_compressed(tmp_path):
    text = "\ufeffb a a\n\nc a b\nd"
    plain, packed, zipped = tmp_path / "t.txt", tmp_path / "t.xz", tmp_path / "t.gz"
    plain.write_text(text, encoding="utf-8")
    packed.write_bytes(lzma.compress(text.encode()))
    zipped.write_bytes(gzip.compress(text.encode()))
    for path in (plain, packed, zipped):
        found = read_text(path, 3, 1)
        assert found.words == ("a", "b", "c")
        assert found.counts.tolist() == [3, 2, 1]
        assert found.tokens.tolist() == [1, 0, 0, 2, 0, 1]
        assert found.lines.tolist() == [0, 0, 0, 2, 2, 2]


def test_a_line_longer_than_what_is_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("tpc.experiments.corpus.PART", 7)
    path = tmp_path / "t.txt"
    path.write_text("one two three two three three\nthree two", encoding="utf-8")
    found = read_text(path, 10, 1)
    assert found.words == ("three", "two", "one")
    assert found.tokens.tolist() == [2, 1, 0, 1, 0, 0, 0, 1]


def test_windows_are_those_of_each_word(tmp_path):
    """The means, one word at a time; every word is guessed once, none is its own negative or in its own
    window, no window leaves its line."""
    text = read_text(written(tmp_path, 40), 1000, 1)
    sampler = Sampler(text, Shape(4, 8, 3, 9), negatives=5, threshold=0.005, seed=2)
    epoch = sampler.epoch(1)
    assert 0 < len(epoch.tokens) < len(text.tokens)
    guessed = []
    for part, (count, given) in enumerate(segments(epoch, 0)):
        for place in range(count):
            step, i = divmod(place, 8)
            at = part * 32 + place
            around = [
                q
                for q in range(at - epoch.radii[at], at + epoch.radii[at] + 1)
                if q != at and 0 <= q < len(epoch.tokens) and epoch.lines[q] == epoch.lines[at]
            ]
            expected = np.zeros(14, np.float32)
            expected[[q - at + i + 3 for q in around]] = 1 / max(1, len(around))
            assert np.array_equal(given["near"][step, i], expected)
            own = given["words"][step, i + 3]
            guessed.append(own)
            assert np.array_equal(
                given["weight"][step, i], np.float32(5 / 9) * ((given["others"][step] != own) & bool(around))
            )
        assert not given["near"].reshape(32, -1)[count:].any()
        assert not given["weight"].reshape(32, -1)[count:].any()
    assert guessed == epoch.tokens.tolist()
    assert set(epoch.radii.tolist()) == {1, 2, 3}


def test_subsampling_and_negatives_have_their_frequencies(tmp_path):
    text = read_text(written(tmp_path), 1000, 1)
    sampler = Sampler(text, Shape(1, 1, 1, 1), negatives=1, threshold=0.01, seed=0)
    kept = np.mean(
        [np.bincount(text.kept(sampler._rng(9, k), 0.01)[0], minlength=len(text.words)) for k in range(60)],
        axis=0,
    )
    frequency = text.counts / text.counts.sum()
    expected = text.counts * np.minimum(1, np.sqrt(0.01 / frequency) + 0.01 / frequency)
    assert np.abs(kept - expected).max() < 5 * np.sqrt(expected.max() / 60)
    assert np.allclose(np.diff(sampler.noise, prepend=0), text.counts**0.75 / (text.counts**0.75).sum())


def test_questions_are_answered_by_cosines():
    vectors = np.random.default_rng(0).standard_normal((30, 5))
    numbers = np.array(
        [[a, b, c, d] for a in range(4) for b in range(4, 8) for c in range(8, 11) for d in (11, 12, 20)]
    )
    found = right_answers(numbers, (vectors**2).sum(axis=1), lambda words: vectors[words] @ vectors.T)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for (a, b, c, d), right in zip(numbers, found, strict=True):
        scores = unit @ (unit[b] - unit[a] + unit[c])
        scores[[a, b, c]] = -np.inf
        assert right == (scores.argmax() == d)
    assert 0 < found.sum() < len(found)
    tied = right_answers(numbers[:1], np.ones(30), lambda words: np.eye(30)[words])
    assert not tied.any()


def test_the_limit_learns_and_widths_approach_it(tmp_path):
    """The kernel limit answers nothing; vectors of a wide net have the inner products of the limit."""
    products = {}
    for model in ("mup", 4096):
        run = Word2VecExperiment(settings(tmp_path, model=model))
        outcome = run.run()
        products[model] = run.products(run.state, np.arange(20))
        if model == "mup":
            assert outcome.analogy_accuracy > 0.8
            assert (outcome.questions, outcome.in_vocabulary) == (31, 30)
    assert 1e-6 < np.abs(products[4096] - products["mup"]).mean() < 0.02
    assert np.abs(products["mup"][:, 20:]).mean() > 0.1
    rounded = Word2VecExperiment(settings(tmp_path, dtype="bfloat16"))
    assert rounded.run().analogy_accuracy > 0.8
    # a row is rounded hundreds of times, each time by up to 1/256 and at random, which adds up to a few
    # hundredths
    assert (
        1e-6
        < np.abs(rounded.products(rounded.state, np.arange(20)) - products["mup"]).mean()
        < 0.03 * np.abs(products["mup"]).mean()
    )
    kernel = Word2VecExperiment(settings(tmp_path, model="ntk")).run()
    assert kernel.analogy_accuracy == 0
    assert kernel.words_per_second is None


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.experiments.test_word2vec import Word2VecExperiment, settings
def wait(done, *_):
    if done > 1.3:
        print(done, flush=True)
        time.sleep(30)
folder = Path(sys.argv[2])
Word2VecExperiment(settings(folder, epochs=3), folder / "out", keep_every=0).run(progress=wait)
"""


def test_a_killed_run_resumes_to_the_same_parameters(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(ROOT), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as child:
        assert 1.3 < float(child.stdout.readline()) < 2
        child.send_signal(signal.SIGKILL)
    done = []
    resumed = Word2VecExperiment(settings(tmp_path, epochs=3), tmp_path / "out")
    outcome = resumed.run(resume=True, progress=lambda epochs, *_: done.append(epochs))
    assert 1.3 < done[0] < 2
    whole = Word2VecExperiment(settings(tmp_path, epochs=3))
    expected = whole.run()
    assert dataclasses.replace(outcome, words_per_second=None) == dataclasses.replace(
        expected, words_per_second=None
    )
    for one, other in zip(
        resumed.training.leaves(resumed.state).values(),
        whole.training.leaves(whole.state).values(),
        strict=True,
    ):
        assert np.array_equal(one, other, equal_nan=True)
    assert (
        json.loads((tmp_path / "out" / "result.json").read_text())["words_trained"] == expected.words_trained
    )
    with pytest.raises(tpc.TpcError, match=r"TP624.*other settings"):
        Word2VecExperiment(settings(tmp_path, epochs=4), tmp_path / "out").run(resume=True)
    (tmp_path / "out" / "training.npz").write_bytes(b"no archive")
    with pytest.raises(tpc.TpcError, match=r"TP624.*damaged"):
        Word2VecExperiment(settings(tmp_path, epochs=3), tmp_path / "out").run(resume=True)


def damaged(path, content):
    path.write_bytes(content)
    return ["--corpus", str(path)]


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (lambda at: ["--corpus", str(at / "nowhere.txt")], "TP625", "No such file"),
        (lambda at: ["--corpus", str(at)], "TP625", "directory"),
        (lambda at: damaged(at / "cut.xz", lzma.compress(b"some words " * 999)[:60]), "TP625", "cut short"),
        (lambda at: damaged(at / "cut.gz", gzip.compress(b"some words " * 999)[:30]), "TP625", "cut short"),
        (lambda at: damaged(at / "no.xz", b"some words"), "TP625", "damaged"),
        (lambda at: damaged(at / "no.gz", b"some words"), "TP625", "damaged"),
        (lambda at: damaged(at / "bytes.txt", b"caf\xe9 au lait"), "TP625", "not UTF-8 (byte 0xe9)"),
        (lambda at: damaged(at / "empty.txt", b""), "TP626", "has no words"),
        (lambda at: damaged(at / "rare.txt", b"a b c d a b"), "TP626", "4 different words"),
        (lambda at: ["--questions", str(at / "nowhere.txt")], "TP627", "cannot be read"),
        (
            lambda at: ["--questions", damaged(at / "three.txt", b": a\na b c d\na b c\n")[1]],
            "TP627",
            "line 3 of the questions in three.txt has 3 words",
        ),
        (lambda at: ["--questions", damaged(at / "none.txt", b": a\n")[1]], "TP627", "are none"),
        (lambda at: ["--questions", damaged(at / "latin.txt", b"a b c d\xe9\n")[1]], "TP627", "not UTF-8"),
        (lambda at: ["--model", "width=1"], "TP602", "mup, ntk or width=N"),
        (lambda at: ["--model", "gp"], "TP602", "not gp"),
        (
            lambda at: ["--model", "width=8", "--dtype", "bfloat16"],
            "TP602",
            "bfloat16 is for the coefficients",
        ),
        (lambda at: ["--devices", "1000"], "TP611", "1000 devices are asked for"),
        (lambda at: ["--resume"], "TP602", "--out"),
        (lambda at: ["--out", damaged(at / "file", b"")[1]], "TP606", "cannot be written"),
    ],
)
def test_what_is_refused(options, code, says, tmp_path, capsys):
    assert main(["experiment", "word2vec", "--epochs", "1", "--vocab", "50", *options(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert f"error[{code}]" in message
    assert says in message
    assert "Traceback" not in message


def test_a_vocabulary_that_does_not_fit_is_refused_with_one_that_does(tmp_path, capsys, monkeypatch):
    assert 2**20 < memory.free_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    free = memory.Size().needed(30) + 100
    monkeypatch.setattr(memory, "free_memory", lambda devices: free)
    options = ["experiment", "word2vec", "--corpus", str(written(tmp_path)), "--epochs", "1", "--vocab"]
    assert main([*options, "36"]) == 2
    message = capsys.readouterr().err
    assert "error[TP628]" in message
    assert re.search(r"--vocab (\d+) would fit", message)[1] == "30"
    assert main([*options, "30"]) == 0
    assert main([*options, "36", "--model", "width=4"]) == 0
    alone, eight = memory.Size(itemsize=2), memory.Size(itemsize=2, devices=8)
    assert eight.needed(1000) == 2 * 1000 * 126 * 2 + memory.BESIDES < alone.needed(1000)
    assert eight.fits(eight.needed(1000)) == 1000
    with pytest.raises(tpc.TpcError, match=r"GiB of memory on each of 8 devices, and .* are there"):
        memory.require(100_000, eight, "text")


def test_questions_out_of_the_vocabulary_are_counted(tmp_path):
    path = tmp_path / "q.txt"
    path.write_text(": x\nA b c d\na b c e\n", encoding="utf-8")
    found = read_questions(path, {w: k for k, w in enumerate("abcd")})
    assert (found.asked, found.numbers.tolist()) == (2, [[0, 1, 2, 3]])
    none = Word2VecExperiment(settings(tmp_path, questions=str(path), epochs=1)).run()
    assert (none.questions, none.in_vocabulary, none.analogy_accuracy) == (2, 0, None)
    assert str(none).startswith("no question has all its words in the vocabulary (2 questions")


def test_the_command_runs_on_the_embedded_text(tmp_path, capsys):
    assert settings_for(None, epochs=3).epochs == 3
    assert (
        main(["experiment", "word2vec", "--epochs", "1", "--vocab", "300", "--json", "--out", str(tmp_path)])
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert set(found) >= {"analogy_accuracy", "questions", "in_vocabulary", "words_per_second", "settings"}
    assert found == json.loads((tmp_path / "result.json").read_text())
    assert 0 < found["in_vocabulary"] < found["questions"]
    assert found["vocabulary"] == found["settings"]["vocabulary"] == 300
