"""Does tpc work with the oldest versions that pyproject.toml allows, and with the newest ones? Each in a
virtual environment of its own:

    python -m tests.bounds [lowest] [newest] [--tests]

runs README's example from Python there, which goes through all of tpc and all that it depends on; with
--tests also tests of each of its parts.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLE = re.compile(r"^```python\n(import tpc\n.*?)^```$", re.MULTILINE | re.DOTALL)
BOUND = re.compile(r"([A-Za-z0-9_.-]+)>=([0-9.]+)")
BESIDES = ("jaxlib",)  # goes with jax, which takes newer ones, too
SHOWN = 'assert result["loss"].stderr.max() < 1e-3 and samples.outputs and limit.latex() and program.graph\n'
TESTS = (
    "tests/documents",
    "tests/core",
    "tests/derive/test_show.py",
    "tests/evaluate/test_function.py",
    "tests/evaluate/test_quadrature.py",
    "tests/kernels/test_kernels.py",
    "tests/cli/test_cli.py",
    "tests/oracles/test_nngp_ntk.py",
)


def declared() -> dict[str, str]:
    """The lowest version of every package that tpc depends on, and of what runs the tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runner = [line for line in project["optional-dependencies"]["test"] if line.startswith("pytest>")]
    found = [BOUND.fullmatch(line) for line in (*project["dependencies"], *runner)]
    assert all(found), "a dependency without a lowest version"
    return {match[1]: match[2] for match in found if match is not None}


def wanted(which: str) -> list[str]:
    bounds = declared()
    if which == "newest":
        return list(bounds)
    return [
        f"{name}=={version}" for name, version in {**bounds, **dict.fromkeys(BESIDES, bounds["jax"])}.items()
    ]


def tried(which: str, tests: bool) -> None:
    """Raises CalledProcessError."""
    with tempfile.TemporaryDirectory(prefix="bounds-") as folder:
        python = str(Path(folder, "bin", "python"))
        started = time.monotonic()
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted(which)], check=True)
        installed = time.monotonic()
        example = EXAMPLE.findall((ROOT / "README.md").read_text(encoding="utf-8"))
        assert len(example) == 1, "README.md has one example from Python that stands alone"
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([python, "-c", example[0] + SHOWN], check=True, cwd=ROOT, env=env)
        if tests:
            subprocess.run([python, "-m", "pytest", "-q", *TESTS], check=True, cwd=ROOT, env=env)
        print(
            f"{which}: {', '.join(wanted(which))}",
            f"installed in {installed - started:.0f} s, run in {time.monotonic() - installed:.0f} s",
            sep="\n",
            flush=True,
        )


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.bounds")
    options.add_argument("which", nargs="*", help="lowest, newest; both without any")
    options.add_argument("--tests", action="store_true")
    chosen = options.parse_args()
    try:
        for which in chosen.which or ("lowest", "newest"):
            tried(which, chosen.tests)
    except subprocess.CalledProcessError as error:
        print(
            f"{which} versions do not do: {' '.join(map(str, error.cmd))[:200]} ended with "
            f"{error.returncode}",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
