"""Sizes at initialisation and round by round of training, until they no longer grow."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from tpc.core.names import is_part_of
from tpc.scaling.equations import Circuit, initial
from tpc.scaling.sizes import NIL, ZERO, Algebra, Env, SizeNode, Sizes, join_sizes

MAX_ROUNDS = 64

Found = dict[str, Sizes]
Kept = Callable[[str, Sizes], Sizes]  # what is kept of the sizes that a definition gives a family


@dataclass(frozen=True, slots=True)
class TrainingRounds:
    """The last sizes, and how many rounds of training they have taken."""

    sizes: Found
    rounds: int
    # whether another one would change nothing
    settled: bool


def keep(_: str, sizes: Sizes) -> Sizes:
    return sizes


def at_first(circuit: Circuit, algebra: Algebra, kept: Kept = keep) -> Found:
    """Sizes where nothing is learned."""
    now = initial(circuit, algebra.const(ZERO))
    for _ in range(MAX_ROUNDS):
        if not _sweep(circuit, Env(algebra, now, now, learning=False), kept):
            break
    return now


def trained(
    circuit: Circuit,
    algebra: Algebra,
    at_end: Callable[[Found], bool],
    kept: Kept = keep,
    rounds: int = MAX_ROUNDS,
) -> TrainingRounds:
    """Sizes after so many rounds of training, or until nothing changes, or `at_end`."""
    now = at_first(circuit, algebra, kept)
    for done in range(rounds + 1):
        if at_end(now):
            return TrainingRounds(now, done, settled=False)
        env = Env(algebra, now, past=dict(now))
        # first what the last round makes of the weights, which stand last, and then what they make
        changed = _sweep(circuit, env, kept)
        changed |= _sweep(circuit, env, kept)
        if not changed:
            return TrainingRounds(now, done, settled=True)
    return TrainingRounds(now, rounds, settled=False)


def _sweep(circuit: Circuit, env: Env, kept: Kept) -> bool:
    """Sizes all definitions. Returns whether anything has grown."""
    changed = False
    for d in circuit.definitions:
        old = env.now[d.family]
        new = join_sizes(env.algebra, [old, kept(d.family, d.node.sizes(env))])
        if new != old:
            env.now[d.family], changed = new, True
    return changed


def by_update(
    circuit: Circuit, algebra: Algebra, found: Found, out: str, own: Collection[str], forward: Collection[str]
) -> Any:
    """The size of `ΔW x` in `out = W x`: its change if nothing changes but the weight.

    own: what the weight has become.
    """
    still = {
        name: sizes if name in own else Sizes(sizes.full, None, sizes.full) for name, sizes in found.items()
    }
    return _resized(circuit, Env(algebra, still, still), out, forward).change


def by_features(
    circuit: Circuit, algebra: Algebra, found: Found, out: str, own: Collection[str], forward: Collection[str]
) -> Any:
    """The size of `W₀ Δx` in `out = W x`: its change if the weight stays what it is at first."""
    first = {
        name: Sizes(sizes.base, None, sizes.base) if name in own else sizes for name, sizes in found.items()
    }
    return _resized(circuit, Env(algebra, first, first, learning=False), out, forward).change


def _resized(circuit: Circuit, env: Env, out: str, forward: Collection[str]) -> Sizes:
    """The sizes of `out` from what stands in `env`.

    Parts of its own line that lowering has named are included.
    """
    parts = [d for d in circuit.definitions if is_part_of(d.family, out) and d.family not in forward]
    for family in dict.fromkeys(d.family for d in parts):
        env.now[family] = _of([d.node for d in parts if d.family == family], env)
    return _of([d.node for d in circuit.definitions if d.family == out], env)


def _of(nodes: list[SizeNode], env: Env) -> Sizes:
    return join_sizes(env.algebra, [node.sizes(env) for node in nodes]) if nodes else NIL
