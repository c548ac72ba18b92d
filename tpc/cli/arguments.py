"""Arguments that commands share: their types, and groups of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tpc.plan.options import DTYPES, MATRICES, METHODS

MOST = 2**40  # what no number of things comes near to

Command = Callable[[argparse.Namespace], int]


def positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value <= 0:
        raise argparse.ArgumentTypeError(f"`{text:.40}` is not a positive whole number")
    if value >= MOST:
        raise argparse.ArgumentTypeError(f"`{text:.40}` is too large: the limit here is {MOST - 1:,}")
    return value


def seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from 0 to 999999999")
    return int(text)


def different_widths(text: str) -> list[int]:
    found = [positive(part) for part in text.split(",")]
    if len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"`{text}` has a width twice")
    return found


def levels(text: str) -> tuple[float, ...]:
    from tpc.simulate.distribution import checked_levels

    try:
        return checked_levels([float(part) for part in text.split(",")])
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is not a list of different numbers from 0 to 1") from None


def initial(text: str) -> str | int | Path:
    """`seed=N`, `zero`, `integrate`, or a data file."""
    if text.startswith("seed="):
        return seed(text.removeprefix("seed="))
    if text in ("zero", "integrate"):
        return text
    from tpc.core.inputs import DATA, kind_of_data

    if kind_of_data(Path(text)) not in DATA:
        raise argparse.ArgumentTypeError(f"must be seed=N, zero, integrate or a data file, not {text}")
    return Path(text)


def rate(text: str) -> float:
    found = float(text)
    if not 0 <= found < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number of 0 or more, not {text}")
    return found


def add_command(
    commands: Any, name: str, function: Command, text: str, *, data: bool = False
) -> argparse.ArgumentParser:
    """A command on a `.tp` file.

    data: whether it computes numbers, some of which may be random.
    """
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}."
    )
    made.set_defaults(command=function)
    made.add_argument("file", type=Path, metavar="FILE", help="a .tp file, or `-` for standard input")
    made.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="the value of a dim or an input",
    )
    made.add_argument(
        "--data",
        type=Path,
        action="append",
        default=[],
        metavar="F.npz|F.json|F.csv",
        help="values of inputs by name; of a table, the columns `y` or `x[0]`, `x[1]`, …; may be given again",
    )
    made.add_argument(
        "--seed",
        type=seed,
        default=0,
        metavar="N",
        help="of everything random"
        if data
        else "taken by every command, though nothing is random in this one",
    )
    made.add_argument("--json", action="store_true", help="print one JSON object")
    add_no_cache(made)
    return made


def add_no_cache(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--no-cache",
        action="store_true",
        help="keep nothing that is compiled in the user's cache folder, and use nothing that is kept",
    )


def add_evaluation(command: argparse.ArgumentParser, *, dtype: bool = True) -> None:
    """How a limit is evaluated. dtype: whether the limit may be in another precision than float64."""
    command.set_defaults(draws=True)
    command.add_argument(
        "--method",
        choices=METHODS,
        default="auto",
        help="how elements of L² are represented",
    )
    command.add_argument(
        "--samples", type=positive, metavar="M", help="points of one repeat (by the plan, if left out)"
    )
    command.add_argument(
        "--repeats",
        type=positive,
        metavar="R",
        help="independent randomisations, whose spread is the standard error (by the plan, if left out)",
    )
    command.add_argument(
        "--max-rank", type=positive, metavar="K", help="the most directions kept of one side of a matrix"
    )
    if dtype:
        command.add_argument(
            "--dtype",
            choices=DTYPES,
            default="float64",
            help="the precision; bfloat16: float32, but for the coefficients that loops carry",
        )


def add_width_sampling(command: argparse.ArgumentParser) -> None:
    """How a program is run at finite width."""
    command.add_argument(
        "--seeds", type=positive, default=32, metavar="N", help="random initialisations at each width"
    )
    command.add_argument("--dtype", choices=("float64", "float32"), default="float64", help="the precision")
    add_matrices(command)


def add_matrices(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--matrices",
        choices=MATRICES,
        default="auto",
        help="dense: drawn; free: only what they are asked is, exactly in law; auto: what is faster",
    )
