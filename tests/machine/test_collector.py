"""When the command has Python collect garbage: seldom as it starts, as usual while it computes."""

import gc
import subprocess
import sys
from pathlib import Path

import pytest

from tpc.cli.main import main
from tpc.machine import collector

TEXT = "width n\nvector v : n ~ N(0, 1)\noutput q = mean(v^2)\n"
# what the collector is like while tpc computes, and as the process ends
SCRIPT = """
import atexit, gc, sys
from tpc.evaluate.evaluator import Evaluator

def told(when):
    print(when, gc.get_threshold()[0], gc.get_freeze_count() > 0, file=sys.stderr)

last = Evaluator._last_stage
Evaluator._last_stage = lambda *args, **options: (told("computing"), last(*args, **options))[1]
atexit.register(told, "ending")
told("starting")
sys.argv = ["tpc", "run", "net.tp"]
from tpc.cli.main import entry
entry()
"""


@pytest.fixture
def as_it_was():
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)
    gc.unfreeze()
    collector._usual.clear()


def test_what_was_set_before_is_set_again(as_it_was):
    gc.set_threshold(500, 7, 3)
    collector.collect_seldom()
    collector.collect_seldom()
    assert gc.get_threshold() == (collector.SELDOM, 7, 3)
    collector.collect_as_usual()
    assert gc.get_threshold() == (500, 7, 3)
    assert gc.get_freeze_count() > 0
    gc.unfreeze()
    collector.collect_as_usual()
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == (500, 7, 3)


def test_a_process_of_the_command(tmp_path):
    (tmp_path / "net.tp").write_text(TEXT)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "q = 1" in done.stdout
    started, computing, ending = (line.split() for line in done.stderr.splitlines())
    assert started[2] == "False"
    assert computing == ["computing", started[1], "True"]
    assert ending == ["ending", started[1], "True"]


def test_commands_called_from_python_leave_the_collector_alone(tmp_path, capsys):
    Path(tmp_path / "net.tp").write_text(TEXT)
    before = gc.get_threshold(), gc.get_freeze_count()
    assert main(["run", str(tmp_path / "net.tp")]) == 0
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
