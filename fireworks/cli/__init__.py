"""The command line: one module a verb, loaded when it is called.

Comes in: arguments. Goes out: calls of `fireworks.workflow`; what they raise ends in `fireworks.cli.reporting`, as one
line on stderr and an exit code.
"""

from .verbs import VERBS, main

__all__ = ["VERBS", "main"]
