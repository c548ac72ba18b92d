"""Training programs with mistakes, made at random: each ends in a program or in diagnostics, and these name
nothing that the user has not written.

`TPC_MUTATIONS=20000 pytest tests/train/test_mutations.py` takes more.
"""

import os
import random
import re

import pytest

import tpc
from tests.documents.test_examples import EXAMPLES
from tpc.diagnostics.diagnostic import TpcError

COUNT = int(os.environ.get("TPC_MUTATIONS", "600"))
TOKEN = re.compile(r"\s+|[^\W\d]\w*|[\d.]+|.", re.DOTALL)
PROGRAMS = [example.values[0] for example in EXAMPLES if "network" in example.values[0]]


def mutated(text, r):
    """`text` with a token or two left out, doubled or replaced by another, or with two lines exchanged."""
    tokens = TOKEN.findall(text)
    for _ in range(r.choice([1, 1, 2])):
        words = [i for i, token in enumerate(tokens) if not token.isspace()]
        i, j = r.choice(words), r.choice(words)
        kind = r.random()
        if kind < 0.2:
            del tokens[i]
        elif kind < 0.75:
            tokens[i] = tokens[j]
        elif kind < 0.85:
            tokens.insert(i, tokens[j])
        else:
            lines = "".join(tokens).split("\n")
            a, b = r.randrange(len(lines)), r.randrange(len(lines))
            lines[a], lines[b] = lines[b], lines[a]
            tokens = TOKEN.findall("\n".join(lines))
    return "".join(tokens)


@pytest.mark.parametrize("part", range(4))
def test_mistakes_end_in_diagnostics_about_what_was_written(part):
    r = random.Random(part)
    refused = 0
    for _ in range(COUNT // 4):
        text = mutated(r.choice(PROGRAMS), r)
        try:
            tpc.parse(text)
        except TpcError as error:
            refused += 1
            for diagnostic in error.diagnostics:
                said = diagnostic.message + (diagnostic.help or "")
                assert not re.search(r"[\w`]\$\d|`_`|#\d", said), f"{said}\n\n{text}"
    assert refused > COUNT // 8
