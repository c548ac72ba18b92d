"""An emitted module by itself, where JAX has no 64 bits: what it was planned for, or how to have it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tpc

PROGRAM = Path(__file__).parents[2] / "programs" / "matrices" / "wishart.tp"
USE = """
import warnings; warnings.simplefilter("ignore")
import jax, net
assert not jax.config.jax_enable_x64
try:
    print([float(x) for x in net.run()["c"][0]])
except ValueError as error:
    print(error)
"""
REFUSED = "this was planned for float64: call jax.config.update('jax_enable_x64', True) first"


@pytest.mark.parametrize(
    ("dtype", "said"), [("float64", REFUSED), ("float32", "[1.0, 1.0, 2.0, 5.0, 14.0, 42.0]")]
)
def test_module_without_64_bits(dtype, said, tmp_path):
    (tmp_path / "net.py").write_text(tpc.load(PROGRAM).compile(dtype=dtype).source, encoding="utf-8")
    here = {**os.environ, "JAX_ENABLE_X64": "0", "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", USE], env=here, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == said
