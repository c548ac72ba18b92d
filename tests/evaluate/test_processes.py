"""Several processes on one machine work as one."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.evaluate.programs import TWO_LAYERS

ROOT = Path(__file__).parents[2]
RUN = [
    sys.executable,
    "-m",
    "tpc.cli.main",
    "run",
    str(TWO_LAYERS),
    "--set",
    "T=10",
    "--samples",
    "512",
    "--repeats",
    "4",
]


def address():
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{own.getsockname()[1]}"


def together(*arguments, by_environment=False, devices=1):
    """The same command in two processes, each with options of its own: exit status, standard output and error
    of each."""
    at, processes = address(), []
    flags = f"--xla_force_host_platform_device_count={devices} {os.environ.get('XLA_FLAGS', '')}"
    for k, own in enumerate(arguments):
        env = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": str(ROOT),
            "XLA_FLAGS": flags,
        }
        options = ["--coordinator", at, "--processes", "2", "--process", str(k)]
        if by_environment:
            env |= {"JAX_COORDINATOR_ADDRESS": at, "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": str(k)}
            options = []
        processes.append(
            subprocess.Popen(
                [*RUN, *own, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
            )
        )
    try:
        printed = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, printed, strict=True)]


@pytest.fixture(scope="module")
def alone():
    return subprocess.run(
        RUN, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ).stdout


def test_two_processes_print_what_one_does_and_once(alone):
    first, second = together([], [], devices=2)
    assert (first[0], second[0]) == (0, 0), first[2] + second[2]
    assert first[1] == alone
    assert second[1] == ""


def test_they_resume_from_the_folder_of_the_first(alone, tmp_path):
    """The folder of the second process stays empty: what there is to resume from comes from the first.
    Processes are told of each other by options or by the environment."""
    own = [["--checkpoint", str(tmp_path / str(k))] for k in range(2)]
    first, _ = together(*own)
    kept = sorted((tmp_path / "0").rglob("*.npz"))
    # halves, and what they tell
    assert [path.name.partition("-")[0] for path in kept] == ["check"] * 12 + ["repeat"] * 4
    before = [path.read_bytes() for path in kept]
    kept[9].unlink()
    kept[14].unlink()
    again, second = together(*own, by_environment=True)
    assert second[:2] == (0, ""), second[2]
    assert first[1] == again[1] == alone
    assert [path.read_bytes() for path in kept] == before
    assert not (tmp_path / "1").exists()
    shutil.rmtree(tmp_path / "0")


def test_processes_that_run_different_things_are_refused():
    first, second = together([], ["--seed", "1"])
    assert (first[0], second[0]) == (2, 2), first[2] + second[2]
    assert "error[TP613]: the processes do not run the same program" in first[2]
    assert "TP613" not in second[2]


def test_bad_input_is_told_once():
    first, second = together(["--set", "eta=x"], ["--set", "eta=x"])
    assert (first[0], second[0]) == (2, 2)
    assert "error[TP507]" in first[2]
    assert "TP507" not in second[2]
    assert (first[1], second[1]) == ("", "")
