"""The suite has XLA do less than users do: the numbers are the same, to rounding."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import tpc

ROOT = Path(__file__).parents[2]
PROGRAMS = {
    "paper/thm_6_1.tp": {},
    "paper/thm_6_4_network.tp": {"samples": 256, "repeats": 2},
    "architectures/residual_kernel.tp": {},
}
OF_TESTS = ("XLA_FLAGS", "JAX_DISABLE_MOST_OPTIMIZATIONS")


def numbers():
    found = {}
    for name, options in PROGRAMS.items():
        for output, outcome in tpc.load(ROOT / "programs" / name).compile(**options)().outputs.items():
            error = [] if outcome.stderr is None else np.ravel(outcome.stderr).tolist()
            found[f"{name} {output}"] = np.ravel(outcome.value).tolist(), error
    return found


def test_users_have_the_same_numbers():
    env = {name: value for name, value in os.environ.items() if name not in OF_TESTS}
    done = subprocess.run(
        [sys.executable, "-m", "tests.evaluate.test_settings"],
        cwd=ROOT,
        env={**env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    theirs, own = json.loads(done.stdout), numbers()
    assert theirs.keys() == own.keys()
    for name, (value, error) in own.items():
        np.testing.assert_allclose(theirs[name][0], value, rtol=1e-12, atol=1e-15, err_msg=name)
        # an error is what numbers of order 1 differ by: some are 1e-11, and rounded to 1e-16 as those are
        np.testing.assert_allclose(theirs[name][1], error, rtol=1e-12, atol=1e-16, err_msg=name)


if __name__ == "__main__":
    print(json.dumps(numbers()))
