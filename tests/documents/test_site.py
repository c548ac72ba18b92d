"""The site of the documentation: every page has its place in it, and links lead to pages."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?<!!)\]\(([^)#\s]+)(?:#[^)]*)?\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


@pytest.fixture
def site(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("site_of_documentation", ROOT / ".ci" / "site.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    monkeypatch.setattr(made, "SOURCE", tmp_path / "source")
    return made


def test_pages_and_links(site, tmp_path):
    site.staged()
    pages = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "source").glob("*.md")}
    assert {f"{name}.md" for group in site.GROUPS.values() for name in group} | {"index.md"} == set(pages)
    for name, text in pages.items():
        for link in LINK.findall(CODE.sub("", text)):
            assert "://" in link or link in pages, (name, link)
    assert "--max-rank" in pages["commands.md"]
    assert ".. autoclass:: tpc.Evaluator" in pages["api.md"]


def test_it_is_built_without_a_warning(site, tmp_path, monkeypatch):
    pytest.importorskip("myst_parser")
    pytest.importorskip("furo")
    monkeypatch.setattr("sys.argv", ["site.py", str(tmp_path / "site")])
    with pytest.raises(SystemExit) as caught:
        site.main()
    assert caught.value.code == 0
    assert "mynet.csv" in (tmp_path / "site" / "tutorial.html").read_text(encoding="utf-8")
