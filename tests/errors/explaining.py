"""The page of codes, `tpc/docs/codes.md`, which `tpc explain` reads.

It is made of `explanations.toml` and of what is recorded. Every wrong program and its message is a case of
`cases`; what is right is the same program with a few words exchanged, or run by another command.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CASES = HERE / "cases"
WORDS = tomllib.loads((HERE / "explanations.toml").read_text(encoding="utf-8"))
LONGEST = 200  # characters of a line that is shown
PARTS = {
    "TP0": "The text",
    "TP1": "Names and functions",
    "TP2": "Kinds, matrices and numbers",
    "TP3": "Indices and loops",
    "TP4": "Laws and widths",
    "TP5": "Inputs",
    "TP6": "Runs, files, machines, experiments and kernels in Python",
    "TP7": "Networks, trainings, kernels and parametrizations",
    "TP8": "What has no limit",
}
OPENING = """# Codes

Every message has a code, a place, a reason and mostly a remedy. `tpc explain CODE` prints what is here: what
it means, why, a program that is wrong, and what is right in its place.
"""


@dataclass(frozen=True)
class Shown:
    """A wrong program and what makes it right: other words, or another command."""

    code: str
    # the case's name; None where there is none that is shown
    case: str | None

    @property
    def words(self):
        return WORDS[self.code]

    @property
    def wrong(self):
        return (CASES / f"{self.case}.tp").read_text(encoding="utf-8", errors="replace")

    @property
    def right(self):
        text = self.wrong
        for old, new in self.words.get("fix", ()):
            assert old in text, f"{self.code}: {old!r} is not in {self.case}.tp"
            text = text.replace(old, new)
        return text

    @property
    def wrong_command(self):
        path = CASES / f"{self.case}.args"
        return path.read_text(encoding="utf-8") if path.exists() else "check"

    @property
    def right_command(self):
        return self.words.get("command", self.wrong_command)

    @property
    def message(self):
        return (CASES / f"{self.case}.txt").read_text(encoding="utf-8")


def shown(code):
    if "wrong" in WORDS[code]:
        return Shown(code, None)
    return Shown(
        code, WORDS[code].get("case", next(iter(sorted(p.stem for p in CASES.glob(f"{code}_*.tp"))), None))
    )


def section(code):
    what = shown(code)
    lines = [f"### {code}", "", what.words["what"], "", what.words["why"], ""]
    if what.case is None:
        return "\n".join([*lines, f"* wrong: {what.words['wrong']}", f"* right: {what.words['right']}", ""])
    lines += [
        "Wrong:",
        "",
        *block("", what.wrong),
        *typed(what.wrong_command, what.case),
        *block("text", what.message),
    ]
    lines += ["Right:", ""]
    if "fix" in what.words:
        lines += block("", what.right)
    return "\n".join([*lines, *(typed(what.right_command, what.case) if "command" in what.words else [])])


def block(kind, text):
    return [f"```{kind}", *(cut(line) for line in text.rstrip("\n").splitlines()), "```", ""]


def cut(line):
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 2]} …"


def typed(command, case):
    """The command as one types it; looking for mistakes goes without saying."""
    if command == "check":
        return []
    first, *rest = command.split()
    file = [] if any(word.endswith(".tp") for word in rest) else [f"{case}.tp"]
    return block("sh", " ".join(["tpc", first, *file, *rest]))


def page(codes):
    parts = [OPENING]
    for start, title in PARTS.items():
        parts += [f"## {start}: {title}\n", *(section(code) for code in codes if code.startswith(start))]
    return "\n".join(parts).rstrip("\n") + "\n"
