"""What differs between places: ``[tool.fireworks]`` of a project's ``pyproject.toml``.

::

    [tool.fireworks]                  # for every place
    store = "results"                 # relative to the project folder, or a URL

    [tool.fireworks.profile.lab]      # laid over it by --profile lab or FIREWORKS_PROFILE=lab
    store = "s3://lab/fireworks"
    workers = 16

Plans embed none of it. Comes in: the project folder. Goes out: `Profile` to `fireworks.cli` and the runners.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from ..errors import ProfileError, did_you_mean

__all__ = ["RUNNERS", "Profile", "RunnerName", "find_project", "load_profile"]

RunnerName = Literal["inprocess", "processes", "container"]
RUNNERS: tuple[RunnerName, ...] = get_args(RunnerName)
_LANDMARKS = ("pyproject.toml", ".git")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The settings of one place.

    Args:
        store: URL or absolute path; ``<project>/.fireworks/store`` unless set.
        workers: Processes or containers at once; None for as many as there are cores.
        runner: One of `RUNNERS`.
        store_in_pods: The store's URL as pods see it.
        namespace: Of Kubernetes.
        context: Of the kubeconfig.
        image: For stages that name none.
        argo_version: The oldest Argo that must understand what is submitted, such as ``4.1``; 3.6 unless set.
        argo_ui: URL of Argo's pages.
        service: URL of the control service.
    """

    store: str
    workers: int | None = None
    runner: RunnerName = "inprocess"
    store_in_pods: str | None = None
    namespace: str | None = None
    context: str | None = None
    image: str | None = None
    argo_version: str | None = None
    argo_ui: str | None = None
    service: str | None = None


def find_project(path: Path | str) -> Path:
    """The project folder of a file or folder: the nearest one at or above it with a pyproject.toml or .git.

    Where there is none, the folder itself, or the folder the file is in.
    """
    start = Path(path).resolve()
    folder = start if start.is_dir() else start.parent
    for candidate in (folder, *folder.parents):
        if any((candidate / landmark).exists() for landmark in _LANDMARKS):
            return candidate
    return folder


def load_profile(project: Path, name: str | None = None) -> Profile:
    """Read the settings of a project, for the place `name`.

    Args:
        project: The project folder.
        name: A profile; by default what FIREWORKS_PROFILE says, else the base settings alone.

    Raises:
        ProfileError: If there is no such profile, or a setting is unknown or of the wrong type.
    """
    file = project / "pyproject.toml"
    settings = _read(file)
    overlays = settings.pop("profile", {})
    if not isinstance(overlays, dict) or not all(isinstance(overlay, dict) for overlay in overlays.values()):
        raise ProfileError(f"a profile must be a table, such as [tool.fireworks.profile.lab], in {file}.")
    profile = _lay(Profile(store=str(project / ".fireworks" / "store")), settings, "tool.fireworks", project)
    name = name or os.environ.get("FIREWORKS_PROFILE") or None
    if name is None:
        return profile
    if name not in overlays:
        known = f" It has {', '.join(sorted(overlays))}." if overlays else " It has none."
        hint = did_you_mean(name, overlays)
        raise ProfileError(f"a profile must exist, but {file} has no [tool.fireworks.profile.{name}].{known}{hint}")
    return _lay(profile, overlays[name], f"tool.fireworks.profile.{name}", project)


def _read(file: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"{file} must be valid TOML, but: {error}.") from error
    tool = document.get("tool", {})
    settings = tool.get("fireworks", {}) if isinstance(tool, dict) else {}
    if not isinstance(settings, dict):
        raise ProfileError(f"[tool.fireworks] must be a table, but got {settings!r} in {file}.")
    return settings


def _lay(profile: Profile, settings: Mapping[str, Any], table: str, project: Path) -> Profile:
    """The profile with these settings laid over it."""
    known = [field.name for field in fields(Profile)]
    changes: dict[str, Any] = {}
    for key, value in settings.items():
        name = key.replace("-", "_")
        if name not in known:
            hint = did_you_mean(name, known) or f" Known are {', '.join(known)}."
            raise ProfileError(f"[{table}] must hold known settings, but got {key!r}.{hint}")
        changes[name] = _check(name, value, table)
    if "store" in changes and "://" not in changes["store"]:
        changes["store"] = str(project / Path(changes["store"]).expanduser())
    return replace(profile, **changes)


def _check(name: str, value: object, table: str) -> object:
    if name == "workers":
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ProfileError(f"`workers` in [{table}] must be a whole number of at least 1, but got {value!r}.")
    elif not isinstance(value, str) or not value:
        raise ProfileError(f"`{name}` in [{table}] must be a text, but got {value!r}. Put it in quotes.")
    elif name == "runner" and value not in RUNNERS:
        hint = did_you_mean(value, RUNNERS)
        raise ProfileError(f"`runner` in [{table}] must be one of {', '.join(RUNNERS)}, but got {value!r}.{hint}")
    return value
