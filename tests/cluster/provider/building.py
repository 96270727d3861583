"""Kubernetes, etcd and Argo Workflows from Go modules, into a cache keyed by their versions.

Comes in: `tests/cluster/go/*/go.mod` and `go.sum`, which the compiler checks every module against. Goes out: programs
and the schemas of Argo's objects.
"""

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .commands import run, step
from .packages import find_go
from .settings import GO, Settings

_ARGO = "github.com/argoproj/argo-workflows/v3"
_VERSION = "k8s.io/component-base/version"
# A build of Kubernetes on two cores and empty caches takes nine minutes.
_LIMIT_S = 3600.0


@dataclass(frozen=True)
class Build:
    """The programs of one module."""

    module: str
    packages: tuple[str, ...]
    flags: Callable[[str], str]

    @property
    def programs(self) -> list[str]:
        return ["etcd"] if self.module == "etcd" else [package.rpartition("/")[2] for package in self.packages]


def _kubernetes_flags(version: str) -> str:
    major, minor, _ = version.split(".")
    return f"-X {_VERSION}.gitVersion=v{version} -X {_VERSION}.gitMajor={major} -X {_VERSION}.gitMinor={minor}"


BUILDS = (
    Build(
        "kubernetes",
        tuple(
            f"k8s.io/kubernetes/cmd/{name}"
            for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
        ),
        _kubernetes_flags,
    ),
    Build("etcd", ("go.etcd.io/etcd/server/v3",), lambda version: ""),
    Build(
        "argo",
        tuple(f"{_ARGO}/cmd/{name}" for name in ("workflow-controller", "argoexec", "argo")),
        lambda version: f"-X {_ARGO}.version=v{version}",
    ),
)
# Beside programs, Argo's module holds the full schemas of its objects.
_SCHEMAS = "manifests/base/crds/full"


def build_all(settings: Settings) -> None:
    """Build what the cache lacks; minutes if that is all of it, nothing if that is none."""
    for build in BUILDS:
        folder = settings.module(build.module)
        missing = [name for name in build.programs if not (folder / name).exists()]
        if missing:
            with step(f"build {build.module} {settings.versions[build.module]} (minutes)"):
                _build(build, settings, folder)
    if not schemas(settings).exists():
        with step("unpack Argo's schemas"):
            _unpack_schemas(schemas(settings))
    pause_program(settings)


def schemas(settings: Settings) -> Path:
    """The folder with Argo's CustomResourceDefinitions."""
    return settings.cache / f"argo-schemas-{settings.versions['argo']}"


def pause_program(settings: Settings) -> Path:
    """The program that holds a pod's namespaces, built if it is not there."""
    source = (GO / "pause" / "main.go").read_bytes()
    target = settings.cache / f"pause-{sha256(source).hexdigest()[:12]}" / "pause"
    if not target.exists():
        with tempfile.TemporaryDirectory(prefix="fw-build-") as work:
            shutil.copytree(GO / "pause", work, dirs_exist_ok=True)
            _compile(Path(work), target.parent, (".",), "")
    return target


def _build(build: Build, settings: Settings, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="fw-build-") as work:
        shutil.copytree(GO / build.module, work, dirs_exist_ok=True)
        if build.module == "argo":
            _complete_argo(Path(work))
        _compile(Path(work), folder, build.packages, build.flags(settings.versions[build.module]))


def _compile(work: Path, folder: Path, packages: tuple[str, ...], flags: str) -> None:
    """Compile into a folder that appears only when all is there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
    try:
        output = part / "etcd" if folder.name.startswith("etcd") else part
        target = str(output) if output != part else f"{part}/"
        options = ["-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", f"-ldflags=-s -w {flags}".strip()]
        _go(work, "build", *options, "-o", target, *packages)
        part.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _complete_argo(work: Path) -> None:
    """Put a complete source in the module's place.

    Module archives leave out symbolic links and built files: one of each is what the compiler misses. The web
    interface is a stub.
    """
    source = work / "source"
    shutil.copytree(_argo_folder(work), source, copy_function=shutil.copyfile)
    for path in (source, *source.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    signals = source / "workflow" / "executor" / "osspecific"
    shutil.copyfile(signals / "signal_darwin.go", signals / "signal_linux.go")
    page = source / "ui" / "dist" / "app" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_text("<!doctype html><title>Argo without its web interface</title>\n", encoding="ascii")
    _go(work, "mod", "edit", f"-replace={_ARGO}=./source")


def _unpack_schemas(target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fw-build-", dir=target.parent) as work:
        shutil.copytree(GO / "argo", work, dirs_exist_ok=True)
        part = Path(work) / "schemas"
        part.mkdir()
        for path in sorted((_argo_folder(Path(work)) / _SCHEMAS).glob("argoproj.io_*.yaml")):
            shutil.copyfile(path, part / path.name)
        part.rename(target)


def _argo_folder(work: Path) -> Path:
    """The module as the Go command downloads it, checked against go.sum."""
    return Path(json.loads(_go(work, "mod", "download", "-json", _ARGO))["Dir"])


def _go(work: Path, *arguments: str) -> str:
    # readonly: a module that go.sum does not know, or knows otherwise, is an error.
    environment = {"GOWORK": "off", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"}
    # A fifth of the compiler's time is spent on collecting its garbage, while there is memory enough.
    environment |= {"GOGC": "off", "GOMEMLIMIT": "2GiB"}
    return run(find_go(), *arguments, environment=environment, folder=work, limit_s=_LIMIT_S)
