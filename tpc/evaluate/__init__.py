"""What is run: evaluators of limits, their repeats and points, and what they found.

And how long work is kept, shared out and gone on with.
"""
