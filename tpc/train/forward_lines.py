"""The steps of a forward pass as lines of the core language, and what the scaling analysis needs of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from tpc.core.network import Pass
from tpc.syntax import tree
from tpc.syntax.tree import Range
from tpc.syntax.walk import names_in
from tpc.train.build import Maker
from tpc.train.forward import Forward
from tpc.train.padding import Margin, padded
from tpc.train.records import CollectedStep, ElementwiseStep, PaddedStep, ProductStep, Step
from tpc.train.scene import Scene
from tpc.train.weights import Reader


def lines_of_steps(
    steps: Sequence[Step], prefix: Sequence[str], examples: Sequence[Range], reader: Reader
) -> list[tree.Define]:
    """The steps of a forward pass as lines."""
    lines = []
    for step in steps:
        m = Maker(step.span)
        own = tuple(m.name(a.variable) for a in step.axes)
        if isinstance(step, PaddedStep):
            lines += zeros_around(step, prefix, examples, m)
            continue
        if isinstance(step, CollectedStep):
            lines += members(step, prefix, examples, m)
            continue
        clauses = [*examples, *(m.range(a.variable, a.count) for a in step.axes)]
        target = m.member(step.out.name, (*map(m.name, prefix), *own))
        if isinstance(step, ElementwiseStep):
            lines.append(m.define(target, m.mean(step.value) if step.mean else step.value, clauses))
            continue
        weight = reader.weights[step.weight]
        rest, far = (own[:-1], own[-1:]) if step.far else (own, ())
        scope = [*prefix, *(a.variable for a in step.axes)]
        operand = partial(step.entry, rest)
        value = replace(reader, m=m).product(
            weight, step.transposed, operand, far, scope, member=step.member, picked=step.operand.picked
        )
        lines.append(m.define(target, value, clauses))
    return lines


def zeros_around(
    step: PaddedStep, prefix: Sequence[str], examples: Sequence[Range], m: Maker
) -> list[tree.Define]:
    """The lines of an array with zeros around it."""
    given, own = step.axes[: step.given], step.axes[step.given :]
    clauses = [*examples, *(m.range(a.variable, a.count) for a in given)]
    around = (*map(m.name, prefix), *(m.name(a.variable) for a in given))
    margins = [Margin(a.variable, a.count, *margin) for a, margin in zip(own, step.margins, strict=True)]
    return padded(
        m,
        lambda i: m.member(step.out.name, (*around, *i)),
        margins,
        step.entry,
        step.out.width is not None,
        clauses,
    )


def members(
    step: CollectedStep, prefix: Sequence[str], examples: Sequence[Range], m: Maker
) -> list[tree.Define]:
    """The lines of an array of members."""
    clauses = [*examples, *(m.range(a.variable, a.count) for a in step.axes)]
    around = tuple(map(m.name, prefix))
    return [
        m.define(
            m.member(step.out.name, (*around, *step.index(part.place))),
            part.entry if part.zero is None else m.add(part.entry, part.zero),
            clauses,
        )
        for part in step.parts
    ]


def pass_of(scene: Scene, network: str, output: str, forward: Forward, *, training: bool) -> Pass:
    """What the scaling analysis needs of a forward pass."""
    products = [step for step in forward.steps if isinstance(step, ProductStep)]
    features: dict[str, None] = {}
    for step in products:
        if scene.weights[step.weight].scaling.kind == "output":
            probe = step.operand.at(tuple(Maker(step.span).name("_") for _ in step.operand.shape))
            features |= dict.fromkeys(name.name for name in names_in(probe) if name.name in forward.made)
    vectors, scalars = (
        tuple(name for name, var in forward.made.items() if (var.width is None) == scalar)
        for scalar in (False, True)
    )
    return Pass(
        network,
        output,
        vectors,
        scalars,
        tuple(features),
        tuple((step.out.name, step.weight) for step in products),
        training,
    )
