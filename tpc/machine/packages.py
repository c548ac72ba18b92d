"""Packages that only some of what tpc does needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError


@contextmanager
def needing(package: str, what: str = "tpc") -> Iterator[None]:
    """Raises TpcError (TP615) if `package` is not installed, about `what`."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise TpcError([catalogue.running.not_installed(package)], what) from None
