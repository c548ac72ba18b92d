"""The pages that go with the code: what they link to is there, and what they show runs."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "tpc" / "docs").glob("*.md"))
ALL = [ROOT / "README.md", ROOT / "programs" / "README.md", *PAGES]
MOST_LINES = 150  # of the README
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)(?:#[^)]*)?\)")
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`(?!\])", re.MULTILINE | re.DOTALL)
FILES = re.compile(r"(?:tests|programs|notebooks|tpc)/[\w/.]+\.(?:py|tp|npz|ipynb|md)\b")


def name_of(page):
    return str(page.relative_to(ROOT))


def test_readme_is_short_and_leads_to_every_page():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES
    assert {ROOT / link for link in LINK.findall(text)} >= set(PAGES)


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_links_and_files_are_there(page):
    text = page.read_text(encoding="utf-8")
    prose = CODE.sub("", text)
    links = [page.parent / link for link in LINK.findall(prose) if "://" not in link]
    files = [ROOT / file for file in FILES.findall(re.sub(r"\]\([^)]*\)", "]", text))]
    assert not [str(path) for path in (*links, *files) if not path.exists()]


@pytest.mark.parametrize("page", ALL, ids=name_of)
def test_python_is_python(page):
    for block in PYTHON.findall(page.read_text(encoding="utf-8")):
        ast.parse(block)


def test_what_python_shows_runs(monkeypatch, tmp_path):
    """The blocks of the page on Python and on trainings in parts, one after the other, as a reader would."""
    monkeypatch.chdir(ROOT)
    points = [[0.1, 0.7, 0.2], [0.5, -0.2, 0.3], [-0.3, 0.4, 1.0]]
    here = {
        "X": points,
        "Z": points[:2],
        "y": [1.0, -1.0, 0.5],
        "folder": tmp_path,
        "inputs": {"y": [1.0] * 20},
    }
    exec("import jax, jax.numpy as jnp", here)
    for page in ("python.md", "running.md"):
        for block in PYTHON.findall((ROOT / "tpc" / "docs" / page).read_text(encoding="utf-8")):
            small = block.replace("samples=4096", "samples=64, repeats=2").replace("seeds=32", "seeds=2")
            exec(small.replace("width=1024", "width=16").replace("run(100,", "run(10,"), here)
    assert here["curve"].shape == (10,)
    assert here["K"].shape == (3, 3)
