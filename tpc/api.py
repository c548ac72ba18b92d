"""What users call: a program and its limit with their verbs, each a stage of the compiler or what uses one.

The only file that looks up from data to what can be done with it; nothing else in tpc calls these methods.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tpc import pipeline
from tpc.core import program as core
from tpc.derive import limit as derived

if TYPE_CHECKING:
    from fractions import Fraction

    from tpc.core.language import Language
    from tpc.corrections import Corrections
    from tpc.evaluate.evaluator import Evaluator
    from tpc.kernels.kernels import Kernels
    from tpc.scaling import Verdict
    from tpc.show.draw import DependencyGraph
    from tpc.simulate import Samples


MOST_NODES = 60  # of a graph that is shown below a program's text
FRAME = "overflow:auto;max-height:40em"
FITTED = '<svg style="max-width:max(100%,45em);height:auto" '


def parse(text: str, *, name: str = "program", dims: Mapping[str, object] | None = None) -> Program:
    return _public(pipeline.parse(text, name=name, dims=dims))


def load(path: str | Path, *, dims: Mapping[str, object] | None = None) -> Program:
    return _public(pipeline.load(path, dims=dims))


parse.__doc__, load.__doc__ = pipeline.parse.__doc__, pipeline.load.__doc__


@dataclass(frozen=True, slots=True, repr=False)
class Program(core.Program):
    __doc__ = core.Program.__doc__

    @property
    def language(self) -> Language:
        """Which of the papers' languages it is in, by the instructions that it uses: NETSOR⊤⁺ or another."""
        from tpc.core.language import language_of

        return language_of(self)

    @property
    def graph(self) -> DependencyGraph:
        """The dependency graph, a `networkx.DiGraph`: an instruction's output a node (see `tpc.core.graph`).

        A notebook draws it.
        """
        from tpc.core.graph import dependency_graph
        from tpc.show.draw import DependencyGraph

        return DependencyGraph(dependency_graph(self))

    def _repr_html_(self) -> str:
        """Its text in colours, and below it the graph if that is not large."""
        from tpc.display.html_tables import titled
        from tpc.display.markup import Markup, element
        from tpc.display.program_text import listing
        from tpc.syntax.highlight import pieces

        text = str(self) if self.source is None else self.source.text
        graph = self.graph
        svg = graph._repr_svg_() if len(graph) <= MOST_NODES else None
        below = (
            element("div", f"a graph of {len(graph)} nodes: program.graph, or tpc.draw(program, path)")
            if svg is None
            else element("div", Markup(svg.replace("<svg ", FITTED, 1)), style=FRAME)
        )
        return titled(self.name, "", listing((p.kind.value, p.text) for p in pieces(text)), below)

    def unroll(self) -> Program:
        """The same program with every loop and sum written out."""
        from tpc.core.unroll import unroll

        return _public(unroll(self))

    def derive(self) -> Limit:
        """The Z-recursion of the program (TP4 Def 7.3), powers of n taken to their limits.

        Raises TpcError (TP80x) if there is none.
        """
        return _limit(pipeline.derive_limit(self))

    def scale(self, **exponents: Fraction | int | str) -> Verdict:
        """What becomes of its network's training as n → ∞ (see `tpc.classify`).

        It is in its parametrization, or has the exponents a1=…, b1=…, c=….
        """
        from tpc.scaling import classify

        return classify(self, **exponents)

    def compile(self, **options: Any) -> Evaluator:
        """The evaluator of the program's limit.

        Options as of `tpc.plan.options.Options`, errors as of `tpc.pipeline.compile_program`.
        """
        return _compiled(self, options)

    def kernels(self, network: str | None = None, **options: Any) -> Kernels:
        """The NNGP and NTK of a network of the program.

        Options and errors as in `tpc.kernels.kernels.kernels`.
        """
        from tpc.kernels.kernels import kernels

        return kernels(self, network, **options)

    def corrections(self, inputs: Mapping[str, Any] | None = None, **options: Any) -> Corrections:
        """The bias and the fluctuation of its outputs at finite width, to first order in 1/n.

        inputs: arrays by name; those with a default may be left out. Options and errors as in
        `tpc.corrections.corrections`.
        """
        from tpc.corrections import corrections

        return corrections(self, inputs, **options)

    def simulate(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        width: int,
        seeds: int | Sequence[int] = 32,
        **options: Any,
    ) -> Samples:
        """The program at finite width, once for each of `seeds`, or of the first so many.

        See `tpc.simulate.simulate`.

        inputs: arrays by name; those with a default may be left out. Raises TpcError for inputs that do not
        fit, ValueError for other options.
        """
        from tpc.core.given import whole_number
        from tpc.core.inputs import bind_inputs
        from tpc.simulate import simulate

        count = whole_number(seeds)
        if count is None and not isinstance(seeds, Iterable):
            raise ValueError(f"seeds are a whole number of them, or different integers, not {seeds!r:.60}")
        chosen = range(count) if count is not None else seeds
        return simulate(
            self,
            bind_inputs(self, {} if inputs is None else inputs),
            width=width,
            seeds=cast("Sequence[int]", chosen),
            **options,
        )


@dataclass(frozen=True, repr=False)
class Limit(derived.Limit):
    __doc__ = derived.Limit.__doc__
    program: Program
    of: Program | None = field(default=None, repr=False)

    def unroll(self) -> Limit:
        """The limit of the same program with its loops written out."""
        return _limit(super().unroll())

    def compile(self, **options: Any) -> Evaluator:
        """The evaluator of the program that this is the limit of, as `Program.compile`.

        Made from the program anew, not from these formulas, so that each checks the other.
        """
        return _compiled(self.of or self.program, options)


def _compiled(program: core.Program, options: Mapping[str, Any]) -> Evaluator:
    from tpc.plan.options import Options

    return pipeline.compile_program(program, Options(**options, program=program.name))


def _public(program: core.Program) -> Program:
    """The program with its verbs; what is made of such a one by `dataclasses.replace` has them, too."""
    return program if isinstance(program, Program) else Program(**_fields(program))


def _limit(limit: derived.Limit) -> Limit:
    return Limit(**_fields(limit))


def _fields(data: Any) -> dict[str, Any]:
    return {own.name: getattr(data, own.name) for own in fields(data)}
