"""Every notebook runs from top to bottom, and is committed with its outputs."""

import sys
from pathlib import Path

import jax
import matplotlib
import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib import pyplot
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
IN_A_KERNEL = "first_network"  # the one with cells of magic; what a kernel is more than a shell, one shows


def cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


@pytest.fixture
def shell(monkeypatch):
    """IPython's in this process, as a kernel begins: no Python or JAX is started for each notebook."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # which a shell puts its own for
    jax.config.update("jax_enable_x64", False)
    pyplot.switch_backend("agg")
    with matplotlib.rc_context():
        yield InteractiveShell()
    pyplot.close("all")
    jax.config.update("jax_enable_x64", True)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_committed(path):
    assert nbformat.read(path, as_version=4).metadata["kernelspec"]["name"] == "python3"
    assert all(cell.outputs for cell in cells(path))


@pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if path.stem != IN_A_KERNEL], ids=lambda path: path.stem
)
@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
def test_notebook(path, shell, monkeypatch):
    monkeypatch.chdir(path.parent)
    for cell in cells(path):
        shell.run_cell(cell.source, store_history=True).raise_error()


def test_a_notebook_in_a_kernel():
    (path,) = (path for path in NOTEBOOKS if path.stem == IN_A_KERNEL)
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}
    ).execute()
