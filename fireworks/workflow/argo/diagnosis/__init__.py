"""What works and what does not between here, a cluster and a store.

Comes in: the settings of a place. Goes out: one `Check` after the other, to ``fireworks doctor``.
"""

from .checks import Case, Check
from .examining import examine

__all__ = ["Case", "Check", "examine"]
