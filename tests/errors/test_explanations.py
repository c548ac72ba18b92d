"""What `tpc explain` says: of every code, as it is recorded, and right where it says so."""

from pathlib import Path

import pytest

from tests.errors.explaining import CASES, WORDS, page, shown
from tests.errors.test_errors import CODES
from tpc.cli.main import main
from tpc.cli.pages import explanations

PAGE = Path(__file__).parents[2] / "tpc" / "docs" / "codes.md"


def test_every_code_is_explained():
    """A new code needs a section in `explanations.toml`."""
    assert sorted(WORDS) == CODES
    assert sorted(explanations()) == CODES


def test_the_page_is_made_of_what_is_recorded(request):
    text = page(CODES)
    if request.config.getoption("--update-golden"):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("code", [code for code in CODES if shown(code).case is not None])
def test_what_is_right_is_right(code, tmp_path, monkeypatch, capsys):
    what = shown(code)
    assert f"error[{code}]" in what.message
    file = tmp_path / f"{what.case}.tp"
    file.write_text(what.right, encoding="utf-8")
    for data in CASES.glob("*.json"):
        (tmp_path / data.name).write_bytes(data.read_bytes())
    monkeypatch.chdir(tmp_path)
    command, *rest = what.right_command.split()
    assert main([command, *([] if any(word.endswith(".tp") for word in rest) else [file.name]), *rest]) == 0
    assert "error" not in capsys.readouterr().err
