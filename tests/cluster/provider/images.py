"""`python -m cluster.provider.images name|make`: the image that stages run in, built from this tree and loaded.

Comes in: `images/`, `requirements/`, the source of `fireworks`. Goes out: an image that the cluster has.
"""

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from .choosing import choose
from .commands import as_program, run, step
from .engines import Buildah, Docker, Engine, base_image, find_engine
from .interface import ClusterError, Provider
from .settings import ROOT, Settings, read_settings

REPOSITORY = "localhost/fireworks-stage"
# In the cluster: the newest, and those that pods of runs under way may still need. Images of the same packages share
# all but a megabyte; those of others take 12 GB more, packed and unpacked.
KEPT, KEPT_PACKAGES = 8, 2
# Of all that were made, for this cluster and others: names alone.
_REMEMBERED = 100
_DOCKERFILE = "images/stage/Dockerfile"
_PINS = ("requirements/uv.txt", "requirements/stage.txt")
# What a wheel is built from, beside the package.
_PROJECT = ("pyproject.toml", "README.md", "LICENSE")


def stage_image(environment: Mapping[str, str] = os.environ, root: Path = ROOT) -> str:
    """The name of the image that belongs to this source tree, built already or not.

    Args:
        environment: `FIREWORKS_BASE_IMAGE` and `FIREWORKS_TORCH_INDEX` choose another base and another build of torch;
            `FIREWORKS_STAGE_IMAGE` is the name itself, of an image that was built and pushed by other means.
        root: The project folder.

    Returns:
        `localhost/fireworks-stage:<12 hex digits>`, of everything that goes into the image, or the name that is given.
    """
    if given := environment.get("FIREWORKS_STAGE_IMAGE"):
        return given
    package = [*sorted((root / "fireworks").rglob("*")), *sorted((root / "operators").rglob("*"))]
    sources = [path for path in package if path.is_file() and "__pycache__" not in path.parts]
    project = [root / name for name in _PROJECT]
    return f"{REPOSITORY}:{_digest(packages(environment, root), root, [*project, *sources])}"


def packages(environment: Mapping[str, str] = os.environ, root: Path = ROOT) -> str:
    """12 hex digits, of what the image has below our code: images in which they are equal share those layers."""
    arguments = json.dumps(build_arguments(environment), sort_keys=True)
    return _digest(arguments, root, [root / name for name in (_DOCKERFILE, *_PINS)])


def _digest(beginning: str, root: Path, paths: Sequence[Path]) -> str:
    digest = hashlib.sha256(beginning.encode())
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def build_arguments(environment: Mapping[str, str]) -> dict[str, str]:
    """The Dockerfile's `ARG`s; one that is left out has the Dockerfile's default."""
    base = environment.get("FIREWORKS_BASE_IMAGE") or (base_image() if find_engine() is None else "")
    given = {"BASE": base, "TORCH_INDEX": environment.get("FIREWORKS_TORCH_INDEX", "")}
    return {name: value for name, value in given.items() if value}


def make_stage_image(provider: Provider, environment: Mapping[str, str] = os.environ, root: Path = ROOT) -> str:
    """Build the image and load it into the cluster; nothing is done if the cluster has it.

    Returns:
        The image's name.

    Raises:
        ClusterError: If the cluster is down, a step of the build fails, the tree changes meanwhile, or the image that
            `FIREWORKS_STAGE_IMAGE` names is not there.
    """
    if given := environment.get("FIREWORKS_STAGE_IMAGE"):
        return _given(provider, given)
    settings = read_settings(environment)
    with _locked(settings):
        name = stage_image(environment, root)
        if name not in provider.images():
            engine = _engine(settings, environment)
            if name not in engine.names():
                _build(engine, name, environment, root)
            _load(engine, provider, name, settings)
            engine.remove([other for other in engine.names() if _is_another(other, name)])
        else:
            print("the cluster has the image")
        _forget_old(provider, name, packages(environment, root), settings)
    return name


def _given(provider: Provider, name: str) -> str:
    """Who names an image has built it, and pushed it where nodes can pull."""
    if not provider.pulls and name not in provider.images():
        raise ClusterError(
            f"FIREWORKS_STAGE_IMAGE must name an image that the cluster has, but is {name}. Load it, or unset that."
        )
    print(f"{name} is taken as it is: FIREWORKS_STAGE_IMAGE names it")
    return name


def _engine(settings: Settings, environment: Mapping[str, str]) -> Engine:
    client = find_engine()
    if client is not None:
        return Docker(client)
    home = environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or "/", ".cache")
    return Buildah(_folder(settings), Path(environment.get("UV_CACHE_DIR") or Path(home, "uv")))


def _build(engine: Engine, name: str, environment: Mapping[str, str], root: Path) -> None:
    arguments = build_arguments(environment)
    if isinstance(engine, Buildah) and arguments.get("BASE") == base_image():
        engine.make_base(base_image())
    with step(f"build {name}"), tempfile.TemporaryDirectory(prefix="fw-image-") as work:
        context = Path(work)
        for part in (_DOCKERFILE, *_PINS):
            (context / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / part, context / part)
        build_wheel(context / "dist", root)
        if (now := stage_image(environment, root)) != name:
            raise ClusterError(
                f"the tree must stay as it is while {name} is built, but is that of {now}. Run it again."
            )
        engine.build(context, context / _DOCKERFILE, name, arguments)


def build_wheel(target: Path, root: Path = ROOT) -> Path:
    """This project's wheel, in a folder; equal sources give equal bytes."""
    run(sys.executable, "-m", "hatchling", "build", "--target=wheel", f"--directory={target}", folder=root)
    return next(target.glob("*.whl"))


def _load(engine: Engine, provider: Provider, name: str, settings: Settings) -> None:
    # Beside the cache, not in /tmp: that may be memory.
    with tempfile.TemporaryDirectory(prefix="archive-", dir=_folder(settings)) as work:
        archive = Path(work, "image.tar")
        with step("save what the cluster lacks of it"):
            engine.save(name, archive, provider.layers())
        with step(f"load {archive.stat().st_size / 1e6:.1f} MB into the cluster"):
            provider.load_image(archive)


def _forget_old(provider: Provider, name: str, below: str, settings: Settings) -> None:
    """Remove from the cluster all but the versions that were made last."""
    history = _folder(settings) / "made.json"
    made: dict[str, str] = json.loads(history.read_text(encoding="ascii")) if history.exists() else {}
    made = {**{other: its for other, its in made.items() if other != name}, name: below}
    history.write_text(json.dumps(dict([*made.items()][-_REMEMBERED:])), encoding="ascii")
    # What somebody removed, or loaded into another cluster, takes no place of what is here.
    present = provider.images()
    here = {other: its for other, its in made.items() if other in present}
    newest = list(dict.fromkeys(reversed(here.values())))[:KEPT_PACKAGES]
    kept = [other for other, its in here.items() if its in newest][-KEPT:]
    for other in present:
        if _is_another(other, name) and other not in kept:
            provider.remove_image(other)


def _is_another(image: str, name: str) -> bool:
    return re.fullmatch(rf"{re.escape(REPOSITORY)}:[0-9a-f]{{12}}", image) is not None and image != name


def _folder(settings: Settings) -> Path:
    return settings.cache / "images"


@contextmanager
def _locked(settings: Settings) -> Iterator[None]:
    """One build at a time; the next one waits, and may find its image."""
    _folder(settings).mkdir(parents=True, exist_ok=True)
    with (_folder(settings) / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(arguments: list[str]) -> int:
    """Print the image's name as the last line; 1 and one line for everything that goes wrong."""
    parser = argparse.ArgumentParser(prog="images", description=__doc__.partition("\n")[0])
    parser.add_argument("verb", choices=("name", "make"))
    try:
        make = parser.parse_args(arguments).verb == "make"
        print(make_stage_image(choose(os.environ)) if make else stage_image())
    except (ClusterError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    as_program(main)
