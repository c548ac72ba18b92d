"""Sums of products of arrays that depend on different axes, as matrix products where they can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_letters
from typing import Any

import jax.numpy as jnp


def contract(factors: Sequence[Any], axes: Sequence[int]) -> Any:
    """The sum over `axes` of the product of `factors`, keeping those axes with length 1.

    factors: arrays of one rank, whose lengths agree or are 1. At least one factor is not of length 1 along
    each of `axes`.
    """
    groups = _grouped(factors)
    if len(groups) == 1:
        return jnp.sum(next(iter(groups.values())), axis=tuple(axes), keepdims=True)
    rank = next(iter(groups.values())).ndim
    kept = sorted({axis for support in groups for axis in support} - set(axes))
    operands = [array.reshape([array.shape[axis] for axis in support]) for support, array in groups.items()]
    terms = ["".join(ascii_letters[axis] for axis in support) for support in groups]
    out = jnp.einsum(
        f"{','.join(terms)}->{''.join(ascii_letters[axis] for axis in kept)}", *operands, precision="highest"
    )
    lengths = dict(zip(kept, out.shape, strict=True))
    return out.reshape([lengths.get(axis, 1) for axis in range(rank)])


def _grouped(factors: Sequence[Any]) -> dict[tuple[int, ...], Any]:
    """The factors multiplied together wherever they depend on the same axes, by these axes.

    Numbers (which depend on none) go to the smallest of the others.
    """
    groups: dict[tuple[int, ...], Any] = {}
    for factor in factors:
        support = tuple(axis for axis, length in enumerate(factor.shape) if length > 1)
        groups[support] = groups[support] * factor if support in groups else factor
    if () in groups and len(groups) > 1:
        number = groups.pop(())
        smallest = min(groups, key=lambda support: math.prod(groups[support].shape))
        groups[smallest] = groups[smallest] * number
    return groups
