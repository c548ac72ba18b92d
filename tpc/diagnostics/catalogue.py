"""The catalogue: everything that can be wrong with what a user gives, one function each. No message is made
anywhere else.

TP0 files and syntax, TP1 names, TP2 kinds (scalars, vectors, widths, matrices), TP3 indices and loops, TP4
laws of what is random, TP5 inputs and data; TP6, running, is in `catalogue_run.py`, TP7, networks and
training, in `catalogue_training.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from tpc.core.functions import FUNCTIONS, SUGARED
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


def similar(name: str, known: Iterable[str]) -> str | None:
    match = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f"did you mean `{match[0]}`?" if match else None


def quoted(name: str) -> str:
    """A name in a message; what has none is "this"."""
    return f"`{name}`" if name else "this"


def counted(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def either(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " or " + items[-1]


# TP0: files and syntax


def unreadable(reason: str) -> Diagnostic:
    return Diagnostic("TP001", f"the file cannot be read: {reason}")


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
    return Diagnostic("TP004", f"the character `{shown}` has no meaning here", Label(at))


def unexpected_token(at: Span, kind: str, text: str, expected: frozenset[str]) -> Diagnostic:
    reserved = kind not in WORDS
    found = (
        f"the word `{text}`"
        if reserved
        else WORDS[kind]
        if kind.startswith(("_N", "_I", "_D", "$"))
        else f"`{text}`"
    )
    wanted = sorted(WORDS[t] for t in expected & WORDS.keys() - OPERATORS - {"$END"})
    if expected & OPERATORS and expected & {"STAR", "AT"}:
        wanted.append("an operator")
    if expected >= STATEMENTS:
        wanted = ["a statement"]
    wanted = wanted or sorted(WORDS[t] for t in expected & OPERATORS)
    return Diagnostic(
        "TP005",
        f"{found} does not fit here",
        Label(at, f"expected {either(wanted)}" if wanted else ""),
        help=_help_with_token(kind, text, expected),
    )


def _help_with_token(kind: str, text: str, expected: frozenset[str]) -> str | None:
    if kind not in WORDS and "NAME" in expected:
        return f"`{text}` is a word of the language and cannot be a name"
    if kind in ("NAME", "NUMBER", "LPAR") and expected >= {"STAR", "AT"}:
        return "a product is written with `*`, that of a matrix and a vector with `@`"
    if kind == "EQUALS" and expected == {"LPAR"}:
        return "`mean` and `sum` are words of the language and cannot be names"
    return "a range is written `t < T`" if expected == {"LESS"} else None


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
    return Diagnostic("TP007", f"the indentation is inconsistent: {why}", Label(at))


def number_size(at: Span) -> Diagnostic:
    return Diagnostic("TP008", "this number is too long or outside 1e-300 … 1e300", Label(at))


def bad_identifier(at: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "TP009", f"`{text}` is not a name: names are letters, digits and underscores", Label(at)
    )


def expected_word(at: Span, found: str, wanted: str, help_: str) -> Diagnostic:
    return Diagnostic("TP010", f"expected `{wanted}`, found `{found}`", Label(at), help=help_)


def misplaced(at: Span, what: str) -> Diagnostic:
    return Diagnostic(
        "TP011", f"{what} belongs to the top level of the program, not inside a loop", Label(at)
    )


# TP1: names


def unknown_name(at: Span, name: str, known: Iterable[str]) -> Diagnostic:
    return Diagnostic("TP101", f"unknown name `{name}`", Label(at), help=similar(name, known))


def defined_twice(at: Span, name: str, first: Span) -> Diagnostic:
    return Diagnostic(
        "TP102",
        f"`{name}` is defined twice",
        Label(at),
        (Label(first, "first here"),),
        "a value is made once; give the second another name, or an index",
    )


def built_in(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP103",
        f"`{name}` is part of the language and cannot be defined",
        Label(at),
        help="choose another name",
    )


def shadows(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP104",
        f"the variable `{name}` already means something here",
        Label(at),
        help="choose another variable",
    )


def unknown_function(at: Span, name: str, known: Iterable[str]) -> Diagnostic:
    """known: the functions that there are beside the language's own."""
    remedy = (
        similar(name, [*FUNCTIONS, *SUGARED, *known])
        or "functions are the elementwise ones of the language and those made by `def`"
    )
    return Diagnostic("TP105", f"{quoted(name)} is not a function", Label(at), help=remedy)


def arguments(at: Span, name: str, least: int, most: int, given: int) -> Diagnostic:
    wanted = str(least) if least == most else f"{least} to {most}"
    return Diagnostic(
        "TP106", f"`{name}` takes {wanted} argument{'' if wanted == '1' else 's'}, not {given}", Label(at)
    )


def no_such_argument(at: Span, name: str, count: int, given: int) -> Diagnostic:
    return Diagnostic(
        "TP106",
        f"`{name}` has no argument {given}: its {count} are counted from 0"
        if count > 1
        else f"`{name}` has no argument {given}: its only one is 0",
        Label(at),
        help=f"write `D({name}, i)(…)` with i = 0" + (f" … {count - 1}" if count > 1 else ""),
    )


def recursive(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP107",
        f"`{name}` uses itself: functions are expanded where they are used, so they cannot be recursive",
        Label(at),
    )


def function_as_value(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP108",
        f"`{name}` is a function, and stands here without arguments",
        Label(at),
        help=f"write `{name}(…)`",
    )


def expands_too_far(at: Span, limit: int) -> Diagnostic:
    return Diagnostic(
        "TP109",
        f"with its functions expanded the program has more than {limit:,} parts",
        Label(at),
        help="give names to intermediate vectors instead of nesting functions",
    )


def too_many_factors(at: Span, limit: int) -> Diagnostic:
    return Diagnostic(
        "TP109",
        f"with its functions expanded this product has more than {limit:,} factors",
        Label(at),
        help="give a name to a part of it",
    )


# TP2: kinds


def mixed_widths(at: Span, width: str, other: Span, other_width: str) -> Diagnostic:
    return Diagnostic(
        "TP201",
        f"vectors of widths {other_width} and {width} meet in one elementwise expression",
        Label(at, f"width {width}"),
        (Label(other, f"width {other_width}"),),
        "a matrix takes vectors from one width to another",
    )


def wrong_side(
    at: Span, matrix: str, takes: str, width: str, matrix_at: Span, remedy: str | None
) -> Diagnostic:
    return Diagnostic(
        "TP203",
        f"{matrix} takes vectors of width {takes}, but this has width {width}",
        Label(at, f"width {width}"),
        (Label(matrix_at, "declared here"),),
        remedy,
    )


def matrix_misplaced(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP204",
        f"the matrix `{name}` can only be multiplied to a vector",
        Label(at),
        help=f"write `{name} @ x` or `{name}.T @ x`",
    )


def not_a_matrix(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP205",
        "the left side of `@` must be a matrix, or the transpose of one",
        Label(at),
        help="for the inner product of two vectors, write `mean(x*y)`",
    )


def vector_due(at: Span, what: str) -> Diagnostic:
    return Diagnostic("TP206", f"{what} must be a vector, and this is a scalar", Label(at))


def kind_unknown(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP207",
        f"`{name}` is only defined by means of itself",
        Label(at),
        help=f"give it a first member, as in `{name}[0] = …`",
    )


def condition_misplaced(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP208", "a comparison can only be the first argument of `where(condition, x, y)`", Label(at)
    )


def condition_due(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP209", "the first argument of `where` must be a comparison, as in `where(x > 0, x, y)`", Label(at)
    )


def no_derivative(at: Span, function: str) -> Diagnostic:
    return Diagnostic(
        "TP210",
        f"this derivative does not exist: `{function}` jumps, and a product with its derivative has no "
        "pseudo-Lipschitz limit",
        Label(at),
        help="a derivative of `step` or `sign` is never needed for a limit: ZDot goes through them by "
        "Stein's "
        "lemma",
    )


def which_derivative(at: Span, name: str, count: int) -> Diagnostic:
    return Diagnostic(
        "TP211",
        f"`{name}` has {count} arguments: `'` is the derivative in the only one",
        Label(at),
        help=f"write `D({name}, i)(…)` for the derivative in argument i = 0 … {count - 1}",
    )


def derivative_of_program(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP212",
        f"`{name}` is not elementwise (it has a product or a mean), so it has no derivative as a function",
        Label(at),
    )


def kind_differs(at: Span, name: str, kind: str, first: Span, first_kind: str) -> Diagnostic:
    return Diagnostic(
        "TP213",
        f"`{name}` is {kind} here and {first_kind} before",
        Label(at, kind),
        (Label(first, first_kind),),
    )


def output_of_vector(at: Span, name: str, named: bool) -> Diagnostic:
    return Diagnostic(
        "TP214",
        f"`{name}` is a vector: at infinite width only scalars have a value",
        Label(at),
        help=f"for example `output m = mean({name}^2)`"
        if named
        else f"for example `output {name} = mean((…)^2)`",
    )


def division_by_zero(at: Span) -> Diagnostic:
    return Diagnostic("TP215", "division by zero", Label(at))


def overflow(at: Span) -> Diagnostic:
    return Diagnostic("TP216", "this number is too large", Label(at))


def underflow(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP216",
        "this number is too near to 0: the least that can be told from it here is 1e-300",
        Label(at),
        help="take other units, or an input for a part of it",
    )


def too_many_digits(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP216",
        "this number has too many digits: exact fractions are at most 300 long",
        Label(at),
        help="round its factors",
    )


def output_unnamed(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP217", "an output that is an expression needs a name", Label(at), help="write `output name = …`"
    )


# TP3: indices and loops


def not_affine(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP301",
        "an index must be a whole multiple of loop variables plus a whole number",
        Label(at),
        help="for example `t`, `t+1`, `2*t`, `T-1-t`, or a member of an input declared `: index(d)`",
    )


def index_count(at: Span, name: str, wanted: int, given: int) -> Diagnostic:
    return Diagnostic(
        "TP302", f"{quoted(name)} has {wanted} ind{'ex' if wanted == 1 else 'ices'}, not {given}", Label(at)
    )


def out_of_range(at: Span, name: str, axis: int, value: int, extent: int, rounds: str) -> Diagnostic:
    return Diagnostic(
        "TP303",
        f"index {value} is outside 0 … {extent - 1} of axis {axis + 1} of `{name}`{rounds}",
        Label(at),
    )


def made_twice(at: Span, member: str, first: Span, rounds: str) -> Diagnostic:
    also = () if first == at else (Label(first, "made here as well"),)
    return Diagnostic(
        "TP304",
        f"`{member}` is made twice{rounds}",
        Label(at),
        also,
        "each index of a family is defined once; give the family one more index",
    )


def from_the_future(at: Span, member: str, rounds: str, made: Span) -> Diagnostic:
    return Diagnostic(
        "TP305",
        f"`{member}` is used before it is made{rounds}",
        Label(at),
        (Label(made, "made here"),),
        "an expression may only refer to what an earlier round, or an earlier line, has made",
    )


def never_made(at: Span, member: str, rounds: str) -> Diagnostic:
    return Diagnostic("TP306", f"`{member}` is never made{rounds}", Label(at))


def dim_value(at: Span, why: str) -> Diagnostic:
    return Diagnostic(
        "TP307", f"this must be a whole number that is known before the program runs: {why}", Label(at)
    )


def dim_size(at: Span, value: int, limit: int) -> Diagnostic:
    shown = f"{value:,}" if value < 10**18 else "more than 10^18"
    return Diagnostic("TP308", f"{shown} is too many: the limit here is {limit:,}", Label(at))


def bad_target(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP309", "the left side of `=` must be a name or a member of a family, as in `x[t+1]`", Label(at)
    )


def negative_target(at: Span, name: str, value: int, rounds: str) -> Diagnostic:
    return Diagnostic("TP310", f"`{name}` gets the index {value}{rounds}: indices start at 0", Label(at))


def target_is_given(at: Span, name: str, first: Span, what: str) -> Diagnostic:
    return Diagnostic(
        "TP311", f"`{name}` is {what} and cannot be made again", Label(at), (Label(first, "declared here"),)
    )


def target_gather(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP312",
        "what is made must have an index known before the program runs, not one from an input",
        Label(at),
    )


def too_many_rounds(at: Span, rounds: int, limit: int) -> Diagnostic:
    return Diagnostic(
        "TP313",
        f"whether these indices are made in time takes {rounds:,} rounds to find out, and {limit:,} is the "
        "limit",
        Label(at),
        help="indices that are a loop variable plus a whole number, as in `x[t+1]`, are found out at once",
    )


# TP4: laws


def width_ratio(at: Span, first: str) -> Diagnostic:
    return Diagnostic(
        "TP401", f"a further width is a multiple of the first, as in `width m = 2*{first}`", Label(at)
    )


def not_a_width(at: Span, text: str) -> Diagnostic:
    return Diagnostic(
        "TP402",
        f"`{text}` is not a width",
        Label(at),
        help="here a side of a matrix, or the width of a vector, is one declared by `width`; "
        "for a finite side use a family of vectors, `vector u[j < d] : n`",
    )


def variance_power(at: Span, power: str, columns: str) -> Diagnostic:
    return Diagnostic(
        "TP403",
        f"the variance of a matrix must be of order 1/{columns}; this is of order {power}",
        Label(at),
        help=f"write `N(0, σ²/{columns})`: entries of another size make its products tend to 0 or ∞",
    )


def width_misplaced(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP404",
        f"the width `{name}` tends to infinity and cannot be used as a number here",
        Label(at),
        help=f"rational powers of it may be factors: `{name}^(-1/2)*x`, `x/{name}`",
    )


def law_shape(at: Span, what: str) -> Diagnostic:
    return Diagnostic(
        "TP405",
        f"the law does not fit: {what}",
        Label(at),
        help="k jointly Gaussian vectors have a mean [m1, …, mk] and a covariance [[…], …] of k rows of k; "
        "a single one has two numbers",
    )


def not_psd(at: Label | None, what: str, detail: str) -> Diagnostic:
    return Diagnostic(
        "TP406",
        f"the covariance of {what} is not symmetric and positive semidefinite: {detail}",
        at,
    )


def not_given(at: Span, name: str) -> Diagnostic:
    return Diagnostic(
        "TP407",
        f"a law, a ratio or a default may only use inputs and numbers, and `{name}` is computed",
        Label(at),
        help="compute the vector from a standard one instead, as in `x = sqrt(c)*v`",
    )


def matrix_mean(at: Span) -> Diagnostic:
    return Diagnostic(
        "TP408",
        "the entries of an initial matrix have mean 0",
        Label(at),
        help="add a rank-one term, `y = A @ x + m*mean(x)`",
    )


def impossible_law(at: Label | None, what: str, value: float, wanted: str) -> Diagnostic:
    return Diagnostic("TP409", f"{what} is {value:g}, and must be {wanted}", at)


# TP5: inputs and data


def missing_input(names: Sequence[str]) -> Diagnostic:
    shown = either([f"`{n}`" for n in names]).replace(" or ", " and ")
    return Diagnostic(
        "TP501",
        f"no value is given for the input{'s' if len(names) > 1 else ''} {shown}",
        help=f"give it by `--set {names[0]}=…` or in a file by `--data F.npz` (or F.json)",
    )


def input_shape(name: str, wanted: tuple[int, ...], given: tuple[int, ...]) -> Diagnostic:
    alike = [k for k in wanted if k != 1] == [k for k in given if k != 1]
    return Diagnostic(
        "TP502",
        f"the input `{name}` has shape {wanted}, and the value given has shape {given}",
        help=f"an axis of length 1 is an axis, too: `numpy.reshape(value, {wanted})` has the same numbers in "
        "the shape of the input"
        if alike
        else None,
    )


def not_finite(name: str, where: str) -> Diagnostic:
    return Diagnostic("TP503", f"the input `{name}` is not finite{where}")


def unknown_setting(name: str, known: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "TP504",
        f"the program has no input or dim named `{name}`",
        help=similar(name, known) or (f"it has {', '.join(known)}" if known else "it has none"),
    )


def unknown_dim(name: str, known: Sequence[str]) -> Diagnostic:
    return Diagnostic(
        "TP504",
        f"the program has no dim named `{name}`",
        help=similar(name, known) or (f"it has {', '.join(known)}" if known else "it has none"),
    )


def bad_dim(name: str, value: str) -> Diagnostic:
    return Diagnostic(
        "TP507",
        f"the dim `{name}` is a whole number, and the value given is {value}",
        help=f"for example {name} = 4",
    )


def bad_data(path: str, why: str) -> Diagnostic:
    return Diagnostic(
        "TP505",
        f"the data file {path} cannot be used: {why}",
        help="a data file is an .npz of arrays of numbers (no pickles) or a .json object, by names of inputs",
    )


def bad_index(name: str, bound: int) -> Diagnostic:
    return Diagnostic("TP506", f"the input `{name}` must hold whole numbers in 0 … {bound - 1}")


def bad_setting(text: str, why: str) -> Diagnostic:
    return Diagnostic(
        "TP507",
        f"`{text}` is not a setting: {why}",
        help="write `--set name=value`, the value a number or a JSON list of numbers",
    )


def not_numbers(name: str) -> Diagnostic:
    return Diagnostic("TP508", f"the input `{name}` must be real numbers")


def masked(name: str) -> Diagnostic:
    return Diagnostic(
        "TP508",
        f"entries of the input `{name}` are masked",
        help="put numbers in their places, `array.filled(0)`",
    )


def given_twice(name: str, spellings: Sequence[str]) -> Diagnostic:
    shown = " and ".join(quoted(spelling) for spelling in spellings)
    return Diagnostic(
        "TP504",
        f"the input `{name}` is given twice, as {shown}",
        help="they are one name: leave one of them out",
    )
