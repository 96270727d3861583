"""Clusters as verbs reach them: whose run it is, where a plan goes, how to come back to a run.

Comes in: options, profiles, records of runs. Goes out: a `ClusterClient`, a `Target`, commands to print.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from ..errors import KubeconfigError, ParameterError
from .options import other_store

if TYPE_CHECKING:
    from ..errors import FireworksError
    from ..store import Store
    from ..workflow.argo.client import ClusterClient
    from ..workflow.argo.compiling import Target
    from ..workflow.history import RunFolder
    from ..workflow.profiles import Profile

__all__ = ["cluster_of", "come_back", "connect", "reachable_cluster_of", "target_of"]

# A person waits at the other end; once it has answered, a cluster may be away for as long as the client's patience.
_FIRST_S = 10.0


def connect(context: str | None, namespace: str | None) -> ClusterClient:
    """A client that gives up soon if the cluster never answers, and says so if it is away later."""
    from ..workflow.argo.client import ClusterClient

    return ClusterClient(context, namespace, first_s=_FIRST_S, waiting=_tell)


def _tell(fault: FireworksError) -> None:
    click.echo(f"waiting for the cluster: {fault}", err=True)


def cluster_of(folder: RunFolder, context: str | None, namespace: str | None = None) -> ClusterClient | None:
    """A client for the cluster that a run is on; None for runs that are on none."""
    made = folder.record.namespace
    return None if made is None else connect(context, namespace or made)


def reachable_cluster_of(folder: RunFolder, context: str | None, namespace: str | None = None) -> ClusterClient | None:
    """The same for those who can do without: None, and a line on stderr, if this machine knows no way there."""
    try:
        return cluster_of(folder, context, namespace)
    except KubeconfigError as error:
        click.echo(f"from the records alone, for there is no way to the cluster: {error}", err=True)
        return None


def target_of(
    settings: Profile,
    *,
    image: str | None,
    namespace: str | None,
    parallelism: int | None,
    argo_version: str | None,
    fuse: bool,
    chosen: tuple[str, ...] = (),
) -> Target:
    """Where a plan goes.

    Raises:
        ParameterError: If no image is named, or the version is none.
    """
    from ..workflow.argo.client import DEFAULT_NAMESPACE
    from ..workflow.argo.compiling import Target

    version = argo_version or settings.argo_version
    if version is not None and not re.fullmatch(r"v?\d+\.\d+(\.\d+)?", version):
        raise ParameterError(f"--argo-version must be a version such as 4.1, but got {version!r}.")
    chosen_image = image or settings.image
    if not chosen_image:
        raise ParameterError(
            "a stage needs an image, but no profile names one. Add --image NAME:TAG, or `image` to [tool.fireworks]."
        )
    return Target(
        image=chosen_image,
        namespace=namespace or settings.namespace or DEFAULT_NAMESPACE,
        parallelism=parallelism,
        argo_version=version,
        fuse=fuse,
        chosen=chosen,
    )


def come_back(verb: str, run_id: str, place: Store, *, profile: str | None, context: str | None = None) -> str:
    """The command that leads back to a run, as a shell in this folder needs it."""
    words = [f"fireworks {verb} {run_id}"]
    if profile:
        words.append(f"--profile {profile}")
    if elsewhere := other_store(place, profile):
        words.append(f"--store {elsewhere}")
    if context:
        words.append(f"--context {context}")
    return " ".join(words)
