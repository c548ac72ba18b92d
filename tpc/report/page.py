"""A study as a page that stands alone: formulas are typeset by the browser, nothing is from elsewhere."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files

from networkx import DiGraph

from tpc.core.graph import dependency_graph
from tpc.core.language import language_of
from tpc.display.html_tables import table
from tpc.display.markup import Markup, element, joined
from tpc.display.program_text import numbered
from tpc.evaluate.result_plot import figure_of_result
from tpc.plan.cost import shown_seconds
from tpc.report.formula_list import FormulaList
from tpc.report.study import Study
from tpc.show.draw import MOST_DRAWN
from tpc.show.saved import svg_element
from tpc.simulate.plot import figure_of_report
from tpc.syntax.highlight import pieces


def page(study: Study) -> str:
    """The whole page. No text of the program, or of its names, is taken for anything but text."""
    formulas = FormulaList(study.limit)
    graph = dependency_graph(study.limit.program)
    parts = [
        _section("Program", _program(study), "program"),
        _section("Graph", _graph(graph), "graph"),
        _section("Limit", _numbers(study), "limit"),
        _section("Limit and finite widths", _comparison(study), "widths"),
        _section("Formulas", formulas.html(), "formulas"),
        _section("Plan", _plan(study), "plan"),
        _section("Time", _times(study), "time"),
    ]
    data = Markup(json.dumps(_places(graph, study, formulas)).replace("<", "\\u003c").replace("&", "\\u0026"))
    script, style = (files("tpc.report").joinpath(name).read_text(encoding="utf-8") for name in ASSETS)
    head = joined(
        [
            Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width">'),
            Markup(f'<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">'),
            element("title", f"{study.program.name} at n = ∞"),
            element("style", Markup(style)),
        ]
    )
    body = joined(
        [
            element("h1", f"{study.program.name} at n = ∞"),
            element("p", f"a {language_of(study.program)} program, by tpc {version('tpc')}", class_="faint"),
            *parts,
            element("div", "", id="shown", hidden="hidden"),
            element("script", data, type="application/json", id="places"),
            element("script", Markup(script)),
        ]
    )
    return f"<!doctype html>\n{element('html', element('head', head), element('body', body), lang='en')}\n"


ASSETS = ("page.js", "page.css")


def _policy(script: str) -> str:
    """What the browser may do: no more than show the page, and run the one script that is tpc's."""
    digest = b64encode(sha256(script.encode("utf-8")).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _section(title: str, body: str, name: str) -> Markup:
    return element("section", element("h2", title), body, id=name) if body else Markup("")


def _program(study: Study) -> Markup:
    source = study.program.source
    text = str(study.program) if source is None else source.text
    dims = "" if source is None else ", ".join(f"{name} = {value}" for name, value in source.dims)
    listing = numbered(((p.kind.value, p.text) for p in pieces(text)), "line-")
    return joined([listing, element("p", f"with {dims}")] if dims else [listing])


def _graph(graph: DiGraph) -> Markup:
    if len(graph) > MOST_DRAWN:
        return element("p", f"It has {len(graph)} nodes, too many to read: `tpc graph` draws it.")
    from tpc.show.picture import svg_of

    hint = "A click on a node shows its formula and its line; Ctrl and the wheel zoom, and dragging moves."
    zoom = joined(
        element("button", sign, title=what)
        for sign, what in (("+", "nearer"), ("−", "farther away"), ("fit", "the whole graph"))
    )
    drawn = joined([Markup(svg_of(graph)), element("div", zoom)])
    return joined([element("p", hint, class_="faint"), element("div", drawn, class_="graph")])


def _places(graph: DiGraph, study: Study, formulas: FormulaList) -> list[dict[str, object]]:
    """For each node of the graph in order: its name, its line, its formulas' elements."""
    lines = {str(formula.of): formula.origin.line for formula in study.limit.formulas}
    return [
        {
            "label": data["label"],
            "line": lines.get(node, 0),
            "formula": formulas.ids.get(node, ""),
        }
        for node, data in graph.nodes(data=True)
    ]


def _numbers(study: Study) -> Markup:
    if study.result is None:
        return element("p", "The program has no output.")
    figure = svg_element(figure_of_result(study.result, list(study.samples)))
    return joined([Markup(study.result._repr_html_()), element("div", Markup(figure), class_="figure")])


def _comparison(study: Study) -> Markup:
    if study.comparison is None:
        return Markup("")
    figure = svg_element(figure_of_report(study.comparison))
    return joined([Markup(study.comparison._repr_html_()), element("div", Markup(figure), class_="figure")])


def _plan(study: Study) -> Markup:
    return Markup("") if study.evaluator is None else Markup(study.evaluator.plan._repr_html_())


def _times(study: Study) -> Markup:
    return table(("what", "seconds"), _rows_of_time(study))


def _rows_of_time(study: Study) -> Iterator[tuple[str, str]]:
    for what, seconds in study.seconds.items():
        yield what, f"{seconds:.2f}"
    if study.evaluator is not None:
        plan = study.evaluator.plan
        each = "a repeat" if plan.sampled else "in all"
        yield "predicted of the numbers, without compiling", f"{shown_seconds(plan.seconds)} {each}"
