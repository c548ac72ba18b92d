"""The outcomes that runs have left in their folders."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.experiments.maml import KERNELS, FewShotOutcome, FewShotSettings
from tpc.experiments.state import RESULT
from tpc.experiments.word2vec import RATES, Word2VecOutcome, Word2VecSettings
from tpc.machine.files import open_regular


def read_outcome(folder: str | Path) -> FewShotOutcome | Word2VecOutcome:
    """What the run in a folder has ended with. Raises TpcError (TP629) if there is no such thing."""
    path = Path(folder) / RESULT
    try:
        with open_regular(path) as file:
            data = json.load(file)
        return _few_shot(data) if "test_accuracy" in data else _words(data)
    except OSError as error:
        why = error.strerror or str(error)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        why = "it is not what an experiment writes"
    raise TpcError([catalogue.experiments.no_outcome(str(path), why)], str(path))


def _few_shot(data: dict[str, Any]) -> FewShotOutcome:
    def number(x: float | None) -> float:
        return math.nan if x is None else float(x)

    best = data["best_epoch"]
    if best is not None and not 1 <= int(best) <= len(data["validation"]):
        raise ValueError("there is no such epoch")
    changed: dict[str, Any] = {
        "test_accuracy": number(data["test_accuracy"]),
        "test_stderr": number(data["test_stderr"]),
        "validation": tuple(number(a) for a in data["validation"]),
        "best_epoch": None if best is None else int(best),
        "settings": FewShotSettings(**_known(data["settings"])),
    }
    return FewShotOutcome(**{**data, **changed})


def _words(data: dict[str, Any]) -> Word2VecOutcome:
    accuracy = data["analogy_accuracy"]
    changed: dict[str, Any] = {
        "analogy_accuracy": None if accuracy is None else float(accuracy),
        "in_vocabulary": int(data["in_vocabulary"]),
        "vocabulary": int(data["vocabulary"]),
        "settings": Word2VecSettings(**_known(data["settings"])),
    }
    return Word2VecOutcome(**{**data, **changed})


def _known(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings, of a model and an activation that there are: both are written into tables."""
    model, activation = settings["model"], settings["activation"]
    if (model not in ("mup", *KERNELS) and type(model) is not int) or activation not in RATES:
        raise ValueError("there is no such model")
    return settings
