"""The plan: the representation of L² of a program, and what is known of it for that."""
