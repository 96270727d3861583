"""The ready-made stages, for pipelines in Python: ``from fireworks.operators import fasta_windows``.

Each is a function that returns a Stage; ``operators/README.md`` describes them.

Comes in: files, or stages before. Goes out: a Stage each, for a pipeline or for `fireworks.run`.
"""

from typing import Any

__all__ = ["fasta_windows", "message_convert", "predict", "report", "sql_extract", "train_torch"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    from ..workflow.operators import load_operator

    globals()[name] = found = load_operator(name.replace("_", "-"))
    return found


def __dir__() -> list[str]:
    return __all__
