"""Lack of memory, whatever library says so and whichever command meets it, is an error with a remedy."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import tpc
from tpc.cli.main import main
from tpc.machine.memory import is_lack, require_memory

ROOT = Path(__file__).parents[2]
PROGRAM = """width n
matrix A : n x n ~ N(0, 1/n)
vector v[i < 6] : n ~ N(0, 1)
x = tanh(sum(i < 6: v[i]))
output a = mean(relu(A @ x)*relu(x + A.T @ x))
"""
NETWORK = "width n\nweight U : n x 2\nweight V : 1 x n\nnetwork f(x) = V @ relu(U @ x)\noutput a = 1\n"
LACKS = {
    "python": MemoryError(),
    "array": MemoryError("Unable to allocate 8 GiB"),
    "xla": jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8000000000 bytes."),
    "c++": RuntimeError("std::bad_alloc"),
}
WHERE = {
    "check": "tpc.pipeline.parse",
    "lower": "tpc.pipeline.parse",
    "derive": "tpc.pipeline.derive_limit",
    "graph": "tpc.show.draw.draw",
    "compile": "tpc.pipeline.compile_program",
    "run": "tpc.evaluate.stages.compute",
    "simulate": "tpc.simulate.finite_program.compiled",
    "verify": "tpc.simulate.finite_program.compiled",
    "kernel": "tpc.kernels.blocks.side_by_side",
    "maml": "tpc.experiments.maml.FewShotExperiment._drawn",
    "word2vec": "tpc.experiments.word2vec.Word2VecExperiment._train",
}


def options_of(command, folder):
    """The command with what it needs, a small thing."""
    program, network, x = folder / "p.tp", folder / "net.tp", folder / "X.npy"
    program.write_text(PROGRAM)
    network.write_text(NETWORK)
    np.save(x, np.ones((3, 2)))
    own = {
        "graph": ["-o", str(folder / "g.svg")],
        "compile": ["-o", str(folder / "m.py")],
        "run": ["--samples", "64", "--repeats", "2"],
        "simulate": ["--width", "8", "--seeds", "2"],
        "verify": ["--widths", "8", "--seeds", "2", "--samples", "64", "--repeats", "2"],
        "kernel": ["-x", str(x), "-o", str(folder / "K.npy")],
    }
    if command == "maml":
        return [
            "experiment",
            "maml",
            "--epochs",
            "1",
            "--set",
            "batches=2",
            "--set",
            "tasks=1",
            "--set",
            "ways=2",
        ]
    if command == "word2vec":
        return ["experiment", "word2vec", "--epochs", "1", "--vocab", "20"]
    return [command, str(network if command == "kernel" else program), *own.get(command, [])]


def failing(error):
    def fail(*arguments, **options):
        raise error

    return fail


@pytest.mark.parametrize("command", WHERE)
def test_every_command_refuses(command, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tpc.experiments.maml_network.FiniteNetwork.prepare", lambda self, progress: None)
    for error in [LACKS["xla"]] if command in ("maml", "word2vec") else LACKS.values():
        with monkeypatch.context() as patched:
            patched.setattr(WHERE[command], failing(error))
            assert main([*options_of(command, tmp_path), "--json"]) == 2
        printed = capsys.readouterr()
        (found,) = json.loads(printed.out)["errors"]
        assert found["code"] == "TP604"
        assert found["help"]
        assert "error[TP604]" in printed.err


def test_from_python_it_is_a_tpc_error(monkeypatch):
    program = tpc.parse(PROGRAM)
    network = tpc.parse(NETWORK)
    calls = {
        "run": lambda: program.compile(samples=64, repeats=2)(),
        "simulate": lambda: program.simulate(width=8, seeds=2),
        "kernel": lambda: network.kernels().ntk(np.ones((3, 2))),
    }
    for command, call in calls.items():
        for error in LACKS.values():
            with monkeypatch.context() as patched:
                patched.setattr(WHERE[command], failing(error))
                with pytest.raises(tpc.TpcError, match="TP604"):
                    call()


def test_other_errors_are_not_taken_for_it():
    assert all(map(is_lack, LACKS.values()))
    assert not any(
        map(
            is_lack,
            (
                RuntimeError("INTERNAL: no"),
                ValueError("RESOURCE_EXHAUSTED"),
                OSError(28, "No space left on device"),
            ),
        )
    )


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="limits of addresses hold on Linux")
def test_a_real_one(tmp_path):
    """More than a limit leaves: it is refused beforehand, and where that is switched off, by XLA."""
    program = tmp_path / "p.tp"
    program.write_text("width n\nvector v : n ~ N(0, 1)\noutput a = mean(tanh(v)^2)\n")
    code = (
        "import resource, sys\n"
        "import jax\n"
        "jax.devices()\n"
        "taken = int(open('/proc/self/statm').read().split()[0])*resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (taken + (3 << 30),)*2)\n"
        "import tpc.simulate.finite_program, tpc.cli.main\n"
        "if sys.argv[1] == 'blind':\n"
        "    tpc.simulate.finite_program.free_of_devices = lambda devices=1: float('inf')\n"
        "    import tpc.machine.memory\n"
        "    tpc.machine.memory.physical_memory = lambda: float('inf')\n"
        f"arguments = ['simulate', {str(program)!r}, '--width', '1000000000', '--seeds', '1']\n"
        "sys.exit(tpc.cli.main.main(arguments))\n"
    )
    for way, says in (("seeing", "that are free"), ("blind", "there is not enough memory for this")):
        done = subprocess.run(
            [sys.executable, "-c", code, way],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 2, done.stderr
        assert "error[TP604]" in done.stderr
        assert says in done.stderr


def test_sizes_are_shown_as_they_are():
    for needed, shown in ((2e18, "2,000,000,000 GB"), (3.2e15, "3,200,000 GB")):
        with pytest.raises(tpc.TpcError, match=f"about {shown} of memory"):
            require_memory(needed, "p")
    with pytest.raises(
        tpc.TpcError, match=r"about 5 MB of memory, more than the 1 MB that are free"
    ) as caught:
        require_memory(5e6, "p", free=1e6, remedy="do less")
    assert "do less" in str(caught.value)
