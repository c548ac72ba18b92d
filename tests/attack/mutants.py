"""Mutants of sources through all stages of the compiler, in process, up to the text of the emitted module."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from random import Random

import tpc
from tests.attack.mutators import mutant
from tests.attack.trial import Attack, Outcome, blamed
from tpc.core.program import Program
from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.pipeline import print_after

LIMITS = ("TP109", "TP308")  # of sizes: what is written out is longer
PARTLY = ("networks", "autodiff")  # written out
WHOLE = ("parse", "updates", "resolve")


def trial(number: int, folder: Path) -> Outcome:
    rng = Random(f"mutants {number}")
    text = mutant(rng, soft=number % 3 > 0)
    return through_stages(text)


def through_stages(text: str) -> Outcome:
    """The first stage that refuses the text, with the code; a stage that breaks is bad."""
    at, found = "check", "through"

    def refused(error: tpc.TpcError) -> Outcome:
        wrong = told_badly(error, text) if at == "check" else None
        return Outcome(
            f"{at}: {wrong or error.diagnostics[0].code}", wrong is not None, {"mutant.tp": text}, str(error)
        )

    try:
        program = tpc.parse(text, name="mutant.tp")
        for at, stage in stages(program, text):
            try:
                next(stage)
            except tpc.TpcError as error:
                found = f"{at}: {error.diagnostics[0].code}" if found == "through" else found
                if at in ("core", "written") and error.diagnostics[0].code not in LIMITS:
                    return Outcome(
                        f"{at}: {error.diagnostics[0].code}", True, {"mutant.tp": text}, str(error)
                    )
    except tpc.TpcError as error:
        return refused(error)
    except Exception as error:
        return Outcome(f"{at}: {blamed(error)}", True, {"mutant.tp": text}, traceback.format_exc())
    return Outcome(found)


def stages(program: Program, text: str) -> Iterator[tuple[str, Iterator[None]]]:
    """Every stage by name; taking its one element is doing it."""
    yield "core", _core(program)
    yield "written", _written(text)
    yield "derive", _derived(program)
    yield "classify", _classified(program)
    yield "compile", _compiled(program)


def _core(program: Program) -> Iterator[None]:
    """What `tpc lower` prints is a program."""
    tpc.parse(str(program), name="core.tp")
    yield


def _written(text: str) -> Iterator[None]:
    """What a stage prints is the same program once more."""
    for stage in PARTLY:
        print_after(text, "mutant.tp", {}, stage)
    core = str(tpc.parse(text, name="mutant.tp"))
    for stage in WHOLE:
        shown = print_after(text, "mutant.tp", {}, stage)
        assert str(tpc.parse(shown, name="mutant.tp")) == core, stage
    yield


def _derived(program: Program) -> Iterator[None]:
    limit = program.derive()
    limit.text(), limit.latex(), limit.to_json()
    yield


def _classified(program: Program) -> Iterator[None]:
    found = tpc.classify(program)
    str(found), found.to_json()
    yield


def _compiled(program: Program) -> Iterator[None]:
    compile(program.compile().source, "limit.py", "exec")
    yield


def told_badly(error: tpc.TpcError, text: str) -> str | None:
    """What is wrong with a message: it has words, no more than a screen or two, and its places lie in the
    text."""
    if len(error.render()) > 60_000:
        return "a message without end"
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for diagnostic in error.diagnostics:
        if not diagnostic.message.strip():
            return "a message without words"
        if not all(_inside(label, lines) for label in _labels(diagnostic)):
            return f"{diagnostic.code} has a place outside of the text"
    return None


def _labels(diagnostic: Diagnostic) -> list[Label]:
    return [*diagnostic.also, *([diagnostic.at] if diagnostic.at else [])]


def _inside(label: Label, lines: list[str]) -> bool:
    span = label.span
    return (
        1 <= span.line <= span.end_line <= len(lines) + 1
        and 1 <= span.column <= (len(lines[span.line - 1]) if span.line <= len(lines) else 0) + 2
    )


ATTACK = Attack("mutants", "mutants of programs through the compiler", trial)
