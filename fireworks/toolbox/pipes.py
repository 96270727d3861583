"""Every pipe of the toolbox under the original library's import path, ``fireworks.toolbox.pipes``.

Comes in: `fireworks.toolbox`. Goes out: code written for the original library.
"""

from typing import Any

from .. import toolbox

__all__ = [name for name in toolbox.__all__ if name.endswith("Pipe")]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}.")
    return getattr(toolbox, name)


def __dir__() -> list[str]:
    return list(__all__)
