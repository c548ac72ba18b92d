"""What is installed: every package of the code, the programs, the pages."""

import tomllib
from pathlib import Path

from tpc.machine.shipped import pages, programs

ROOT = Path(__file__).parents[2]
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def test_every_folder_of_code_and_programs_is_a_package():
    code = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "tpc").rglob("__init__.py")}
    examples = {f"tpc.programs.{path.parent.name}" for path in (ROOT / "programs").glob("*/*.tp")}
    assert sorted(SETUP["packages"]) == sorted(code | examples | {"tpc.programs"})
    assert SETUP["package-dir"] == {"tpc.programs": "programs"}


def test_every_file_that_is_read_is_data_of_a_package():
    patterns = SETUP["package-data"]
    shipped = {path for pattern in patterns["tpc"] for path in (ROOT / "tpc").glob(pattern)}
    shipped |= {path for pattern in patterns["*"] for path in (ROOT / "tpc").rglob(pattern)}
    data = {
        path
        for path in (ROOT / "tpc").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc") and "programs" not in path.parts
    }
    assert data <= shipped
    assert {path for path in pages().values() if path.parent != programs()} <= shipped
    assert pages()["language"] == ROOT / "programs" / "README.md"
