"""The documentation as a site: `python .ci/site.py [FOLDER]` (build/site), warnings being errors.

The pages are those of tpc/docs and programs/README.md; the reference of Python is made of docstrings, that of
commands of their help. Needs `pip install '.[docs]'`: Sphinx with MyST, which are well kept,
read Markdown as it is, take references from docstrings, and refuse links that lead nowhere.
"""

import inspect
import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "build" / "site-source"
GROUPS = {
    "Begin": ("tutorial", "howto", "notebooks"),
    "Reference": ("language", "tables", "commands", "api", "codes"),
    "Explanation": ("numerics", "finite_width", "comparison", "running", "python", "experiments"),
    "Project": ("architecture", "contributing", "changelog"),
}
OUTSIDE = re.compile(r"\]\((?:\.\./)+([^)\s]*)\)")  # links to what is no page: files of the project
LANGUAGE = re.compile(r"\]\((?:\.\./)*programs/README\.md(#[^)]*)?\)")
CONFIGURATION = """
project, html_title, html_theme = "tpc", "tpc", "furo"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_heading_anchors = 3
myst_enable_extensions = ["dollarmath"]
default_role = "code"
autodoc_typehints = "description"
suppress_warnings = ["misc.highlighting_failure"]


def setup(app):
    def plainly(app, what, name, obj, options, lines):
        # docstrings are sentences, and what is no code in them is no markup
        for old, new in (("\\\\", "\\\\\\\\"), ("*", "\\\\*"), ("|", "\\\\|")):
            lines[:] = [line.strip().replace(old, new) for line in lines]

    app.connect("autodoc-process-docstring", plainly)
"""


def staged():
    """The pages side by side, as Sphinx wants them."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    SOURCE.mkdir(parents=True)
    pages = {path.stem.lower(): path for path in (ROOT / "tpc" / "docs").glob("*.md")}
    names = {path.name: f"{stem}.md" for stem, path in pages.items()}
    pages["language"] = ROOT / "programs" / "README.md"
    for stem, path in pages.items():
        text = LANGUAGE.sub("](language.md)", path.read_text(encoding="utf-8"))
        text = re.sub(r"\]\((\w+\.md)", lambda found: f"]({names.get(found[1], found[1])}", text)
        text = re.sub(
            r"\[([^\]]*)\]\((?!http|#)(?![\w.]+\.md)[^)\s]*\)", r"\1", OUTSIDE.sub(r"](file:\1)", text)
        )
        write(stem, re.sub(r"^```tp$", "```text", text, flags=re.MULTILINE))
    write("commands", commands())
    write("api", reference())
    write("index", index(set(pages) | {"commands", "api"}))
    (SOURCE / "conf.py").write_text(CONFIGURATION, encoding="utf-8")


def write(stem, text):
    (SOURCE / f"{stem}.md").write_text(text, encoding="utf-8")


def index(pages):
    missing = pages - {page for group in GROUPS.values() for page in group}
    assert not missing, f"pages without a place: {missing}"
    about = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## ")[0].split("<!--")[0]
    trees = [
        f"```{{toctree}}\n:caption: {title}\n:maxdepth: 1\n\n" + "\n".join(group) + "\n```"
        for title, group in GROUPS.items()
    ]
    return "\n\n".join([re.sub(r"^```tp$", "```text", about, flags=re.MULTILINE), *trees]) + "\n"


def commands():
    """The help of every command."""
    sys.path.insert(0, str(ROOT))
    from tpc.cli.main import parser

    def of(top, name):
        if top.commands is None:
            return [f"## `{name}`\n\n```text\n{top.format_help()}```\n"]
        return [part for word, below in top.commands.choices.items() for part in of(below, f"{name} {word}")]

    return "\n".join(["# Commands\n", *of(parser(), "tpc")])


def reference():
    """What users may import, from its docstrings."""
    import tpc
    from tpc.evaluate.result import Outcome
    from tpc.evaluate.sweep import Sweep

    kinds = {name: "class" if inspect.isclass(getattr(tpc, name)) else "function" for name in tpc.__all__}
    parts = [
        f"```{{eval-rst}}\n.. auto{kind}:: tpc.{name}\n" + "   :members:\n" * (kind == "class") + "```\n"
        for name, kind in kinds.items()
    ]
    parts += [
        f"```{{eval-rst}}\n.. autoclass:: {kind.__module__}.{kind.__name__}\n   :members:\n```\n"
        for kind in (Outcome, Sweep)
    ]
    return "\n".join(["# Python\n", *parts])


def main():
    from sphinx.cmd.build import main as build

    staged()
    folder = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "build" / "site")
    sys.exit(build(["-W", "--keep-going", "-q", "-b", "html", str(SOURCE), folder]))


if __name__ == "__main__":
    main()
