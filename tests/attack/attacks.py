"""All attacks by name."""

from __future__ import annotations

from tests.attack import commands, damaged, mutants
from tests.attack.trial import Attack

ATTACKS: dict[str, Attack] = {attack.name: attack for attack in (mutants.ATTACK, commands.ATTACK, damaged.ATTACK)}
