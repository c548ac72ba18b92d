"""The catalogue: everything that can be wrong with what a user gives, one function each.

No message is made anywhere else. A file of the catalogue has all messages of a code, and says which codes.
"""

from tpc.diagnostics.catalogue import (
    commands,
    experiments,
    indices,
    inputs,
    kernels,
    kinds,
    laws,
    names,
    networks,
    optimizers,
    options,
    parametrizations,
    running,
    scaling,
    syntax,
    tables,
    trainings,
)

__all__ = [
    "commands",
    "experiments",
    "indices",
    "inputs",
    "kernels",
    "kinds",
    "laws",
    "names",
    "networks",
    "optimizers",
    "options",
    "parametrizations",
    "running",
    "scaling",
    "syntax",
    "tables",
    "trainings",
]
