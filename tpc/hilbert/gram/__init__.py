"""The gram representation: a program whose outputs are covariances of its vectors, from covariances only."""

from tpc.hilbert.gram.covariance import covariance_program
from tpc.hilbert.gram.registered import register
from tpc.hilbert.gram.terms import Closed, CovarianceProgram, Integral, NotGramError, TooDearError, TooManyGaussiansError

__all__ = ["Closed", "CovarianceProgram", "Integral", "NotGramError", "TooDearError", "TooManyGaussiansError", "covariance_program", "register"]
