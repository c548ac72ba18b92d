"""What may be typed at a place of a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tpc.editors.meanings import meaning_of_word
from tpc.editors.open_text import OpenText
from tpc.syntax.highlight import CONSTANTS, WORDS_OF_FUNCTIONS
from tpc.syntax.layout import IN_TRAINING, RESERVED, STARTING
from tpc.train.attributes import ATTRIBUTES
from tpc.train.losses import LOSSES
from tpc.train.optimizer_rules import DECOUPLED, RATE
from tpc.train.optimizers import options_of_known
from tpc.train.parametrization import NAMES as PARAMETRIZATIONS
from tpc.train.trainings import ADAPT_OPTIONS

ATTRIBUTE = re.compile(r"([^\W\d]\w*)(?:\[[^\[\]]*\])?\.\w*$")
FIRST = re.compile(r"\s*\w*$")
OPTIONS: dict[str, Callable[[], Iterable[str]]] = {  # when they are asked for: more may have been added
    "update": options_of_known,
    "loss": lambda: LOSSES,
    "parametrization": lambda: PARAMETRIZATIONS,
}
WITHIN = {
    re.compile(r"\s*(?:weight|bias)\b[^,]*,.*$"): ATTRIBUTES,
    re.compile(r".*\badapt\s*\(.*\),\s*.*$"): ADAPT_OPTIONS,
}
UPDATING = re.compile(r"\s*update\s+(\w+)\s*\(.*$")
OF_EVERY_RULE = (*RATE, DECOUPLED)


@dataclass(frozen=True, slots=True)
class Completion:
    """A word, what kind it is of, and what it means."""

    word: str
    kind: str
    meaning: str = ""


def completions(opened: OpenText, line: int, column: int) -> list[Completion]:
    """The words that may stand at a place, those of the text first; none in a comment."""
    if not 1 <= line <= len(opened.lines):
        return []
    before = opened.lines[line - 1][: column - 1]
    if "#" in before:
        return []
    found = ATTRIBUTE.search(before)
    if found:
        return list(_inside(opened, found[1]))
    chosen = OPTIONS.get(before.split()[0]) if len(before.split()) > (not before.endswith(" ")) else None
    if chosen and re.fullmatch(r"\s*\w+\s+\w*", before):
        return [Completion(word, "option", meaning_of_word(word)) for word in chosen()]
    return _unique([*_named_options(before), *_names(opened, line), *_words(before)])


def _inside(opened: OpenText, name: str) -> Iterator[Completion]:
    """What a network calls things inside, a training its loss, a matrix its transpose."""
    names = opened.names
    inside = None if names is None else names.insides.get(name)
    for word, named in () if inside is None else inside.names.items():
        if named.kind != "argument":
            yield Completion(word, "value")
    top = None if names is None else names.top.find(name)
    if top is not None and top.kind == "training":
        yield Completion("loss", "value", "the loss of the batch before each step")
    if top is not None and top.kind in ("matrix", "weight"):
        yield Completion("T", "option", "the transpose")


def _named_options(before: str) -> Iterator[Completion]:
    updating = UPDATING.fullmatch(before)
    if updating:
        words = options_of_known().get(updating[1], OF_EVERY_RULE)
        yield from (Completion(word, "option") for word in words)
    for pattern, words in WITHIN.items():
        if pattern.fullmatch(before):
            yield from (Completion(word, "option") for word in words)


def _names(opened: OpenText, line: int) -> Iterator[Completion]:
    """Names of the file; local ones where they are near, that is in their own lines."""
    names = opened.names
    if names is None:
        return
    top = set(names.top.names.values())
    for named in names.all:
        lines = [span.line for span in named.places]
        if named in top or min(lines) <= line <= max(lines) + 1:
            yield Completion(named.name, named.kind)


def _words(before: str) -> Iterator[Completion]:
    first = FIRST.fullmatch(before) is not None
    words = (*RESERVED, *STARTING, *IN_TRAINING) if first else ("sum", "mean", "for", "adapt")
    yield from (Completion(word, "keyword", meaning_of_word(word)) for word in words)
    if not first:
        functions = (*WORDS_OF_FUNCTIONS, *CONSTANTS)
        yield from (Completion(word, "function", meaning_of_word(word)) for word in functions)


def _unique(found: list[Completion]) -> list[Completion]:
    """Each word once, as it first came."""
    return list({completion.word: completion for completion in reversed(found)}.values())[::-1]
