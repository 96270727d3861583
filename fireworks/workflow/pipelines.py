"""Pipelines: functions that build a graph from parameters, and how they are found again by name.

Comes in: a user's function, parameters as text or values. Goes out: built graphs for `fireworks.workflow.cutting`
and the stage entrypoint.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ..core import Junction, Pipe
from ..core.source import File
from ..errors import GraphError, ParameterError, PipelineNotFound, did_you_mean
from ..records import PipelineRef
from .imports import Project
from .parameters import kinds_of, missing, to_json, typed
from .profiles import find_project
from .staging import Stage

__all__ = ["Pipeline", "load_pipeline", "pipeline"]


class Pipeline:
    """A plain function that builds a graph from parameters; made by `@fireworks.pipeline`.

    Calling it calls the function.
    """

    def __init__(self, function: Callable[..., Any], folder: Path | None = None) -> None:
        self.function = function
        self.name = function.__name__.replace("_", "-")
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__wrapped__ = function
        self._folder = folder

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<pipeline {self.ref.module}:{self.ref.function}>" if self.importable else f"<pipeline {self.name}>"

    @property
    def importable(self) -> bool:
        """Whether other processes can find it: not so if it was defined in a notebook or at a prompt."""
        return self._file is not None and "<" not in self.function.__qualname__

    @cached_property
    def _file(self) -> Path | None:
        path = Path(inspect.getsourcefile(self.function) or "<none>")
        return path.resolve() if path.is_file() else None

    @cached_property
    def project(self) -> Path:
        """The project folder: the nearest one above the pipeline's file with a pyproject.toml or a repository."""
        if self._folder is not None:
            return self._folder
        return find_project(self._file) if self._file else Path.cwd()

    @cached_property
    def root(self) -> Path:
        """The folder from which the pipeline's module is imported."""
        if self._file is None:
            return self.project
        name = self.function.__module__
        if name == "__main__":
            return _dotted(self._file)[1]
        depth = name.count(".") + (self._file.name == "__init__.py")
        return self._file.parents[depth]

    @cached_property
    def code(self) -> Project:
        """The project's own modules."""
        return Project(self.project, self.root)

    @cached_property
    def ref(self) -> PipelineRef:
        """Where other processes find it.

        Raises:
            PipelineNotFound: If it was defined in a notebook or inside a function.
        """
        if not self.importable or self._file is None:
            raise PipelineNotFound(
                f"a pipeline must stand at the top of a module to run in other processes, but {self.name!r} does not. "
                "Move it into a .py file, or use the in-process runner."
            )
        return PipelineRef(
            name=self.name,
            module=self.code.module_name(self._file),
            function=self.function.__qualname__,
            root=self.root.relative_to(self.project).as_posix(),
        )

    @cached_property
    def signature(self) -> inspect.Signature:
        """The function's parameters."""
        return inspect.signature(self.function)

    def convert(self, given: Mapping[str, Any], folder: Path | None = None) -> dict[str, Any]:
        """Every parameter of the function as a JSON value, from texts or values; defaults filled in.

        Args:
            given: By name.
            folder: Where a relative path of `given` is looked for first; then, and else, in the project folder.

        Raises:
            ParameterError: If a name is unknown, values are missing, or of the wrong type.
        """
        names = self.signature.parameters
        for name in given:
            if name not in names:
                raise ParameterError(
                    f"pipeline {self.name!r} has no parameter {name!r}.{did_you_mean(name, names)} It "
                    f"has: {', '.join(names) or 'none'}."
                )
        for parameter in names.values():
            if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
                raise ParameterError(
                    f"a pipeline's parameters must have names, but {self.name!r} takes {parameter}. Name them."
                )
        lacking = [name for name, item in names.items() if name not in given and item.default is item.empty]
        if lacking:
            raise missing(self.name, lacking)
        return {
            name: to_json(self._placed(typed(name, self._kinds[name], given[name]), folder))
            if name in given
            else to_json(parameter.default)
            for name, parameter in names.items()
        }

    def _placed(self, value: Any, folder: Path | None) -> Any:
        """A file that is there seen from `folder`, by its path in the project or else its absolute one."""
        if isinstance(value, list | tuple):
            return [self._placed(item, folder) for item in value]
        if not isinstance(value, File) or folder is None or value.remote or not value.matches(folder):
            return value
        path = folder.resolve() / value.location
        return File(path.relative_to(self.project) if path.is_relative_to(self.project) else path)

    @cached_property
    def _kinds(self) -> dict[str, Any]:
        return kinds_of(self.function)

    def build(self, parameters: Mapping[str, Any]) -> list[Stage]:
        """Call the function and return the stages that it returns; seed the generators first.

        Args:
            parameters: JSON values as from `convert`.

        Raises:
            GraphError: If it returns no pipes.
        """
        arguments = {name: typed(name, self._kinds[name], value) for name, value in parameters.items()}
        result = self.function(**arguments)
        found = list(result.values()) if isinstance(result, Mapping) else result
        found = list(found) if isinstance(found, list | tuple) else [found]
        if not found:
            raise GraphError(
                f"a pipeline must return a Stage or pipes, but {self.name!r} returned none. Return its last."
            )
        return [self._as_stage(item, index, len(found)) for index, item in enumerate(found)]

    def _as_stage(self, item: Any, index: int, total: int) -> Stage:
        if isinstance(item, Stage):
            return item
        if not isinstance(item, Pipe | Junction):
            raise GraphError(
                f"a pipeline must return a Stage or pipes, but {self.name!r} returned a "
                f"{type(item).__name__}. Return its last stage."
            )
        return Stage(item, name=self.name if total == 1 else f"{self.name}-{index}")


def pipeline(function: Callable[..., Any]) -> Pipeline:
    """Mark a function as a pipeline: its parameters become those of `fireworks run -p NAME=VALUE`."""
    return Pipeline(function)


def load_pipeline(spec: str, folder: Path | None = None) -> Pipeline:
    """Find a pipeline by ``package.module:name`` or ``path/to/file.py:name``.

    Args:
        spec: As on the command line. Without a name, the module's only pipeline.
        folder: The project folder, if it is not to be looked for.

    Raises:
        PipelineNotFound: If the module or the pipeline in it cannot be found or imported.
    """
    target, _, name = spec.partition(":")
    if target.endswith(".py") or "/" in target:
        path = Path(target).resolve()
        if not path.is_file():
            raise PipelineNotFound(f"no file {target}. Write MODULE:pipeline or path/to/file.py:pipeline.")
        module = _import(*_dotted(path), spec)
    else:
        module = _import(target, Path.cwd(), spec)
    return _pick(module, name, spec, folder)


def _dotted(path: Path) -> tuple[str, Path]:
    """A file's module name and import root: above the packages that it lies in."""
    parts = [] if path.name == "__init__.py" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder


def load_planned(ref: PipelineRef, folder: Path) -> Pipeline:
    """Find the pipeline of a plan in a project folder."""
    module = _import(ref.module, folder / ref.root, f"{ref.module}:{ref.function}")
    return _pick(module, ref.function, f"{ref.module}:{ref.function}", folder.resolve())


# Import roots of the pipelines that this process has met, and modules whose import is under way.
_roots: list[Path] = []
_importing: list[str] = []


def _import(name: str, root: Path, spec: str) -> Any:
    root = root.resolve()
    _forget_other_projects(root)
    sys.path[:] = [str(root), *(path for path in sys.path if path != str(root))]
    importlib.invalidate_caches()
    _importing.append(name)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        own = f"{name}.".startswith(f"{missing}.")
        where = f"there is no module {missing} from {root}" if own else f"it imports {missing}, which is not installed"
        raise PipelineNotFound(
            f"pipeline {spec} cannot be imported: {where}. Install it, or correct the path."
        ) from error
    except Exception as error:
        raise PipelineNotFound(
            f"pipeline {spec} cannot be imported: {type(error).__name__}: {error}. Correct the module first."
        ) from error
    finally:
        _importing.pop()


def check_not_importing() -> None:
    """Refuse to run a pipeline while the module of one is being imported: it would run itself for ever.

    Raises:
        GraphError: If a module is being imported.
    """
    if _importing:
        raise GraphError(
            f"a module must not run a pipeline when it is imported, but {_importing[-1]} does. "
            "Put the call under: if __name__ == '__main__'."
        )


def _forget_other_projects(root: Path) -> None:
    """Unload modules of other projects that this one has under the same name: each must get its own."""
    others = tuple(f"{other}/" for other in _roots if other != root and not root.is_relative_to(other))
    here = Project(root, root)
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        # Texts first: torch alone has a thousand modules, and the search for files is slow.
        if path and str(path).startswith(others) and here.find(name):
            del sys.modules[name]
    if root not in _roots:
        _roots.append(root)


def _pick(module: Any, name: str, spec: str, folder: Path | None) -> Pipeline:
    known = {key: item for key, item in vars(module).items() if isinstance(item, Pipeline)}
    if not name and len(known) == 1:
        name = next(iter(known))
    if not name and known:
        first = next(iter(known))
        raise PipelineNotFound(
            f"a module with several pipelines needs a name: {', '.join(known)}. Write {spec}:{first}."
        )
    # By name last: of `fireworks.operators`, which imports them when they are asked for.
    found = known.get(name) or known.get(name.replace("-", "_")) or getattr(module, name.replace("-", "_"), None)
    if not isinstance(found, Pipeline):
        listed = ", ".join(known) or "none (mark functions with @fireworks.pipeline)"
        raise PipelineNotFound(
            f"no pipeline {name!r} in {spec.partition(':')[0]}.{did_you_mean(name, known)} It has: {listed}."
        )
    return Pipeline(found.function, folder) if folder is not None else found
