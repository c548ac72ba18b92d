"""Files and streams that are damaged, hostile, absent, closed or full: a message each, and nothing lost."""

import gzip
import io
import json
import os
import pickle
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import tpc
from tpc.cli.main import main
from tpc.core.inputs import load_data
from tpc.machine.files import read_arrays, write_whole

PROGRAM = "width n\ninput y[3] = 1\nvector v : n ~ N(0, 1)\noutput psi[i] = y[i]*mean(v^2) for i < 3\n"


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "q.tp"
    path.write_text(PROGRAM, encoding="utf-8")
    return path


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode() + b" " * (63 - (10 + len(header)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def archive(path: Path, member: bytes, **options: int) -> Path:
    with zipfile.ZipFile(path, "w", **options) as made:
        made.writestr("y.npy", member)
    return path


HEADERS = (
    "{'descr': '<f8', 'fortran_order': False, 'shape': (True,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (-3,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "9" * 400 + ",), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': " + "(" * 300,
    "{'descr': [], 'fortran_order': 3}",
    "1 + 1",
    "",
)


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_headers_that_are_none(header, tmp_path, capsys):
    path = archive(tmp_path / "x.npz", npy(header, bytes(24)))
    with pytest.raises(tpc.TpcError, match=r"x\.npz cannot be used"):
        load_data(path)
    (tmp_path / "x.npy").write_bytes(npy(header, bytes(24)))
    kernel = tmp_path / "k.tp"
    kernel.write_text("width n\nweight U : n x 3\nweight V : 1 x n\nnetwork f(x) = V @ relu(U @ x)\n")
    assert main(["kernel", str(kernel), "-x", str(tmp_path / "x.npy"), "-o", str(tmp_path / "K.npy")]) == 2
    assert "x.npy cannot be used" in capsys.readouterr().err


def test_flipped_bits_and_cuts_of_an_archive_are_told(tmp_path):
    rng, path = random.Random(0), tmp_path / "kept.npz"
    arrays = {
        "output f": np.arange(6.0).reshape(2, 3),
        "status": np.array(0.5),
        "fingerprint": np.array("abc"),
        "none": np.zeros((0, 2)),
    }
    write_whole(path, arrays)
    whole = path.read_bytes()
    for _ in range(int(os.environ.get("TPC_DAMAGED", "400"))):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged[: rng.choice([len(whole), rng.randrange(len(whole))])])
        try:
            found = read_arrays(path)
        except ValueError as error:
            assert str(error).isprintable()  # noqa: PT017
        else:  # a bit that means nothing, or one of a name
            for name in set(found) & set(arrays):
                np.testing.assert_array_equal(found[name], arrays[name])
    write_whole(path, {"turned": np.asfortranarray(arrays["output f"])})
    np.testing.assert_array_equal(read_arrays(path)["turned"], arrays["output f"])


def test_bombs_are_refused_before_they_are_unpacked(tmp_path):
    size = 80 << 20
    member = npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({size},), }}", bytes(size))
    packed = archive(tmp_path / "bomb.npz", member, compression=zipfile.ZIP_DEFLATED)
    (tmp_path / "bomb.json.gz").write_bytes(gzip.compress(b"[" + b"0," * size, 1))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        made.writestr("y.npy", member)
    (tmp_path / "bomb2.npz.gz").write_bytes(gzip.compress(stream.getvalue()))
    for path in (packed, tmp_path / "bomb.json.gz", tmp_path / "bomb2.npz.gz"):
        with pytest.raises(tpc.TpcError, match=r"more than 250 times its size|larger than 32 MiB"):
            load_data(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
def test_what_never_ends_is_refused(tmp_path):
    os.mkfifo(tmp_path / "x.npz")
    os.symlink("/dev/zero", tmp_path / "zero.tp")
    with pytest.raises(tpc.TpcError, match="not a regular file"):
        load_data(tmp_path / "x.npz")
    with pytest.raises(tpc.TpcError, match="not a regular file"):
        tpc.load(tmp_path / "zero.tp")
    (tmp_path / "long.tp").write_text("#" * (1 << 20))
    with pytest.raises(tpc.TpcError, match="larger than 256 KiB"):
        tpc.load(tmp_path / "long.tp")


OUTPUTS = (
    ("run", "--save"),
    ("run", "--plot"),
    ("simulate", "--width", "8", "--save"),
    ("verify", "--widths", "8", "--plot"),
)


@pytest.mark.parametrize("options", OUTPUTS, ids=lambda o: f"{o[0]} {o[-1]}")
@pytest.mark.parametrize("name", ["absent/x", "folder"])
def test_files_that_cannot_be_written_are_told_before_any_work(
    options, name, program, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("tpc.pipeline.compile_program", None)  # none is done: this would fail
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.npz").mkdir()
    ending = ".png" if options[-1] == "--plot" else ".npz"
    assert main([options[0], str(program), *options[1:], str(tmp_path / f"{name}{ending}")]) == 2
    assert "error[TP606]" in capsys.readouterr().err


def test_numbers_are_printed_though_a_file_cannot_be_written(program, capsys):
    if not Path("/dev/full").exists():
        pytest.skip("there is no full device here")
    assert main(["run", str(program), "--save", "/dev/full", "--json"]) == 2
    data = json.loads(capsys.readouterr().out)
    assert data["outputs"]["psi"]["value"] == [1, 1, 1]
    assert data["errors"][0]["code"] == "TP606"


def test_a_file_is_whole_or_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    write_whole(path, {"a": np.ones(2)})
    monkeypatch.setattr("tpc.machine.files.write_npz", lambda file, arrays, **_: file.write(b"PK") / 0)
    with pytest.raises(ZeroDivisionError):
        write_whole(path, {"a": np.zeros(2)})
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]
    np.testing.assert_array_equal(read_arrays(path)["a"], 1)


SHELL = {
    "closed output": (">&-", 0, ""),
    "closed errors": ("2>&-", 0, "at n = ∞"),
    "full": ("> /dev/full", 2, ""),
}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a POSIX shell and a full device")
@pytest.mark.parametrize("case", SHELL)
def test_streams_that_are_closed_or_full(case, program):
    redirected, status, printed = SHELL[case]
    command = f'"{sys.executable}" -m tpc.cli.main run "{program}" {redirected}'
    done = subprocess.run(command, shell=True, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == status
    assert printed in done.stdout
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin1"])
def test_narrow_encodings_spell_letters_out(encoding, program):
    done = subprocess.run(
        [sys.executable, "-m", "tpc.cli.main", "derive", str(program)],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
    )
    assert b"\\" not in done.stdout
    assert b"Z^v ~ N(0, 1)" in done.stdout
    wrong = program.with_name("ξ.tp")
    wrong.write_text("width n\noutput ξ = ζ\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tpc.cli.main", "check", str(wrong)],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert done.returncode == 2
    assert b"unknown name `zeta`" in done.stderr


def test_errors_pickle_with_all_they_say():
    with pytest.raises(tpc.TpcError) as caught:
        tpc.parse("width n\noutput x = y\n")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.args, again.diagnostics) == (
        str(caught.value),
        caught.value.args,
        caught.value.diagnostics,
    )
