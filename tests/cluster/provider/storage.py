"""The S3 server of a node: SeaweedFS, with one bucket and one user.

Comes in: the `weed` program. Goes out: a daemon whose S3 port pods reach, and no other port of it.
"""

import json
import urllib.error
import urllib.request
from http import HTTPStatus

from .daemons import Daemon
from .packages import find_weed
from .settings import NODE_IP, S3_PORT, Settings

# All but S3 ask for no credentials: they listen on loopback, where pods are not.
_PORTS = {
    "master.port": 9333,
    "master.port.grpc": 19333,
    "volume.port": 9340,
    "volume.port.grpc": 19340,
    "filer.port": 8888,
    "filer.port.grpc": 18888,
    "s3.port.grpc": 18333,
}
INTERNAL_PORTS = dict.fromkeys(_PORTS.values(), "the S3 server")


def server(settings: Settings) -> Daemon:
    """Write its users; returns the daemon. Its data outlives `down`."""
    folder = settings.state / "s3"
    folder.mkdir(parents=True, exist_ok=True)
    storage = settings.storage
    user = {
        "name": "fireworks",
        "credentials": [{"accessKey": storage.access_key, "secretKey": storage.secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    users = settings.run / "s3-users.json"
    users.write_text(json.dumps({"identities": [user]}), encoding="ascii")
    return Daemon(
        "s3",
        (
            *(str(find_weed()), "-logtostderr", "server", f"-dir={folder}", "-filer", "-s3", f"-s3.config={users}"),
            *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.ip.bind={NODE_IP}", f"-s3.port={S3_PORT}"),
            *("-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.autoCreateBucket=false", "-master.telemetry=false"),
            *(f"-s3.localSocket={settings.run}/s3.sock", f"-filer.localSocket={settings.run}/filer.sock"),
            *("-master.volumeSizeLimitMB=1024", "-volume.max=0", "-volume.preStopSeconds=0"),
            # After `kill -9` the one master elects itself, and waits so long for others first.
            "-master.electionTimeout=1s",
            *(f"-{name}={port}" for name, port in _PORTS.items()),
        ),
    )


def make_bucket(settings: Settings) -> bool:
    """Whether the bucket is there now."""
    url = f"http://127.0.0.1:{_PORTS['filer.port']}/buckets/{settings.storage.bucket}/"
    try:
        urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10).close()
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.CONFLICT:  # It is there already.
            return False
    except OSError:
        return False
    return answers(settings)


def answers(settings: Settings) -> bool:
    """Whether S3 is there: it refuses one who has no name."""
    try:
        urllib.request.urlopen(f"{settings.s3_endpoint}/{settings.storage.bucket}", timeout=2).close()
    except urllib.error.HTTPError as error:
        return error.code == HTTPStatus.FORBIDDEN
    except OSError:
        return False
    return False
