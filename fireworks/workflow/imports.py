"""Which files of a project a module depends on, and which distributions: read from its import statements.

Comes in: the modules that define the objects of a stage. Goes out: their hashes, for `fireworks.workflow.recipes`.

Nothing is imported to find this out; `fireworks plan` and the stage entrypoint get the same answer.
"""

import ast
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from blake3 import blake3

__all__ = ["OPERATORS", "Imports", "Project", "distribution_version", "fireworks_version"]

_PACKAGE = Path(__file__).resolve().parents[1]
# The ready-made stages: in the package if it is installed, beside it in a checkout.
OPERATORS = next(
    (folder for folder in (_PACKAGE / "operators", _PACKAGE.parent / "operators") if any(folder.glob("*/stage.py"))),
    _PACKAGE / "operators",
)


@dataclass
class Imports:
    """What a set of modules reaches: project files by module name, and the top-level names of everything else."""

    files: dict[str, Path] = field(default_factory=dict)
    distributions: set[str] = field(default_factory=set)

    def hashes(self) -> dict[str, str]:
        """Module name → blake3 of its file."""
        return {name: str(blake3(path.read_bytes()).hexdigest()) for name, path in sorted(self.files.items())}


class Project:
    """The folder that holds a pipeline's own code.

    Args:
        folder: The project folder.
        root: The folder, inside it, from which its modules are imported.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder.resolve()
        self.root = root.resolve()

    def holds(self, path: Path) -> bool:
        """Whether a file is the project's own: below it, and not installed."""
        path = path.resolve()
        return (
            path.is_relative_to(self.folder) and "site-packages" not in path.parts and not path.is_relative_to(_PACKAGE)
        )

    def find(self, module: str) -> Path | None:
        """The project file that `import module` would run, or None."""
        return self._find(self.roots(), module)

    def _find(self, roots: list[Path], module: str) -> Path | None:
        for root in roots:
            base = root.joinpath(*module.split("."))
            for path in (base / "__init__.py", base.parent / f"{base.name}.py"):
                if path.is_file() and self.holds(path):
                    return path
        return None

    def roots(self) -> list[Path]:
        """Where the project's modules are imported from: the pipeline's root, then what sys.path has of the project."""
        inside = (Path(entry).resolve() for entry in sys.path if entry)
        return list(dict.fromkeys([self.root, *(path for path in inside if path.is_relative_to(self.folder))]))

    def module_name(self, path: Path) -> str:
        """The dotted name of a project file, below the import root that it is imported from."""
        path = path.resolve()
        root = next((root for root in self.roots() if path.is_relative_to(root)), self.folder)
        parts = list(path.relative_to(root).with_suffix("").parts)
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def closure(self, paths: Iterable[Path]) -> Imports:
        """Follow import statements, anywhere in the code, from these files through the project."""
        # Files that import the same are many, and to look for a module is slow.
        found, find = Imports(), cache(partial(self._find, self.roots()))
        waiting = [(self.module_name(path), path) for path in paths]
        # Importing a.b.c runs a and a.b first.
        waiting += [module for name, _ in waiting for module in self._project_modules(name, found, find)]
        while waiting:
            name, path = waiting.pop()
            if name in found.files:
                continue
            found.files[name] = path
            for target in _imported(name, path):
                waiting.extend(self._project_modules(target, found, find))
        return found

    def _project_modules(
        self, target: str, found: Imports, find: Callable[[str], Path | None]
    ) -> Iterator[tuple[str, Path]]:
        parts = target.split(".")
        # Importing a.b.c runs a and a.b first; in `from a.b import c`, c may be a module or a name.
        chain = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
        inside = [(name, path) for name in chain if (path := find(name)) is not None]
        if not inside and not (self.root / parts[0]).is_dir() and parts[0] not in sys.stdlib_module_names:
            found.distributions.add(parts[0])
        yield from inside


@cache
def _parsed_imports(path: Path, modified_ns: int, package: str) -> tuple[str, ...]:
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.Import):
            names.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, package)
            names.extend(f"{base}.{alias.name}" if base else alias.name for alias in node.names if alias.name != "*")
            names.append(base)
    return tuple(dict.fromkeys(name for name in names if name))


def _imported(module: str, path: Path) -> tuple[str, ...]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return _parsed_imports(path, path.stat().st_mtime_ns, package)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".") if package else []
    base = parts[: len(parts) - (node.level - 1)]
    return ".".join([*base, *([node.module] if node.module else [])])


@cache
def distribution_version(module: str) -> tuple[str, str] | None:
    """The distribution that provides a top-level module, and its version; None if it was never installed as one."""
    if module == "fireworks":
        return "fireworks-ml", fireworks_version()
    try:
        return module, version(module)
    except PackageNotFoundError:
        for name in packages_distributions().get(module, []):
            return name, version(name)
    return None


@cache
def fireworks_version() -> str:
    """The version of this library, with a digest of its source files, since those change under one version.

    A wheel has the one of the checkout that it was built from: plans that are cut here run in an image made here.
    """
    try:
        installed = version("fireworks-ml")
    except PackageNotFoundError:
        installed = "0"
    digest = blake3()
    sources = {path.relative_to(_PACKAGE).as_posix(): path for path in _PACKAGE.rglob("*.py")}
    sources |= {f"operators/{path.parent.name}/{path.name}": path for path in OPERATORS.glob("*/*.py")}
    for name, path in sorted(sources.items()):
        digest.update(name.encode() + b"\0" + path.read_bytes())
    return f"{installed}+source.{digest.hexdigest()[:12]}"
