"""The `tpc` command: parses its arguments, calls the library, prints."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tpc.cli import experiment as cli_experiment
from tpc.cli.kernel import kernel
from tpc.cli.numbers import run, simulate, verify
from tpc.cli.scale import scale
from tpc.cli.shared import DEFECT, INTERRUPTED, OK, REFUSED, bound, load, require_writable, show, writing
from tpc.cli.streams import abandon, prepare, say

if TYPE_CHECKING:
    from tpc.core.program import Program

MOST_UNROLLED = 4000  # instances of instructions that `derive --unroll` writes out


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit status: 0, 1 for a check that failed, 2 for bad input, 70 for a
    defect of tpc, 130 if interrupted."""
    prepare()
    try:
        status = _guarded(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        abandon(sys.stdout)
        return OK
    except OSError as error:
        if error.filename is not None:
            raise
        abandon(sys.stdout)
        say(f"tpc: what was found cannot be printed: {error.strerror or error}")
        return REFUSED
    return status


def _guarded(argv: Sequence[str] | None) -> int:
    """Runs the command; what goes wrong becomes a message and a status, but for an OSError of standard
    output, which has no file's name."""
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.machine.memory import refusing

    arguments = parser().parse_args(argv)
    try:
        with refusing(str(arguments.file)):
            return int(arguments.command(arguments))
    except TpcError as error:
        partial = getattr(error, "partial", None)  # what came before values stopped being finite
        show(arguments, partial, {} if partial is None else partial.to_json(), error)
        return REFUSED
    except KeyboardInterrupt as stop:
        if not getattr(arguments, "silent", False):
            say(f"tpc: {stop}" if str(stop) else "tpc: interrupted")
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("TPC_TRACEBACK") or (isinstance(error, OSError) and error.filename is None):
            raise
        say(
            f"tpc: this is a defect of tpc, please report it with the program: {type(error).__name__}: "
            f"{str(error)[:500]}\n"
            "     (TPC_TRACEBACK=1 shows where it happened)"
        )
        return DEFECT


# arguments


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="tpc",
        description="A symbolic compiler for Tensor Programs: from a .tp file to its infinite-width limit.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _command(commands, "check", check, "look for mistakes")
    lower_ = _command(commands, "lower", lower, "print the core program (Def 7.1) that the file stands for")
    lower_.add_argument(
        "--after",
        choices=("networks", "autodiff", "updates"),
        help="print the file after this pass: forward passes; backward passes too; updates of weights too",
    )
    scale_ = _command(
        commands,
        "scale",
        scale,
        "tell what the parametrization makes of the network as n → ∞: stable, feature learning, a kernel",
    )
    scale_.add_argument(
        "--symbolic", action="store_true", help="leave the exponents open: conditions on a1, b1, …, c"
    )
    scale_.epilog = (
        "--set a1=1/4 (b1, …, c) tries another exponent: exact, and numbered by the weights in "
        "the order in which they are declared."
    )
    derive_ = _command(commands, "derive", derive, "print the Z-recursion of the limit (Def 7.3)")
    derive_.add_argument("--format", choices=("text", "latex", "json"), default="text")
    derive_.add_argument("--unroll", action="store_true", help="write loops out")
    graph_ = _command(commands, "graph", graph, "draw the dependency graph")
    graph_.add_argument("-o", "--output", type=Path, required=True, metavar="F.svg|.png|.dot")
    compile_ = _command(
        commands, "compile", compile_file, "write a stand-alone JAX module that evaluates the limit"
    )
    compile_.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="F.py",
        help="`-` for standard output, with --json as `source`",
    )
    _evaluation(compile_)
    run_ = _command(commands, "run", run, "evaluate the limit", data=True)
    _evaluation(run_)
    run_.add_argument(
        "--initial",
        type=_initial,
        metavar="seed=N|zero|integrate|F.npz|F.json",
        help="scalars that are random in the limit, such as the initial function in the kernel regime: drawn "
        "(seed=0), set to 0, "
        "integrated over, or given by name",
    )
    run_.add_argument(
        "--error",
        metavar="E|P%",
        help="add repeats, and then points, until every output has this error, a number, or a percentage "
        "of its values; 1%% of them, of 0.1 at least, if neither --samples nor --repeats is given, in no "
        "more "
        "than 8 times the time",
    )
    run_.add_argument("--save", type=Path, metavar="F.npz", help="write the outputs to a file")
    run_.add_argument(
        "--checkpoint",
        type=Path,
        metavar="DIR",
        help="a folder that keeps every repeat when it is done, and to resume from",
    )
    run_.add_argument(
        "--devices",
        type=_positive,
        metavar="N",
        help="share the samples or coefficients among so many devices (of each process)",
    )
    run_.add_argument(
        "--coordinator", metavar="HOST:PORT", help="run in several processes: the address of process 0"
    )
    run_.add_argument("--processes", type=_positive, metavar="N", help="how many there are")
    run_.add_argument(
        "--process", type=_seed, metavar="I", help="which one of them this is, 0 to N-1; process 0 prints"
    )
    run_.add_argument("--plot", type=Path, metavar="F.png", help="draw the outputs")
    run_.add_argument(
        "--widths", type=_numbers, default=[], metavar="N,N,…", help="finite widths to show beside the limit"
    )
    run_.add_argument(
        "--seeds", type=_positive, default=8, metavar="N", help="random initialisations at each of them (8)"
    )
    kernel_ = _command(
        commands,
        "kernel",
        kernel,
        "write the matrix of a network's NNGP kernel or NTK to a file, resuming one that is begun",
    )
    kernel_.add_argument(
        "-x", type=Path, required=True, metavar="X.npy", help="inputs, one along the first axis"
    )
    kernel_.add_argument(
        "-z", type=Path, metavar="Z.npy", help="inputs of the columns; those of the rows, if left out"
    )
    kernel_.add_argument("-o", "--output", type=Path, required=True, metavar="K.npy")
    kernel_.add_argument("--kind", choices=("nngp", "ntk"), default="ntk")
    kernel_.add_argument("--network", metavar="NAME", help="which one, if there are several")
    kernel_.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    kernel_.add_argument(
        "--strip", type=_positive, metavar="N", help="rows that are computed and written at once"
    )
    simulate_ = _command(commands, "simulate", simulate, "run the program at finite width", data=True)
    simulate_.add_argument("--width", type=_positive, required=True, metavar="N")
    verify_ = _command(commands, "verify", verify, "compare the limit with finite widths", data=True)
    verify_.add_argument("--widths", type=_numbers, default=[256, 1024, 4096], metavar="N,N,…")
    verify_.add_argument("--plot", type=Path, metavar="F.png")
    _evaluation(verify_, dtype=False)
    for command in (simulate_, verify_):
        command.add_argument(
            "--seeds",
            type=_positive,
            default=32,
            metavar="N",
            help="random initialisations at each width (32)",
        )
        command.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    simulate_.add_argument(
        "--save",
        type=Path,
        metavar="F.npz",
        help="write every output of every seed to a file, and resume from it",
    )
    cli_experiment.add(commands, _positive, _seed)
    return top


def _command(
    commands: Any, name: str, function: Callable[[argparse.Namespace], int], text: str, *, data: bool = False
) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}."
    )
    made.set_defaults(command=function)
    made.add_argument("file", type=Path, metavar="FILE", help="a .tp file")
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
        metavar="F.npz|F.json",
        help="values of inputs by name" if data else argparse.SUPPRESS,
    )
    made.add_argument(
        "--seed",
        type=_seed,
        default=0,
        metavar="N",
        help="of everything random" if data else argparse.SUPPRESS,
    )
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


def _evaluation(command: argparse.ArgumentParser, *, dtype: bool = True) -> None:
    command.add_argument(
        "--method",
        choices=("auto", "linear", "gram", "chaos", "nodes"),
        default="auto",
        help="how elements of L² are represented (auto)",
    )
    command.add_argument("--samples", type=_positive, metavar="M", help="points of one repeat")
    command.add_argument(
        "--repeats",
        type=_positive,
        metavar="R",
        help="independent randomisations, whose spread is the standard error",
    )
    command.add_argument(
        "--max-rank", type=_positive, metavar="K", help="the most directions kept of one side of a matrix"
    )
    if dtype:
        command.add_argument(
            "--dtype",
            choices=("float64", "float32", "bfloat16"),
            default="float64",
            help="bfloat16: float32, but for the coefficients that loops carry",
        )


def _initial(text: str) -> str | int | Path:
    """`seed=N`, `zero`, `integrate`, or a data file."""
    if text.startswith("seed="):
        return _seed(text.removeprefix("seed="))
    return text if text in ("zero", "integrate") else Path(text)


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 0 < value < 2**40:
        raise argparse.ArgumentTypeError(f"`{text}` is not a positive whole number")
    return value


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number from 0 to 999999999")
    return int(text)


def _numbers(text: str) -> list[int]:
    found = [_positive(part) for part in text.split(",")]
    if len(set(found)) < len(found):
        raise argparse.ArgumentTypeError(f"`{text}` has a width twice")
    return found


class _Version(argparse.Action):
    """Looks the version up only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"tpc {version('tpc')}")
        parser.exit()


# commands


def check(arguments: argparse.Namespace) -> int:
    program, given = load(arguments)
    if given:
        bound(program, given, arguments)
    if arguments.json:
        print(
            json.dumps({"program": program.name, "errors": [], "notes": list(program.notes)}, allow_nan=False)
        )
    else:
        from tpc.diagnostics.diagnostic import legible

        print(f"{legible(str(arguments.file))}: {program.name} is a NETSOR⊤⁺ program")
    return OK


def lower(arguments: argparse.Namespace) -> int:
    program, _ = load(arguments)
    if arguments.after is not None:
        return _lower_partly(arguments)
    print(
        json.dumps({"program": program.name, "core": str(program)}) if arguments.json else program,
        end="\n" if arguments.json else "",
    )
    return OK


def _lower_partly(arguments: argparse.Namespace) -> int:
    """Prints the file after one of the passes that write networks and training out."""
    from tpc.core.inputs import parse_setting
    from tpc.pipeline import dims_in, read_text, written_out

    name, text = str(arguments.file), read_text(arguments.file)
    dims = {key: value for key, value in map(parse_setting, arguments.settings) if key in dims_in(text, name)}
    shown = written_out(text, name, dims, arguments.after)
    print(
        json.dumps({"file": name, "after": arguments.after, "text": shown}) if arguments.json else shown,
        end="\n" if arguments.json else "",
    )
    return OK


def derive(arguments: argparse.Namespace) -> int:
    program, _ = load(arguments)
    if arguments.unroll:
        program = _unrolled(program, arguments)
    limit = program.derive()
    if arguments.json or arguments.format == "json":
        print(json.dumps(limit.to_json(), allow_nan=False))
    else:
        print(limit.latex() if arguments.format == "latex" else limit.text())
    return OK


def _unrolled(program: Program, arguments: argparse.Namespace) -> Program:
    from tpc.core.wellformed import instances
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError

    count = instances(program.body)
    if count > MOST_UNROLLED:
        why = (
            f"the loops written out make {count:,} instructions, more than {MOST_UNROLLED:,}; make dims "
            "smaller by --set"
        )
        raise TpcError([catalogue.running.bad_option("--unroll", why)], str(arguments.file))
    return program.unroll()


def graph(arguments: argparse.Namespace) -> int:
    require_writable(arguments.output, (".svg", ".png", ".dot"))
    program, _ = load(arguments)
    from tpc.show.draw import draw

    writing(arguments.output, lambda part: draw(program, part))
    if arguments.json:
        made = program.graph
        print(
            json.dumps(
                {
                    "program": program.name,
                    "nodes": [{"name": n, **_plain(d)} for n, d in made.nodes(data=True)],
                    "edges": [{"from": a, "to": b, **_plain(d)} for a, b, d in made.edges(data=True)],
                }
            )
        )
    return OK


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        if isinstance(value, bool | int | str | type(None))
        else list(value)
        if isinstance(value, tuple)
        else str(value)
        for key, value in data.items()
    }


def compile_file(arguments: argparse.Namespace) -> int:
    if str(arguments.output) != "-":
        require_writable(arguments.output)
    program, _ = load(arguments)
    from tpc.evaluate.evaluator import compile_program

    evaluator = compile_program(
        program,
        method=arguments.method,
        samples=arguments.samples,
        repeats=arguments.repeats,
        dtype=arguments.dtype,
        max_rank=arguments.max_rank,
    )
    start, made = (
        evaluator.start,
        {"program": program.name, "plan": evaluator.plan.to_json(), "output": str(arguments.output)},
    )
    if str(arguments.output) == "-":
        if arguments.json:
            started = (
                {}
                if start is None
                else {"start": {"source": start.evaluator.source, "scalars": list(start.names)}}
            )
            print(json.dumps({**made, "source": evaluator.source, **started}, allow_nan=False))
        else:
            print(evaluator.source, end="")
        return OK
    writing(arguments.output, lambda part: part.write_text(evaluator.source, encoding="utf-8"))
    lines = [f"{arguments.output}: {evaluator.plan}"]
    if start is not None:
        path = arguments.output.with_stem(f"{arguments.output.stem}_start")
        of_start = start.evaluator
        writing(path, lambda part: part.write_text(of_start.source, encoding="utf-8"))
        made["start"] = {"plan": of_start.plan.to_json(), "output": str(path), "scalars": list(start.names)}
        lines.append(
            f"{path}: the covariances of {', '.join(start.names)}, inputs of {arguments.output}; "
            f"{of_start.plan}"
        )
    print(json.dumps(made, allow_nan=False) if arguments.json else "\n".join(lines))
    return OK


def entry() -> None:
    """The command as installed. Once interrupted it does not wait for what is still being computed."""
    status = main()
    if status == INTERRUPTED:
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    entry()
