"""The helpers of emitted modules, files that are copied from.

The definitions that a module reaches, with the imports that these need, by the syntax trees of the files.
"""

from __future__ import annotations

import ast
import symtable
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HELPERS = Path(__file__).parent / "helpers"
# in the order in which modules have them: what is computed on import needs only what comes before
FILES = (
    "arrays",
    "bases",
    "batches",
    "histories",
    "packed",
    "roots",
    "singular_values",
    "preconditioners",
    "covariances",
    "integrals",
    "logistic",
    "runner",
    "rounding",
    "spread",
    "quadrature",
    "panels",
)
LINE = "# ---- "  # above its first one, a file has imports and stand-ins for what modules define themselves
MAIN = "main"
# what functions of the language, and closed forms that users register, are written with besides
MORE_IMPORTS = {"erf": "from jax.scipy.special import erf"}
LIMIT_FILES = FILES[: FILES.index("runner")]  # of what `limit` calls


@dataclass(frozen=True, slots=True)
class Helper:
    """A top-level statement of a file."""

    # the title that it stands under. Those of one name are alternatives, under different titles.
    section: str
    # what it defines
    names: tuple[str, ...]
    # the global names that it reads
    needs: frozenset[str]
    text: str
    # the function whose derivative it sets
    of: str
    # whether it is an assignment
    constant: bool


@dataclass(frozen=True, slots=True)
class Library:
    """What emitted modules can have of the files of helpers."""

    # of all files, in their order
    helpers: tuple[Helper, ...]
    # the statements that define a name, by the name
    imports: dict[str, str]


@cache
def library() -> Library:
    """All files of helpers."""
    helpers: list[Helper] = []
    imports = dict(MORE_IMPORTS)
    for file in FILES:
        imports.update(_imports(_tree(file)))
        helpers += _helpers(_tree(file), _source(file))
    return Library(tuple(helpers), imports)


def names_for_limit() -> tuple[str, ...]:
    """What `limit` may call, or read: no value in it should have such a name."""
    own = [n.name for file in LIMIT_FILES for n in _tree(file).body if isinstance(n, ast.FunctionDef)]
    return (*own, *library().imports)


@cache
def _source(file: str) -> str:
    return (HELPERS / f"{file}.py").read_text(encoding="utf-8")


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse(_source(file))


def reached(
    names: Collection[str], given: Collection[str], sections: Collection[str]
) -> tuple[list[Helper], list[str]]:
    """The helpers that `names` need, and those need, in the order of the files, and the import statements.

    given: names that the module defines itself. sections: whose alternatives it has.
    """
    found = library()
    waiting, known, wanted = list(names), set(given), set[int]()
    imports = set[str]()
    while waiting:
        name = waiting.pop()
        if name in known:
            continue
        known.add(name)
        if name in found.imports:
            imports.add(found.imports[name])
        for place in _places(name, found.helpers, sections):
            wanted.add(place)
            waiting += found.helpers[place].needs
    return [found.helpers[k] for k in sorted(wanted)], in_order(imports)


def _places(name: str, helpers: Sequence[Helper], sections: Collection[str]) -> list[int]:
    """Where a name is made, by the one of its alternatives that there is, and what belongs to it."""
    places = [k for k, h in enumerate(helpers) if name in h.names]
    if len(places) > 1:
        places = [k for k in places if helpers[k].section in sections]
        assert len(places) == 1, f"{name}: one of its alternatives"
    return places + [k for k, h in enumerate(helpers) if h.of == name]


def global_names(code: str) -> frozenset[str]:
    """The names that code reads at its top level, or in functions that do not define them."""

    def read(table: symtable.SymbolTable, top: bool) -> Iterator[str]:
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (top or symbol.is_global()):
                yield symbol.get_name()
        for child in table.get_children():
            yield from read(child, False)

    return frozenset(read(symtable.symtable(code, "module", "exec"), True))


def in_order(imports: Collection[str]) -> list[str]:
    """Import statements as a formatter has them: Python's own, then others, a blank line between."""
    parsed = {text: ast.parse(text).body[0] for text in imports}
    groups: dict[bool, list[tuple[bool, str, str]]] = {True: [], False: []}
    merged: dict[str, list[str]] = {}
    for text, node in parsed.items():
        if isinstance(node, ast.ImportFrom):
            merged.setdefault(str(node.module), []).append(text.split(" import ")[1])
        elif isinstance(node, ast.Import):
            module = node.names[0].name
            groups[_is_own(module)].append((True, module, text))
    for module, members in merged.items():
        text = f"from {module} import {', '.join(sorted(members))}"
        groups[_is_own(module)].append((False, module, text))
    lines: list[str] = []
    for own in (True, False):
        rows = sorted(groups[own], key=lambda row: (not row[0], row[1]))
        lines += [""] * bool(lines and rows) + [text for _, _, text in rows]
    return lines


def _is_own(module: str) -> bool:
    return module in ("math", "warnings", "typing")


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Every name that a file imports, but from another file of helpers, and the statement for it alone."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("tpc."):
                continue
            for alias in node.names:
                one = (
                    ast.ImportFrom(node.module, [alias], 0)
                    if isinstance(node, ast.ImportFrom)
                    else ast.Import([alias])
                )
                yield alias.asname or alias.name, ast.unparse(one)


def _helpers(tree: ast.Module, source: str) -> Iterator[Helper]:
    lines = source.splitlines()
    titles = {k: line.removeprefix(LINE).strip() for k, line in enumerate(lines, 1) if line.startswith(LINE)}
    for node in tree.body:
        section = [title for k, title in titles.items() if k < node.lineno][-1:]
        if not section:
            continue
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
        while lines[first - 2].startswith("#") and first - 1 not in titles:
            first -= 1
        text = "\n".join(lines[first - 1 : node.end_lineno])
        yield Helper(
            section[0],
            tuple(_defined(node)),
            global_names(text),
            text,
            _derivative_of(node),
            isinstance(node, ast.Assign),
        )


def _defined(node: ast.stmt) -> Sequence[str]:
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            return [node.name]
        case ast.Assign():
            return [n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
    return []


def _derivative_of(node: ast.stmt) -> str:
    """The function of whose derivative a decorator tells, as `@f.defjvp`."""
    for decorator in getattr(node, "decorator_list", ()):
        if isinstance(decorator, ast.Attribute) and isinstance(decorator.value, ast.Name):
            if decorator.attr in ("defjvp", "defvjp"):
                return decorator.value.id
    return ""
