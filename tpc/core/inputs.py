"""Values of a program's inputs: from data files, settings and defaults, checked before anything runs."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from tpc.core.csv_data import read_csv
from tpc.core.expr import Value, walk
from tpc.core.given import MaskedError, TracedError, numbers
from tpc.core.greek import normalise
from tpc.core.laws import covariance, law_number
from tpc.core.program import Gaussians, Input, Program
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import Diagnostic, TpcError
from tpc.machine.files import EXPANSION, SUSPECT, open_regular, read_npz

MAX_DATA_BYTES = 1 << 30
MAX_JSON_BYTES = 1 << 25  # a number takes up to twenty times its text while it is read
PSD_TOLERANCE = 1e-9  # of the largest variance, for what rounding of a singular covariance leaves below 0
XZ = b"\xfd7zXZ\0"  # what such a file begins with


def _open_xz(file: BinaryIO, mode: str = "rb", **options: Any) -> Any:
    """As `lzma.open`, but not of the format before .xz. Raises LZMAError.

    In that, a file of zeros is one of empty texts without end.
    """
    start = file.read(len(XZ))
    file.seek(0)
    if not XZ.startswith(start):
        raise lzma.LZMAError("it is no .xz file")
    return lzma.open(file, mode, format=lzma.FORMAT_XZ, **options)


DATA = (".npz", ".json", ".csv")  # endings of files of arrays, which may be compressed
COMPRESSED: Mapping[str, Callable[..., Any]] = {".xz": _open_xz, ".gz": gzip.open}


def bind_inputs(
    program: Program, data: Mapping[str, Any], *, file: str = "", text: str = ""
) -> dict[str, np.ndarray]:
    """Every input by name: from `data`, else its default.

    Arrays of floats in the declared shapes, of integers for inputs used as indices.

    file, text: what messages show. Raises TpcError with everything that is wrong: unknown or missing names
    (TP504, TP501), shapes (TP502), values that are not finite (TP503), not numbers (TP508) or no indices
    (TP506), and laws that these inputs make impossible (TP406, TP409).
    """
    errors: list[Diagnostic] = []
    given = _given(program, data, errors)
    values = {
        item.name: given[item.name]
        if item.name in given
        else None
        if item.default is None
        else np.full(item.shape, float(item.default))
        for item in program.inputs
    }
    bound = {name: value for name, value in values.items() if value is not None}
    missing = {i.name: i.shape for i in program.inputs if i.name not in given and i.default is None}
    if missing:
        errors.append(catalogue.inputs.missing_input(missing))
    if not errors:
        errors += law_errors(program, bound)
    if errors:
        raise TpcError(errors, file or program.name, text, of_program=not file)
    return bound


def check_given(program: Program, data: Mapping[str, Any]) -> None:
    """Whether some inputs are there and may have these values, whatever the others have.

    Raises TpcError as `bind_inputs` does.
    """
    errors: list[Diagnostic] = []
    _given(program, data, errors)
    if errors:
        raise TpcError(errors, program.name, of_program=True)


def _given(
    program: Program, data: Mapping[str, Any], errors: list[Diagnostic]
) -> dict[str, np.ndarray | None]:
    """The inputs that are given, by name, None for one that cannot be taken.

    What is wrong is added to `errors`.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"inputs are given by name, as in {{'y': 1.0}}, not as {type(data).__name__}")
    known = {item.name: item for item in program.inputs}
    spelled: dict[str, list[str]] = {}
    for key in data:
        spelled.setdefault(normalise(str(key)), []).append(key)
    errors += [catalogue.inputs.unknown_setting(name, list(known)) for name in spelled if name not in known]
    errors += [catalogue.inputs.given_twice(name, keys) for name, keys in spelled.items() if len(keys) > 1]
    return {
        name: _value(known[name], data[keys[0]], errors) for name, keys in spelled.items() if name in known
    }


def no_numbers(error: ValueError | TypeError, name: str) -> Diagnostic:
    """What is wrong with an input of which `numbers` makes no array."""
    if isinstance(error, MaskedError):
        return catalogue.inputs.masked(name)
    return (
        catalogue.inputs.traced(name)
        if isinstance(error, TracedError)
        else catalogue.inputs.not_numbers(name)
    )


def _value(item: Input, given: Any, errors: list[Diagnostic]) -> np.ndarray | None:
    try:
        array = numbers(given)
    except (ValueError, TypeError) as error:
        errors.append(no_numbers(error, item.name))
        return None
    if array.shape != item.shape:
        errors.append(catalogue.inputs.input_shape(item.name, item.shape, array.shape))
        return None
    if not np.all(np.isfinite(array)):
        worst = [int(i) for i in np.unravel_index(int(np.argmin(np.isfinite(array))), array.shape)]
        errors.append(catalogue.inputs.not_finite(item.name, f" at {worst}" if worst else ""))
        return None
    if item.bound is None:
        return array.astype(np.float64)
    if np.any(array != np.floor(array)) or (array.size and (array.min() < 0 or array.max() >= item.bound)):
        errors.append(catalogue.inputs.bad_index(item.name, item.bound))
        return None
    return array.astype(np.int64)


def constant_law_errors(program: Program) -> list[Diagnostic]:
    """What is impossible in laws that no input occurs in, so that it shows before any input is given."""
    return _law_errors(program, {}, constant=True)


def law_errors(program: Program, inputs: Mapping[str, np.ndarray]) -> list[Diagnostic]:
    """Covariances that are not positive semidefinite; variances and ratios that are not positive."""
    return _law_errors(program, inputs, constant=False)


def _option_errors(program: Program, inputs: Mapping[str, np.ndarray]) -> Iterator[Diagnostic]:
    """Values of options of trainings that are out of their ranges, of each option the first."""
    told = set[object]()
    for option in program.options:
        values = np.broadcast_to(law_number(option.value, inputs, option.axes), [n for _, n in option.axes])
        with np.errstate(invalid="ignore"):
            good = option.bound.holds(values)
        place = option.bound.option, option.origin
        if not good.all() and place not in told:
            told.add(place)
            first = np.argwhere(~good)[0]
            at = ", ".join(f"{v} = {k}" for (v, _), k in zip(option.axes, first, strict=True))
            yield catalogue.options.option_value_range(
                option.origin.label,
                option.bound.option,
                float(values[tuple(first)]),
                f" at {at}" if at else "",
                option.bound.wanted,
            )


def _law_errors(program: Program, inputs: Mapping[str, np.ndarray], *, constant: bool) -> list[Diagnostic]:
    errors: list[Diagnostic] = []

    def wanted(*laws: Any) -> bool:
        return not constant or not any(isinstance(node, Value) for x in laws for node in walk(x))

    for width in program.widths:
        if wanted(width.ratio) and not (value := float(law_number(width.ratio, inputs, ()))) > 0:
            errors.append(
                catalogue.laws.impossible_law(
                    width.origin.label,
                    f"the ratio of the width `{width.name}` to the first",
                    value,
                    "positive",
                )
            )
    for matrix in program.matrices:
        if wanted(matrix.variance):
            values = law_number(matrix.variance, inputs, matrix.axes)
            bad = ~(np.isfinite(values) & (values >= 0))
            if bad.any():
                worst = float(values[bad].flat[0])
                errors.append(
                    catalogue.laws.impossible_law(
                        matrix.origin.label, f"the variance of `{matrix.name}`", worst, "0 or more"
                    )
                )
    if not constant:
        errors += _option_errors(program, inputs)
    for group in program.gaussians:
        if wanted(*group.mean):
            errors += _mean_errors(group, inputs)
        if wanted(*(x for row in group.covariance for x in row)):
            errors += _covariance_errors(group, inputs)
    return errors


def _mean_errors(group: Gaussians, inputs: Mapping[str, np.ndarray]) -> list[Diagnostic]:
    errors: list[Diagnostic] = []
    for name, mean in zip(group.names, group.mean, strict=True):
        values = law_number(mean, inputs, group.axes)
        bad = values[~np.isfinite(values)]
        if bad.size:
            what = f"the mean of `{name}`"
            errors.append(catalogue.laws.impossible_law(group.origin.label, what, float(bad[0]), "finite"))
    return errors


def _covariance_errors(group: Gaussians, inputs: Mapping[str, np.ndarray]) -> list[Diagnostic]:
    table = covariance(group, inputs)
    names = ", ".join(f"`{name}`" for name in group.names)
    at = group.origin.label
    if not np.all(np.isfinite(table)):
        return [catalogue.laws.not_psd(at, names, "it has entries that are not finite")]
    if len(group.names) == 1:
        worst = float(table.min()) if table.size else 0.0
        return (
            [catalogue.laws.impossible_law(at, f"the variance of {names}", worst, "0 or more")]
            if worst < 0
            else []
        )
    if np.any(np.abs(table - np.swapaxes(table, -1, -2)) > PSD_TOLERANCE * np.abs(table).max(initial=0)):
        return [catalogue.laws.not_psd(at, names, "it is not symmetric")]
    least = float(np.linalg.eigvalsh(table).min()) if table.size else 0.0
    if least < -PSD_TOLERANCE * np.abs(table).max(initial=0):
        return [catalogue.laws.not_psd(at, names, f"its least eigenvalue is {least:.4g}")]
    return []


def kind_of_data(path: Path) -> str:
    """The ending of a file's name, but for that of a compressed one."""
    return path.with_suffix("").suffix if path.suffix in COMPRESSED else path.suffix


def load_data(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file (no pickles), a .json object or a .csv text (see `tpc.core.csv_data`).

    They are had by name. The files may be compressed (.xz, .gz).

    Raises TpcError (TP505).
    """
    path = Path(path)
    kind = kind_of_data(path)
    try:
        if kind not in DATA:
            raise ValueError("its name ends in none of .npz, .json and .csv")
        with open_regular(path) as file:
            if kind != ".npz":
                text = _unpacked(file, path.suffix, MAX_JSON_BYTES).decode("utf-8-sig")
                return _json(text) if kind == ".json" else read_csv(text, path.name.partition(".")[0])
            whole = (
                io.BytesIO(_unpacked(file, path.suffix, MAX_DATA_BYTES))
                if path.suffix in COMPRESSED
                else file
            )
            start = whole.read(2)
            whole.seek(0)
            if start != b"PK":
                raise ValueError(
                    "it is a pickle"
                    if start[:1] == b"\x80"
                    else "it is not an .npz archive, or only a part of one"
                )
            return read_npz(whole, MAX_DATA_BYTES)
    except UnicodeDecodeError:
        why = "it is not UTF-8 text"
    except OSError as error:
        why = error.strerror or "it is damaged"
    except (ValueError, EOFError, zlib.error, lzma.LZMAError, RecursionError, MemoryError) as error:
        why = str(error).splitlines()[0] if str(error) else "it is damaged"
    raise TpcError([catalogue.inputs.bad_data(path.name, why)], str(path))


def _unpacked(file: BinaryIO, suffix: str, most: int) -> bytes:
    """What a file holds, unpacked.

    Raises OSError, and what says that it is damaged; ValueError for more than there should be.
    """
    unpacking = COMPRESSED[suffix](file) if suffix in COMPRESSED else file
    packed = os.fstat(file.fileno()).st_size
    if packed > most:
        raise ValueError(f"it is larger than {most >> 20} MiB")
    suspect = max(SUSPECT, EXPANSION * packed)
    whole: bytes = unpacking.read(min(most, suspect) + 1)
    if len(whole) > most:
        raise ValueError(f"it is larger than {most >> 20} MiB")
    if len(whole) > suspect:
        raise ValueError(f"it unpacks to more than {EXPANSION} times its size")
    return whole


def _json(text: str) -> dict[str, np.ndarray]:
    found = json.loads(text, object_pairs_hook=_once)
    if not isinstance(found, dict):
        raise ValueError("it is not an object of names and values")
    return {name: array_of(value, f"`{name}`") for name, value in found.items()}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    twice = next((name for name, count in Counter(name for name, _ in pairs).items() if count > 1), None)
    if twice is not None:
        raise ValueError(f"`{twice}` is given twice")
    return dict(pairs)


def array_of(value: Any, what: str) -> np.ndarray:
    """Numbers or nested lists of one shape as an array. Raises ValueError."""
    try:
        return numbers(value)
    except ValueError:
        raise ValueError(f"{what} is not a number or an array of numbers in equal rows") from None


def parse_setting(text: str) -> tuple[str, np.ndarray]:
    """`name=value`, the value a number, a fraction such as 1/3, or a JSON list. Raises TpcError (TP507)."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise TpcError([catalogue.inputs.bad_setting(text, "there is no `name=`")], "--set")
    try:
        found = np.asarray(float(Fraction(value.strip())))
    except (ValueError, ZeroDivisionError, OverflowError):
        try:
            found = array_of(json.loads(value), "the value")
        except (ValueError, RecursionError):
            raise TpcError(
                [catalogue.inputs.bad_setting(text, "the value is not a number or a list of numbers")],
                "--set",
            ) from None
    return normalise(name.strip()), found
