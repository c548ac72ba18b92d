"""The user's cache: what is compiled is kept; nothing fails for its sake."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tpc.cli.main import main
from tpc.machine import cache

PROGRAM = Path(__file__).parents[2] / "programs" / "matrices" / "semicircle.tp"
OWN = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")


def run(folder, *options):
    """The command in a process of its own, with this cache: what it prints and says."""
    kept = {name: value for name, value in os.environ.items() if name not in OWN}
    done = subprocess.run(
        [sys.executable, "-m", "tpc", "run", str(PROGRAM), *options],
        env={**kept, "TPC_CACHE": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_what_is_compiled_is_kept_and_read_again(tmp_path):
    folder = tmp_path / "new" / "tpc"
    first = run(folder)
    kept = files(folder)
    assert {path.name.split("-")[0] for path in kept} >= {"parser", "jit_limit"}
    assert folder.stat().st_mode & 0o077 == 0
    assert run(folder) == first
    assert files(folder) == kept

    for path in kept:  # a process that was killed may leave half of a file
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    damaged, _ = run(folder)
    assert damaged == first[0] + "note: the cache of compiled code is damaged, and is begun anew\n"
    assert run(folder) == first
    assert run(folder, "--no-cache") == first


def test_what_cannot_be_a_cache_is_a_note(tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("mine")
    _, said = run(occupied)
    assert "note:" in said
    assert "cannot keep compiled code" in said
    assert occupied.read_text() == "mine"


def test_where_others_may_write_nothing_is_read(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    assert cache.usable(folder) == "others may write to it"
    assert cache.usable(tmp_path / "file" / "below") is None
    (tmp_path / "plain").write_text("")
    assert cache.usable(tmp_path / "plain") is not None


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.FOLDER, str(tmp_path))
    return tmp_path


def test_the_oldest_is_removed(folder):
    (folder / "compiled-x").mkdir()
    for k in range(6):
        path = folder / "compiled-x" / f"{k}-cache"
        path.write_bytes(bytes(100))
        os.utime(path, (1000 + k, 1000 + k))
    mine = folder / "work" / "old"  # of a user who has named a folder that is not empty
    mine.parent.mkdir()
    mine.write_bytes(bytes(100))
    os.utime(mine, (1, 1))
    cache.prune(250)
    assert mine.exists()
    assert sorted(path.name for path in (folder / "compiled-x").iterdir()) == ["4-cache", "5-cache"]


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.delenv(cache.FOLDER, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / "tpc"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.cache_folder() == Path.home() / ".cache" / "tpc"
    with cache.without_cache():
        assert cache.cache_folder() is None
        assert cache.kept_file("parser", "x") is None
    assert cache.cache_folder() is not None


def test_a_parser_that_is_damaged_is_made_anew(folder, capsys):
    from tpc.syntax.parse import parser

    parser.cache_clear()
    assert main(["check", str(PROGRAM)]) == 0
    (kept,) = folder.glob("parser-*")
    kept.write_bytes(b"damaged")
    parser.cache_clear()
    assert main(["check", str(PROGRAM)]) == 0
    assert kept.stat().st_size > 10000
    parser.cache_clear()
    assert main(["check", str(PROGRAM)]) == 0
    assert "defect" not in capsys.readouterr().err
