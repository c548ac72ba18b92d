"""The tests that execute a line, of a run with coverage."""

import pytest

from tests.bench.executed import Executed
from tests.bench.mutants import Mutant
from tests.bench.mutation import TESTS, chosen_for

TIMES = """<testsuites><testsuite>
<testcase classname="tests.a.test_a" name="test_slow" time="5.0"/>
<testcase classname="tests.a.test_a" name="test_quick[x]" time="0.5"/>
<testcase classname="tests.a.test_a" name="test_skipped" time="0.1"><skipped/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def executed(tmp_path):
    (tmp_path / "times.xml").write_text(TIMES)
    executed = Executed(tmp_path / "data", tmp_path / "times.xml")
    slow, quick, skipped = (f"tests/a/test_a.py::test_{name}" for name in ("slow", "quick[x]", "skipped"))
    executed.__dict__["of_file"] = {"tpc/a.py": {3: {slow, quick}, 4: {slow}, 5: {skipped}}}
    return executed


def test_the_quickest_come_first_as_many_as_there_is_time_for(executed):
    slow, quick = "tests/a/test_a.py::test_slow", "tests/a/test_a.py::test_quick[x]"
    assert executed.tests("tpc/a.py", [3], 10.0) == [quick, slow]
    assert executed.tests("tpc/a.py", [3], 1.0) == [quick]
    assert executed.tests("tpc/a.py", [4], 1.0) == [slow]  # at least one


def test_lines_that_no_test_executes_have_none(executed):
    assert executed.tests("tpc/a.py", [1, 2], 10.0) == []
    assert executed.tests("tpc/a.py", [5], 10.0) == []
    assert executed.tests("tpc/b.py", [3], 10.0) == []


def test_a_mutant_has_the_tests_of_all_its_lines_or_those_of_its_room(executed):
    slow, quick = "tests/a/test_a.py::test_slow", "tests/a/test_a.py::test_quick[x]"
    of_two_lines = Mutant("tpc/a.py", "deleted", 3, 0, 9, "f(\n  a)", "pass")
    assert chosen_for(of_two_lines, executed, 10.0) == [quick, slow]
    elsewhere = Mutant("tpc/plan/a.py", "deleted", 3, 0, 9, "f(a)", "pass")
    assert chosen_for(elsewhere, executed, 10.0) == chosen_for(elsewhere, None, 10.0) == TESTS["plan"]
