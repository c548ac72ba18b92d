"""The machine that tpc runs on: its memory, the precision of its arithmetic, its files, and Ctrl-C."""
