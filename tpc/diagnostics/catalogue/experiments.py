"""What is wrong with the data and settings of experiments: TP62."""

from __future__ import annotations

from tpc.diagnostics.diagnostic import Diagnostic

DRAWINGS = (
    "`images`, whole numbers 0 … 255 in the shape (classes, drawings, height, width), and `split`, "
    "`train`, `val` or `test` for each class"
)


def bad_drawings(path: str, why: str) -> Diagnostic:
    return Diagnostic(
        "TP621", f"the drawings in {path} cannot be used: {why}", help=f"an .npz file with {DRAWINGS}"
    )


def few_classes(part: str, there: int, wanted: int) -> Diagnostic:
    return Diagnostic(
        "TP622",
        f"the part `{part}` has {there} classes, and a task takes {wanted}",
        help="rotated drawings are classes of their own in `train` and `val`, not in `test`",
    )


def few_drawings(there: int, shots: int) -> Diagnostic:
    return Diagnostic(
        "TP623",
        f"a class has {there} drawings: {shots} to adapt to leave none to test on",
        help=f"take classes of {shots + 1} drawings at least, or fewer shots",
    )


def other_run(folder: str, why: str) -> Diagnostic:
    return Diagnostic(
        "TP624",
        f"the run in {folder} cannot be resumed: {why}",
        help="name another folder, or begin anew without --resume",
    )


def no_outcome(path: str, why: str) -> Diagnostic:
    return Diagnostic(
        "TP629",
        f"{path} cannot be tabled: {why}",
        help="name folders of runs that have ended, `--out` of `tpc experiment maml` or `word2vec`",
    )


def bad_text(path: str, why: str) -> Diagnostic:
    return Diagnostic(
        "TP625",
        f"the text {path} cannot be read: {why}",
        help="words in UTF-8 with spaces or line ends between them, as they are or compressed (.xz, .gz)",
    )


def few_words(path: str, found: int, count: int) -> Diagnostic:
    there = (
        "has no words"
        if not found
        else f"has {found} different words, and fewer than two of them {count} times or more"
    )
    return Diagnostic("TP626", f"the text {path} {there}", help="a longer text, or a smaller --min-count")


def bad_questions(path: str, line: int, why: str) -> Diagnostic:
    return Diagnostic(
        "TP627",
        f"line {line} of the questions in {path} {why}" if line else f"the questions in {path} {why}",
        help="lines `: section` and `a b c d`, a is to b as c is to d",
    )


def too_many_words(vocabulary: int, needed: float, fits: int, free: float, devices: int) -> Diagnostic:
    each = f" on each of {devices} devices" if devices > 1 else ""
    need = f"a vocabulary of {vocabulary:,} words needs {needed / 2**30:.1f} GiB of memory{each}"
    return Diagnostic(
        "TP628", f"{need}, and {free / 2**30:.1f} GiB are there", help=f"--vocab {fits} would fit"
    )
