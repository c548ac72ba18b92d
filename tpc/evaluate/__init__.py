"""What is run: evaluators of limits, their repeats and points, and what they found.

Long work is kept here, shared out and gone on with.
"""
