"""Trainings of one round with a second one, for the analysis of scaling: what is learned is seen there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from tpc.syntax import tree
from tpc.syntax.scope import NotANumberError, fraction
from tpc.train.build import Maker, substituted
from tpc.train.write_out import constants


def of_two_rounds(file: tree.File, overrides: Mapping[str, int]) -> tree.File:
    """`file` with a second round, of the same examples, in each training that has one."""
    known = constants(file, overrides)
    return replace(file, statements=tuple(_longer(s, known) for s in file.statements))


def _longer(statement: tree.Statement, dims: Mapping[str, int]) -> tree.Statement:
    if isinstance(statement, tree.Train) and _rounds(statement, dims) == 1:
        return _twice(statement)
    return statement


def _rounds(train: tree.Train, dims: Mapping[str, int]) -> int | None:
    try:
        return int(fraction(train.range.count, dims))
    except (NotANumberError, OverflowError):
        return None


def _twice(train: tree.Train) -> tree.Train:
    m, time = Maker(train.range.span), train.range.variable.name
    first: dict[str, tree.Tree] = {time: m.number(0)}
    items = [x if isinstance(x, tree.Loss) else substituted(cast(Any, x), first) for x in train.items]
    longer = replace(train.range, count=m.number(2))
    return replace(train, range=longer, items=cast(Any, tuple(items)))
