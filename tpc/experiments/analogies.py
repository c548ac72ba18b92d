"""The word-analogy test.

a is to b as c is to which word? Answered by inner products of word vectors alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.machine.files import open_regular

BESIDE = "questions-words.txt"  # looked for beside a text
PLURALS = """argument attribute block call character class clause code command condition decorator default
definition element error event exception expression field file function global instance integer item
iterator keyword library line list literal loop mapping method module name number object operand operator
option package parameter pattern position result rule sequence statement string target token type value
variable word"""
BLOCK = 256  # questions answered at once
MOST = 1 << 26  # bytes of a file of them


@dataclass(frozen=True)
class Questions:
    """Analogies that are asked."""

    # of the file
    asked: int
    # of the words of those whose words are all in the vocabulary [questions, 4]
    numbers: np.ndarray


def embedded() -> Sequence[tuple[str, ...]]:
    """Questions for the embedded text: plurals."""
    pairs = [(word, f"{word}es" if word.endswith("ss") else f"{word}s") for word in PLURALS.split()]
    return [(*one, *other) for one, other in permutations(pairs, 2)]


def read_questions(path: Path | None, number: Mapping[str, int]) -> Questions:
    """The questions of a file, or the embedded ones, in lower case. Raises TpcError (TP627)."""
    rows: Sequence[tuple[str, ...]] = embedded() if path is None else _rows(path)
    known = [[number[word] for word in row] for row in rows if all(word in number for word in row)]
    return Questions(len(rows), np.array(known, np.int32).reshape(-1, 4))


def _rows(path: Path) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    try:
        with open_regular(path) as file:
            read = file.read(MOST + 1)
        if len(read) > MOST:
            raise TpcError(
                [catalogue.experiments.bad_questions(path.name, 0, f"take more than {MOST >> 20} MiB")],
                str(path),
            )
        for n, line in enumerate(read.decode("utf-8-sig").splitlines(), 1):
            words = tuple(line.lower().split())
            if words and not words[0].startswith(":"):
                if len(words) != 4:
                    raise TpcError(
                        [catalogue.experiments.bad_questions(path.name, n, f"has {len(words)} words, not 4")],
                        str(path),
                    )
                rows.append(words)
    except UnicodeDecodeError:
        raise TpcError(
            [catalogue.experiments.bad_questions(path.name, 0, "are not UTF-8")], str(path)
        ) from None
    except OSError as error:
        raise TpcError(
            [catalogue.experiments.bad_questions(path.name, 0, f"cannot be read: {error.strerror or error}")],
            str(path),
        ) from None
    if not rows:
        raise TpcError([catalogue.experiments.bad_questions(path.name, 0, "are none")], str(path))
    return rows


def right_answers(
    numbers: np.ndarray, square: np.ndarray, products: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Which questions get the right answer.

    The word, other than the three, whose vector of length 1 has the greatest product with b − a + c.

    square: squared norms [d]. products: inner products of some words with all [words, d]. A tie is no answer.
    """
    length = np.sqrt(np.maximum(square, np.finfo(np.float32).tiny))
    asked = np.unique(numbers[:, :3]).astype(np.int32)
    cosine = products(asked) / length / length[asked, None]
    right = np.zeros(len(numbers), bool)
    for first in range(0, len(numbers), BLOCK):
        own = numbers[first : first + BLOCK]
        a, b, c = cosine[np.searchsorted(asked, own[:, :3].T)]
        closeness, rows = b - a + c, np.arange(len(own))
        closeness[rows[:, None], own[:, :3]] = -np.inf
        answer = closeness[rows, own[:, 3]]
        closeness[rows, own[:, 3]] = -np.inf
        right[first : first + BLOCK] = answer > closeness.max(axis=1)
    return right
