"""etcd's data with Argo's schemas in it: the API server takes ten seconds and more for them, so they are kept.

Comes in: built programs. Goes out: a folder in the cache; every start begins with a copy of it.
"""

import json
import os
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path

from . import argo, control_plane
from .commands import Kubectl, wait_until
from .daemons import Supervisor
from .settings import NODE_IP, SERVICE_NETWORK, Settings

_DAEMONS = ("kube-apiserver", "etcd")


def kept(settings: Settings) -> Path:
    """Where it is, once made: another for other versions and addresses."""
    made_of = json.dumps([dict(settings.versions), NODE_IP, SERVICE_NETWORK], sort_keys=True)
    return settings.cache / f"api-data-{sha256(made_of.encode()).hexdigest()[:12]}"


def make(settings: Settings, supervisor: Supervisor, kubectl: Kubectl, group: Path) -> None:
    """Run an API server of its own until it has the schemas. Nothing else may run yet."""
    for daemon in (control_plane.etcd(settings), control_plane.api_server(settings)):
        supervisor.start(daemon, group)
    wait_until(kubectl.answers, "the API server must get ready", 90, supervisor.check)
    argo.create_schemas(settings, kubectl)
    for name in _DAEMONS:
        supervisor.stop(name, limit_s=10, kill=True)
    # etcd was told not to wait for the disk, but this is to outlive the machine's power.
    os.sync()
    folder = kept(settings)
    with tempfile.TemporaryDirectory(prefix=f"{folder.name}.part-", dir=folder.parent) as work:
        # Within the cache it appears whole, or not at all.
        Path(shutil.move(control_plane.etcd_data(settings), work)).rename(folder)


def put(settings: Settings) -> None:
    """Where etcd looks for it when it starts."""
    shutil.copytree(kept(settings), control_plane.etcd_data(settings))
