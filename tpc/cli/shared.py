"""What the commands share: the program and its inputs as given, files, printing."""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.cli.streams import say

if TYPE_CHECKING:
    import numpy as np

    from tpc.core.program import Program
    from tpc.diagnostics.diagnostic import Diagnostic, TpcError
    from tpc.plan.options import Options

FIGURES = (".png", ".svg", ".pdf")
OK, FAILED, REFUSED, DEFECT, INTERRUPTED = 0, 1, 2, 70, 130


def read(
    arguments: argparse.Namespace,
) -> tuple[str, str, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The file's name and text, and what is set: dims, and what else."""
    from tpc.core.inputs import parse_setting
    from tpc.pipeline import dims_in

    text = source_of(arguments)
    name = str(arguments.file)
    settings = dict(parse_setting(setting) for setting in arguments.settings)
    dims = {dim: settings.pop(dim) for dim in (dims_in(text, name) & set(settings) if settings else ())}
    return name, text, dims, settings


def load(arguments: argparse.Namespace) -> tuple[Program, dict[str, np.ndarray]]:
    """The program, its dims as set, and the values given for its inputs."""
    from tpc.pipeline import dims_in, parse

    name, text, dims, settings = read(arguments)
    program = parse(text, name=name, dims=dims)
    data = _data_of(program, arguments.data)
    inputs = {item.name for item in program.inputs}
    if unknown := [setting for setting in settings if setting not in inputs]:
        _refuse_settings(unknown, inputs | dims_in(text, name), name)
    for note in program.notes:
        say(f"note: {note}")
    return program, {**data, **settings}


def _refuse_settings(unknown: Sequence[str], known: set[str], name: str) -> None:
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError

    raise TpcError([catalogue.inputs.unknown_setting(s, sorted(known)) for s in unknown], name)


def _data_of(program: Program, paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """The arrays of data files that are inputs of the program; of others a note is made.

    Raises TpcError (TP505).
    """
    from tpc.core.greek import normalise
    from tpc.core.inputs import load_data

    known, found = [item.name for item in program.inputs], dict[str, Any]()
    for path in paths:
        for name, array in load_data(path).items():
            if normalise(name) not in known:
                _say_ignored(path, name, known)
            elif name in found:
                _refuse_twice(path, name)
            else:
                found[name] = array
    return found


def _say_ignored(path: Path, name: str, known: Sequence[str]) -> None:
    from tpc.diagnostics.catalogue.words import similar
    from tpc.diagnostics.diagnostic import legible

    meant = similar(name, known)
    said = f"`{name}` in {path.name} is no input of the program, and is ignored"
    say(f"note: {legible(said)}" + (f"; {meant}" if meant else ""))


def _refuse_twice(path: Path, name: str) -> None:
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError

    wrong = catalogue.inputs.bad_data(path.name, f"`{name}` is in an earlier file, too")
    raise TpcError([wrong], str(path))


def bound(
    program: Program, given: dict[str, np.ndarray], arguments: argparse.Namespace
) -> dict[str, np.ndarray]:
    from tpc.core.inputs import bind_inputs

    return bind_inputs(program, given, file=str(arguments.file), text=text_of(arguments))


def options_of(program: Program, arguments: argparse.Namespace, initial: object = None) -> Options:
    """Raises TpcError (TP602)."""
    from tpc.plan.options import Options

    return Options(
        method=arguments.method,
        samples=arguments.samples,
        repeats=arguments.repeats,
        dtype=arguments.dtype,
        max_rank=arguments.max_rank,
        initial=initial,
        program=program.name,
    )


def require_writable(path: Path | None, endings: Sequence[str] = ()) -> None:
    """Refuses a file that could not be written, before any work is done for it. Raises TpcError (TP606)."""
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.machine import files as stored

    if path is None:
        return
    if endings and path.suffix not in endings:
        why = f"its name ends in none of {', '.join(endings)}"
    else:
        try:
            stored.require_writable(path)
            return
        except OSError as error:
            why = error.strerror or str(error)
    raise TpcError([catalogue.running.cannot_write(str(path), why)], str(path))


def require_own(path: Path | None, endings: Sequence[str] = ()) -> None:
    """Refuses a file for results that cannot be written, or that is there and not of tpc's making.

    endings: which its name may have; unless given, those of results. Raises TpcError (TP606).
    """
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.evaluate.saved_results import ENDINGS, is_own

    if path is None:
        return
    special = path.exists() and not path.is_file() and not path.is_dir()  # a device, or a pipe
    require_writable(path, () if special else endings or ENDINGS)
    try:
        own = is_own(path)
    except OSError:
        own = False
    if not own:
        why = "it is there already, and tpc did not write it"
        raise TpcError([catalogue.running.cannot_write(str(path), why)], str(path))


def writing(path: Path, write: Callable[[Path], object]) -> None:
    """Writes a file, whole or not at all; `write` is given the name to write to.

    Raises TpcError (TP606) if that is impossible.
    """
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.machine.files import whole

    try:
        with whole(path) as part, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            write(part)
        for warning in caught:
            say(f"note: {warning.message}")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TpcError([catalogue.running.cannot_write(str(path), why)], str(path)) from None


def not_written(files: Iterable[tuple[Path | None, Callable[[Path], object]]]) -> list[Diagnostic]:
    """Writes the files that are asked for.

    Says of which that was impossible (TP606), so that the numbers are printed all the same.
    """
    from tpc.diagnostics.diagnostic import TpcError

    found: list[Diagnostic] = []
    for path, write in files:
        if path is not None:
            try:
                writing(path, write)
            except TpcError as error:
                found += error.diagnostics
    return found


def make_new(files: Mapping[Path, bytes]) -> None:
    """Writes files none of which is there, or none at all. Raises TpcError (TP606)."""
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError

    made: list[Path] = []
    try:
        for path, content in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                made.append(path)
                file.write(content)
    except OSError as error:
        for earlier in made:
            earlier.unlink(missing_ok=True)
        why = error.strerror or str(error)
        if isinstance(error, FileExistsError):  # a file, or one where a folder is to be
            stays = path.exists() or path.is_symlink()
            why = "it is there already, and stays as it is" if stays else f"{path.parent} is no folder"
        raise TpcError([catalogue.running.cannot_write(str(path), why)], str(path)) from None


def source_of(arguments: argparse.Namespace) -> str:
    """The text of the program, which for `-` is what standard input has; messages then say `stdin`.

    Raises TpcError (TP00x).
    """
    from tpc.pipeline import decoded, read_text

    if str(arguments.file) == "-":
        from tpc.syntax.parse import MAX_BYTES

        arguments.file = Path("stdin")
        arguments.text = decoded(_standard_input(MAX_BYTES + 4), "stdin")
    text: str | None = getattr(arguments, "text", None)
    return read_text(arguments.file) if text is None else text


def _standard_input(most: int) -> bytes:
    """Raises TpcError (TP001)."""
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError

    try:
        if sys.stdin is None:
            raise OSError(0, "standard input is closed")
        return sys.stdin.buffer.read(most)
    except OSError as error:
        raise TpcError([catalogue.syntax.unreadable(error.strerror or str(error))], "stdin") from None


def text_of(arguments: argparse.Namespace) -> str:
    """The file's text for messages to show; empty if it cannot be read."""
    from tpc.diagnostics.diagnostic import TpcError

    try:
        return source_of(arguments)
    except TpcError:
        return ""


def show(
    arguments: argparse.Namespace, shown: object, data: Mapping[str, Any], error: TpcError | None = None
) -> None:
    """Prints an outcome, as text or as one JSON object, and what is wrong with it on standard error.

    Of several processes only the first one does.
    """
    if getattr(arguments, "silent", False):
        return
    if error is not None:
        error = _of_file(error, arguments)
        say(error.render(colour=sys.stderr.isatty() and "NO_COLOR" not in os.environ))
        data = {**data, **error.to_json()}
    if arguments.json:
        print(json.dumps(data, allow_nan=False))
    elif shown is not None:
        print(shown)


def _of_file(error: TpcError, arguments: argparse.Namespace) -> TpcError:
    """The error with the file's name and text, if it was raised where only the program's name was known."""
    from tpc.diagnostics.diagnostic import TpcError

    return TpcError(error.diagnostics, str(arguments.file), text_of(arguments)) if error.of_program else error
