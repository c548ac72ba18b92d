"""Options of the whole test suite."""

import gc
import os
import shutil
import subprocess
import sys
import tempfile

import hypothesis
import pytest

# properties are tried on the same in every run, the gate's too; `--hypothesis-profile=explore` tries others
hypothesis.settings.register_profile("same", derandomize=True, database=None)
hypothesis.settings.register_profile("explore", derandomize=False, database=None, print_blob=True)
hypothesis.settings.load_profile("same")

CACHE = "JAX_COMPILATION_CACHE_DIR"
COMPILED = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
# tests run small programs once: XLA's optimiser takes longer than what it makes faster
PLAINLY = "JAX_DISABLE_MOST_OPTIMIZATIONS"
# nor do they need a context of MLIR for every fusion, or more threads of LLVM than the one that a worker has
FLAGS = "XLA_FLAGS"
QUICKLY = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"


@pytest.fixture(autouse=True, scope="session")
def _sixty_four_bits():
    """Tests transform functions of float64 and execute modules themselves. What is done without 64 bits,
    tests/evaluate/test_precision.py looks at."""
    import jax

    jax.config.update("jax_enable_x64", True)


@pytest.fixture(autouse=True, scope="session")
def _garbage_is_looked_for_seldom():
    """What is traced lives a while: of 700 new objects, gone through each time, most are still in use."""
    gc.set_threshold(100_000, 20, 20)


@pytest.fixture(autouse=True, scope="module")
def _what_stays_is_not_looked_through():
    """JAX keeps what it has traced and compiled, gigabytes of it, through which each full collection goes."""
    yield
    gc.collect()
    gc.freeze()


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="record messages and emitted modules anew")


def pytest_configure(config):
    """What one test has compiled the others need not, in this process, its workers or those that tests start:
    most tests' time is XLA's."""
    os.environ.setdefault(PLAINLY, "1")
    if FLAGS not in os.environ and known(QUICKLY):
        os.environ[FLAGS] = QUICKLY
        config.add_cleanup(lambda: os.environ.pop(FLAGS))
    if not hasattr(config, "workerinput") and CACHE not in os.environ:
        folder = tempfile.mkdtemp(prefix="tpc-tests-")
        os.environ |= {CACHE: folder, "TPC_CACHE": f"{folder}/tpc", **COMPILED}
        config.add_cleanup(forget_compiled)


def known(flags):
    """Whether this jaxlib has them: it aborts where it does not."""
    code = "import jaxlib.xla_client; jaxlib.xla_client.make_cpu_client()"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, FLAGS: flags}, capture_output=True, check=False
    )
    return done.returncode == 0


def forget_compiled():
    shutil.rmtree(os.environ.pop(CACHE), ignore_errors=True)
    for name in (*COMPILED, "TPC_CACHE"):
        del os.environ[name]
