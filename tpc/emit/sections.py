"""The files of helpers that are copied into emitted modules, by sections."""

from __future__ import annotations

import ast
from pathlib import Path

HELPERS = Path(__file__).parent / "helpers"


def copied(file: str) -> dict[str, str]:
    """The sections of a file of helpers, by title."""
    source = (HELPERS / file).read_text(encoding="utf-8")
    titled = [part.split("\n", 1) for part in source.split("# ---- ")[1:]]
    return {title.strip(): text.strip() for title, text in titled}


def defined(*files: str) -> tuple[str, ...]:
    """The names that files of helpers have at their top level."""
    out = []
    for file in files:
        for node in ast.parse((HELPERS / file).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                out.append(node.name)
            elif isinstance(node, ast.Assign):
                out += [
                    part.id
                    for target in node.targets
                    for part in ast.walk(target)
                    if isinstance(part, ast.Name)
                ]
            elif isinstance(node, ast.Import | ast.ImportFrom):
                out += [alias.asname or alias.name for alias in node.names]
    return tuple(out)
