"""The command `experiment`: the papers' experiments, each a subcommand."""

from __future__ import annotations

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tpc.cli.arguments import Command, add_no_cache, positive, rate, seed
from tpc.cli.shared import OK, REFUSED, not_written, require_own, show, writing


def add_experiment(commands: Any) -> None:
    made = commands.add_parser(
        "experiment", help="run an experiment of the papers", description="Run an experiment of the papers."
    )
    experiments = made.add_subparsers(title="experiments", required=True, metavar="EXPERIMENT")
    _add_maml(experiments)
    _add_word2vec(experiments)
    _add_table(experiments)


def _add(experiments: Any, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    """An experiment. `file` stands for it in messages."""
    made: argparse.ArgumentParser = experiments.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}."
    )
    made.set_defaults(command=command, file=Path(name))
    return made


def _add_kept(made: argparse.ArgumentParser) -> None:
    """What every experiment ends with."""
    _add_save(made)
    made.add_argument("--out", type=Path, metavar="DIR", help="a folder for the result, and to resume from")
    made.add_argument("--resume", action="store_true", help="go on with the run in the folder")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    add_no_cache(made)


def _add_save(made: argparse.ArgumentParser) -> None:
    made.add_argument(
        "--save",
        type=Path,
        metavar="F.tex",
        help="write tables in LaTeX; what tpc did not write stays as it is",
    )


def _add_table(experiments: Any) -> None:
    made = _add(
        experiments, "table", table, "a table of runs in LaTeX, from the folders that they are kept in"
    )
    made.add_argument("runs", type=Path, nargs="+", metavar="DIR", help="what was --out of a run")
    _add_save(made)
    made.add_argument("--json", action="store_true", help="print what the runs found as one JSON object")


def _add_maml(experiments: Any) -> None:
    few = _add(experiments, "maml", maml, "few-shot learning by first-order MAML (TP4 Sec 9)")
    few.add_argument(
        "--data",
        type=Path,
        metavar="F.npz",
        help="drawings by classes, also as F.npz.xz or .gz; without it small embedded ones",
    )
    few.add_argument(
        "--model",
        default="mup",
        metavar="mup|ntk|gp|width=N",
        help="the limit that learns features (mup), one of the kernel regime "
        "(ntk; gp if only the readout is trained), or a finite width",
    )
    few.add_argument(
        "--activation", choices=("linear", "relu", "tanh"), default="linear", help="of the network"
    )
    few.add_argument(
        "--epochs", type=positive, metavar="E", help="of 100 meta-batches (100; 10 for the embedded drawings)"
    )
    few.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="another setting, such as lr=0.05 or batches=20",
    )
    few.add_argument(
        "--samples",
        type=positive,
        metavar="M",
        help="points that stand for the limit, if the activation is not linear",
    )
    few.add_argument(
        "--devices",
        type=positive,
        metavar="N",
        help="share the points or coefficients of the network among so many devices",
    )
    few.add_argument("--seed", type=seed, default=0, metavar="N", help="of tasks and of finite networks")
    _add_kept(few)


def _add_text(words: argparse.ArgumentParser) -> None:
    words.add_argument(
        "--corpus",
        type=Path,
        metavar="F",
        help="a text, plain, .xz or .gz; without it a small one that comes with Python",
    )
    words.add_argument(
        "--questions",
        type=Path,
        metavar="F",
        help="analogies; without it questions-words.txt beside the text, if it is there",
    )
    words.add_argument("--vocab", type=positive, default=8000, metavar="V", help="the most words")
    words.add_argument("--min-count", type=positive, default=5, metavar="N", help="of a word in the text")


def _add_word2vec(experiments: Any) -> None:
    words = _add(experiments, "word2vec", word2vec, "word vectors by CBOW with negative sampling (TP4 Sec 9)")
    _add_text(words)
    words.add_argument(
        "--model",
        default="mup",
        metavar="mup|width=N|ntk",
        help="the limit (mup), a finite width, or the kernel limit",
    )
    words.add_argument(
        "--activation",
        choices=("linear", "relu", "tanh"),
        default="linear",
        help="of the mean around a word",
    )
    words.add_argument(
        "--samples",
        type=positive,
        metavar="M",
        help="points that stand for the limit, if the activation is not linear "
        "(the first power of 2 from twice V on, 1024 at least)",
    )
    words.add_argument(
        "--epochs", type=positive, metavar="E", help="over the text (5; 20 for the embedded one)"
    )
    words.add_argument("--lr", type=rate, metavar="R", help="the first rate of learning")
    words.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of the vectors of words in the limit, between steps",
    )
    words.add_argument(
        "--devices", type=positive, metavar="N", help="share the vectors of words among so many devices"
    )
    words.add_argument(
        "--seed",
        type=seed,
        default=0,
        metavar="N",
        help="of subsampling, windows, negatives and finite networks",
    )
    _add_kept(words)


def table(arguments: argparse.Namespace) -> int:
    from tpc.evaluate.saved_results import write_tex
    from tpc.experiments.kept_outcomes import read_outcome
    from tpc.experiments.outcome_tables import latex_of_outcomes

    require_own(arguments.save, (".tex",))
    outcomes = [read_outcome(run) for run in arguments.runs]
    tables = latex_of_outcomes(outcomes)
    if arguments.save is not None:
        writing(arguments.save, lambda part: write_tex(part, tables))
    shown = tables if arguments.save is None else None
    show(arguments, shown, {"runs": [outcome.to_json() for outcome in outcomes]})
    return OK


def _require_places(arguments: argparse.Namespace, name: str) -> None:
    """Refuses to resume without a folder (TP602), and tables in what is not theirs (TP606)."""
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError

    if arguments.resume and arguments.out is None:
        wrong = catalogue.running.bad_option("--resume", "needs --out, the folder of the run")
        raise TpcError([wrong], name)
    require_own(arguments.save, (".tex",))


def maml(arguments: argparse.Namespace) -> int:
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.experiments.maml import FewShotExperiment, settings_for

    _require_places(arguments, "maml")
    epochs = arguments.epochs or (10 if arguments.data is None else 100)
    changes = dict(setting.partition("=")[::2] for setting in arguments.settings)
    data = None if arguments.data is None else str(arguments.data)
    model = _model(arguments, "ntk", "gp")
    if arguments.devices is not None and model in ("ntk", "gp"):
        why = f"shares the points or coefficients of a network, which --model {model} has not"
        raise TpcError([catalogue.running.bad_option("--devices", why)], "maml")
    settings = settings_for(
        model,
        changes,
        data=data,
        activation=arguments.activation,
        epochs=epochs,
        seed=arguments.seed,
        samples=arguments.samples,
        devices=arguments.devices,
    )
    seen = (_epoch, _preparing) if sys.stderr.isatty() else (None, None)
    outcome = FewShotExperiment(settings, arguments.out).run(
        resume=arguments.resume, progress=seen[0], preparing=seen[1]
    )
    return _print_outcome(arguments, outcome, outcome.diverged, "the network")


def word2vec(arguments: argparse.Namespace) -> int:
    from tpc.experiments.word2vec import Word2VecExperiment, settings_for

    _require_places(arguments, "word2vec")
    given = {
        "epochs": arguments.epochs,
        "lr": arguments.lr,
        "questions": None if arguments.questions is None else str(arguments.questions),
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = settings_for(
        None if arguments.corpus is None else str(arguments.corpus),
        vocabulary=arguments.vocab,
        min_count=arguments.min_count,
        model=_model(arguments, "ntk"),
        seed=arguments.seed,
        activation=arguments.activation,
        samples=arguments.samples,
        dtype=arguments.dtype,
        devices=arguments.devices,
        **chosen,
    )
    outcome = Word2VecExperiment(settings, arguments.out).run(
        resume=arguments.resume, progress=_words if sys.stderr.isatty() else None
    )
    return _print_outcome(arguments, outcome, outcome.diverged, "a vector")


def _print_outcome(arguments: argparse.Namespace, outcome: Any, diverged: int | None, what: str) -> int:
    """Prints what has been found, and that it is not all there would be, if training diverged.

    Before that it is written as tables, if these are asked for.
    """
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError
    from tpc.evaluate.saved_results import write_tex

    wrong = [] if diverged is None else [catalogue.running.epoch_diverged(what, diverged)]
    wrong += not_written([(arguments.save, lambda part: write_tex(part, outcome.to_latex()))])
    error = TpcError(wrong, str(arguments.file)) if wrong else None
    show(arguments, outcome, outcome.to_json(), error)
    return OK if error is None else REFUSED


def _model(arguments: argparse.Namespace, *others: str) -> str | int:
    """The model that is asked for. others: that there are besides mup and widths. Raises TpcError (TP602)."""
    from tpc.diagnostics import catalogue
    from tpc.diagnostics.diagnostic import TpcError

    name, _, width = arguments.model.partition("=")
    if arguments.model in ("mup", *others):
        return str(arguments.model)
    with suppress(argparse.ArgumentTypeError):
        if name == "width" and (n := int(positive(width))) >= 2:
            return n
    known = ", ".join(("mup", *others))
    raise TpcError(
        [
            catalogue.running.bad_option(
                "--model", f"must be {known} or width=N with N at least 2, not {arguments.model}"
            )
        ],
        str(arguments.file),
    )


def _epoch(done: int, total: int, accuracy: float, speed: float, left: float) -> None:
    there = (
        ""
        if done == total
        else f", about {left / 60:.0f} min to go"
        if left > 90
        else f", about {left:.0f} s to go"
    )
    print(
        f"\repoch {done} of {total}: validation {100 * accuracy:.2f} %, {speed:.1f} "
        f"meta-batches/s{there}\033[K",
        end="\n" if done == total else "",
        file=sys.stderr,
        flush=True,
    )


def _words(done: float, total: int, words: int, speed: float) -> None:
    print(
        f"\r{done:.2f} of {total} epochs: {words:,} words, {speed:,.0f} words/s\033[K",
        end="\n" if done == total else "",
        file=sys.stderr,
        flush=True,
    )


def _preparing(done: int, total: int) -> None:
    print(f"\rkernel: {done} of {total} drawings\033[K", end="", file=sys.stderr, flush=True)
