"""What is wrong with files and their syntax: TP0."""

from __future__ import annotations

import re

from tpc.diagnostics.catalogue.words import either
from tpc.diagnostics.diagnostic import Diagnostic, Label
from tpc.diagnostics.spans import Span

# after these the rest of the file cannot be read sensibly
ENDS_PARSING = frozenset({"TP004", "TP007", "TP008"})
WORDS = {
    "_NEWLINE": "the end of the line",
    "_INDENT": "an indented block",
    "_DEDENT": "the end of the block",
    "$END": "the end of the file",
    "NAME": "a name",
    "NUMBER": "a number",
    "TRANSPOSE": "`.T`",
    "SUPERSCRIPT": "a power",
    "PRIMES": "`'`",
    "COMPARISON": "a comparison",
    "LESS": "`<`",
    "POWER": "`^`",
    "STAR": "`*`",
    "SLASH": "`/`",
    "SIGN": "`+` or `-`",
    "AT": "`@`",
    "EQUALS": "`=`",
    "TILDE": "`~`",
    "COLON": "`:`",
    "_COMMA": "`,`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
}
OPERATORS = frozenset(
    {"TRANSPOSE", "SUPERSCRIPT", "PRIMES", "COMPARISON", "LESS", "POWER", "STAR", "SLASH", "SIGN", "AT"}
)
STATEMENTS = frozenset({"PROGRAM", "WIDTH", "DIM", "INPUT", "MATRIX", "VECTOR", "OUTPUT", "DEF", "FOR"})
# how statements are written, by the word that they begin with
FORMS = {
    "width": "`width n`, or `width m = 2*n`, of what tends to infinity: it has a name and no number",
    "dim": "`dim T = 4, N = 8`",
    "input": "`input x[N, 2], y[N], lr = 0.5`",
    "matrix": "`matrix A : n x m ~ N(0, 1/m)`",
    "vector": "`vector v : n ~ N(0, 1)`",
    "weight": "`weight W : n x n, std = 2`, rows x columns; its law is made of `std` and the parametrization",
    "bias": "`bias b : n, std = 2`; its law is made of `std` and the parametrization",
    "activation": "`activation φ = tanh`",
    "parametrization": "`parametrization ntp`, or `uniform(r = 1/4)`",
    "def": "`def f(x) = x^2`; a block has `def f(x):` on a line of its own, and ends with `return …`",
    "network": "`network f(x) = V @ tanh(U @ x)`; a block has `network f(x):` on a line of its own, and ends "
    "with `return …`",
    "optimizer": "`optimizer mine(beta = 0.9):`, and on the lines below a block that ends with `return …`",
    "train": "`train f for t < T:`",
    "batch": "`batch (x[t, i], y[t, i]) for i < B`",
    "loss": "`loss mse`, or `loss(f, y) = (f - y)^4`",
    "update": "`update sgd(lr = 0.1)`",
    "for": "`for t < T:`",
    "output": "`output q`, or `output q[t] = mean(v*x[t]) for t < T`",
}


NO_RETURN = "put `return …` at its end, with what it gives"
CHOICE = "a choice is `where(x > 0, y, z)`"
BOTH = "a condition is one comparison; of two it is `where(0 < x, where(x < 1, y, z), z)`"
COMPARISONS = "comparisons are `< <= > >=`, and stand in `where(x > 0, y, z)`"
# what is meant by words and characters of other languages
WORDS_OF_OTHERS = {
    "if": CHOICE,
    "else": CHOICE,
    "and": BOTH,
    "or": BOTH,
    "not": CHOICE,
    "lambda": "a function has a name: `def f(x) = x^2`, on a line of its own",
    "is": COMPARISONS,
    "in": "a range is written `t < T`",
    "while": "a loop is `for t < T:`, on a line of its own",
}
CHARACTERS_OF_OTHERS = {
    "?": CHOICE,
    "!": COMPARISONS,
    "&": BOTH,
    "|": f"{BOTH}, and an absolute value `abs(x)`",
    ";": "every statement has a line of its own",
}
# an expression begins
ASSIGNED = re.compile(r"(?<![<>=])=(?!=)|[~]")
# an option whose value begins with a bracket
LISTED = re.compile(r"[(,]\s*\w+\s*=\s*\([^()]*$")
# the innermost call that is open
CALL = re.compile(r"\b(\w+)\((?:[^()]|\([^()]*\))*$")
CALLS = {
    "where": CHOICE,
    "mean": "`mean` is of one vector, over all its coordinates",
    "sum": "a sum is written `sum(t < T: x[t])`",
}
LAST_WORD = re.compile(r"\b(not|lambda)\s*$")


def unreadable(reason: str) -> Diagnostic:
    return Diagnostic(
        "TP001",
        f"the file cannot be read: {reason}",
        help="look at its name, its folder, and who may read it",
    )


def is_data(ending: str) -> Diagnostic:
    return Diagnostic(
        "TP001",
        f"a {ending} file is no program: it is data",
        help="name the program, a .tp file, and the data after it: `--data F.npz` (or F.json, F.csv), or "
        "where a command takes arrays of inputs, `-x X.npy`",
    )


def not_utf8(offset: int) -> Diagnostic:
    return Diagnostic("TP002", f"the file is not UTF-8 text (byte {offset})", help="save it as UTF-8")


def too_large(limit: int) -> Diagnostic:
    return Diagnostic(
        "TP003",
        f"the file is larger than {limit // 1024} KiB",
        help="a program this long is better written with loops",
    )


def unexpected_character(at: Span, character: str) -> Diagnostic:
    shown = character if character.isprintable() else f"U+{ord(character):04X}"
    return Diagnostic(
        "TP004",
        f"the character `{shown}` has no meaning here",
        Label(at),
        help=CHARACTERS_OF_OTHERS.get(
            character,
            "operators are `+ - * / ^ @`, names are letters, digits and underscores, remarks begin with `#`",
        ),
    )


def unexpected_token(at: Span, kind: str, text: str, expected: frozenset[str], line: str = "") -> Diagnostic:
    """`line` is the one that it stands on."""
    before = line[: at.column - 1]
    if kind == "EQUALS" and line[at.column - 1 :].startswith("=="):
        text = "=="
    wanted = sorted(WORDS[t] for t in expected & WORDS.keys() - OPERATORS - {"$END"})
    if expected & OPERATORS and expected & {"STAR", "AT"}:
        wanted.append("an operator")
    if expected >= STATEMENTS:
        wanted = ["a statement"]
    wanted = wanted or sorted(WORDS[t] for t in expected & OPERATORS)
    return Diagnostic(
        "TP005",
        f"{_token(kind, text)} does not fit here",
        Label(at, f"expected {either(wanted)}" if wanted else ""),
        help=_help_with_token(kind, text, expected, before) or _help_with_statement(expected, before),
    )


def _token(kind: str, text: str) -> str:
    if kind not in WORDS:
        return f"the word `{text}`"
    return WORDS[kind] if kind.startswith(("_N", "_I", "_D", "$")) else f"`{text}`"


def _help_with_token(kind: str, text: str, expected: frozenset[str], before: str) -> str | None:
    if text == "==":
        return COMPARISONS
    if kind == "NAME" and expected & OPERATORS:
        other = LAST_WORD.search(before)
        foreign = WORDS_OF_OTHERS.get(other[1] if other else text)
        if foreign is not None:
            return foreign
    if kind in ("COMPARISON", "LESS") and ASSIGNED.search(before):
        return BOTH
    if kind not in WORDS and "NAME" in expected:
        return f"`{text}` is a word of the language and cannot be a name"
    if kind in ("NAME", "NUMBER", "LPAR") and expected >= {"STAR", "AT"}:
        return "a product is written with `*`, that of a matrix and a vector with `@`"
    if expected == {"_DEDENT"}:
        return "`return …` is the last line of a block"
    if kind == "_COMMA" and LISTED.search(before):
        return "a list is written `[a, b, c]`"
    if kind in ("_NEWLINE", *OPERATORS) and "EQUALS" in expected and before[:1].isspace():
        return "a line makes something, `x = …`; what a function, a network or a rule gives is `return …`"
    if kind == "EQUALS" and expected == {"LPAR"} and before.split()[-1:] in (["mean"], ["sum"]):
        return "`mean` and `sum` are words of the language and cannot be names"
    return "a range is written `t < T`" if expected == {"LESS"} else _help_in_call(kind, before)


def _help_in_call(kind: str, before: str) -> str | None:
    if kind == "COLON" and before.rfind("[") > before.rfind("]"):
        return "an index is of one member, as in `x[0]`; a sum over several is `sum(t < T: x[t])`"
    call = CALL.search(before)
    return CALLS.get(call[1]) if call else None


def _help_with_statement(expected: frozenset[str], before: str) -> str | None:
    """How a statement is written that is wrong elsewhere than in an expression."""
    word = next(iter(before.split()), "")
    if word not in FORMS or expected & OPERATORS or expected & {"NUMBER", "_INDENT"}:
        return None
    assigned = ASSIGNED.search(before)
    if assigned and before.count("(", assigned.end()) > before.count(")", assigned.end()):
        return None  # what is wrong is an expression
    return f"the form is {FORMS[word]}"


def no_return(at: Span, head: Span, shown: str) -> Diagnostic:
    """shown: what it is the block of."""
    return Diagnostic(
        "TP005",
        f"{shown} gives nothing: the last line of its block is no `return …`",
        Label(at, "the block ends here"),
        (Label(head, "begins here"),),
        help=NO_RETURN,
    )


def unclosed(bracket: Span, shown: str, at: Span) -> Diagnostic:
    return Diagnostic(
        "TP005",
        f"this `{shown}` is not closed",
        Label(bracket),
        also=(Label(at, "what follows does not fit inside it"),),
        help=f"put a `{')' if shown == '(' else ']'}` where it ends",
    )


def too_deep(at: Span, limit: int) -> Diagnostic:
    return Diagnostic(
        "TP006",
        f"brackets, blocks or operators are nested more than {limit} deep",
        Label(at),
        help="name a part of it on a line of its own",
    )


def indentation(at: Span, why: str) -> Diagnostic:
    return Diagnostic(
        "TP007",
        f"the indentation is inconsistent: {why}",
        Label(at),
        help="indent all lines of a block alike, with spaces",
    )


def number_size(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP008",
        "this number is too long or outside 1e-300 … 1e300",
        Label(at),
        help="write fewer digits, or choose units in which numbers are of moderate size",
    )


def bad_identifier(at: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "TP009",
        f"`{text}` is not a name: names are letters, digits and underscores",
        Label(at),
        help="begin it with a letter, of any alphabet, as in `x_1` or `ξ`",
    )


def expected_word(at: Span, found: str, wanted: str, help_: str) -> Diagnostic:
    return Diagnostic("TP010", f"expected `{wanted}`, found `{found}`", Label(at), help=help_)


def misplaced(at: Span, what: str) -> Diagnostic:
    return Diagnostic(
        "TP011",
        f"{what} belongs to the top level of the program, not inside a loop",
        Label(at),
        help="put it before the loop, without indentation",
    )
