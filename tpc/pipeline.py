"""The whole compiler on one page: each stage one function, from one frozen type to the next."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tpc.core.given import checked_dims, require_text
from tpc.core.inputs import constant_law_errors
from tpc.core.network import C, Networks, Source, exponent_input
from tpc.core.program import Program
from tpc.core.wellformed import verified
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.lower import lower
from tpc.machine.files import open_regular
from tpc.syntax.layout import RESERVED, normalise
from tpc.syntax.parse import MAX_BYTES, parse_file
from tpc.syntax.print_tree import print_file
from tpc.syntax.resolve import resolve
from tpc.syntax.tree import Dim, File
from tpc.train import open_out, write_out


def parse(text: str, *, name: str = "program", dims: Mapping[str, object] | None = None) -> Program:
    """The program written in `text`.

    name: shown in messages, and the program's if it names none. dims: values of dims in place of the text's.
    Raises TpcError with everything that is wrong, TP0xx to TP4xx, and for dims that there are not (TP504) or
    that are no whole numbers (TP507).
    """
    name = str(name)
    file = parse_file(require_text(text), name)
    dims = checked_dims(dims, _dims_of(file), name)
    tree = write_out(file, name, text, dims)
    checked = resolve(tree, name, text, dims, default_name(name))
    program = verified(lower(checked, text, name))
    errors = constant_law_errors(program)
    if errors:
        raise TpcError(errors, name, text)
    return replace(program, source=Source(text, name, tuple(sorted(dims.items()))))


def opened(source: Source) -> tuple[Program, Networks]:
    """The program with the exponents of its weights left open, for the scaling analysis, and what its weights
    are. Raises TpcError."""
    text, name, dims = source.text, source.name, dict(source.dims)
    tree, networks = open_out(parse_file(text, name), name, text, dims)
    exponents = frozenset(
        {C, *(exponent_input(letter, k) for k in range(len(networks.weights)) for letter in "ab")}
    )
    checked = resolve(tree, name, text, dims, default_name(name), exponents)
    return verified(lower(checked, text, name)), networks


def written_out(text: str, name: str, dims: Mapping[str, object], after: str) -> str:
    """The file as text after a pass of `tpc.train` ("networks", "autodiff" or "updates"). Raises TpcError as
    `parse` does."""
    file = parse_file(text, name)
    return print_file(write_out(file, name, text, checked_dims(dims, _dims_of(file), name), after))


def dims_in(text: str, name: str) -> set[str]:
    """The names of the dims that `text` declares, which settings may override. Raises TpcError if it does not
    parse."""
    return _dims_of(parse_file(text, name))


def _dims_of(file: File) -> set[str]:
    return {s.name.name for s in file.statements if isinstance(s, Dim)}


def default_name(file: str) -> str:
    """The name of a program that names itself nowhere: its file's, as an identifier."""
    stem = re.sub(r"[^A-Za-z0-9_]", "_", normalise(Path(file).stem))
    return f"the_{stem}" if stem in RESERVED else stem if stem.isidentifier() else f"program_{stem}"


def load(path: str | Path, *, dims: Mapping[str, object] | None = None) -> Program:
    """The program in the file at `path`. Raises TpcError as `parse` does, and TP001, TP002 for a file that
    cannot be read."""
    text = read_text(Path(path))
    return parse(text, name=str(path), dims=dims)


def read_text(path: Path) -> str:
    """What a `.tp` file holds, a little more than the longest allowed at most. Raises TpcError (TP001,
    TP002)."""
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + len(codecs.BOM_UTF8) + 1)
    except OSError as error:
        raise TpcError([catalogue.syntax.unreadable(error.strerror or str(error))], str(path)) from None
    if len(data) > MAX_BYTES + len(codecs.BOM_UTF8):
        raise TpcError([catalogue.syntax.too_large(MAX_BYTES)], str(path))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TpcError([catalogue.syntax.not_utf8(error.start)], str(path)) from None
