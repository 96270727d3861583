"""Object storage by URL: a folder, this process's memory, S3 and what speaks like it.

Comes in: bytes from `fireworks.core`, records from `fireworks.records`. Goes out: the same, to any process that has
the URL.
"""

from .blocks import Data
from .interface import ObjectInfo, Store
from .opening import open_store

__all__ = ["Data", "ObjectInfo", "Store", "open_store"]
