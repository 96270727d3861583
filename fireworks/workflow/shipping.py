"""What a plan needs in other places: the project's code and its source files, in the store by content.

::

    code/<blake3>.tar      the project's files, as `fireworks.workflow.packing` makes them
    sources/<blake3>       a local source file

Comes in: a plan, the project, a store. Goes out: a plan that runs wherever the store is reached; there, `Shipped`
gives code and files back to `fireworks.workflow.stage`.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from blake3 import blake3

from ..errors import ObjectNotFound, PackageError, SourceChanged
from ..records import Plan, SourceObject
from ..store import Store
from .packing import Package, pack, unpack

__all__ = ["Shipped", "code_key", "pack_for", "ship", "shipped_keys", "source_key"]


def code_key(code: str) -> str:
    """Where the package of this hash lies."""
    return f"code/{code}.tar"


def source_key(item: SourceObject) -> str:
    """Where a source file of this content lies."""
    return f"sources/{item.hash}"


def shipped_keys(plan: Plan) -> set[str]:
    """All that lies in the store for a plan that was shipped."""
    if plan.code is None:
        return set()
    return {code_key(plan.code), *(source_key(item) for item in _local(plan))}


def pack_for(plan: Plan, project: Path) -> Package:
    """Pack the code of a plan's project, without the sources that the plan declares.

    Raises:
        PackageError: If it cannot travel, or something that a stage needs stays behind.
    """
    package = pack(project, {item.location for item in _local(plan)})
    names = set(package.names)
    missing = sorted({need for stage in plan.stages for need in stage.ingredients if not _is_packed(need, names)})
    if missing:
        listed = ", ".join(need.partition(" ")[2] for need in missing)
        raise PackageError(
            f"all code that stages need must travel, but git ignores {listed}. Correct .gitignore, or use git add -f."
        )
    return package


def ship(plan: Plan, package: Package, project: Path, store: Store) -> Plan:
    """Upload code and source files that the store lacks; return the plan that names the code.

    Raises:
        SourceChanged: If a file is not what it was when the plan was made.
    """
    key = code_key(package.hash)
    if not store.exists(key):
        store.put(key, package.data)
    for item in _local(plan):
        if not store.exists(source_key(item)):
            _upload(store, item, project)
    return replace(plan, code=package.hash)


class Shipped:
    """The code and sources of a plan, fetched when they are asked for.

    Args:
        folder: Where to put them: scratch space.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder

    def code(self, code: str) -> Path:
        """Unpack the project and return its folder.

        Raises:
            PackageError: If the package is damaged.
            ObjectNotFound: If it is gone.
        """
        project = self._folder / "project"
        try:
            data = self._store.get(code_key(code))
        except ObjectNotFound as error:
            raise ObjectNotFound(
                f"the code of the plan must be in {self._store.url}, but {code_key(code)} is gone. Submit again."
            ) from error
        unpack(data, code, project)
        return project

    def source(self, item: SourceObject) -> Path:
        """A source file under its own name, downloaded once.

        Raises:
            SourceChanged: If the store has other bytes than the plan's.
        """
        target = self._folder / "sources" / str(item.hash) / PurePosixPath(item.location).name
        if target.exists():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        hasher = blake3()
        with target.open("wb") as file:
            for chunk in self._store.stream(source_key(item)):
                hasher.update(chunk)
                file.write(chunk)
        if hasher.hexdigest() != item.hash:
            target.unlink()
            raise SourceChanged(f"source {item.location} must be what was planned, but is damaged. Submit again.")
        return target


def _local(plan: Plan) -> Iterable[SourceObject]:
    """The source files that are uploaded; remote ones are read where they are."""
    return [item for source in plan.sources for item in source.objects if item.hash is not None]


def _upload(store: Store, item: SourceObject, project: Path) -> None:
    path = project / item.location
    try:
        sent = store.put(source_key(item), path)
    except FileNotFoundError as error:
        raise SourceChanged(f"source {path} was there when the plan was made and has vanished. Restore it.") from error
    if sent.hash != item.hash:
        store.delete([sent.key])
        raise SourceChanged(f"source {path} has changed since the plan was made. Submit again.")


def _is_packed(ingredient: str, names: set[str]) -> bool:
    kind, _, name = ingredient.partition(" ")
    if kind == "file":
        return name in names
    if kind != "code":
        return True
    path = name.replace(".", "/")
    endings = (f"{path}.py", f"{path}/__init__.py")
    return any(known.endswith(endings) for known in names)
