"""Files of arrays that hold what a long run has done: written whole or not at all, read without pickles."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np

SUSPECT = 64 << 20  # bytes that an archive may unpack to whatever it packs
CHUNK = 1 << 20  # bytes that are read at once
EXPANSION = 250  # times its packed size beyond that: numbers that were measured pack less well


def open_regular(path: Path) -> BinaryIO:
    """A file to read bytes from.

    Raises OSError, also for what is no regular file: pipes and devices may never end.
    """
    file = open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb")  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(0, "it is not a regular file")
    return file


def write_npz(file: BinaryIO, arrays: Mapping[str, np.ndarray], *, sealed: bool = False) -> None:
    """An .npz archive.

    The names may be any (`np.savez` has some for itself). sealed: its comment tells whether it is still what
    was written.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
        if sealed:
            archive.comment = _seal(archive.infolist())


def _seal(members: list[zipfile.ZipInfo]) -> bytes:
    """The check sum of the names and check sums of all members.

    Those are of one member each, and say nothing of what was exchanged, renamed or left out.
    """
    told = "".join(f"{member.filename}\0{member.CRC}\0{member.file_size}\0" for member in members)
    return b"tpc " + hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest().encode()


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Another name in the same folder to write to, which is renamed to `path` at the end.

    So no reader and no interruption meets half of a file. What is there and no regular file (a device, a
    pipe) is written to as it is. Raises OSError.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        yield path
        return
    part = path.with_name(f"{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes an .npz file for `read_arrays`, whole or not at all. Raises OSError."""
    with whole(path) as part, part.open("wb") as file:
        write_npz(file, arrays, sealed=True)


def require_writable(path: Path) -> None:
    """Raises OSError if no file can be made at `path`. What is there stays as it is."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        return
    probe = Path(os.path.realpath(path)).with_name(f"{path.name}.{os.getpid()}.part")
    probe.touch()
    probe.unlink()


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an .npz file that `write_whole` wrote.

    Raises ValueError, with the reason, if it is none, or is not just what was written.
    """
    try:
        with open_regular(path) as file:
            return read_npz(file, max(SUSPECT, os.fstat(file.fileno()).st_size), sealed=True)
    except OSError as error:
        raise ValueError(error.strerror or "it cannot be read") from None


def read_npz(file: BinaryIO, most: float, *, sealed: bool = False) -> dict[str, np.ndarray]:
    """The arrays of an .npz archive of numbers and text, which may be anybody's.

    Sizes are known from what it says of itself before anything is unpacked. most: bytes of all arrays.
    sealed: it has to be just as `write_npz` sealed it. Raises ValueError, with the reason, for everything
    that is wrong with it.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _require_small(members, most)
            _require_distinct(members)
            if sealed and archive.comment != _seal(members):
                raise ValueError("it is not as it was written")
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
    except ValueError:
        raise
    # a damaged archive raises nearly anything: zipfile, zlib and the header's parser share no base
    except Exception as error:
        raise ValueError(_reason(error)) from None


def _require_small(members: list[zipfile.ZipInfo], most: float) -> None:
    size, packed = (
        sum(getattr(member, which) for member in members) for which in ("file_size", "compress_size")
    )
    if size > most:
        raise ValueError(f"its arrays take {size / 1e6:,.0f} MB, more than {most / 1e6:,.0f}")
    if size > SUSPECT and size > EXPANSION * packed:
        raise ValueError(f"it unpacks to {size / 1e6:,.0f} MB, more than {EXPANSION} times its size")
    if any(member.flag_bits & 1 for member in members):
        raise ValueError("it is encrypted")


def _require_distinct(members: list[zipfile.ZipInfo]) -> None:
    names = Counter(member.filename for member in members)
    twice = next((name for name, count in names.items() if count > 1), None)
    if twice is not None:
        raise ValueError(f"it has {twice!r:.60} twice")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """One member, whose header must say just what it holds."""
    with archive.open(member) as file:
        try:
            shape, fortran, dtype = read_header(file)
        except ValueError as error:
            raise ValueError(f"{error}, in {member.filename!r:.60}") from None
        found = np.empty(shape[::-1] if fortran else shape, dtype)
        if found.nbytes != member.file_size - file.tell():
            raise ValueError(f"the array {member.filename!r:.60} is not as long as its header says")
        view, at = np.ndarray(found.nbytes, np.uint8, found.data), 0
        while part := file.read(CHUNK):  # to the end, where the check sum is compared
            view[at : at + len(part)] = np.frombuffer(part, np.uint8)
            at += len(part)
        return found.T if fortran else found


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns come first, and type of the .npy file that begins here.

    Raises ValueError, also for pickled objects.
    """
    read = _reader(file)
    try:
        shape, fortran, dtype = read(file)
    # of Python's parser, which the header is given to: TokenError, RecursionError, TypeError, …
    except Exception:
        raise ValueError("its header is damaged") from None
    if dtype.hasobject:
        raise ValueError("it holds pickled objects")
    if (
        not all(type(extent) is int and 0 <= extent < 2**63 for extent in shape)
        or math.prod(shape) * dtype.itemsize >= 2**63
    ):
        raise ValueError("its header is damaged")
    return shape, fortran, dtype


def _reader(file: IO[bytes]) -> Callable[[IO[bytes]], tuple[tuple[int, ...], bool, np.dtype[Any]]]:
    """What reads the rest of the header, by the version that it begins with."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(file)
    except ValueError:
        raise ValueError("it is no .npy file") from None
    if version not in readers:
        raise ValueError(f"version {version[0]}.{version[1]} of the .npy format is not known here")
    return readers[version]


def _reason(error: Exception) -> str:
    """What an exception of a library says, on one line that is fit to be shown."""
    first = next(iter(str(error).splitlines()), "")
    return (
        first
        if isinstance(error, zipfile.BadZipFile | NotImplementedError) and first.isprintable()
        else "it is damaged"
    )


def digest(what: str, inputs: Mapping[str, np.ndarray]) -> str:
    """A fingerprint of a text and of arrays by name: their shapes, types and every bit."""
    found = hashlib.sha256(what.encode())
    for name, value in sorted(inputs.items()):
        found.update(f"{name} {value.shape} {value.dtype}\n".encode())
        found.update(np.ascontiguousarray(value).data)  # no copy: an array may take much of the memory
    return found.hexdigest()
