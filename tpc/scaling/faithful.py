"""Whether what optimizers other than SGD take of gradients is of order 1, and stays so.

Faithful: n^d ∂L/∂w is (TP4b Def 2.8.5, Lemma 2.8.11, Thm 2.8.12). Of SGD it does not matter.
"""

from __future__ import annotations

from tpc.core.exponent import Exponent
from tpc.core.network import Networks, WeightInfo, faithful_d


def gradient_of(weight: str) -> str:
    """What an optimizer takes of the gradient of a weight, in words."""
    return f"n^d*∂L/∂w of {weight}"


def faithful(networks: Networks, k: int) -> Exponent:
    """The d of the weight at `k`, from 1, which makes its gradient one of order 1 at initialisation."""
    weight, readouts = networks.weights[k - 1], _readouts(networks, k)
    readout = _exponent("a", readouts[0]) + _exponent("b", readouts[0]) if readouts else None
    return faithful_d(weight.kind, _exponent("a", k), readout, spectral=weight.spectral)


def through_readout(networks: Networks) -> list[int]:
    """The weights, from 1, whose gradients have output weights in them that optimizers need the size of."""
    return [k for k, w in enumerate(networks.weights, 1) if w.entrywise and w.kind in ("matrix", "input")]


def outgrown(networks: Networks) -> list[Exponent]:
    """The powers of n by which updates of output weights outgrow what these are at first, A − E (Thm 2.8.12).

    They are n^−A at first, updates n^−E, E = 2a + c_SGD: gradients grow with them.
    """
    readouts = {k for j in through_readout(networks) for k in _readouts(networks, j)}
    return [
        _exponent("b", k) - _exponent("a", k) - _rate_of_sgd(networks.weights[k - 1], k)
        for k in sorted(readouts)
        if networks.weights[k - 1].trained
    ]


def _readouts(networks: Networks, k: int) -> list[int]:
    """The output weights, from 1, of networks that the weight at `k` is in; all for one in no product."""
    passes = [{weight for _, weight in made.products} for made in networks.passes]
    own = [names for names in passes if networks.weights[k - 1].name in names] or passes
    beside = frozenset[str]().union(*own)
    return [j for j, w in enumerate(networks.weights, 1) if w.kind == "output" and w.name in beside]


def _exponent(letter: str, k: int) -> Exponent:
    return Exponent.var(f"{letter}{k}")


def _rate_of_sgd(weight: WeightInfo, k: int) -> Exponent:
    """The c of SGD with updates of this size."""
    return Exponent.var("c") if weight.rate is None else _exponent("c", k) - _exponent("d", k)
