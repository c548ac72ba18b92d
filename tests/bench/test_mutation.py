"""The bench of mutants notices what a test notices, and tells what it does not."""

import ast
import textwrap

import pytest

from tests.bench.mutants import changes, drawn, mutants, relevant
from tests.bench.mutation import Bench

SOURCE = textwrap.dedent('''\
    """A docstring that cannot matter: 1 + 1."""

    import math


    def area(width: "int | None", height: int = 2) -> "float | int":
        """Another one."""
        assert width is not None
        while width < 0:
            width += 7
        if width == 1000:
            return width
        return width * height
''')
TESTS = """\
from tpc.plan.small import area

def test_area():
    assert area(3, 5) == 15 and area(-6) == 2
"""


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    packages = (("tpc/__init__.py", ""), ("tpc/plan/__init__.py", ""))  # or an installed tpc is found first
    for name, text in (*packages, ("tpc/plan/small.py", SOURCE), ("tests/test_small.py", TESTS)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_what_is_noticed_what_hangs_and_what_survives(tree, tmp_path):
    bench = Bench.make(tmp_path / "copy", tmp_path / "compiled", tree)
    by_change = {(m.before, m.after): m for m in drawn(["plan"], 0, tree)}
    verdicts = {}
    for *change, limit in (
        ("width * height", "(width + height)", 60.0),
        ("1000", "(1001)", 60.0),
        ("width += 7", "width -= 7", 1.0),
    ):
        outcome = bench.attempt(by_change[*change], ["tests/test_small.py"], limit)
        verdicts[change[0]] = outcome.verdict
    assert verdicts == {"width * height": "killed", "1000": "survived", "width += 7": "hung"}
    assert (
        (tmp_path / "copy/tpc/plan/small.py").read_text()
        == SOURCE
        == (tree / "tpc/plan/small.py").read_text()
    )


def test_mutants_are_programs_that_differ_where_it_can_matter():
    found = mutants("small.py", SOURCE.encode())
    texts = [m.apply(SOURCE.encode()).decode() for m in found]
    assert len({*texts, SOURCE}) == len(found) + 1
    for mutant, text in zip(found, texts, strict=True):
        ast.parse(text)
        changed = [a for a, b in zip(SOURCE.splitlines(), text.splitlines(), strict=True) if a != b]
        assert len(changed) == 1, mutant
        assert not any(word in changed[0] for word in ("docstring", "Another", "assert", "import")), mutant
    assert {m.kind for m in found} == {"operator", "comparison", "constant", "deleted", "negated"}


def test_the_seed_fixes_the_order(tree):
    first, again, other = (list(drawn(["plan"], seed, tree)) for seed in (0, 0, 1))
    assert first == again != other
    assert sorted(m.key for m in first) == sorted(m.key for m in other)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("f(a, b, c)", {"f(b, a, c)"}),
        ("f(a, a)", set()),
        ("f(*a, b)", set()),
        ("a < b", {"a <= b", "a >= b"}),
        ("a is None", {"a is not None"}),
        ("a and not b", {"a or not b", "a and b"}),
        ("x if a else y", {"x if not a else y"}),
        ("f'{a}: b'", {"f'{a}: b~'"}),
        ("True", {"False"}),
        ("-a", {"a"}),
    ],
)
def test_kinds_of_changes(before, after):
    source = f"x = {before}".encode()
    found = {ast.unparse(ast.parse(m.apply(source)).body[0].value) for m in mutants("f.py", source)}
    assert found == after


def test_messages_are_changed_and_types_are_not():
    tree = ast.parse("Node = A | B\nx: A | B = cast(A | B, y)\nraise E('text')")
    assert {kind for node in relevant(tree) for kind, _ in changes(node)} == {"constant", "deleted"}
