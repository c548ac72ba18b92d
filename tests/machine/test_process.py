"""Memory, Ctrl-C and precision, as far as a process can be asked."""

import importlib
import os
import signal
import sys
import threading
import time
from concurrent.futures import Future
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tpc.diagnostics.diagnostic import TpcError
from tpc.machine import memory
from tpc.machine.interrupt import Interruptible, interruptible_process
from tpc.machine.memory import (
    account,
    free_memory,
    give_back,
    is_lack,
    physical_memory,
    refusing,
    require_memory,
)
from tpc.machine.precision import has_64_bits, in_own_precision, precision, traced

# memory


def test_what_is_free_is_not_more_than_there_is():
    assert 0 < free_memory() <= physical_memory()


def test_the_least_of_all_limits_counts(monkeypatch):
    for name, value in (("_available", 5e9), ("_left_to_group", 3e9), ("_left_to_process", 4e9)):
        monkeypatch.setattr(memory, name, lambda value=value: value)
    monkeypatch.setattr(memory, "physical_memory", lambda: 8e9)
    assert free_memory() == 3e9


def test_what_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "physical_memory", lambda: 8e9)
    require_memory(1e9, "p", free=2e9)
    for needed in (3e9, 9e9):
        with pytest.raises(TpcError) as caught:
            require_memory(needed, "p", free=2e9, remedy="take fewer points")
        assert caught.value.diagnostics[0].code == "TP604"
        assert "take fewer points" in str(caught.value)


@pytest.mark.parametrize(
    ("error", "lack"),
    [
        (MemoryError(), True),
        (RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes."), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("INTERNAL: RESOURCE"), False),
        (ValueError("RESOURCE_EXHAUSTED"), False),
    ],
)
def test_lack_of_memory_is_told_whoever_noticed(error, lack):
    assert is_lack(error) == lack
    with pytest.raises(TpcError if lack else type(error)), refusing("p"):
        raise error


def test_a_computation_is_accounted_for_by_its_compiler():
    x = jnp.ones(1000)
    compiled = jax.jit(lambda x: x + 1).lower(x).compile()
    assert account(compiled) >= 2 * x.nbytes
    assert account(SimpleNamespace(memory_analysis=lambda: None)) == 0


# Ctrl-C


@pytest.fixture(autouse=True)
def heeded():
    """Ctrl-C as Python hears it: in the background a shell has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_a_first_interrupt_waits_and_a_second_does_not():
    safe = Interruptible()
    with safe:
        signal.raise_signal(signal.SIGINT)
        assert safe.asked
        with pytest.raises(KeyboardInterrupt):
            safe.wait(jnp.ones(2))
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_while_waiting_comes_at_once():
    coming = Future()
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    with Interruptible() as safe:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            safe.result(coming)
        assert not safe.waiting
    timer.join()


def test_without_an_interrupt_nothing_happens():
    done = Future()
    done.set_result(7)
    with Interruptible() as safe:
        safe.wait(jnp.ones(2))
        safe.check()
        assert safe.result(done) == 7


class Interrupted:
    """Ctrl-C comes while it is thrown away, where Python ignores what is raised."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def destroyed_twice():
    """The first Ctrl-C is noted by what is entered, the second raised in a destructor."""
    with Interruptible():
        signal.raise_signal(signal.SIGINT)
        destroyed()


def destroyed():
    Interrupted()
    time.sleep(60)


@pytest.mark.parametrize("run", [destroyed, destroyed_twice])
def test_an_interrupt_that_python_would_ignore_comes_again(run):
    hook, start = sys.unraisablehook, time.monotonic()
    with interruptible_process(), pytest.raises(KeyboardInterrupt):
        run()
    assert time.monotonic() - start < 50
    assert sys.unraisablehook is hook
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_else_python_ignores_it_says():
    class Faulty:
        def __del__(self):
            raise ValueError("in a destructor")

    said = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda what: said.append(str(what.exc_value))
    try:
        with interruptible_process():
            Faulty()
    finally:
        sys.unraisablehook = hook
    assert said == ["in a destructor"]


def test_an_interrupt_leaves_no_module_half_imported(tmp_path, monkeypatch):
    (tmp_path / "interrupted_half.py").write_text("import signal\nsignal.raise_signal(2)\nwhole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    with interruptible_process():
        assert importlib.import_module("interrupted_half").whole
        with pytest.raises(KeyboardInterrupt):
            time.sleep(60)


def test_nor_does_a_second_one(tmp_path, monkeypatch):
    """The first one waits for what is entered."""
    (tmp_path / "interrupted_twice.py").write_text("import signal\nsignal.raise_signal(2)\nwhole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    with interruptible_process(), Interruptible():
        signal.raise_signal(signal.SIGINT)
        assert importlib.import_module("interrupted_twice").whole
        with pytest.raises(KeyboardInterrupt):
            time.sleep(60)


def test_an_interrupt_that_comes_too_late_is_none():
    with interruptible_process():
        Interrupted()
    time.sleep(0.1)


def test_handlers_of_others_are_left_alone():
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(1))
    try:
        with Interruptible() as safe:
            signal.raise_signal(signal.SIGINT)
            safe.check()
        assert heard == [1]
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_leave_signals_alone():
    found = []
    thread = threading.Thread(target=lambda: found.append(Interruptible().__enter__().before))
    thread.start()
    thread.join()
    assert found == [None]


# precision


def test_64_bits_are_on_for_as_long_as_they_are_needed():
    on = has_64_bits()
    jax.config.update("jax_enable_x64", False)
    try:
        assert not has_64_bits()
        with precision("float64"):
            assert has_64_bits()
            assert jnp.ones(1).dtype == np.float64
        assert not has_64_bits()
        with precision("float32"):
            assert not has_64_bits()
        with pytest.raises(ZeroDivisionError), precision("float64"):
            raise ZeroDivisionError
        assert not has_64_bits()
    finally:
        jax.config.update("jax_enable_x64", on)


def test_methods_compute_in_the_precision_of_their_object():
    class Thing:
        def __init__(self, dtype):
            self.dtype = dtype

        @in_own_precision
        def ones(self, count, *, twice=False):
            """What it makes."""
            return jnp.ones(count * (1 + twice)).dtype

    on = has_64_bits()
    jax.config.update("jax_enable_x64", False)
    try:
        assert Thing("float64").ones(2, twice=True) == np.float64
        assert Thing("float32").ones(2) == np.float32
    finally:
        jax.config.update("jax_enable_x64", on)
    assert Thing.ones.__doc__ == "What it makes."


def test_what_jax_transforms_is_told_from_numbers():
    assert not traced({"x": np.ones(2), "y": 1.0})
    seen = []

    def f(x):
        seen.append(traced({"x": x}))
        seen.append(traced({}))
        return jnp.sum(x)

    jax.jit(f)(jnp.ones(2))
    jax.grad(f)(jnp.ones(2))
    assert seen[0]
    assert seen[2]
    assert not traced({})


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is given back")
def test_memory_that_is_freed_a_moment_later_is_given_back(monkeypatch):
    """As by JAX, whose results are there before what they took is freed."""
    monkeypatch.setattr(memory, "MOMENT", 0.4)
    arrays = [np.ones(1 << 14) for _ in range(2000)]
    kept = arrays[::20]  # between what is freed
    before = memory._of_process(memory.RESIDENT)

    def free():
        for _ in range(8):
            time.sleep(0.05)
            del arrays[-250:]

    freeing = threading.Thread(target=free)
    freeing.start()
    give_back()
    freeing.join()
    assert len(kept) == 100
    assert before - memory._of_process(memory.RESIDENT) > 0.8 * 1900 * (1 << 17)
