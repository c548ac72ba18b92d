"""All attacks by name."""

from __future__ import annotations

from tests.attack import commands, damaged, hostile, kills, mutants, programs, streams
from tests.attack.trial import Attack

ALL = (mutants, commands, damaged, hostile, streams, kills, programs)
ATTACKS: dict[str, Attack] = {module.ATTACK.name: module.ATTACK for module in ALL}
