"""The user's cache: what is made once is read again by later processes.

Nothing fails for its sake. What is in it is executed (pickles of the parser, machine code), so that a folder
which others may write to is not used.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER = "TPC_CACHE"  # the variable that names the folder; empty, nothing is kept
JAX_FOLDER = "JAX_COMPILATION_CACHE_DIR"
COMPILED = "compiled-"  # what the folders of compiled code begin with
MOST = 1 << 30  # bytes that compiled code may take


def cache_folder() -> Path | None:
    """Where things are kept; None if they are not to be."""
    named = os.environ.get(FOLDER)
    if named is not None:
        return Path(named) if named else None
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "tpc"
    except RuntimeError:  # a user without a home
        return None


@contextmanager
def without_cache() -> Iterator[None]:
    """Keeps nothing meanwhile, nor do processes that are started."""
    before = os.environ.get(FOLDER)
    os.environ[FOLDER] = ""
    try:
        yield
    finally:
        del os.environ[FOLDER]
        if before is not None:
            os.environ[FOLDER] = before


def usable(folder: Path) -> str | None:
    """Why a folder, which is made if it is not there, cannot be a cache; None if it can."""
    try:
        folder.parent.mkdir(exist_ok=True)  # but no home for a user who has none
        folder.mkdir(mode=0o700, exist_ok=True)
        told = folder.stat()
        if hasattr(os, "geteuid") and (
            told.st_uid != os.geteuid() or told.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        ):
            return "others may write to it"
        probe = folder / f"{os.getpid()}.probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return error.strerror or str(error)
    return None


def kept_file(name: str, *made_of: str) -> Path | None:
    """The path of a file that is named after what it is made of; None where nothing can be kept."""
    folder = cache_folder()
    if folder is None or usable(folder) is not None:
        return None
    return folder / f"{name}-{hashlib.sha256(chr(0).join(made_of).encode()).hexdigest()[:16]}"


def keep_compiled() -> str | None:
    """Has JAX keep what it compiles, if it has not been imported, and is not told to keep it elsewhere.

    Returns why that cannot be, if it cannot. Machine code is that of this kind of processor.
    """
    folder = cache_folder()
    if folder is None or JAX_FOLDER in os.environ:
        return None
    compiled = folder / f"{COMPILED}{_processor()}"
    reason = usable(folder) or usable(compiled)
    if reason is not None:
        return f"{compiled} cannot keep compiled code: {reason}"
    os.environ |= {
        JAX_FOLDER: str(compiled),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return None


def _processor() -> str:
    """A name for the instructions that this machine's processor has."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        told = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        told = ""
    machine = os.uname().machine if hasattr(os, "uname") else os.environ.get("PROCESSOR_IDENTIFIER", "")
    return hashlib.sha256(f"{machine} {told}".encode()).hexdigest()[:12]


def remark_on(warning: str) -> str:
    """What is said of a warning; what JAX says of entries of the cache, it says in its own words.

    One that cannot be read would be met again and again, so that all are given up.
    """
    if warning.startswith("Error reading persistent compilation cache"):
        for path in Path(os.environ.get(JAX_FOLDER, "")).glob("*-cache"):
            with suppress(OSError):
                path.unlink()
        return "the cache of compiled code is damaged, and is begun anew"
    if warning.startswith("Error writing persistent compilation cache"):
        return f"compiled code cannot be kept in {os.environ.get(JAX_FOLDER)}"
    return warning


def prune(most: int = MOST) -> None:
    """Removes the oldest compiled code until there are `most` bytes of it.

    Nothing else is looked at, as the folder may have a user's own files in it. Another process that misses a
    file makes it anew.
    """
    folder = cache_folder()
    if folder is None:
        return
    found = [*_compiled(folder)]
    size = sum(each for _, each, _ in found)
    for _, each, path in sorted(found):
        if size <= most:
            return
        try:
            path.unlink(missing_ok=True)
        except OSError:
            return
        size -= each


def _compiled(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """When each of the files with compiled code was last used, and its size."""
    for path in folder.glob(f"{COMPILED}*/*"):
        with suppress(OSError):  # another process was faster
            told = path.stat()
            yield max(told.st_atime, told.st_mtime), told.st_size, path
