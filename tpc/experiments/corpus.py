"""A text as numbers of words: read line by line, plain or compressed.

Its vocabulary, and what subsampling leaves of it.
"""

from __future__ import annotations

import gzip
import io
import lzma
import math
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from tpc.core.inputs import COMPRESSED
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.machine.files import EXPANSION, SUSPECT, open_regular

PART = 1 << 20  # characters of a line read at once: a text may be one line


@dataclass(frozen=True)
class Text:
    """A text as numbers of words."""

    # the vocabulary, the most frequent first
    words: tuple[str, ...]
    # of each, in all of the text
    counts: np.ndarray
    # the text without other words, as numbers of words
    tokens: np.ndarray
    # the number of each token's line
    lines: np.ndarray

    @property
    def numbers(self) -> Mapping[str, int]:
        return {word: k for k, word in enumerate(self.words)}

    def kept(self, rng: np.random.Generator, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Tokens and lines without some of the frequent words.

        One of frequency f stays with probability √(threshold/f) + threshold/f.
        """
        frequency = self.counts / len(self.tokens)
        chance = (
            np.sqrt(threshold / frequency) + threshold / frequency if threshold else np.ones(len(frequency))
        )
        stays = rng.random(len(self.tokens)) < chance[self.tokens]
        return self.tokens[stays], self.lines[stays]


def embedded() -> Iterator[list[str]]:
    """The reference of the Python language, which comes with Python, by paragraphs."""
    from pydoc_data.topics import topics

    for name in sorted(topics):
        for paragraph in re.split(r"\n\s*\n", topics[name]):
            yield re.findall("[a-z]+", paragraph.lower())


@contextmanager
def _open(path: Path) -> Iterator[tuple[IO[str], float]]:
    """The text, unpacked, and how many characters it may have. Raises OSError."""
    with open_regular(path) as file:
        if path.suffix in COMPRESSED:
            with COMPRESSED[path.suffix](file, "rt", encoding="utf-8") as text:
                yield text, max(SUSPECT, EXPANSION * os.fstat(file.fileno()).st_size)
        else:
            yield io.TextIOWrapper(file, encoding="utf-8"), math.inf


def lines_of(path: Path) -> Iterator[list[str]]:
    """The words of each line of a file. Raises TpcError (TP625)."""
    try:
        with _open(path) as (file, most):
            held, first, read = "", True, 0
            while part := file.read(PART):
                read += len(part)
                if read > most:
                    raise ValueError(f"it unpacks to more than {EXPANSION} times its size")
                *whole, held = (held + (part[1:] if first and part[0] == "\ufeff" else part)).split("\n")
                first = False
                yield from (line.split() for line in whole)
            yield held.split()
        return
    except UnicodeDecodeError as error:
        why = f"it is not UTF-8 (byte {error.object[error.start]:#04x})"
    except EOFError:
        why = "it is cut short"
    except (lzma.LZMAError, gzip.BadGzipFile, zlib.error) as error:
        why = f"it is damaged ({error})"
    except OSError as error:
        why = error.strerror or "it is damaged"
    except ValueError as error:
        why = str(error)
    raise TpcError([catalogue.experiments.bad_text(path.name, why)], str(path))


def read_text(path: Path | None, most: int, least: int) -> Text:
    """The text of a file, or the embedded one, in at most `most` words that occur `least` times or more.

    It is read twice, and kept as numbers.

    Raises TpcError: a file that cannot be read (TP625), too few words (TP626).
    """
    found = Counter[str]()
    for line in _lines(path):
        found.update(line)
    ordered = sorted(
        ((word, n) for word, n in found.items() if n >= least), key=lambda item: (-item[1], item[0])
    )[:most]
    if len(ordered) < 2:
        name = "that is embedded" if path is None else path.name
        raise TpcError([catalogue.experiments.few_words(name, len(found), least)], str(path or name))
    words = tuple(word for word, _ in ordered)
    number = {word: k for k, word in enumerate(words)}
    tokens, lengths = [], []
    for line in _lines(path):
        own = [number[word] for word in line if word in number]
        lengths.append(len(own))
        tokens.append(np.array(own, np.int32))
    return Text(
        words,
        np.array([n for _, n in ordered]),
        np.concatenate(tokens),
        np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
    )


def _lines(path: Path | None) -> Iterable[list[str]]:
    return embedded() if path is None else lines_of(path)
