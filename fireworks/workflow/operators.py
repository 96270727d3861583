"""Finding the ready-made stages of ``operators/``: each is a pipeline of one stage, in a folder of its own.

They are beside the package in a checkout, and inside it in a wheel, so every image has them.

Comes in: an operator's name. Goes out: its `Pipeline`, to `fireworks.workflow.operating`, and to users as
`fireworks.operators`; its `Description`, to `fireworks.workflow.argo.operators`.
"""

import importlib.util
import inspect
import re
import sys
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, get_args

from ..core.source import File
from ..errors import PipelineNotFound, did_you_mean
from ..records import PipelineRef
from .imports import OPERATORS
from .parameters import kinds_of
from .pipelines import Pipeline
from .profiles import find_project
from .staging import Stage

__all__ = ["Description", "Parameter", "describe", "file_parameters", "load_operator", "operator_names"]

_FILE = "stage.py"
# In the section Args of a docstring.
_ARGUMENT = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of an operator.

    Args:
        default: As a text that means the same; None if it must be given.
        text: What it is.
        is_file: A file, or a stage's output.
    """

    name: str
    default: str | None
    text: str
    is_file: bool


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a workflow has to know of an operator; its stage says what the pod needs."""

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    stage: Stage


class _Operator(Pipeline):
    """Its project is the user's, not the folder that it is installed in, so that paths mean the same as elsewhere."""

    @cached_property
    def ref(self) -> PipelineRef:
        """The same wherever Fireworks is installed."""
        return PipelineRef(name=self.name, module="fireworks.operators", function=self.function.__name__)


def operator_names() -> list[str]:
    """All that there are, sorted."""
    return sorted(path.parent.name for path in OPERATORS.glob(f"*/{_FILE}"))


@cache
def load_operator(name: str) -> Pipeline:
    """The pipeline that an operator is.

    Args:
        name: That of its folder, such as ``fasta-windows``.

    Raises:
        PipelineNotFound: If there is none of this name.
    """
    known = operator_names()
    if name not in known:
        raise PipelineNotFound(
            f"an operator must be one of {', '.join(known)}, but got {name!r}.{did_you_mean(name, known)}"
        )
    identifier = name.replace("-", "_")
    # By this name what the file defines is found again: the folder's has hyphens, which modules cannot have.
    module_name = f"fireworks.operators.{identifier}"
    spec = importlib.util.spec_from_file_location(module_name, OPERATORS / name / _FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    spec.loader.exec_module(module)
    return _Operator(getattr(module, identifier).function, find_project(Path.cwd()))


def file_parameters(pipeline: Pipeline) -> list[str]:
    """The parameters that are files, or outputs of stages: an operator's inputs."""
    kinds = kinds_of(pipeline.function)
    return [name for name, kind in kinds.items() if File in {kind, *get_args(kind)}]


def describe(name: str) -> Description:
    """An operator, as its function and docstring describe it."""
    pipeline = load_operator(name)
    text = inspect.cleandoc(pipeline.__doc__ or "")
    texts = {name: " ".join(said.split()) for name, said in _ARGUMENT.findall(text)}
    files, known = file_parameters(pipeline), pipeline.signature.parameters.values()
    # Names in place of values: no constructor opens what it is given.
    [stage] = pipeline.build({one.name: one.name for one in known if one.default is one.empty or one.name in files})
    return Description(
        name=name,
        summary=text.partition("\n")[0],
        parameters=tuple(
            Parameter(name=one.name, default=_text(one.default), text=texts[one.name], is_file=one.name in files)
            for one in known
        ),
        stage=stage,
    )


def _text(default: Any) -> str | None:
    """A default as it is written in a workflow: empty where nothing is given."""
    if default is inspect.Parameter.empty:
        return None
    if default is None or isinstance(default, str):
        return default or ""
    if isinstance(default, bool):
        return str(default).lower()
    return ",".join(str(item) for item in default) if isinstance(default, tuple) else str(default)
