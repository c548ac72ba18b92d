"""Files that somebody made in order to harm: bombs, links, devices, pipes, headers that lie, names and
numbers that nobody expects."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import struct
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import numpy as np

from tests.attack.damaged import DATA, KERNEL, RANDOM, corpus
from tests.attack.trial import METER, Attack, Outcome, judged

BOMB = 80 << 20  # bytes that a bomb unpacks to: enough to be more than it may, little to make
NAMES = (
    "y",
    "s",
    "k",
    "../../y",
    "/y",
    "",
    " ",
    ".npy",
    "y\n",
    "y\0s",
    "__class__",
    "jnp",
    "limit",
    "ｙ",
    "y'\"\\",
    "\x1b[31my",
    "ξ" * 5000,
    "y/../s",
    "con",
    "a" * 60000,
)
HEADERS = (
    "{'descr': '<f8', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000000000000,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (4000000000,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (True, 4), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '<U1000000000', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '<f8', 'fortran_order': 7, 'shape': [4], }",
    "{'descr': '<f8', 'shape': (-1,)}",
    "__import__('os').system('touch pwned')",
    "(" * 50000,
    "{" + "'a': 1, " * 20000 + "}",
    "",
    "\0" * 100,
    "{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '<c16', 'fortran_order': False, 'shape': (2,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (0, 9223372036854775807), }",
    "{'descr': '|V8', 'fortran_order': True, 'shape': (4,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': " + "9" * 5000 + "}",
    "{'descr': '<f2', 'fortran_order': False, 'shape': (16,), }",
)
TEXTS = (
    '{"y": [1, 2, 3, 1e400]}',
    '{"y": [NaN, 1, 2, 3]}',
    '{"y": [1, 2, 3, 4], "y": 7}',
    '{"y": ' + "[" * 100000,
    '{"y": ' + "9" * 20000 + "}",
    "[1, 2]",
    '"y"',
    "",
    "\ufeff{}",
    '{"y": {"a": 1}}',
    '{"y": [[1], [2, 3]]}',
    '{"y": [1, "2", 3, 4]}',
    '{"y": [1, null, 3, 4]}',
    '{"y": [true, false, true, true]}',
    '{"": 1}',
    '{"__proto__": 1}',
    '{"y": "\\ud800"}',
    '{"\\u0000": 1}',
    '{"\\u001b[31m": 1}',
    '{"y": [1,2,3,-9223372036854775809]}',
    '{"y": [1,2,3,18446744073709551616]}',
    '{"k": [1.5, 0], "s": 1, "y": [1, 2, 3, 4]}',
    '{"k": [-1, 5], "s": 1, "y": [1, 2, 3, 4]}',
    "{" + ",".join(f'"v{i}": 1' for i in range(30000)) + "}",
    '{"y": ' + "[1" * 500 + "]" * 500 + "}",
    '{"ｙ": [1, 2, 3, 4], "y": [4, 3, 2, 1], "s": 1, "k": [1, 1]}',
)


def npy(header: str, data: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    text = header.encode("utf-8", "surrogatepass") + b"\n"
    size = struct.pack(
        "<H" if version == (1, 0) else "<I", min(len(text), 65535 if version == (1, 0) else 1 << 31)
    )
    return b"\x93NUMPY" + bytes(version) + size + text + data


def array(rng: Random) -> bytes:
    """One array, which may not be what it says."""
    if rng.random() < 0.15:
        return npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({BOMB},), }}", bytes(BOMB))
    header = rng.choice(HEADERS)
    return npy(
        header,
        rng.randbytes(rng.choice([0, 31, 32, 1000])),
        rng.choice([(1, 0), (1, 0), (2, 0), (3, 0), (9, 9)]),
    )


def archive(rng: Random) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(stream, "w") as made:  # names twice
        for _ in range(rng.choice([0, 1, 1, 2, 3, 2000])):
            info = zipfile.ZipInfo(f"{rng.choice(NAMES)}{rng.choice(['.npy', '.npy', '', '/'])}")
            info.compress_type = rng.choice(
                [
                    zipfile.ZIP_STORED,
                    zipfile.ZIP_DEFLATED,
                    zipfile.ZIP_DEFLATED,
                    zipfile.ZIP_BZIP2,
                    zipfile.ZIP_LZMA,
                ]
            )
            content = array(rng) if len(made.filelist) < 5 else b""
            made.writestr(info, content)
        made.comment = rng.choice([b"", b"x" * 65535])
    return lying(rng, bytearray(stream.getvalue()))


def lying(rng: Random, raw: bytearray) -> bytes:
    """Fields of the central directory that are not so: flags, versions, methods, sizes, places."""
    at = raw.find(b"PK\x01\x02")
    if at < 0 or rng.random() < 0.4:
        return bytes(raw)
    offset, width = rng.choice(
        [(6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (34, 2), (42, 4)]
    )
    raw[at + offset : at + offset + width] = rng.choice(
        [b"\xff" * width, bytes(width), b"\x01" + bytes(width - 1), rng.randbytes(width)]
    )
    return bytes(raw)


def compressed(rng: Random, inner: bytes, suffix: str) -> bytes:
    if suffix == ".gz":
        return rng.choice(
            [
                gzip.compress(inner, 1),
                gzip.compress(inner, 1) * 3,
                gzip.compress(inner)[:-4],
                inner,
                gzip.compress(gzip.compress(inner, 1), 1),
            ]
        )
    return rng.choice(
        [
            lzma.compress(inner, preset=0),
            lzma.compress(inner, format=lzma.FORMAT_ALONE, preset=0),
            inner,
            bz2.compress(inner, 1),
        ]
    )


def text(rng: Random) -> bytes:
    if rng.random() < 0.15:
        return rng.choice(
            [b"[" + b"0," * (BOMB // 2), b'{"y": ' + b" " * BOMB + b"1}", b"a " * (BOMB // 2), b"a" * BOMB]
        )
    return rng.choice(TEXTS).encode("utf-8", "surrogatepass")


def special(rng: Random, path: Path) -> str:
    """No regular file, or one with much in it that takes no room; what it is."""
    match rng.randrange(8):
        case 0:
            os.mkfifo(path)
            return "a pipe"
        case 1:
            path.symlink_to(
                rng.choice(
                    ["/dev/zero", "/dev/random", "/dev/stdin", "/dev/null", "/proc/self/mem", "/dev/full"]
                )
            )
            return "a device"
        case 2:
            path.symlink_to(path.name)
            return "a link to itself"
        case 3:
            path.mkdir()
            return "a folder"
        case 4:
            with path.open("wb") as file:
                file.truncate(1 << 33)
            return "a file of holes"
        case 5:
            path.write_bytes(b"")
            return "an empty file"
        case 6:
            path.write_bytes(b"")
            path.chmod(0)
            return "a file that may not be read"
    path.symlink_to("no/where")
    return "a link to nowhere"


def content(rng: Random, name: str) -> bytes:
    stem, _, last = name.rpartition(".")
    if last in ("gz", "xz"):
        return compressed(rng, content(rng, stem), f".{last}")
    if last == "npz":
        return archive(rng)
    return array(rng) if last == "npy" else text(rng)


def with_data() -> None:
    Path("p.tp").write_text(DATA)


def with_kernel() -> None:
    Path("p.tp").write_text(KERNEL)


def with_start() -> None:
    Path("p.tp").write_text(RANDOM)


SMALL_MAML = ("--epochs", "1", "--set", "batches=2", "--set", "tasks=2", "--set", "ways=2", "--json")
PLACES: tuple[tuple[Callable[[], None], str, tuple[str, ...]], ...] = (
    *(
        (with_data, name, (command, "p.tp", "--data", name, "--json"))
        for command in ("check", "run", "simulate")
        for name in ("x.npz", "x.json", "x.npz.gz", "x.npz.xz", "x.json.gz", "x.json.xz")
    ),
    (with_start, "x.npz", ("run", "p.tp", "--initial", "x.npz", "--json")),
    (with_start, "x.json", ("run", "p.tp", "--initial", "x.json", "--json")),
    *((with_kernel, "x.npy", ("kernel", "p.tp", "-x", "x.npy", "-o", "K.npy", "--json")) for _ in range(6)),
    (with_kernel, "K.npy.json", ("kernel", "p.tp", "-x", "good.npy", "-o", "K.npy", "--json")),
    (with_kernel, "K.npy", ("kernel", "p.tp", "-x", "good.npy", "-o", "K.npy", "--json")),
    *(
        (lambda: None, name, ("experiment", "maml", "--data", name, *SMALL_MAML))
        for name in ("x.npz", "x.npz.gz", "x.npz.xz")
    ),
    *(
        (lambda: None, name, ("experiment", "word2vec", "--corpus", name, "--epochs", "1", "--json"))
        for name in ("x.txt", "x.txt.gz", "x.txt.xz")
    ),
    (
        corpus,
        "x.txt",
        (
            "experiment",
            "word2vec",
            "--corpus",
            "c.txt",
            "--questions",
            "x.txt",
            "--epochs",
            "1",
            "--min-count",
            "1",
            "--json",
        ),
    ),
    *((lambda: None, "x.tp", (command, "x.tp", "--json")) for command in ("check", "lower", "run")),
    (
        with_data,
        "kept.npz",
        (
            "simulate",
            "p.tp",
            "--width",
            "4",
            "--set",
            "y=[1,1,1,1]",
            "--set",
            "s=1",
            "--set",
            "k=[1,1]",
            "--save",
            "kept.npz",
            "--json",
        ),
    ),
)


def trial(number: int, folder: Path) -> Outcome:
    rng = Random(f"hostile {number}")
    make, name, argv = rng.choice(PLACES)
    make()
    if "simulate" in argv and "--width" not in argv:
        argv = (*argv, "--width", "4", "--seeds", "2")
    np.save("good.npy", np.ones((3, 3)))
    path, files = folder / name, dict[str, str | bytes]()
    if rng.random() < 0.3 and hasattr(os, "mkfifo"):
        what = special(rng, path)
    else:
        what, made = "", content(rng, name)
        path.write_bytes(made)
        files = {name: made} if len(made) < 1 << 22 else {}
        del made
    METER.begin()  # what was made was large, too
    outcome, _ = judged(argv, files)
    if Path("pwned").exists():
        return Outcome("code of a file ran", True, outcome.files, outcome.detail)
    label = f"{name.removeprefix('x')}{f', {what}' * bool(what)}: {outcome.label.partition(': ')[2]}"
    return Outcome(label, outcome.bad, _kept(outcome.files, what), outcome.detail)


def _kept(files: Mapping[str, str | bytes], what: str) -> Mapping[str, str | bytes]:
    return {**files, "file.txt": what or json.dumps(sorted(files))}


ATTACK = Attack(
    "hostile",
    "bombs, links, devices, pipes, headers and names in all files that are read",
    trial,
    seconds=5,
    memory=5e8,
    renewed=100,
)
