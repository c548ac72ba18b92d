"""What is shipped with the code to be read or copied: pages of the documentation, and programs."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).parents[1]
LANGUAGE = "language"


def programs() -> Path:
    """The folder of the example programs, and of the reference of the language.

    Installed, it is one of the package (`tpc/programs`); in a checkout it stands beside it.
    """
    installed = PACKAGE / "programs"
    return installed if installed.is_dir() else PACKAGE.parent / "programs"


def pages() -> dict[str, Path]:
    """The pages by topic, in the order of their names."""
    found = {path.stem.lower(): path for path in (PACKAGE / "docs").glob("*.md")}
    reference = programs() / "README.md"
    return dict(sorted({**found, **({LANGUAGE: reference} if reference.is_file() else {})}.items()))


def page(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def title(text: str) -> str:
    """The heading of a page."""
    return next((line.lstrip("# ") for line in text.splitlines() if line.startswith("# ")), "")
