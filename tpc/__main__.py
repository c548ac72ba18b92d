"""`python -m tpc` is the command `tpc`."""

from tpc.cli.main import entry

if __name__ == "__main__":
    entry()
