"""The `tpc` command: a file a command."""
