"""What can happen to a file: bits, cuts, other bytes; of archives also members that are exchanged, renamed,
or of another kind."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from random import Random

import numpy as np


def bytewise(rng: Random, whole: bytes) -> bytes:
    """Bits flipped, a cut, bytes that are gone, new, 0 or from elsewhere in the file."""
    raw = bytearray(whole)
    size = max(1, len(raw))
    i = rng.randrange(size)
    j = min(size, i + rng.choice([1, 2, 8, 64, 512]))
    match rng.randrange(8):
        case 0 | 1 | 2:
            for _ in range(rng.choice([1, 1, 1, 2, 16])):
                raw[rng.randrange(size)] ^= 1 << rng.randrange(8)
        case 3:
            del raw[i:]
        case 4:
            del raw[i:j]
        case 5:
            raw[i:i] = rng.randbytes(rng.choice([1, 8, 100]))
        case 6:
            raw[i:j] = bytes(j - i)
        case _:
            k = rng.randrange(size)
            raw[i:j] = raw[k : k + j - i]
    return bytes(raw)


def garbage(rng: Random) -> bytes:
    return rng.choice(
        [
            b"",
            b"\0" * 1000,
            rng.randbytes(rng.choice([1, 100, 5000])),
            b"PK\x03\x04" + rng.randbytes(60),
            b"PK\x05\x06" + bytes(18),
            b"\x93NUMPY\x01\x00",
            b"\x80\x04cos\nsystem\n",
            b"{}",
            b"[]",
            b"null",
            b"{" * 5000,
            b"\x1f\x8b\x08" + rng.randbytes(30),
            b"\xfd7zXZ\0" + rng.randbytes(30),
            "ξ".encode("utf-16"),
        ]
    )


def rewritten(rng: Random, whole: bytes) -> bytes:
    """An archive that is whole, with other arrays than those that were written."""
    with np.load(io.BytesIO(whole), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    names = sorted(arrays)
    a, b = rng.choice(names), rng.choice(names)
    match rng.randrange(8):
        case 0:
            arrays[a], arrays[b] = arrays[b], arrays[a]
        case 1:
            del arrays[a]
        case 2:
            arrays[a + rng.choice(["x", " ", "\n", "/"])] = arrays.pop(a)
        case 3:
            arrays[a] = (
                np.asarray(arrays[a]).astype(
                    rng.choice(["f4", "i8", "c16", "U8", "S3", "?", "u1"]), casting="unsafe"
                )
                if arrays[a].dtype.kind in "biuf"
                else np.array("x")
            )
        case 4:
            arrays[a] = arrays[a][None] if rng.random() < 0.5 else np.ravel(arrays[a])[:-1]
        case 5:
            arrays[a] = np.zeros(rng.choice([(), (0,), (3,), (1, 1, 1)]))
        case 6:
            arrays[a] = (
                np.full_like(arrays[a], np.nan) if arrays[a].dtype.kind == "f" else np.zeros_like(arrays[a])
            )
        case _:
            arrays = dict(reversed(list(arrays.items()))) | {"more": np.arange(3)}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            archive.writestr(f"{name}.npy", member.getvalue())
    return stream.getvalue()


def damage(rng: Random, path: Path) -> None:
    """Damages a file in one of these ways, or exchanges it with another one of the folder."""
    whole = path.read_bytes()
    if whole[:2] == b"PK" and rng.random() < 0.25:
        new = rewritten(rng, whole)
    elif rng.random() < 0.1:
        others = sorted(p for p in path.parent.iterdir() if p.is_file() and p != path)
        new = rng.choice(others).read_bytes() if others and rng.random() < 0.7 else garbage(rng)
    else:
        new = bytewise(rng, whole)
        while new == whole:
            new = bytewise(rng, whole)
    path.write_bytes(new)
