"""Which tests execute a line, and how long each of them takes: those that can notice a mutant of it.

pip install pytest-cov
pytest -n 2 --cov=tpc --cov-context=test --cov-report= --junitxml=times.xml
python -m tests.bench.mutation --coverage .coverage --times times.xml
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

MOST = 1500  # tests of a mutant: more take long to collect


@dataclass(frozen=True)
class Executed:
    """What a run of the tests executed.

    coverage: coverage.py's file, with a context for each test
    times: pytest's file of results (JUnit's XML)
    """

    coverage: Path
    times: Path

    @cached_property
    def seconds(self) -> dict[str, float]:
        """How long each test that passed took."""
        found = {}
        for case in ElementTree.parse(self.times).iter("testcase"):
            if not list(case):
                file = case.attrib["classname"].replace(".", "/") + ".py"
                found[f"{file}::{case.attrib['name']}"] = float(case.attrib["time"])
        return found

    @cached_property
    def of_file(self) -> dict[str, dict[int, set[str]]]:
        """The tests that execute each line of a file; a file is named from `tpc/` on."""
        from coverage import CoverageData

        data = CoverageData(str(self.coverage))
        data.read()
        return {
            name[name.rindex("/tpc/") + 1 :]: {
                line: {context.split("|")[0] for context in contexts if context}
                for line, contexts in data.contexts_by_lineno(name).items()
            }
            for name in data.measured_files()
        }

    def tests(self, path: str, lines: Iterable[int], most: float) -> list[str]:
        """The tests that execute one of the lines, the quickest first, as many as take `most` seconds in all.

        One at least if there are any; there are none where what stands there is executed by an import.
        """
        of_line = self.of_file.get(path, {})
        able = set[str]().union(*(of_line.get(line, ()) for line in lines)) & self.seconds.keys()
        chosen, left = [], most
        for test in sorted(able, key=lambda test: (self.seconds[test], test))[:MOST]:
            left -= self.seconds[test]
            if chosen and left < 0:
                break
            chosen.append(test)
        return chosen
