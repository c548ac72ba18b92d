"""Formulas in LaTeX broken into lines: where they may be, how wide they are, and the lines.

A notation marks where a line may end. Delimiters that are open there are closed by `\\right.`, and opened
again on the next line by `\\left.`, so that every line is a formula of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

TERM, FACTOR = "\x1e", "\x1f"  # before a term, or a relation; before a factor
MARKS = TERM + FACTOR
TOKEN = re.compile(rf"([{MARKS}])|\\(left|right)(\\?.)|\\(begin|end)\{{\w+\}}|\\([A-Za-z]+|.)|(.)", re.DOTALL)
SCRIPT = 0.7  # of the size of what it stands at
BAR = 0.5  # letters by which a fraction is wider than its parts
SILENT = {"left", "right", "displaystyle", "mathit", "mathrm", "mathbb", "mathcal", "text", "operatorname"}
SILENT |= {"hat", "dot", "mathring", "frac", "tfrac", "textbf", "limits"}
WIDE = {"quad": 2.0, "qquad": 4.0, "sum": 2.2, "log": 3.0, "exp": 3.0, "tanh": 4.0, "sin": 3.0, "cos": 3.0}
WIDE |= {"cosh": 4.0, "sinh": 4.0, "max": 3.0, "min": 3.0, "sqrt": 1.5, "cdot": 1.5, "sim": 2.4, ",": 0.3}


@dataclass(frozen=True, slots=True)
class Opportunity:
    """A place where a line may end."""

    # in the text, of the mark
    at: int
    # of the line up to it, in letters
    width: float
    # how many delimiters are open
    depth: int
    factor: bool


@dataclass(frozen=True, slots=True)
class Group:
    """What stands in braces."""

    # the width of the line where it begins
    start: float
    # whether it is a numerator; of a denominator, the width of the numerator above it
    numerator: bool = False
    above: float | None = None

    def closed(self, width: float) -> tuple[float, float | None]:
        """The width of the line after it, and of the numerator that it is."""
        if self.numerator:
            return self.start, width - self.start
        return (width if self.above is None else self.start + max(self.above, width - self.start) + BAR), None


def unmarked(text: str) -> str:
    return text.replace(TERM, "").replace(FACTOR, "")


def measured(text: str) -> tuple[float, list[Opportunity]]:
    """The width of a formula in letters, about, and where it may be broken.

    Numerators and denominators stand above one another, of which the wider counts; indices are smaller.
    """
    width, depth, found = 0.0, 0, list[Opportunity]()
    scale = [1.0]  # of every group around
    groups: list[Group] = []
    above: float | None = None  # the width of the numerator that a denominator comes after
    fraction = script = False  # whether the next group is a numerator, a script
    for token in TOKEN.finditer(text):
        mark, delimiter, _, environment, command, letter = token.groups()
        size = scale[-1] * (SCRIPT if script else 1.0)
        if mark:
            if not groups:
                found.append(Opportunity(token.start(), width, depth, mark == FACTOR))
            continue
        if delimiter:
            depth += (1 if delimiter == "left" else -1) if not groups else 0
            width += (0.2 if token[3] == "." else 0.8) * size
        elif environment:
            if environment == "begin":
                groups.append(Group(width))
            elif groups:
                groups.pop()
        elif command:
            fraction = command in ("frac", "tfrac")
            width += 0.0 if command in SILENT else size * WIDE.get(command, 1.2)
        elif letter == "{":
            groups.append(Group(width, fraction, above))
            scale.append(size)
            fraction, script, above = False, False, None
            continue
        elif letter == "}" and groups:
            width, above = groups.pop().closed(width)
            scale.pop()
        elif letter in "^_":
            script = True
            continue
        elif letter not in " \n&":
            width += size * (2.4 if letter in "=+-<>" else 1.3 if letter.isupper() else 1.0)
        script = script and letter == " "
    return width, found


def broken(text: str, width: float, indent: float = 4.0) -> list[str]:
    """`text` as lines of about `width` letters at most, where it has marks for that; the marks are gone.

    indent: by how much narrower all lines are but the first. Lines end before terms rather than factors,
    and inside as few delimiters as may be, but not before a third of the width is used.
    """
    lines, room = list[str](), width
    while True:
        total, opportunities = measured(text)
        fitting = [o for o in opportunities if room / 3 <= o.width <= room]
        late = [o for o in opportunities if o.width > room]
        chosen = fitting or late[:1]
        if total <= room or not chosen:
            return [*lines, unmarked(text).strip()]
        at = min(chosen, key=lambda o: (o.depth, o.factor, -o.at))
        lines.append(unmarked(text[: at.at]).strip() + r" \right." * at.depth)
        text = r"\left. " * at.depth + text[at.at + 1 :].lstrip()
        room = width - indent
