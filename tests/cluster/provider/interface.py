"""What every cluster provider can do, and what it tells about itself.

Comes in: nothing. Goes out: the interface that `make cluster-up`, the tests and the image builder use.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class ClusterError(RuntimeError):
    """One line: the rule, what was found, the remedy."""


@dataclass(frozen=True)
class Part:
    """One part of a cluster, as `status` shows it."""

    name: str
    ready: bool
    detail: str = ""


@dataclass(frozen=True)
class Status:
    """A provider's parts."""

    provider: str
    parts: tuple[Part, ...]

    @property
    def ready(self) -> bool:
        """Whether every part is."""
        return all(part.ready for part in self.parts)

    def __str__(self) -> str:
        width = max(len(part.name) for part in self.parts)
        lines = [f"{'✓' if part.ready else '✗'} {part.name:<{width}}  {part.detail}".rstrip() for part in self.parts]
        return "\n".join([f"{self.provider}: {'ready' if self.ready else 'not ready'}", *lines])


class Provider(ABC):
    """A Kubernetes with Argo Workflows and an S3 server, from nothing or as it is there."""

    name: str
    namespace: str
    # Whether nodes fetch images from a registry, and so have those that are not listed here.
    pulls: bool = False

    @abstractmethod
    def up(self) -> None:
        """Make the cluster ready; returns at once if it is.

        Raises:
            ClusterError: If something it needs is missing, taken, or does not get ready.
        """

    @abstractmethod
    def down(self, *, purge: bool = False) -> None:
        """Take away all that `up` made; images and S3 data stay unless `purge`."""

    @abstractmethod
    def status(self) -> Status:
        """What runs and what does not; changes nothing, never raises for a cluster that is down."""

    @abstractmethod
    def logs(self, lines: int = 20) -> str:
        """The last lines that each part wrote."""

    @abstractmethod
    def load_image(self, archive: Path) -> list[str]:
        """Make an image known to the node.

        Args:
            archive: What `docker save` or `buildah push docker-archive:` writes.

        Returns:
            The names of the archive's images.
        """

    @abstractmethod
    def images(self) -> list[str]:
        """The names of the images that pods can have.

        Raises:
            ClusterError: If the cluster is down, or images come from a registry that only its administrator sees.
        """

    @abstractmethod
    def remove_image(self, name: str) -> None:
        """Make a node forget an image; layers that no other image has leave the disk."""

    def layers(self) -> frozenset[str]:
        """Digests of the layers that `load_image` need not find in an archive, as in `sha256:…`."""
        return frozenset()

    @abstractmethod
    def s3_url(self) -> str:
        """The bucket for tests, as `fireworks.open_store` takes it, under the settings of `environment`."""

    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """AWS_ settings under which `s3_url` opens on this machine.

        Pods have theirs from ConfigMap `store-settings` and Secret `store-credentials`.
        """

    @abstractmethod
    def kubeconfig(self) -> Path:
        """The file that leads to the cluster, with an administrator's rights where the provider has them."""
