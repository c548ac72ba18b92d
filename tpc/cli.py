"""The `tpc` command: parses its arguments, calls the library, prints."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from tpc.core.program import Program
    from tpc.result import Result

OK, FAILED, REFUSED, DEFECT, INTERRUPTED = 0, 1, 2, 70, 130
MOST_UNROLLED = 4000                               # instances of instructions that `derive --unroll` writes out


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit status: 0, 1 for a check that failed, 2 for bad input, 70 for a defect of tpc, 130 if interrupted."""
    arguments = parser().parse_args(argv)
    from tpc.syntax.diagnostic import TpcError
    try:
        return int(arguments.command(arguments))
    except TpcError as error:
        return _refused(error, arguments)
    except KeyboardInterrupt:
        print("tpc: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except MemoryError:
        print("tpc: not enough memory; use fewer --samples, a smaller width or fewer steps", file=sys.stderr)
        return REFUSED
    except Exception as error:
        if os.environ.get("TPC_TRACEBACK"):
            raise
        print(f"tpc: this is a defect of tpc, please report it with the program: {type(error).__name__}: {str(error)[:500]}\n"
              "     (TPC_TRACEBACK=1 shows where it happened)", file=sys.stderr)
        return DEFECT


def _refused(error: Any, arguments: argparse.Namespace) -> int:
    from tpc.syntax.diagnostic import TpcError
    if error.of_program:
        error = TpcError(error.diagnostics, str(arguments.file), _text_of(arguments.file))
    print(error.render(colour=sys.stderr.isatty() and "NO_COLOR" not in os.environ), file=sys.stderr)
    if arguments.json:
        print(json.dumps(error.to_json()))
    return REFUSED


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return ""


# arguments

def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="tpc", description="A symbolic compiler for Tensor Programs: from a .tp file to its infinite-width limit.")
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _command(commands, "check", check, "look for mistakes")
    lower_ = _command(commands, "lower", lower, "print the core program (Def 7.1) that the file stands for")
    lower_.add_argument("--after", choices=("networks", "autodiff", "updates"),
                        help="print the file after this pass: forward passes; backward passes too; updates of weights too")
    derive_ = _command(commands, "derive", derive, "print the Z-recursion of the limit (Def 7.3)")
    derive_.add_argument("--format", choices=("text", "latex", "json"), default="text")
    derive_.add_argument("--unroll", action="store_true", help="write loops out")
    graph_ = _command(commands, "graph", graph, "draw the dependency graph")
    graph_.add_argument("-o", "--output", type=Path, required=True, metavar="F.svg|.png|.dot")
    compile_ = _command(commands, "compile", compile_file, "write a stand-alone JAX module that evaluates the limit")
    compile_.add_argument("-o", "--output", type=Path, required=True, metavar="F.py", help="`-` for standard output")
    _evaluation(compile_)
    run_ = _command(commands, "run", run, "evaluate the limit", data=True)
    _evaluation(run_)
    run_.add_argument("--save", type=Path, metavar="F.npz", help="write the outputs to a file")
    run_.add_argument("--plot", type=Path, metavar="F.png", help="draw the outputs")
    run_.add_argument("--widths", type=_numbers, default=[], metavar="N,N,…", help="finite widths to show beside the limit")
    run_.add_argument("--seeds", type=_positive, default=8, metavar="N", help="random initialisations at each of them (8)")
    simulate_ = _command(commands, "simulate", simulate, "run the program at finite width", data=True)
    simulate_.add_argument("--width", type=_positive, required=True, metavar="N")
    verify_ = _command(commands, "verify", verify, "compare the limit with finite widths", data=True)
    verify_.add_argument("--widths", type=_numbers, default=[256, 1024, 4096], metavar="N,N,…")
    verify_.add_argument("--plot", type=Path, metavar="F.png")
    _evaluation(verify_, dtype=False)
    for command in (simulate_, verify_):
        command.add_argument("--seeds", type=_positive, default=32, metavar="N", help="random initialisations at each width (32)")
        command.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    simulate_.add_argument("--save", type=Path, metavar="F.npz", help="write every output of every seed to a file, and resume from it")
    return top


def _command(commands: Any, name: str, function: Callable[[argparse.Namespace], int], text: str, *, data: bool = False) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    made.set_defaults(command=function)
    made.add_argument("file", type=Path, metavar="FILE", help="a .tp file")
    made.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings", help="the value of a dim or an input")
    made.add_argument("--data", type=Path, metavar="F.npz|F.json", help="values of inputs by name" if data else argparse.SUPPRESS)
    made.add_argument("--seed", type=_seed, default=0, metavar="N", help="of everything random" if data else argparse.SUPPRESS)
    made.add_argument("--json", action="store_true", help="print one JSON object")
    return made


def _evaluation(command: argparse.ArgumentParser, *, dtype: bool = True) -> None:
    command.add_argument("--method", choices=("auto", "linear", "chaos", "nodes"), default="auto", help="how elements of L² are represented (auto)")
    command.add_argument("--samples", type=_positive, metavar="M", help="points of one repeat")
    command.add_argument("--repeats", type=_positive, metavar="R", help="independent randomisations, whose spread is the standard error")
    command.add_argument("--max-rank", type=_positive, metavar="K", help="the most directions kept of one side of a matrix")
    if dtype:
        command.add_argument("--dtype", choices=("float64", "float32"), default="float64")


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


# what commands share

def _load(arguments: argparse.Namespace) -> tuple[Program, dict[str, np.ndarray]]:
    """The program, its dims as set, and the values given for its inputs."""
    from tpc.inputs import load_data, parse_setting
    from tpc.pipeline import dims_in, parse, read_text
    from tpc.syntax import catalogue
    from tpc.syntax.diagnostic import TpcError
    name = str(arguments.file)
    text = read_text(arguments.file)
    settings = dict(parse_setting(setting) for setting in arguments.settings)
    dims = {}
    for dim in (dims_in(text, name) & set(settings)) if settings else ():
        value = settings.pop(dim)
        if value.ndim or value != int(value):
            raise TpcError([catalogue.bad_setting(f"{dim}={value}", f"`{dim}` is a dim, a whole number")], "--set")
        dims[dim] = int(value)
    program = parse(text, name=name, dims=dims)
    data = load_data(arguments.data) if arguments.data is not None else {}
    unknown = [s for s in settings if s not in {item.name for item in program.inputs}]
    if unknown:
        raise TpcError([catalogue.unknown_setting(s, sorted({i.name for i in program.inputs} | dims_in(text, name))) for s in unknown], name)
    for note in program.notes:
        print(f"note: {note}", file=sys.stderr)
    return program, {**data, **settings}


def _bound(program: Program, given: dict[str, np.ndarray], arguments: argparse.Namespace) -> dict[str, np.ndarray]:
    from tpc.inputs import bind_inputs
    return bind_inputs(program, given, file=str(arguments.file), text=_text_of(arguments.file))


def _progress(what: str) -> Callable[[int, int], None] | None:
    if not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        print(f"\r{what}: {done} of {total}" + ("\r\033[K" if done == total else ""), end="", file=sys.stderr, flush=True)
    return show


def _writing(path: Path, write: Callable[[], object]) -> None:
    """Writes a file. Raises TpcError (TP606) if that is impossible."""
    from tpc.syntax import catalogue
    from tpc.syntax.diagnostic import TpcError
    try:
        write()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise TpcError([catalogue.cannot_write(str(path), why)], str(path)) from None


def _evaluated(program: Program, given: dict[str, np.ndarray], arguments: argparse.Namespace) -> Result:
    from tpc.run import compile_program
    evaluator = compile_program(program, method=arguments.method, samples=arguments.samples, repeats=arguments.repeats, dtype=arguments.dtype,
                                max_rank=arguments.max_rank)
    if sys.stderr.isatty():
        print(f"plan: {evaluator.plan}", file=sys.stderr)
    return evaluator(given, seed=arguments.seed, progress=_progress("repeat"))


def _samples(program: Program, given: dict[str, np.ndarray], width: int, arguments: argparse.Namespace, checkpoint: Path | None = None) -> Any:
    from tpc.inputs import require_memory
    from tpc.simulate import simulate as simulated
    from tpc.syntax import catalogue
    from tpc.syntax.diagnostic import TpcError
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    require_memory(sum(float(width)**2 * math.prod(n for _, n in m.axes) * 4 for m in program.matrices), str(arguments.file))
    try:
        return simulated(program, given, width=width, seeds=seeds, dtype=arguments.dtype, progress=_progress(f"width {width}, seed"),
                         checkpoint=checkpoint)
    except ValueError as error:
        raise TpcError([catalogue.bad_option("--width" if "width" in str(error) else "--save", str(error))], str(arguments.file)) from None


# commands

def check(arguments: argparse.Namespace) -> int:
    program, given = _load(arguments)
    if given:
        _bound(program, given, arguments)
    if arguments.json:
        print(json.dumps({"program": program.name, "errors": [], "notes": list(program.notes)}))
    else:
        print(f"{arguments.file}: {program.name} is a NETSOR⊤⁺ program")
    return OK


def lower(arguments: argparse.Namespace) -> int:
    program, _ = _load(arguments)
    if arguments.after is not None:
        return _lower_partly(arguments)
    print(json.dumps({"program": program.name, "core": str(program)}) if arguments.json else program, end="\n" if arguments.json else "")
    return OK


def _lower_partly(arguments: argparse.Namespace) -> int:
    """Prints the file after one of the passes that write networks and training out."""
    from tpc.inputs import parse_setting
    from tpc.pipeline import dims_in, read_text, written_out
    name, text = str(arguments.file), read_text(arguments.file)
    dims = {key: int(value) for key, value in map(parse_setting, arguments.settings) if key in dims_in(text, name)}
    shown = written_out(text, name, dims, arguments.after)
    print(json.dumps({"file": name, "after": arguments.after, "text": shown}) if arguments.json else shown, end="\n" if arguments.json else "")
    return OK


def derive(arguments: argparse.Namespace) -> int:
    program, _ = _load(arguments)
    if arguments.unroll:
        program = _unrolled(program, arguments)
    limit = program.derive()
    if arguments.json or arguments.format == "json":
        print(json.dumps(limit.to_json()))
    else:
        print(limit.latex() if arguments.format == "latex" else limit.text())
    return OK


def _unrolled(program: Program, arguments: argparse.Namespace) -> Program:
    from tpc.core.verify import instances
    from tpc.syntax import catalogue
    from tpc.syntax.diagnostic import TpcError
    count = instances(program.body)
    if count > MOST_UNROLLED:
        why = f"the loops written out make {count:,} instructions, more than {MOST_UNROLLED:,}; make dims smaller by --set"
        raise TpcError([catalogue.bad_option("--unroll", why)], str(arguments.file))
    return program.unroll()


def graph(arguments: argparse.Namespace) -> int:
    program, _ = _load(arguments)
    from tpc.show.graph import draw
    _writing(arguments.output, lambda: draw(program, arguments.output))
    if arguments.json:
        made = program.graph
        print(json.dumps({"program": program.name, "nodes": [{"name": n, **_plain(d)} for n, d in made.nodes(data=True)],
                          "edges": [{"from": a, "to": b, **_plain(d)} for a, b, d in made.edges(data=True)]}))
    return OK


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value if isinstance(value, bool | int | str | type(None)) else list(value) if isinstance(value, tuple) else str(value)
            for key, value in data.items()}


def compile_file(arguments: argparse.Namespace) -> int:
    program, _ = _load(arguments)
    from tpc.run import compile_program
    evaluator = compile_program(program, method=arguments.method, samples=arguments.samples, repeats=arguments.repeats, dtype=arguments.dtype,
                                max_rank=arguments.max_rank)
    if str(arguments.output) == "-":
        print(evaluator.source, end="")
        return OK
    _writing(arguments.output, lambda: arguments.output.write_text(evaluator.source, encoding="utf-8"))
    if arguments.json:
        print(json.dumps({"program": program.name, "plan": evaluator.plan.to_json(), "output": str(arguments.output)}))
    else:
        print(f"{arguments.output}: {evaluator.plan}")
    return OK


def run(arguments: argparse.Namespace) -> int:
    program, given = _load(arguments)
    inputs = _bound(program, given, arguments)
    result = _evaluated(program, inputs, arguments)
    samples = [_samples(program, inputs, width, arguments) for width in arguments.widths]
    if arguments.save is not None:
        _writing(arguments.save, lambda: result.save(arguments.save))
    if arguments.plot is not None:
        from tpc.show.outcomes import plot_result
        _writing(arguments.plot, lambda: plot_result(result, arguments.plot, samples))
    if arguments.json:
        data = result.to_json()
        if samples:
            data["widths"] = [_sample_data(s) for s in samples]
        print(json.dumps(data))
        return OK
    print(result)
    for s in samples:
        print(s)
    return OK


def _sample_data(samples: Any) -> dict[str, Any]:
    from tpc.simulate.verify import plain
    outputs = {name: {"mean": plain(samples.mean[name]), "std": plain(samples.std[name])} for name in samples.outputs}
    return {"program": samples.program, "width": samples.width, "seeds": len(samples.seeds), "outputs": outputs}


def simulate(arguments: argparse.Namespace) -> int:
    program, given = _load(arguments)
    samples = _samples(program, _bound(program, given, arguments), arguments.width, arguments, arguments.save)
    print(json.dumps(_sample_data(samples)) if arguments.json else samples)
    return INTERRUPTED if samples.interrupted else OK


def verify(arguments: argparse.Namespace) -> int:
    program, given = _load(arguments)
    inputs = _bound(program, given, arguments)
    from tpc.simulate import verify as compared
    from tpc.syntax import catalogue
    from tpc.syntax.diagnostic import TpcError
    if arguments.seeds < 2:
        raise TpcError([catalogue.bad_option("--seeds", "must be at least 2, to tell how much they differ")], str(arguments.file))
    result = _evaluated(program, inputs, arguments)
    report = compared(result.limits, [_samples(program, inputs, width, arguments) for width in arguments.widths])
    if arguments.plot is not None:
        _writing(arguments.plot, lambda: report.plot(arguments.plot))
    print(json.dumps({**report.to_json(), "plan": result.plan.to_json()}) if arguments.json else report)
    return OK if report.agrees else FAILED


if __name__ == "__main__":
    sys.exit(main())
