"""Names of a package that are imported when they are first used (PEP 562), so that importing the package costs nothing.

Comes in: the table of a package's exports. Goes out: the ``__getattr__`` of `fireworks`, `fireworks.core` and
`fireworks.toolbox`.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from .errors import did_you_mean

__all__ = ["lazy"]


def lazy(
    namespace: dict[str, Any], name: str, exports: Mapping[str, Iterable[str]], submodules: Iterable[str] = ()
) -> Any:
    """Import what a package's ``__getattr__`` was asked for.

    Args:
        namespace: The package's ``globals()``; the name is put there.
        name: The attribute asked for.
        exports: Submodule (dotted, relative) → names it gives the package.
        submodules: Submodules that are attributes themselves, beside those in `exports`.

    Raises:
        AttributeError: If the package exports no such name.
    """
    package = namespace["__name__"]
    for module, names in exports.items():
        if name in names:
            namespace[name] = getattr(import_module(f"{package}.{module}"), name)
            return namespace[name]
    if name in exports or name in submodules:
        return import_module(f"{package}.{name}")
    known = [*(exported for names in exports.values() for exported in names), *exports, *submodules]
    raise AttributeError(f"module {package!r} has no attribute {name!r}.{did_you_mean(name, known)}")
