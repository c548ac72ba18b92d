"""One trial of an attack, and what came of it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import resource
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CODE = re.compile(r"(?:error|warning)\[(TP\d{3})\]")


class Meter:
    """What has been taken since `begin`: the processor's seconds, also of processes that have ended, and
    bytes beyond those that there were."""

    def begin(self) -> None:
        with contextlib.suppress(OSError):  # or else the most counts that there has ever been
            Path("/proc/self/clear_refs").write_text("5")
        self.before = _seconds(), _bytes("VmRSS")

    def taken(self) -> tuple[float, float]:
        seconds, memory = self.before
        return _seconds() - seconds, max(0.0, _bytes("VmHWM") - memory)


METER = Meter()


def _seconds() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _bytes(which: str) -> float:
    with contextlib.suppress(OSError, KeyError):
        found = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return float(found[which].split()[0]) * 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 1024


@dataclass(frozen=True)
class Outcome:
    """label: what came of it, in words that many trials share. bad: whether tpc is to blame. files: what it
    was done to, detail: what was said."""

    label: str
    bad: bool = False
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    detail: str = ""


@dataclass(frozen=True)
class Attack:
    """trial: of a number, which all is drawn from, in an empty folder of its own, which is the working one.
    seconds, memory: of the processor, and bytes beyond what the process had before, that a trial may take.
    renewed: trials after which a process is replaced by a fresh one."""

    name: str
    what: str
    trial: Callable[[int, Path], Outcome]
    seconds: float = 10
    memory: float = 1e9
    renewed: int = 400


@dataclass(frozen=True)
class Ran:
    """status: None if an exception came through to the user."""

    status: int | None
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON, as everybody's parser has it: no NaN. Raises ValueError."""
        return json.loads(self.out, parse_constant=_constant)


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def blamed(error: BaseException) -> str:
    """The kind of an exception and the place of tpc that it came from."""
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if f"{os.sep}tpc{os.sep}" in f.filename and "tests" not in f.filename
    ]
    place = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"


def through_main(argv: Sequence[str]) -> tuple[Ran, str]:
    """`tpc ARGV` in this process, and what it would have died of: empty, or the exception and its
    traceback."""
    from tpc.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), tracebacks():
        try:
            status: int | None = main(argv)
            fault = "" if status != 70 else f"status 70\n{err.getvalue()}"
        except SystemExit as stop:
            status, fault = (stop.code if isinstance(stop.code, int) else 1), ""
        except Exception as error:
            status, fault = None, f"{blamed(error)}\n{traceback.format_exc()}"
    return Ran(status, out.getvalue(), err.getvalue()), fault


@contextlib.contextmanager
def tracebacks() -> Iterator[None]:
    """Defects of tpc come as exceptions, with the place."""
    before = os.environ.get("TPC_TRACEBACK")
    os.environ["TPC_TRACEBACK"] = "1"
    try:
        yield
    finally:
        del os.environ["TPC_TRACEBACK"]
        if before is not None:
            os.environ["TPC_TRACEBACK"] = before


def judged(argv: Sequence[str], files: Mapping[str, str | bytes]) -> tuple[Outcome, Ran]:
    """What a command made of hostile input: it may end with 0, with 1 where a check failed, with 2 and a
    code; `--json` prints JSON."""
    ran, fault = through_main(argv)
    said = f"tpc {' '.join(map(repr, argv))}\n{fault}\n{ran.err}\n{ran.out[:2000]}"
    kept = {**files, "arguments.txt": said}

    def bad(label: str) -> tuple[Outcome, Ran]:
        return Outcome(f"{argv[0]}: {label}", True, kept, said), ran

    if fault:
        return bad(fault.split("\n", 1)[0])
    code = CODE.search(ran.err)
    usage = ran.status == 2 and ran.err.startswith("usage:")
    checks = argv[0] == "verify" or (argv[0] == "fmt" and "--check" in argv)
    if ran.status not in (0, 1, 2) or (ran.status == 1 and not checks):
        return bad(f"status {ran.status}")
    if ran.status == 2 and code is None and not usage:
        return bad("refused without a code")
    if "Traceback" in ran.err or "Traceback" in ran.out:
        return bad("a traceback is shown")
    if "--json" in argv and not usage:
        try:
            found = ran.json
        except ValueError as error:
            return bad(f"what --json prints is none ({str(error)[:40]})")
        if (ran.status == 2) != bool(found.get("errors")):
            return bad("errors are not in what --json prints")
    told = "usage" if usage else f"{ran.status}" + (f" {code[1]}" if code and ran.status == 2 else "")
    return Outcome(f"{argv[0]}: {told}", False, kept), ran
