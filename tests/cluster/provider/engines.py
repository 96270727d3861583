"""What builds and keeps images: Docker or podman where an engine answers, else buildah, which needs none.

Comes in: a folder with all that an image is made of. Goes out: an archive that a cluster loads.
"""

import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .commands import run, step
from .interface import ClusterError
from .packages import find_program
from .settings import ROOT

# Five gigabytes of packages are downloaded, copied and compiled.
_LIMIT_S = 3600.0
_CERTIFICATES = Path("/etc/ssl/certs")
_UV_CACHE = "/var/cache/uv-of-this-machine"
_BASE = ROOT / "images" / "base" / "Dockerfile"
_SUITE, _PACKAGES = "bookworm", ("python3", "python3-pip", "ca-certificates")
_NEEDLESS = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "var/lib/apt/lists", "var/log")
# The layers above the packages: what their first import left, our code, and what its first import left.
_OWN_LAYERS = 3


class Engine(ABC):
    """Builds images and keeps them."""

    @abstractmethod
    def build(self, context: Path, dockerfile: Path, name: str, arguments: Mapping[str, str]) -> None:
        """Build an image under a name.

        Raises:
            ClusterError: If a step of the Dockerfile fails.
        """

    @abstractmethod
    def save(self, name: str, archive: Path, known: frozenset[str]) -> None:
        """Write an image to an archive; layers in `known` may be left out."""

    @abstractmethod
    def names(self) -> list[str]:
        """The names of all images."""

    @abstractmethod
    def remove(self, names: list[str]) -> None:
        """Remove images, and what was kept for them alone."""


@dataclass(frozen=True)
class Docker(Engine):
    """Docker or podman; no CI of ours has either: only the commands are tested."""

    client: str

    def build(self, context: Path, dockerfile: Path, name: str, arguments: Mapping[str, str]) -> None:
        given = [f"--build-arg={key}={value}" for key, value in arguments.items()]
        run(self.client, "build", f"--file={dockerfile}", f"--tag={name}", *given, context, limit_s=_LIMIT_S)

    def save(self, name: str, archive: Path, known: frozenset[str]) -> None:
        run(self.client, "save", f"--output={archive}", name, limit_s=_LIMIT_S)

    def names(self) -> list[str]:
        return run(self.client, "images", "--format={{.Repository}}:{{.Tag}}").split()

    def remove(self, names: list[str]) -> None:
        if names:
            run(self.client, "rmi", *names)


@dataclass(frozen=True)
class Buildah(Engine):
    """buildah as root, without namespaces of its own, with images in a folder of our own."""

    folder: Path
    uv_cache: Path

    def build(self, context: Path, dockerfile: Path, name: str, arguments: Mapping[str, str]) -> None:
        self.uv_cache.mkdir(parents=True, exist_ok=True)
        # uv's cache of this machine has the packages already. The Dockerfile's own cache would be mounted over it.
        volumes = [f"--volume={self.uv_cache}:{_UV_CACHE}"]
        volumes += [f"--volume={_CERTIFICATES}:{_CERTIFICATES}:ro"] if _CERTIFICATES.is_dir() else []
        given = [f"--build-arg={key}={value}" for key, value in {**arguments, "UV_CACHE_DIR": _UV_CACHE}.items()]
        options = ["--layers", "--pull-never", "--network=host", *volumes, *given]
        # What a build that was killed left would keep its layers for ever.
        self._run("rm", "--all")
        self._run("build", f"--file={dockerfile}", f"--tag={name}", *options, str(context))

    def save(self, name: str, archive: Path, known: frozenset[str]) -> None:
        layers = json.loads(self._run("inspect", "--type=image", name))["OCIv1"]["rootfs"]["diff_ids"]
        if known.issuperset(layers[:-_OWN_LAYERS]):
            self._save_new(name, archive, known.intersection(layers))
        else:
            self._run("push", "--quiet", name, f"docker-archive:{archive}:{name}")

    def names(self) -> list[str]:
        return self._run("images", "--format={{.Name}}:{{.Tag}}").split()

    def remove(self, names: list[str]) -> None:
        if names:
            self._run("rmi", *names)
        self._run("rmi", "--prune")

    def make_base(self, name: str) -> None:
        """Build the base image, from Debian's packages, unless it is there."""
        if name in self.names():
            return
        with step(f"image {name}"), tempfile.TemporaryDirectory(prefix="base-", dir=self.folder) as work:
            root, context = Path(work, "root"), Path(work, "context")
            context.mkdir()
            mirror = [found] if (found := find_mirror()) else []
            packages = f"--include={','.join(_PACKAGES)}"
            debootstrap = find_program("debootstrap")
            run(debootstrap, "--variant=minbase", packages, _SUITE, root, *mirror, limit_s=_LIMIT_S)
            for needless in _NEEDLESS:
                shutil.rmtree(root / needless, ignore_errors=True)
            run("find", root / "var/cache/apt", "-type", "f", "-delete")
            run(
                "tar", "--numeric-owner", "--exclude=./dev/*", f"--directory={root}", "-cf", context / "rootfs.tar", "."
            )
            self.build(context, _BASE, name, {})

    def _save_new(self, name: str, archive: Path, known: frozenset[str]) -> None:
        """An archive without the layers that the cluster has: a megabyte instead of six gigabytes.

        buildah does not write a layer that the target folder has already, and looks at no more than its name.
        """
        with tempfile.TemporaryDirectory(prefix="layout-", dir=self.folder) as work:
            layout = Path(work)
            blobs = layout / "blobs" / "sha256"
            blobs.mkdir(parents=True)
            placeholders = [blobs / digest.removeprefix("sha256:") for digest in known]
            for placeholder in placeholders:
                placeholder.touch()
            self._run("push", "--quiet", name, f"oci:{layout}:{name}")
            for placeholder in placeholders:
                placeholder.unlink()
            with tarfile.open(archive, "w") as file:
                for path in sorted(path for path in layout.rglob("*") if path.is_file()):
                    file.add(path, path.relative_to(layout).as_posix())

    def _run(self, *arguments: str) -> str:
        if os.geteuid() != 0:
            raise ClusterError("buildah must run as root, but does not. Run `sudo make images`, or install Docker.")
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {"STORAGE_DRIVER": "overlay", "BUILDAH_ISOLATION": "chroot"}
        with _scratch(self.folder) as scratch:
            places = [f"--root={self.folder / 'storage'}", f"--runroot={scratch}"]
            return run(find_program("buildah"), *places, *arguments, environment=settings, limit_s=_LIMIT_S)


def find_engine() -> str | None:
    """Docker or podman, if an engine answers: the client alone starts no container."""
    for client, template in (("docker", "{{.ServerVersion}}"), ("podman", "{{.Version.Version}}")):
        if shutil.which(client) is None:
            continue
        with suppress(ClusterError):
            # Some clients that reach no engine complain, print an empty line, and call that a success.
            if run(client, "info", "--format", template).strip():
                return client
    return None


def base_image() -> str:
    """The name of the base image that is made where no registry is reached."""
    made_of = json.dumps([_BASE.read_text(encoding="utf-8"), _SUITE, _PACKAGES, _NEEDLESS])
    return f"localhost/fireworks-base:{hashlib.sha256(made_of.encode()).hexdigest()[:12]}"


def find_mirror(folder: Path = Path("/etc/apt")) -> str | None:
    """Where this machine gets Debian's packages from; None if it is no Debian."""
    patterns = (("sources.list.d/debian.sources", r"^URIs: +(\S+)"), ("sources.list", r"^deb +(?:\[.*?\] +)?(\S+)"))
    for name, pattern in patterns:
        path = folder / name
        if path.is_file() and (found := re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)):
            return found[1]
    return None


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for one command: what it says of mounts would be wrong after a restart of the machine."""
    path = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
