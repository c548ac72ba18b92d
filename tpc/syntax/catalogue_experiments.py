"""What can be wrong with the data and settings of experiments."""

from __future__ import annotations

from tpc.syntax.diagnostic import Diagnostic

DRAWINGS = "`images`, whole numbers 0 … 255 in the shape (classes, drawings, height, width), and `split`, `train`, `val` or `test` for each class"


def bad_drawings(path: str, why: str) -> Diagnostic:
    return Diagnostic("TP621", f"the drawings in {path} cannot be used: {why}", help=f"an .npz file with {DRAWINGS}")


def few_classes(part: str, there: int, wanted: int) -> Diagnostic:
    return Diagnostic("TP622", f"the part `{part}` has {there} classes, and a task takes {wanted}",
                      help="rotated drawings are classes of their own in `train` and `val`, not in `test`")


def few_drawings(there: int, shots: int) -> Diagnostic:
    return Diagnostic("TP623", f"a class has {there} drawings: {shots} to adapt to leave none to test on")


def other_run(folder: str, why: str) -> Diagnostic:
    return Diagnostic("TP624", f"the run in {folder} cannot be resumed: {why}", help="name another folder, or begin anew without --resume")
