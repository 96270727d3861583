"""A project's code as one package, known by its content: what git tracks, and what is new and not ignored.

The same files give the same bytes. Data stays behind: declared sources travel on their own.
Comes in: a project folder. Goes out: a tar file, to and from the store by `fireworks.workflow.shipping`.
"""

import fnmatch
import io
import os
import subprocess
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from blake3 import blake3

from ..errors import PackageError

__all__ = ["LIMIT_BYTES", "Package", "hide_own_folder", "pack", "unpack"]

LIMIT_BYTES = 50_000_000
_DATA_BYTES = 1_000_000
# What runs leave behind: never code, whether git ignores it or not.
_OWN = ".fireworks"
# Where git does not say what belongs to the project.
_LEFT_OUT = {"__pycache__", "node_modules", "venv", "build", "dist"}
_SECRET = (
    *(".env", ".env.*", "*.pem", "*.key", "*.p12", "*.pfx", "id_rsa*", "id_ed25519*", ".netrc", ".pypirc"),
    *("kubeconfig*", "*.kubeconfig", "credentials.json", ".git-credentials"),
)
# Templates, public keys, and code that deals with such files.
_HARMLESS = (".env.example", ".env.sample", ".env.template", "*.pub", "*.py", "*.md")


@dataclass(frozen=True)
class Package:
    """Packed code.

    Args:
        hash: blake3 of `data`, 64 hex digits.
        names: Paths inside, relative to the project folder, sorted.
        warnings: What a person should know; one line each.
    """

    data: bytes
    hash: str
    names: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def pack(project: Path, leave_out: Collection[str] = ()) -> Package:
    """Pack a project's code.

    Args:
        project: The project folder.
        leave_out: Files that travel otherwise, by their paths relative to it.

    Raises:
        PackageError: If there are secrets among the files, or too much of everything.
    """
    listed = sorted(name for name in _listed(project) if _OWN not in PurePosixPath(name).parts)
    found = [(name, project / name) for name in listed if name not in leave_out]
    files = [(name, path) for name, path in found if path.is_file() and _inside(path, project)]
    _refuse_secrets([name for name, _ in files])
    sizes = {name: path.stat().st_size for name, path in files}
    _refuse_size(sizes)
    links = [name for name, path in found if path.is_symlink() and not _inside(path, project)]
    warnings = [f"{name} is a link that leads out of the project: it is left behind" for name in links]
    warnings += [
        f"{name} is {size / 1e6:.1f} MB: data should be a declared File, or ignored by git"
        for name, size in sizes.items()
        if size > _DATA_BYTES
    ]
    data = _archive(files)
    return Package(data, str(blake3(data).hexdigest()), tuple(sizes), tuple(warnings))


def unpack(data: bytes, name: str, folder: Path) -> None:
    """Write a package's files into a folder.

    Args:
        name: The hash that it must have.

    Raises:
        PackageError: If the bytes are not those of this hash, or a file would lie outside of the folder.
    """
    if blake3(data).hexdigest() != name:
        raise PackageError(f"a code package must have the hash it is named by, but {name[:12]} has not. Submit again.")
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for entry in archive:
                _write(archive, entry, folder)
    except tarfile.TarError as error:
        raise PackageError(f"a code package must be a tar of plain files, but: {error}. Submit again.") from error


def hide_own_folder(project: Path) -> None:
    """Let git ignore what runs leave behind in a project, if they have left something."""
    folder = project / _OWN
    if folder.is_dir() and not (folder / ".gitignore").exists():
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")


def _write(archive: tarfile.TarFile, entry: tarfile.TarInfo, folder: Path) -> None:
    """Not `extractall`: its filters are younger than the Pythons that we run on."""
    path, content = PurePosixPath(entry.name), archive.extractfile(entry) if entry.isreg() else None
    if content is None or path.is_absolute() or ".." in path.parts:
        raise PackageError(f"a code package must be a tar of plain files, but has {entry.name!r}. Submit again.")
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content.read())
    target.chmod(entry.mode & 0o755)


def _listed(project: Path) -> Iterator[str]:
    command = ["git", "-C", str(project), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        done = None
    if done is not None and done.returncode == 0:
        yield from (os.fsdecode(name) for name in set(done.stdout.split(b"\0")) if name)
        return
    for folder, folders, files in os.walk(project):
        hidden = {name for name in folders if name.startswith(".") or name in _LEFT_OUT}
        environments = {name for name in folders if Path(folder, name, "pyvenv.cfg").exists()}
        folders[:] = [name for name in folders if name not in hidden | environments]
        place = Path(folder).relative_to(project)
        yield from ((place / name).as_posix() for name in files if not name.endswith(".pyc"))


def _inside(path: Path, project: Path) -> bool:
    return path.resolve().is_relative_to(project.resolve())


def _refuse_secrets(names: list[str]) -> None:
    secrets = [name for name in names if _matches(name, _SECRET) and not _matches(name, _HARMLESS)]
    if secrets:
        raise PackageError(
            f"secrets must not travel with code, but the project has {', '.join(secrets[:5])}."
            " Add them to .gitignore, and give values by Stage(secrets=…)."
        )


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatch(PurePosixPath(name).name, pattern) for pattern in patterns)


def _refuse_size(sizes: dict[str, int]) -> None:
    total = sum(sizes.values())
    if total > LIMIT_BYTES:
        largest = sorted(sizes, key=lambda name: -sizes[name])[:3]
        listed = ", ".join(f"{name} ({sizes[name] / 1e6:.0f} MB)" for name in largest)
        raise PackageError(
            f"a project's code must be at most {LIMIT_BYTES / 1e6:.0f} MB, but is {total / 1e6:.0f} MB: {listed}."
            " Declare data as File, or add it to .gitignore."
        )


def _archive(files: list[tuple[str, Path]]) -> bytes:
    """A tar of names and contents alone: no times, no owners, no modes but executable or not."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, path in files:
            content = path.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755 if path.stat().st_mode & 0o100 else 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
