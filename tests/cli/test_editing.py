"""`tpc fmt`, and `tpc lsp` where its package is not installed."""

import io
import json
import sys

import pytest

from tpc.cli.main import main

RAGGED = "width   n\nvector v:n~N(0,1)\noutput c=mean( v*v )   # kept\n"
TIDY = "width n\nvector v : n ~ N(0, 1)\noutput c = mean(v*v)   # kept\n"


@pytest.fixture
def file(tmp_path):
    made = tmp_path / "net.tp"
    made.write_text(RAGGED, encoding="utf-8")
    return made


def test_a_file_is_laid_out_in_place(file, capsys):
    assert main(["fmt", str(file), "--check"]) == 1
    assert file.read_text() == RAGGED
    assert "would be laid out anew" in capsys.readouterr().out
    assert main(["fmt", str(file)]) == 0
    assert file.read_text() == TIDY
    capsys.readouterr()
    assert main(["fmt", str(file), "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(file), "changed": False}
    before = file.stat().st_mtime_ns
    assert main(["fmt", str(file)]) == 0
    assert file.stat().st_mtime_ns == before
    assert capsys.readouterr().out == ""


def test_standard_input_is_laid_out_on_standard_output(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(RAGGED.replace("   #", " #").encode())))
    assert main(["fmt", "-"]) == 0
    assert capsys.readouterr().out.startswith("width n\nvector v : n ~ N(0, 1)\noutput c = mean(v*v)")


@pytest.mark.parametrize(
    ("data", "code"), [(b"width n\nx = (\n", "TP0"), (b"\xff", "TP002"), (b"x" * (1 << 19), "TP00")]
)
def test_what_does_not_parse_stays_as_it_is(tmp_path, capsys, monkeypatch, data, code):
    file = tmp_path / "net.tp"
    file.write_bytes(data)
    assert main(["fmt", str(file)]) == 2
    assert f"error[{code}" in capsys.readouterr().err
    assert file.read_bytes() == data
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert main(["fmt", "-"]) == 2
    assert "stdin" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", None)  # closed
    assert main(["fmt", "-"]) == 2
    assert "stdin: error[TP001]" in capsys.readouterr().err
    assert main(["fmt", str(tmp_path / "none.tp")]) == 2


def test_a_server_that_is_not_installed(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.split(".")[0] in ("pygls", "lsprotocol")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "tpc.editors.server", raising=False)
    for package in ("pygls", "lsprotocol"):
        monkeypatch.setitem(sys.modules, package, None)
        assert main(["lsp"]) == 2
        err = capsys.readouterr().err
        assert "error[TP615]" in err
        assert "pip install" in err
