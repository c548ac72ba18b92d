"""Which means vanish.

A quantity at initialisation may change sign with an initial vector or matrix, whose law does not: then its
mean is 0.

So `mean(V*x)` of an initial readout V and an x that does not depend on it is a central limit, of size
n^(-1/2), and not a law of large numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tpc.core.expr import ZERO, Add, Call, Compare, Expr, Extent, Mul, Number, Pow, Sum, Value
from tpc.core.functions import elementwise
from tpc.core.network import LEARNING
from tpc.core.program import Instruction, MatMul, OuterMul, Program, instructions


@dataclass(frozen=True, slots=True)
class Parity:
    """What becomes of a quantity if all of an initial vector's, or matrix's, entries change sign.

    Its own sign changes (odd), it stays what it is (neither), or something else (mixed).
    """

    odd: frozenset[str] = frozenset()
    mixed: frozenset[str] = frozenset()


SAME = Parity()
Parities = Mapping[str, Parity | None]  # None: 0, of any parity


def parities(program: Program) -> dict[str, Parity | None]:
    """The parity of every family at initialisation, all its members together."""
    found = _of_what_is_given(program) | {family.name: None for family in program.families}
    ops = [op for op, _ in instructions(program.body)]
    changed = True
    while changed:
        changed = False
        for op in ops:
            old = found[op.out.name]
            new = either([old, _parity(op, found)])
            if new != old:
                found[op.out.name], changed = new, True
    return found


def _of_what_is_given(program: Program) -> dict[str, Parity | None]:
    found: dict[str, Parity | None] = {item.name: SAME for item in program.inputs}
    found[LEARNING] = None
    for group in program.gaussians:
        source = frozenset({group.names[0]})
        centred = all(x == ZERO for x in group.mean)
        own = Parity(odd=source) if centred else Parity(mixed=source)
        for k, name in enumerate(group.names):
            found[name] = None if group.covariance[k][k] == ZERO and group.mean[k] == ZERO else own
    return found


def _parity(op: Instruction, found: Parities) -> Parity | None:
    if isinstance(op, MatMul):
        operand = found[op.operand.name]
        return None if operand is None else product([operand, Parity(odd=frozenset({op.matrix.name}))])
    if isinstance(op, OuterMul):
        table, operand = found[op.table.name], found[op.operand.name]
        return None if table is None or operand is None else product([table, operand])
    return parity(op.phi, found)


def parity(x: Expr, found: Parities) -> Parity | None:
    match x:
        case Number(value):
            return SAME if value else None
        case Value(ref, _):
            return found.get(ref.name)
        case Add(terms):
            return either([parity(term, found) for term in terms])
        case Mul(factors):
            parts = [parity(factor, found) for factor in factors]
            known = [p for p in parts if p is not None]
            return product(known) if len(known) == len(parts) else None
        case Pow(Extent(), _):
            return SAME
        case Pow(base, Number(k)) if k.denominator == 1:
            own = parity(base, found)
            return own if own is None or k % 2 else Parity(mixed=own.mixed)
        case Call(function, (arg,)) if elementwise(function).parity == -1:
            return parity(arg, found)
        case Call(function, (arg,)) if elementwise(function).parity == 1:
            own = parity(arg, found)
            return SAME if own is None else Parity(mixed=own.mixed)
        case Sum(_, _, body):
            return parity(body, found)
        case Pow(base, exponent):
            return mixed([parity(base, found), parity(exponent, found)])
        case Call(_, args):
            return mixed(
                [
                    parity(part, found)
                    for arg in args
                    for part in ((arg.left, arg.right) if isinstance(arg, Compare) else (arg,))
                ]
            )
    return SAME


def either(parts: Sequence[Parity | None]) -> Parity | None:
    """The parity of a sum, or of the members of one family."""
    known = [p for p in parts if p is not None]
    if not known:
        return None
    sources = frozenset().union(*(p.odd | p.mixed for p in known))
    odd = frozenset(s for s in sources if all(s in p.odd for p in known))
    even = frozenset(s for s in sources if all(s not in p.odd and s not in p.mixed for p in known))
    return Parity(odd, sources - odd - even)


def product(parts: Sequence[Parity]) -> Parity:
    odd: frozenset[str] = frozenset()
    for p in parts:
        odd = odd ^ p.odd
    several = frozenset().union(*(p.mixed for p in parts)) if parts else odd
    return Parity(odd - several, several)


def mixed(parts: Sequence[Parity | None]) -> Parity:
    """The parity of a function that is neither odd nor even, of `parts`."""
    known = [p for p in parts if p is not None]
    return Parity(mixed=frozenset().union(*(p.odd | p.mixed for p in known))) if known else SAME
