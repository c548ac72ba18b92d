"""`tpc report`: a program, its limit and its numbers on one page that needs nothing else."""
