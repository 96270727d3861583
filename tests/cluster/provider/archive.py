"""An image archive in `docker save`'s form, from a handful of files.

Comes in: files, or an archive to be read. Goes out: an archive that containerd, buildah and Docker import; the same
files give the same bytes.
"""

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .interface import ClusterError

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def write_archive(target: Path, name: str, files: Mapping[str, Path | bytes], config: Mapping[str, Any]) -> None:
    """Write an image of one layer.

    Args:
        target: The archive.
        name: The image's name and tag.
        files: Content by absolute path; all are readable and executable by everyone.
        config: Docker's: `Entrypoint`, `User`, `Env`.
    """
    layer = _layer(files)
    digest = hashlib.sha256(layer).hexdigest()
    described = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": dict(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "fireworks"}],
    }
    text = json.dumps(described, sort_keys=True).encode()
    config_name, layer_name = f"{hashlib.sha256(text).hexdigest()}.json", f"{digest}/layer.tar"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": [layer_name]}]).encode()
    with tarfile.open(target, "w") as archive:
        for member, content in ((config_name, text), (layer_name, layer), ("manifest.json", manifest)):
            _add(archive, member, content, 0o644)


def read_names(archive: Path) -> list[str]:
    """The names of an archive's images, in the form of `docker save` or of an OCI layout.

    Raises:
        ClusterError: If it is neither.
    """
    try:
        with tarfile.open(archive) as file:
            members = set(file.getnames())
            if "manifest.json" in members:
                return [name for one in _json(file, "manifest.json") for name in one.get("RepoTags") or []]
            listed = [one.get("annotations", {}) for one in _json(file, "index.json")["manifests"]]
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise ClusterError(
            f"an image archive must be what `docker save` writes, but {archive} is not ({error})."
        ) from error
    return [name for one in listed if (name := one.get("org.opencontainers.image.ref.name"))]


def _json(archive: tarfile.TarFile, member: str) -> Any:
    file = archive.extractfile(member)
    if file is None:
        raise KeyError(member)
    return json.load(file)


def _layer(files: Mapping[str, Path | bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as layer:
        folders = {str(folder) for path in files for folder in Path(path).parents if str(folder) != "/"}
        for folder in sorted(folders):
            entry = tarfile.TarInfo(folder.lstrip("/"))
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            layer.addfile(entry)
        for path, content in sorted(files.items()):
            _add(layer, path.lstrip("/"), content.read_bytes() if isinstance(content, Path) else content, 0o755)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
