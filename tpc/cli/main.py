"""The `tpc` command: parses its arguments, calls the library, prints."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tpc.cli.beginning import add_completion, add_examples, add_new
from tpc.cli.correct import add_corrections
from tpc.cli.editing import add_fmt, add_lsp
from tpc.cli.emission import add_compile
from tpc.cli.experiment import add_experiment
from tpc.cli.finite_width import add_simulate, add_verify
from tpc.cli.kernel import add_kernel
from tpc.cli.pages import add_explain, add_help
from tpc.cli.parsing import CommandParser
from tpc.cli.report import add_report
from tpc.cli.run import add_run
from tpc.cli.scale import add_scale
from tpc.cli.shared import DEFECT, INTERRUPTED, OK, REFUSED, show
from tpc.cli.source import add_check, add_derive, add_graph, add_lower
from tpc.cli.streams import abandon, prepare, say
from tpc.cli.together import still_waits
from tpc.machine.collector import collect_nothing_more, collect_seldom

# in the order of the help
COMMANDS = (
    add_new,
    add_examples,
    add_check,
    add_lower,
    add_scale,
    add_derive,
    add_graph,
    add_compile,
    add_run,
    add_kernel,
    add_simulate,
    add_corrections,
    add_verify,
    add_report,
    add_experiment,
    add_explain,
    add_help,
    add_completion,
    add_fmt,
    add_lsp,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns its exit status: 0, 1 for a check that failed, 2 for bad input, 70 for a defect of tpc, 130 if
    interrupted.
    """
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
    """Runs the command; what goes wrong becomes a message and a status.

    An OSError of standard output, which has no file's name, is raised.
    """
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.machine.interrupt import interruptible_process
    from tpc.machine.memory import refusing

    words, top = list(sys.argv[1:] if argv is None else argv), parser()
    top.require_known(words)
    arguments = top.parse_args(words)
    try:
        file = str(arguments.file)
        with interruptible_process(), refusing(file), _installed(file), _cached(arguments):
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


@contextmanager
def _cached(arguments: argparse.Namespace) -> Iterator[None]:
    """Has what is compiled kept from run to run, within a bound, if nothing is said against it.

    And leaves the processors to JAX.
    """
    from tpc.machine import cache
    from tpc.machine.threads import one_thread_for_numpy

    if getattr(arguments, "draws", False):
        one_thread_for_numpy()
    if getattr(arguments, "no_cache", True):
        with cache.without_cache():
            yield
        return
    reason = cache.keep_compiled()
    if reason is not None:
        say(f"note: {reason}")
    try:
        with _remarks_on_cache():
            yield
    finally:
        if "jax" in sys.modules:
            cache.prune()


@contextmanager
def _remarks_on_cache() -> Iterator[None]:
    """What JAX warns of about its cache, where nothing else catches it, is a note."""
    from tpc.machine.cache import remark_on

    others = warnings.showwarning

    def show_warning(message: Warning | str, *about: Any, **options: Any) -> None:
        remark = remark_on(str(message))
        if remark == str(message):
            others(message, *about, **options)
        else:
            say(f"note: {remark}")

    warnings.showwarning = show_warning
    try:
        yield
    finally:
        warnings.showwarning = others


@contextmanager
def _installed(file: str) -> Iterator[None]:
    """A package that is not there raises TpcError (TP615); a module of tpc's own that is not is a defect."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "tpc").partition(".")[0]
        if package == "tpc":
            raise
        from tpc.diagnostics import catalogue
        from tpc.diagnostics.diagnostic import TpcError

        raise TpcError([catalogue.running.not_installed(package)], file) from None


def parser() -> CommandParser:
    top = CommandParser(
        prog="tpc",
        description="A symbolic compiler for Tensor Programs: from a .tp file to its infinite-width limit.",
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    return top


class _Version(argparse.Action):
    """Looks the version up only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"tpc {version('tpc')}")
        parser.exit()


def entry() -> None:
    """The command as installed. Once interrupted it does not wait for what is still being computed."""
    collect_seldom()
    status = main()
    if status == INTERRUPTED or still_waits():
        os._exit(status)
    collect_nothing_more()
    sys.exit(status)


if __name__ == "__main__":
    entry()
