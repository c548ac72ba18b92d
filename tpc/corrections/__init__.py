"""Bias and fluctuation at finite width, predicted from the limit."""

from tpc.corrections.predict import SlowError, corrections
from tpc.corrections.prediction import Correction, Corrections

__all__ = ["Correction", "Corrections", "SlowError", "corrections"]
