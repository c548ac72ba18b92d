"""Which of several processes wait for each other at the end."""

import threading
from dataclasses import dataclass

import jax
import pytest

from tpc.cli import together
from tpc.cli.together import working


@dataclass(frozen=True)
class Part:
    interrupted: bool


@pytest.fixture
def waited(monkeypatch):
    """As often as this process has waited."""
    times = []
    monkeypatch.setattr(jax.distributed, "shutdown", lambda: times.append(1))
    return times


def ends_with(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(("interrupted", "times"), [(False, 1), (True, 0)])
def test_one_that_is_interrupted_waits_for_none(waited, interrupted, times):
    assert working(True, lambda: Part(interrupted)) == Part(interrupted)
    assert len(waited) == times


@pytest.mark.parametrize(("error", "times"), [(ValueError, 1), (KeyboardInterrupt, 0)])
def test_nor_does_one_that_has_nothing_to_return(waited, error, times):
    """What is wrong in one is so in all, which then wait for each other."""
    with pytest.raises(error):
        working(True, ends_with(error()))
    assert len(waited) == times


def test_nor_does_one_in_which_something_is_wrong_for_long(monkeypatch):
    come = threading.Event()
    monkeypatch.setattr(jax.distributed, "shutdown", come.wait)
    monkeypatch.setattr(together, "PATIENCE", 0.01)
    with pytest.raises(ValueError, match="wrong"):
        working(True, ends_with(ValueError("wrong")))
    assert together.still_waits()
    come.set()
    next(thread for thread in threading.enumerate() if thread.name == together.WAITING).join()
    assert not together.still_waits()


def test_one_alone_has_none_to_wait_for(waited):
    assert not working(False, lambda: Part(False)).interrupted
    assert not waited
