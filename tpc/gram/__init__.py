"""The gram representation: a program whose outputs are covariances of its vectors, from covariances only."""

from tpc.gram.covariance import covariance_program
from tpc.gram.ir import Closed, CovarianceProgram, Integral, NotGramError, TooDearError, TooManyGaussiansError
from tpc.gram.registered import register

__all__ = [
    "Closed",
    "CovarianceProgram",
    "Integral",
    "NotGramError",
    "TooDearError",
    "TooManyGaussiansError",
    "covariance_program",
    "register",
]
