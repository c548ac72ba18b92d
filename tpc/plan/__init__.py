"""The plan: which representation of L² a program is evaluated in, and what is known of the program for
that."""
