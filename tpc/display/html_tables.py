"""Tables and folded parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tpc.display.markup import FAINT, Markup, element

PLAIN = "tex2jax_ignore mathjax_ignore"  # a $ in it begins no formula
CELL = "text-align:left;vertical-align:top;padding:2px 10px 2px 0"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """A table of cells, text or HTML; without a head if there are no headings."""
    head = [element("thead", element("tr", *(element("th", h, style=CELL) for h in headings)))]
    body = element("tbody", *(element("tr", *(element("td", c, style=CELL) for c in row)) for row in rows))
    return element("table", *(head if headings else []), body)


def facts(pairs: Iterable[tuple[str, str]]) -> Markup:
    """A table of what is said about one thing, a line each; what is empty is left out."""
    return table((), [(element("span", name, style=FAINT), value) for name, value in pairs if value])


def folded(summary: str, *body: str) -> Markup:
    """`body`, shown after a click on the summary."""
    return element("details", element("summary", summary, style="cursor:pointer"), *body)


def titled(title: str, subtitle: str, *body: str) -> Markup:
    """What stands in the output of a cell: a title, a fainter line, then the rest."""
    faint = element("div", subtitle, style=f"{FAINT};font-size:90%")
    return element("div", element("b", title), *([faint] if subtitle else []), *body, class_=PLAIN)


def monospaced(text: str) -> Markup:
    return element("pre", text, style="line-height:1.35;overflow-x:auto;margin:4px 0")
