"""Kernel matrices on disk: strips, resuming, refusing; `tpc kernel`; scikit-learn."""

import errno
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import tpc
from tpc.cli.main import main
from tpc.kernels.stream import stream

TEXT = """width n
weight U : n x 5
weight W : n x n
weight V : 1 x n
network f(x) = V @ relu(W @ relu(U @ x))
"""
X, Z = np.random.default_rng(0).standard_normal((41, 5)), np.random.default_rng(1).standard_normal((17, 5))


@pytest.fixture(scope="module")
def ntk():
    return tpc.parse(TEXT).kernels(block=8).ntk


@pytest.mark.parametrize("strip", [7, 16, 100])
def test_the_file_is_the_matrix(ntk, strip, tmp_path):
    done = []
    stream(
        ntk, X, out=tmp_path / "k.npy", strip=strip, progress=lambda rows, total: done.append((rows, total))
    )
    found = np.load(tmp_path / "k.npy")
    np.testing.assert_allclose(found, ntk(X), rtol=1e-12)
    assert np.array_equal(found, found.T)
    assert done[-1] == (41, 41)
    assert len(done) == -(-41 // strip)
    assert not (tmp_path / "k.npy.json").exists()
    stream(ntk, X, Z, out=tmp_path / "xz.npy", strip=strip)
    np.testing.assert_allclose(np.load(tmp_path / "xz.npy"), ntk(X, Z), rtol=1e-12)


def test_it_goes_on_where_it_stopped_and_gives_the_same_file(ntk, tmp_path):
    stream(ntk, X, out=tmp_path / "whole.npy", strip=8)

    def stop(rows, total):
        if rows == 24:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream(ntk, X, out=tmp_path / "k.npy", strip=8, progress=stop)
    assert json.loads((tmp_path / "k.npy.json").read_text())["rows"] == 24
    with pytest.raises(ValueError, match="another run"):
        stream(ntk, X + 1, out=tmp_path / "k.npy", strip=8)
    left = []
    stream(ntk, X, out=tmp_path / "k.npy", strip=8, progress=lambda rows, total: left.append(rows))
    assert left == [32, 40, 41]
    assert (tmp_path / "k.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_what_is_there_is_not_overwritten_and_what_does_not_fit_not_begun(ntk, tmp_path, monkeypatch):
    (tmp_path / "k.npy").write_text("mine")
    with pytest.raises(ValueError, match="there already"):
        stream(ntk, X, out=tmp_path / "k.npy")
    assert (tmp_path / "k.npy").read_text() == "mine"
    (tmp_path / "b.npy.json").write_text("{")
    with pytest.raises(ValueError, match="damaged"):
        stream(ntk, X, out=tmp_path / "b.npy")
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(ValueError, match="1 kB are free on that disk"):
        stream(ntk, X, out=tmp_path / "c.npy")
    assert not (tmp_path / "c.npy").exists()


def test_a_run_that_could_not_begin_leaves_nothing_in_the_way(ntk, tmp_path):
    out = tmp_path / "k.npy"
    with pytest.raises(tpc.TpcError) as error:
        stream(ntk, X[:, :3], out=out)
    assert error.value.diagnostics[0].code == "TP707"
    assert list(tmp_path.iterdir()) == []
    stream(ntk, X[:3], out=out)
    assert np.load(out).shape == (3, 3)


def test_room_is_taken_before_work_begins(ntk, tmp_path, monkeypatch):
    """A file with holes on a disk that fills up would end the process; where the system cannot take room,
    zeros are written."""
    whole = tmp_path / "whole.npy"
    stream(ntk, X, out=whole)
    for number in (errno.EOPNOTSUPP, errno.EINVAL):
        monkeypatch.setattr(os, "posix_fallocate", lambda *_, number=number: failed(number), raising=False)
        out = tmp_path / f"{number}.npy"
        stream(ntk, X, out=out)
        assert out.read_bytes() == whole.read_bytes()
        assert out.stat().st_blocks * 512 >= out.stat().st_size
    monkeypatch.setattr(os, "posix_fallocate", lambda *_: failed(errno.ENOSPC), raising=False)
    monkeypatch.setattr("tpc.kernels.stream._write", lambda *_: pytest.fail("work was begun"))
    with pytest.raises(OSError, match="No space left on device"):
        stream(ntk, X, out=tmp_path / "full.npy")
    assert not list(tmp_path.glob("full*"))


def failed(number):
    raise OSError(number, os.strerror(number))


def test_killed_and_resumed_from_the_command_line(tmp_path, capsys):
    (tmp_path / "net.tp").write_text(TEXT.replace("5", "40"))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((900, 40)))
    command = [
        "kernel",
        str(tmp_path / "net.tp"),
        "-x",
        str(tmp_path / "x.npy"),
        "--strip",
        "16",
        "--json",
        "-o",
    ]
    child = subprocess.Popen(
        [sys.executable, "-m", "tpc.cli.main", *command, str(tmp_path / "k.npy")], stdout=subprocess.DEVNULL
    )
    manifest = tmp_path / "k.npy.json"
    limit = time.monotonic() + 120
    while (
        child.poll() is None
        and time.monotonic() < limit
        and not (manifest.exists() and json.loads(manifest.read_text())["rows"] >= 64)
    ):
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert manifest.exists()
    for name in ("k.npy", "whole.npy"):
        assert main([*command, str(tmp_path / name)]) == 0
        assert json.loads(capsys.readouterr().out)["shape"] == [900, 900]
    assert (tmp_path / "k.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert main([*command, str(tmp_path / "k.npy")]) == 2
    assert "TP606" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), (b"no array", "pickled|no .npy file"), (b"\x93NUMPY\x01\x00", "TP505")],
)
def test_damaged_inputs_are_said(content, message, tmp_path, capsys):
    (tmp_path / "net.tp").write_text(TEXT)
    if content is not None:
        (tmp_path / "x.npy").write_bytes(content)
    assert (
        main(
            ["kernel", str(tmp_path / "net.tp"), "-x", str(tmp_path / "x.npy"), "-o", str(tmp_path / "k.npy")]
        )
        == 2
    )
    error = capsys.readouterr().err
    assert "TP505" in error
    assert any(part in error for part in message.split("|"))


def test_kernels_drop_into_scikit_learn(ntk):
    svm = pytest.importorskip("sklearn.svm")
    gaussian_process = pytest.importorskip("sklearn.gaussian_process")
    from sklearn.base import clone

    from tpc.kernels.interop import GaussianProcessKernel
    from tpc.kernels.regression import posterior

    labels = (X[:, 0] * X[:, 1] > 0).astype(int)
    machine = svm.SVC(kernel=ntk, C=100.0).fit(X, labels)
    assert machine.score(X, labels) > 0.9
    precomputed = svm.SVC(kernel="precomputed", C=100.0).fit(ntk(X), labels)
    assert np.array_equal(machine.predict(Z), precomputed.predict(ntk(Z, X)))
    ridge = pytest.importorskip("sklearn.kernel_ridge").KernelRidge
    with pytest.raises(tpc.TpcError, match=r"as in KernelRidge, take `tpc\.GaussianProcessKernel"):
        ridge(kernel=ntk).fit(X, X[:, 0])
    by_rows = ridge(kernel=GaussianProcessKernel(ntk), alpha=1e-3).fit(X, X[:, 0])
    # rounding of the entries, times the condition of the matrix, which is below 1e4
    by_matrix = ridge(kernel="precomputed", alpha=1e-3).fit(ntk(X), X[:, 0])
    np.testing.assert_allclose(by_rows.predict(Z), by_matrix.predict(ntk(Z, X)), rtol=1e-12)
    nngp = tpc.parse(TEXT).kernels(block=8).nngp
    regressor = gaussian_process.GaussianProcessRegressor(
        kernel=clone(GaussianProcessKernel(nngp)), alpha=1e-3
    ).fit(X, X[:, 0])
    mean, std = regressor.predict(Z, return_std=True)
    found = posterior(nngp, X, X[:, 0], Z, noise=1e-3)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.std, std, rtol=1e-5, atol=1e-7)
    flat = GaussianProcessKernel(
        lambda x, z=None: np.einsum("iab,jab->ij", x, x if z is None else z), shape=(2, 2)
    )
    rows = np.random.default_rng(2).standard_normal((3, 4))
    np.testing.assert_allclose(flat(rows), rows @ rows.T)
    np.testing.assert_allclose(flat.diag(rows), (rows**2).sum(axis=1))


@pytest.mark.parametrize("damage", ["cut", "longer", "other type", "rows", "infinite rows", "deep"])
def test_what_a_run_left_is_looked_at_before_it_is_trusted(damage, ntk, tmp_path):
    out, manifest = tmp_path / "k.npy", tmp_path / "k.npy.json"

    def stop(rows, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stream(ntk, X, out=out, strip=8, progress=stop)
    left = out.read_bytes()
    if damage in ("cut", "longer"):
        out.write_bytes(left[:1000] if damage == "cut" else left + b"0")
    elif damage == "other type":
        np.save(out, np.zeros((41, 41), np.float32))
    else:
        said = manifest.read_text().replace(
            '"rows": 8', f'"rows": {"1e400" if damage == "infinite rows" else 1_000_000}'
        )
        manifest.write_text("[" * 100_000 if damage == "deep" else said)
    with pytest.raises(ValueError, match=r"not as this run left it|is damaged"):
        stream(ntk, X, out=out, strip=8)
