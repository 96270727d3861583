"""Options that verbs share, and what they lead to.

Comes in: texts from the command line, the environment, ``[tool.fireworks]``. Goes out: an open `Store`, a `Pipeline`,
parameters, a `RunFolder`, to the verbs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..errors import FireworksError, ParameterError

if TYPE_CHECKING:
    from ..records import Plan
    from ..store import Store
    from ..workflow.history import RunFolder
    from ..workflow.profiles import Profile

__all__ = [
    "cluster_options",
    "image_option",
    "json_option",
    "open_place",
    "open_run",
    "other_store",
    "parse_parameters",
    "pipeline_options",
    "place_options",
    "settings_of",
    "stage_of",
    "target_options",
]

F = TypeVar("F", bound=Callable[..., Any])

# A person waits at the other end. Inside a run it is `Store.patience_s`: ten minutes.
_PATIENCE_S = 10.0


def place_options(function: F) -> F:
    """``--store`` and ``--profile``."""
    for option in (
        click.option(
            "--profile", metavar="NAME", help="Settings of [tool.fireworks.profile.NAME].  [env: FIREWORKS_PROFILE]"
        ),
        click.option(
            "--store",
            metavar="URL",
            envvar="FIREWORKS_STORE",
            help="Where outputs and records are: a folder, s3://bucket/prefix.  [env: FIREWORKS_STORE; default: the"
            " profile's, else .fireworks/store in the project]",
        ),
    ):
        function = option(function)
    return function


def cluster_options(function: F) -> F:
    """``--context`` and ``--namespace``."""
    for option in (
        click.option("--namespace", metavar="NAME", help="Where stages run.  [default: the profile's, else fireworks]"),
        click.option(
            "--context", metavar="NAME", help="Of the kubeconfig.  [default: the profile's, else the current one]"
        ),
    ):
        function = option(function)
    return function


def image_option(function: F) -> F:
    """``--image``."""
    option = click.option(
        "--image",
        metavar="NAME",
        envvar="FIREWORKS_IMAGE",
        help="For stages that name none.  [env: FIREWORKS_IMAGE; default: the profile's]",
    )
    return option(function)


def target_options(function: F) -> F:
    """What shapes the manifests: ``--image``, ``--no-fuse``, ``--parallelism``, ``--argo-version``."""
    for option in (
        click.option(
            "--argo-version", metavar="VERSION", help="Use what only this version of Argo and newer ones know."
        ),
        click.option("--parallelism", metavar="N", type=click.IntRange(min=1), help="Pods at once.  [default: 100]"),
        click.option("--no-fuse", is_flag=True, help="Give every stage a pod of its own."),
        image_option,
    ):
        function = option(function)
    return function


def json_option(function: F) -> F:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, the result on the last line.")(function)


def pipeline_options(function: F) -> F:
    """The pipeline, its parameters, and what else makes a plan."""
    for option in (
        click.option("--seed", type=int, default=0, show_default=True, help="Seeds every generator of the run."),
        click.option(
            "--sample", metavar="N", type=click.IntRange(min=1), help="Take N rows of every source stage: the dry run."
        ),
        click.option(
            "-p", "--parameter", "parameters", metavar="NAME=VALUE", multiple=True, help="A parameter; repeat."
        ),
        click.argument("pipeline", metavar="MODULE:PIPELINE"),
    ):
        function = option(function)
    return function


def parse_parameters(pairs: Iterable[str]) -> dict[str, str]:
    """Texts by name.

    Raises:
        ParameterError: If there is no ``=``, or a name twice.
    """
    parameters: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ParameterError(f"a parameter must be given as NAME=VALUE, but got {pair!r}.")
        if name in parameters:
            raise ParameterError(f"a parameter must be given once, but {name!r} is given twice. Drop one.")
        parameters[name] = value
    return parameters


def open_place(store: str | None, profile: str | None, project: Path | None = None) -> tuple[Profile, Store]:
    """The settings in force, and the store they name; whether it answers is found out now.

    Raises:
        ProfileError: If the settings cannot be read.
        StoreUnavailable: If the store does not answer within ten seconds.
    """
    from ..store import open_store
    from ..workflow.profiles import find_project, load_profile

    settings = load_profile(project or find_project(Path.cwd()), profile)
    url = store or settings.store
    open_store(url, patience_s=_PATIENCE_S).exists("runs/none/run.json")
    return settings, open_store(url)


def settings_of(profile: str | None) -> Profile:
    """The settings in force in this folder's project."""
    from ..workflow.profiles import find_project, load_profile

    return load_profile(find_project(Path.cwd()), profile)


def other_store(place: Store, profile: str | None = None) -> str | None:
    """What `--store` needs to find this store from here, quoted for a shell; None if it is found without, or never.

    Args:
        profile: What `--profile` is given.
    """
    import os
    import shlex

    from ..store import open_store
    from ..store.files import FileStore
    from ..workflow.profiles import find_project, load_profile

    try:
        here = open_store(os.environ.get("FIREWORKS_STORE") or load_profile(find_project(Path.cwd()), profile).store)
    except FireworksError:  # Settings that cannot be read lead nowhere.
        here = None
    if place.url.startswith("memory:") or (here is not None and here.url == place.url):
        return None
    if not isinstance(place, FileStore):
        return shlex.quote(place.url)
    folder = place.root.resolve()
    if isinstance(here, FileStore) and here.root.resolve() == folder:
        return None
    cwd = Path.cwd().resolve()
    return shlex.quote(str(folder.relative_to(cwd) if folder.is_relative_to(cwd) else folder))


def open_run(store: str | None, profile: str | None, run: str | None) -> RunFolder:
    """The run whose id starts with `run`, or the latest.

    Raises:
        ObjectNotFound: If there is none.
    """
    from ..workflow.history import RunFolder, find_run, latest_run

    _, place = open_place(store, profile)
    return RunFolder(place, latest_run(place) if run is None else find_run(place, run))


def stage_of(plan: Plan, name: str) -> str:
    """The name, if the plan has such a stage.

    Raises:
        ParameterError: If not.
    """
    from ..errors import did_you_mean

    names = [stage.name for stage in plan.stages]
    if name not in names:
        hint = did_you_mean(name, names)
        raise ParameterError(f"a stage must be one of the run's, but got {name!r}.{hint} It has: {', '.join(names)}.")
    return name
