"""The whole compiler on one page: each stage one function, from one frozen type to the next."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tpc.core.factored import factored
from tpc.core.given import checked_dims, require_text
from tpc.core.inputs import DATA, constant_law_errors, kind_of_data
from tpc.core.network import Source
from tpc.core.program import Program
from tpc.core.rank_one import as_rank_one
from tpc.core.table_reads import read_while_there
from tpc.core.wellformed import verified
from tpc.diagnostics import catalogue
from tpc.diagnostics.diagnostic import TpcError
from tpc.lower import lower
from tpc.machine.files import open_regular
from tpc.syntax.layout import default_name
from tpc.syntax.parse import MAX_BYTES, parse_file
from tpc.syntax.print_checked import print_checked
from tpc.syntax.print_tree import print_file
from tpc.syntax.resolve import resolve
from tpc.syntax.tree import InputStatement
from tpc.train import PASSES, write_out

if TYPE_CHECKING:
    from tpc.derive import Limit
    from tpc.evaluate.evaluator import Evaluator
    from tpc.evaluate.initial import Start
    from tpc.expand import Expansion
    from tpc.plan.options import Options
    from tpc.plan.plan import Plan


def parse(text: str, *, name: str = "program", dims: Mapping[str, object] | None = None) -> Program:
    """The program written in `text`.

    name: shown in messages, and the program's if it names none. dims: values of dims in place of the text's.
    Raises TpcError with everything that is wrong, TP0xx to TP4xx, and for dims that there are not (TP504) or
    that are no whole numbers (TP507).
    """
    name = str(name)
    file = parse_file(require_text(text), name)
    dims = checked_dims(dims, file.dims, name)
    tree = write_out(file, name, text, dims)
    checked = resolve(tree, name, text, dims, default_name(name))
    program = verified(lower(checked, text, name))
    errors = constant_law_errors(program)
    if errors:
        raise TpcError(errors, name, text)
    return replace(program, source=Source(text, name, tuple(sorted(dims.items()))))


def print_after(text: str, name: str, dims: Mapping[str, object], stage: str) -> str:
    """What a stage of `parse` makes, as text.

    "parse", a pass of `tpc.train` ("networks", "autodiff", "updates") or "resolve". Later ones are not run.
    Raises TpcError as `parse` does.
    """
    file = parse_file(text, name)
    given = checked_dims(dims, file.dims, name)
    if stage == "parse":
        return print_file(file)
    if stage in PASSES:
        return print_file(write_out(file, name, text, given, stage))
    tree = write_out(file, name, text, given)
    return print_checked(resolve(tree, name, text, given, default_name(name)))


def print_expansion(program: Program) -> str:
    """The program of the limit, which has no powers of n, and as remarks what names in it stand for.

    Raises TpcError (TP80x).
    """
    from tpc.expand import expand
    from tpc.expand.rename import notes_on

    expansion = expand(program)
    return str(expansion.limit) + "".join(f"# {note}\n" for note in notes_on(expansion.meanings))


def dims_in(text: str, name: str) -> set[str]:
    """The names of the dims that `text` declares, which settings may override.

    Raises TpcError if it does not parse.
    """
    return parse_file(text, name).dims


def inputs_in(text: str, name: str) -> set[str]:
    """The names of the inputs that `text` declares. Raises TpcError if it does not parse."""
    return {s.declared.name.name for s in parse_file(text, name).statements if isinstance(s, InputStatement)}


def load(path: str | Path, *, dims: Mapping[str, object] | None = None) -> Program:
    """The program in the file at `path`.

    Raises TpcError as `parse` does, and TP001, TP002 for a file that cannot be read.
    """
    text = read_text(Path(path))
    return parse(text, name=str(path), dims=dims)


def read_text(path: Path) -> str:
    """What a `.tp` file holds, a little more than the longest allowed at most.

    Raises TpcError (TP001, TP002).
    """
    if (kind := kind_of_data(path)) in (*DATA, ".npy"):
        raise TpcError([catalogue.syntax.is_data(kind)], str(path))
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + len(codecs.BOM_UTF8) + 1)
    except OSError as error:
        raise TpcError([catalogue.syntax.unreadable(error.strerror or str(error))], str(path)) from None
    return decoded(data, str(path))


def decoded(data: bytes, name: str) -> str:
    """The text of a program. Raises TpcError (TP002, TP003)."""
    if len(data) > MAX_BYTES + len(codecs.BOM_UTF8):
        raise TpcError([catalogue.syntax.too_large(MAX_BYTES)], name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TpcError([catalogue.syntax.not_utf8(error.start)], name) from None


# from a program to numbers, and to formulas; what this takes is imported only then


def compile_program(program: Program, options: Options) -> Evaluator:
    """The evaluator of a program's limit.

    Raises TpcError: a method that cannot represent the program (TP601), options that mean nothing to it
    (TP602), a program that has no limit (TP80x).
    """
    from tpc.emit.emit import emit
    from tpc.evaluate.evaluator import Evaluator
    from tpc.expand import expand
    from tpc.expand.watch import with_jumps_watched
    from tpc.plan.make_plan import make_plan

    expansion = expand(program)
    whole = with_jumps_watched(expansion.limit)
    limit = _reduced(whole)
    start = start_of(expansion, options)
    plan = make_plan(limit, options)
    return Evaluator(limit, plan, emit(plan), start, options, whole)


def plan_limit(program: Program, options: Options) -> Plan:
    """The plan of a program's limit, which has the program in its order; nothing is emitted.

    Raises TpcError as `compile_program` does.
    """
    from tpc.expand import expand
    from tpc.expand.watch import with_jumps_watched
    from tpc.plan.make_plan import make_plan

    return make_plan(_reduced(with_jumps_watched(expand(program).limit)), options)


def _reduced(limit: Program) -> Program:
    """A limit with its tables in the forms that cost least. Raises TpcError (TP806)."""
    from tpc.plan.infinite import with_finite_means

    return factored(read_while_there(as_rank_one(with_finite_means(limit))))


def print_stage(stage: str, program: Program, options: Options) -> str:
    """What a stage of `compile_program` makes, as text.

    "plan", "reorder" (the program in its order) or "emit". Raises TpcError as that does.
    """
    plan = plan_limit(program, options)
    if stage == "reorder":
        return str(plan.program)
    if stage == "plan":
        from tpc.plan.print_plan import print_plan

        return print_plan(plan)
    from tpc.emit.emit import emit

    return emit(plan)


def start_of(expansion: Expansion, options: Options) -> Start | None:
    """How the scalars that are random in the limit are had, None if there are none.

    Raises TpcError (TP602).
    """
    from tpc.evaluate.initial import Start, choice_of, require_none

    if expansion.initial is None:
        require_none(options.initial, expansion.limit.name)
        return None
    own = replace(options, method="auto", dtype=options.precision, initial=None)
    evaluator = compile_program(expansion.initial.covariances, own)
    return Start(expansion.initial, choice_of(options.initial, expansion.limit.name), evaluator)


def derive_limit(program: Program) -> Limit:
    """The formulas of a program's limit, if it has one.

    A route of their own, on purpose, from the program and not from its plan, so that formulas and numbers
    check each other. Raises TpcError (TP80x) if there is none.
    """
    from tpc.derive import derive, require_jumps_told
    from tpc.expand import expand
    from tpc.expand.rename import notes_on
    from tpc.expand.watch import with_jumps_watched

    expansion = expand(program)
    watched = with_jumps_watched(expansion.limit)
    if watched is not expansion.limit:
        require_jumps_told(derive(watched))
    return derive(expansion.limit, of=program, notes=notes_on(expansion.meanings))
