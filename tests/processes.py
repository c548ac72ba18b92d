"""Commands in several processes on one machine, which work as one."""

import os
import socket
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def together(command, *options, by_environment=False, devices=1):
    """The same command in processes, each with options of its own: exit status, standard output and error of
    each. by_environment: that is what tells them of each other, instead of options."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{free.getsockname()[1]}"
    flags = f"--xla_force_host_platform_device_count={devices} {os.environ.get('XLA_FLAGS', '')}"
    env = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT), "XLA_FLAGS": flags}
    processes = []
    for k, own in enumerate(options):
        told = {"COORDINATOR_ADDRESS": at, "NUM_PROCESSES": str(len(options)), "PROCESS_ID": str(k)}
        words = ["--coordinator", at, "--processes", str(len(options)), "--process", str(k)]
        processes.append(
            subprocess.Popen(
                [*command, *own, *([] if by_environment else words)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=env | ({f"JAX_{name}": value for name, value in told.items()} if by_environment else {}),
            )
        )
    try:
        printed = [process.communicate(timeout=240) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *texts) for process, texts in zip(processes, printed, strict=True)]
