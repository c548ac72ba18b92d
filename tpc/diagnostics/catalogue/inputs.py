"""What is wrong with inputs, dims and data: TP5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tpc.diagnostics.catalogue.words import either, quoted, similar
from tpc.diagnostics.diagnostic import Diagnostic


def missing_input(shapes: Mapping[str, tuple[int, ...]]) -> Diagnostic:
    """shapes: of the inputs without a value, by name."""
    shown = either([f"`{n}`" for n in shapes]).replace(" or ", " and ")
    name, shape = next(iter(shapes.items()))
    table = f" with {_columns(name, shape)}" if shape and 0 not in shape else ""
    return Diagnostic(
        "TP501",
        f"no value is given for the input{'s' if len(shapes) > 1 else ''} {shown}",
        help=f"give it by `--set {name}=…` or in a file by `--data F.npz` (or F.json, or F.csv{table})",
    )


def _columns(name: str, shape: tuple[int, ...]) -> str:
    """The columns of a table that are an array."""
    if len(shape) == 1:
        return f"a column `{name}`"
    first = ",".join("0" for _ in shape[1:])
    last = ",".join(str(count - 1) for count in shape[1:])
    several = f"columns `{name}[{first}]` … `{name}[{last}]`"
    return several if first != last else f"a column `{name}[{first}]`"


def input_shape(name: str, wanted: tuple[int, ...], given: tuple[int, ...]) -> Diagnostic:
    alike = [k for k in wanted if k != 1] == [k for k in given if k != 1]
    column = f", and a table has it in a column `{name}[0]`" if wanted == (*given, 1) and given else ""
    return Diagnostic(
        "TP502",
        f"the input `{name}` has shape {wanted}, and the value given has shape {given}",
        help=f"an axis of length 1 is an axis, too: `numpy.reshape(value, {wanted})` has the same numbers in "
        f"the shape of the input{column}"
        if alike
        else "the shape is that of its declaration: change the value, or a dim by `--set`",
    )


def not_finite(name: str, where: str) -> Diagnostic:
    return Diagnostic(
        "TP503",
        f"the input `{name}` is not finite{where}",
        help="give numbers in the place of nan and inf, or leave such rows out",
    )


def unknown_setting(name: str, known: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "TP504",
        f"the program has no input or dim named `{name}`",
        help=similar(name, known) or (f"it has {', '.join(known)}" if known else "it has none"),
    )


def unknown_dim(name: str, known: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "TP504",
        f"the program has no dim named `{name}`",
        help=similar(name, known) or (f"it has {', '.join(known)}" if known else "it has none"),
    )


def bad_dim(name: str, value: str) -> Diagnostic:
    return Diagnostic(
        "TP507",
        f"the dim `{name}` is a whole number, and the value given is {value}",
        help=f"for example {name} = 4",
    )


def bad_data(path: str, why: str) -> Diagnostic:
    return Diagnostic(
        "TP505",
        f"the data file {path} cannot be used: {why}",
        help="a data file is an .npz of arrays of numbers (no pickles), a .json object, or a .csv table with "
        "columns `y` or `x[0]`, `x[1]`, …, by names of inputs",
    )


def bad_index(name: str, bound: int) -> Diagnostic:
    return Diagnostic(
        "TP506",
        f"the input `{name}` must hold whole numbers in 0 … {bound - 1}",
        help="classes and indices are counted from 0",
    )


def bad_setting(text: str, why: str) -> Diagnostic:
    return Diagnostic(
        "TP507",
        f"`{text}` is not a setting: {why}",
        help="write `--set name=value`, the value a number or a JSON list of numbers, `[1, 2]`",
    )


def not_numbers(name: str) -> Diagnostic:
    return Diagnostic(
        "TP508",
        f"the input `{name}` must be real numbers",
        help="give a number, or a list or array of numbers",
    )


def traced(name: str) -> Diagnostic:
    return Diagnostic(
        "TP508",
        f"the input `{name}` is traced by JAX (in jit, grad, vmap, …), and has no numbers yet",
        help="there take `evaluator.function(output)`, or `kernels.ntk.function()`, which are JAX functions",
    )


def masked(name: str) -> Diagnostic:
    return Diagnostic(
        "TP508",
        f"entries of the input `{name}` are masked",
        help="put numbers in their places, `array.filled(0)`",
    )


def given_twice(name: str, spellings: Sequence[str]) -> Diagnostic:
    shown = " and ".join(quoted(spelling) for spelling in spellings)
    return Diagnostic(
        "TP504",
        f"the input `{name}` is given twice, as {shown}",
        help="they are one name: leave one of them out",
    )
