"""Every exception Fireworks raises, sorted by what the caller should do.

::

    FireworksError
    ├── TransientError                  try again later (exit code 75)
    │   ├── StoreUnavailable            ConnectionError
    │   ├── ClusterUnavailable          ConnectionError
    │   └── DatabaseUnavailable         ConnectionError
    ├── StoreError                      OSError
    │   ├── ObjectNotFound              FileNotFoundError
    │   ├── StoreDenied                 PermissionError
    │   │   └── BadSignature
    │   └── StoreFull
    ├── ClusterError                    the cluster answered, and the answer is no
    │   ├── KubeconfigError             ValueError
    │   ├── CredentialsExpired          PermissionError
    │   ├── ClusterDenied               PermissionError: a verb on a resource is missing
    │   ├── ResourceNotFound            LookupError
    │   ├── ResourceExists              ValueError
    │   └── ResourceRefused             ValueError: by its schema, an admission rule, a quota
    ├── DatabaseError                   ValueError: what an SQL database, or its URL, does not take
    ├── SourceError                     OSError: an input file of a pipeline
    │   ├── SourceNotFound              FileNotFoundError
    │   └── SourceChanged
    ├── MessageError
    │   ├── ColumnNotFound              KeyError
    │   ├── RowNotFound                 IndexError
    │   ├── SchemaError                 ValueError
    │   └── UnsupportedColumn           TypeError
    ├── FormatError                     ValueError: a file is not what its name says
    ├── StateError                      TypeError: a state that cannot be stored or set
    ├── GraphError                      ValueError: pipes that do not fit together
    │   ├── ParameterizationError       KeyError: a component is missing
    │   └── CutError                    all findings of one cut
    │       └── CompileError            what Argo or Kubernetes would not take
    ├── StageBoundaryError              AttributeError: only rows and declared state cross a Stage
    ├── PipelineNotFound                ImportError
    ├── ParameterError                  ValueError: a pipeline's parameter
    ├── ProfileError                    ValueError: [tool.fireworks] in pyproject.toml
    ├── PackageError                    ValueError: code that cannot travel
    ├── RebuildError                    RuntimeError: this is not the stage that was planned
    └── RunFailed                       RuntimeError

A message is one line: the rule, the value that broke it, the remedy.
Comes in: nothing. Goes out: raised by every layer, printed by `fireworks.cli`.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

__all__ = [
    "BadSignature",
    "ClusterDenied",
    "ClusterError",
    "ClusterUnavailable",
    "ColumnNotFound",
    "CompileError",
    "CredentialsExpired",
    "CutError",
    "DatabaseError",
    "DatabaseUnavailable",
    "FireworksError",
    "FormatError",
    "GraphError",
    "KubeconfigError",
    "MessageError",
    "ObjectNotFound",
    "PackageError",
    "ParameterError",
    "ParameterizationError",
    "PipelineNotFound",
    "ProfileError",
    "RebuildError",
    "ResourceExists",
    "ResourceNotFound",
    "ResourceRefused",
    "RowNotFound",
    "RunFailed",
    "SchemaError",
    "SourceChanged",
    "SourceError",
    "SourceNotFound",
    "StageBoundaryError",
    "StateError",
    "StoreDenied",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "TransientError",
    "UnsupportedColumn",
    "did_you_mean",
]


class FireworksError(Exception):
    """Root of all errors of this library."""

    def __str__(self) -> str:
        # KeyError would print the repr of its argument.
        return " ".join(str(argument) for argument in self.args)


class TransientError(FireworksError):
    """What may succeed when tried again: a stage that raises it exits 75 and is retried."""


class StoreUnavailable(TransientError, ConnectionError):
    """The object store did not answer, or answered with a server's error, until patience ran out."""


class ClusterUnavailable(TransientError, ConnectionError):
    """The Kubernetes API did not answer, or answered with a server's error, until patience ran out."""


class DatabaseUnavailable(TransientError, ConnectionError):
    """An SQL database did not answer."""


class StoreError(FireworksError, OSError):
    """The object store answered, and the answer is no."""


class ObjectNotFound(StoreError, FileNotFoundError):
    """No object under this key."""


class StoreDenied(StoreError, PermissionError):
    """The credentials are known but may not do this."""


class BadSignature(StoreDenied):
    """The credentials are missing, unknown or wrong."""


class StoreFull(StoreError):
    """No space or quota left."""


class ClusterError(FireworksError):
    """The cluster answered, and the answer is no; or it lacks what Fireworks needs."""


class KubeconfigError(ClusterError, ValueError):
    """No kubeconfig, or none that leads to a cluster."""


class CredentialsExpired(ClusterError, PermissionError):
    """The cluster does not know who asks: the credentials are missing, wrong or no longer valid."""


class ClusterDenied(ClusterError, PermissionError):
    """The cluster knows who asks, and that they may not; `verb` and `resource` say what is missing."""

    verb: str = ""
    resource: str = ""


class ResourceNotFound(ClusterError, LookupError):
    """No object of this name, or no namespace."""


class ResourceExists(ClusterError, ValueError):
    """There is another object of this name already, or it was changed in the meantime."""


class ResourceRefused(ClusterError, ValueError):
    """An object that the cluster does not take."""


class DatabaseError(FireworksError, ValueError):
    """An SQL database refuses a statement, or there is no URL that leads to one."""


class SourceError(FireworksError, OSError):
    """An input file of a pipeline cannot be used."""


class SourceNotFound(SourceError, FileNotFoundError):
    """A declared source matches no file."""


class SourceChanged(SourceError):
    """A source's content is no longer what the plan was made from."""


class MessageError(FireworksError):
    """A table operation that cannot be done."""


class ColumnNotFound(MessageError, KeyError):
    """No column of this name."""


class RowNotFound(MessageError, IndexError):
    """A row number beyond the table."""


class SchemaError(MessageError, ValueError):
    """Lengths, shapes or columns that do not agree."""


class UnsupportedColumn(MessageError, TypeError):
    """A column whose values cannot be converted or stored."""


class FormatError(FireworksError, ValueError):
    """A file or record that is torn, altered, hostile or of an unknown version."""


class StateError(FireworksError, TypeError):
    """A state that cannot be stored, or does not fit the object it is set on."""


class GraphError(FireworksError, ValueError):
    """Pipes that cannot be connected as asked."""


class ParameterizationError(GraphError, KeyError):
    """A Junction or Model lacks required components; `missing` lists them."""

    def __init__(self, message: str, missing: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.missing = list(missing)


class CutError(GraphError):
    """Everything that is wrong with a graph, found before anything runs; one entry of `findings` a line."""

    def __init__(self, findings: Iterable[str]) -> None:
        self.findings = list(findings)
        super().__init__("\n".join(self.findings))

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickle would give the joined text to the constructor.
        return type(self), (self.findings,)


class CompileError(CutError):
    """A plan that cannot become a workflow; one entry of `findings` a line."""


class StageBoundaryError(FireworksError, AttributeError):
    """An attribute was looked up through a Stage that does not expose it."""


class PipelineNotFound(FireworksError, ImportError):
    """`MODULE:pipeline` does not lead to a pipeline."""


class ParameterError(FireworksError, ValueError):
    """A pipeline's parameter is misspelt, missing or of the wrong type."""


class ProfileError(FireworksError, ValueError):
    """A setting under ``[tool.fireworks]`` that cannot be read."""


class PackageError(FireworksError, ValueError):
    """A project's code cannot be packed, or a package is not what its name says."""


class RebuildError(FireworksError, RuntimeError):
    """The stage that this code builds is not the one in the plan."""


class RunFailed(FireworksError, RuntimeError):
    """A stage of the run failed; its cause is in the message, and `end` is the `RunEnd` that was recorded."""

    end: Any = None


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """A suggestion to end an error message with, or nothing.

    >>> did_you_mean("windw", ["window", "step"])
    " Did you mean 'window'?"
    >>> did_you_mean("x", ["window"])
    ''
    """
    close = get_close_matches(name, list(choices), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""
