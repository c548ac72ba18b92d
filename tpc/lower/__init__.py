"""Checked tree to Program, in stated passes.

Now: functions and statements of the core language; training comes here.
"""

from tpc.lower.statements import lower

__all__ = ["lower"]
