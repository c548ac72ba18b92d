"""What is given from Python: whole numbers, texts and arrays, taken for what they are or refused."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from tpc.core.greek import normalise
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.machine.precision import is_traced


def whole_number(value: Any) -> int | None:
    """Python's or NumPy's whole number; None for what is none. Truth values are none."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def require_whole(option: str, value: Any, least: int, program: str, most: int | None = None) -> int:
    """An option that is a whole number. Raises TpcError (TP602) for what is none, or out of range."""
    found = whole_number(value)
    if found is None:
        wrong = f"must be a whole number, not {value!r:.60}"
    elif found < least:
        wrong = f"must be at least {least}, not {found}"
    elif most is not None and found > most:
        wrong = f"must be at most {most}, not {found}"
    else:
        return found
    raise TpcError([catalogue.running.bad_option(option, wrong)], program, of_program=True)


def require_text(text: Any) -> str:
    """The text of a program. Raises TypeError for what is none."""
    if isinstance(text, str):
        return text
    remedy = (
        "decode them" if isinstance(text, bytes | bytearray) else "`tpc.load(path)` reads one from a file"
    )
    raise TypeError(f"the text of a program is a str, not {type(text).__name__}: {remedy}")


def checked_dims(
    dims: Mapping[str, Any] | None, declared: set[str], name: str, text: str = ""
) -> dict[str, int]:
    """Values of dims by name.

    Raises TpcError: a name that is none of the `declared` ones (TP504), a value that is no whole number
    (TP507).
    """
    if not isinstance(dims, Mapping):
        if dims is None:
            return {}
        raise TypeError(f"dims are given by name, as in {{'T': 4}}, not as {type(dims).__name__}")
    found, errors = {}, []
    for key, value in dims.items():
        dim = normalise(key) if isinstance(key, str) else str(key)
        size = _size(value)
        if dim not in declared:
            errors.append(catalogue.inputs.unknown_dim(dim, sorted(declared)))
        elif size is None:
            errors.append(
                catalogue.inputs.bad_dim(
                    dim, f"{value!r:.60}" if not isinstance(value, np.ndarray) else str(value)[:60]
                )
            )
        else:
            found[dim] = size
    if errors:
        raise TpcError(errors, name, text)
    return found


def _size(value: Any) -> int | None:
    """A whole number, be it written as a float or an array without axes."""
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0:
        value = value.item()
    return int(value) if isinstance(value, float) and value.is_integer() else whole_number(value)


def numbers(value: Any) -> np.ndarray:
    """An array of real numbers, of whole ones of any size, too.

    Raises ValueError for what is none, or is masked, TracedError for what JAX only traces.
    """
    try:
        array = np.asarray(_unmasked(value))
    except TypeError as error:
        raise TracedError(str(error)) if is_traced(value) else error from None
    if array.dtype == object and array.size and all(whole_number(entry) is not None for entry in array.flat):
        try:
            array = array.astype(np.float64)
        except OverflowError:
            raise ValueError("one is larger than any float") from None
    if array.dtype.kind not in "biuf":
        raise ValueError("they are no real numbers")
    return array


def _unmasked(value: Any) -> Any:
    if not isinstance(value, np.ma.MaskedArray):
        return value
    if np.ma.is_masked(value):
        raise MaskedError("some are masked")
    return value.filled(0)


class TracedError(TypeError):
    """Arrays are traced by JAX, and have no numbers."""


class MaskedError(ValueError):
    """Entries of an array are masked, which are no numbers."""
