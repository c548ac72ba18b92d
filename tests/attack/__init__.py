"""Attacks on tpc: inputs, files, streams and signals that nobody means well with. A part of each is in the
suite, any number by

python -m tests.attack mutants --count 100000
"""
