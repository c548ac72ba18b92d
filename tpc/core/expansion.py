"""Outputs at width n as expansions in 1/n around their limits: what is meant where one is said to hold."""

SHARE = 0.25  # of bias and spread, that is beyond their first order at the width from which this holds
ZERO = 5.0  # standard errors within which a limit is 0
