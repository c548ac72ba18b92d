"""What is run: an evaluator of a limit, its repeats and points, what they found, and how long work is kept,
shared out and gone on with."""
