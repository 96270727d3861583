"""SQL tables as sources and targets.

Comes in: an SQLite file, or the URL of a database in the environment. Goes out: pipes for pipelines.
"""

from .sql import SQLPipe, SQLTargetPipe

__all__ = ["SQLPipe", "SQLTargetPipe"]
