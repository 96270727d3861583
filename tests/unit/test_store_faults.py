"""What a store says when its server, its network or its disk fails, and that it goes on where it can."""

import errno
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid

import pytest

from fireworks.errors import (
    BadSignature,
    FireworksError,
    ObjectNotFound,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
    TransientError,
)
from fireworks.store import open_store
from fireworks.store.faults import from_os
from fireworks.store.remote import PART_BYTES
from proxying import proxied

LARGE = bytes(range(256)) * (2 * PART_BYTES // 256) + b"rest"

CALLS = {
    "put": lambda store: store.put("new", b"x"),
    "put a large object": lambda store: store.put("new", LARGE),
    "put_if_absent": lambda store: store.put_if_absent("new", b"x"),
    "get": lambda store: store.get("old"),
    "get_ranges": lambda store: store.get_ranges("old", [(0, 1), (2, 3)]),
    "stream": lambda store: list(store.stream("old")),
    "head": lambda store: store.head("old"),
    "exists": lambda store: store.exists("old"),
    "list": lambda store: list(store.list("")),
    "list_folders": lambda store: store.list_folders(""),
    "delete": lambda store: store.delete(["old"]),
    "delete_prefix": lambda store: store.delete_prefix("folder"),
}
calls = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


@pytest.fixture
def proxy(s3_environment, monkeypatch):
    with proxied(s3_environment.endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
        yield proxy


@pytest.fixture
def url(s3_store):
    """A store on the real server, with an object and a folder in it."""
    s3_store.put("old", b"content")
    s3_store.put("folder/old", b"content")
    return s3_store.url


def one_line(error):
    text = str(error)
    assert "\n" not in text
    assert len(text) < 400
    return text


@calls
def test_bursts_of_server_errors_are_waited_out(url, proxy, call):
    expected = call(open_store(url)) if call in (CALLS["get"], CALLS["list"], CALLS["head"]) else None
    proxy.faults.extend(["503", "500"])
    actual = call(open_store(url, patience_s=30))
    assert expected in (None, actual)
    assert len(proxy.requests) > 2


@calls
def test_patience_runs_out(url, proxy, call):
    proxy.always("503")
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match="the store must answer") as caught:
        call(open_store(url, patience_s=0.25))
    assert time.monotonic() - started < 5
    assert isinstance(caught.value, TransientError)
    assert isinstance(caught.value, ConnectionError)
    text = one_line(caught.value)
    assert url in text
    assert "503" in text
    assert proxy.endpoint.removeprefix("http://") in text


def test_a_stalled_read_meets_its_timeout(url, proxy):
    proxy.faults.append("stall")
    store = open_store(url, patience_s=30, timeout_s=0.5)
    started = time.monotonic()
    assert store.get("old") == b"content"
    assert 0.5 < time.monotonic() - started < 6
    assert len(proxy.requests) == 2


def test_a_read_that_always_stalls(url, proxy):
    proxy.always("stall")
    started = time.monotonic()
    with pytest.raises(StoreUnavailable, match="timed out"):
        open_store(url, patience_s=1.5, timeout_s=0.5).get("old")
    assert time.monotonic() - started < 6


def test_a_torn_answer_is_asked_for_again(url, proxy):
    open_store(url).put("large", LARGE)
    proxy.faults.extend(["truncate", None, "truncate"])
    store = open_store(url, patience_s=30)
    assert store.get("large") == LARGE
    proxy.faults.append("truncate")
    assert b"".join(store.stream("large")) == LARGE
    proxy.faults.append("truncate")
    assert store.get_ranges("large", [(5, 20_000_000)]) == [LARGE[5:20_000_000]]


def test_an_answer_that_is_always_torn(url, proxy):
    proxy.always("truncate")
    with pytest.raises(StoreUnavailable, match="connection lost"):
        open_store(url, patience_s=0.5).get("old")


@pytest.mark.parametrize("fault", ["lose", "conflict", "503", "truncate"])
def test_a_creation_whose_answer_is_lost_counts_as_ours(url, proxy, fault):
    proxy.faults.append(fault)
    store = open_store(url, patience_s=30)
    assert store.put_if_absent("record", b"mine")
    assert not store.put_if_absent("record", b"another's")
    assert store.get("record") == b"mine"


def test_a_creation_whose_answer_is_lost_does_not_take_another_ones_place(url, proxy):
    store = open_store(url, patience_s=30)
    store.put("record", b"another's")
    proxy.faults.append("lose")
    assert not store.put_if_absent("record", b"mine")
    assert store.get("record") == b"another's"


def test_an_object_that_is_replaced_while_it_is_read(url):
    store = open_store(url)
    store.put("large", LARGE)
    reading = store.stream("large")
    next(reading)
    store.put("large", LARGE[::-1])
    with pytest.raises(StoreError, match=r"'large' of .* was replaced"):
        list(reading)


def test_a_server_that_is_away_for_a_while(url, s3_environment, monkeypatch):
    with proxied(s3_environment.endpoint) as proxy:
        endpoint = proxy.endpoint
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    found = []
    reader = threading.Thread(target=lambda: found.append(open_store(url, patience_s=30).get("old")))
    reader.start()
    time.sleep(0.7)
    assert found == []
    with proxied(s3_environment.endpoint, int(endpoint.rpartition(":")[2])):
        reader.join(20)
    assert found == [b"content"]


@calls
def test_an_unreachable_server(url, monkeypatch, call):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(StoreUnavailable, match=rf"127\.0\.0\.1:{port} did not \(no connection\). Check the network"):
        call(open_store(url, patience_s=0.3))


@calls
@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_SECRET_ACCESS_KEY", "hunter2hunter2"), ("AWS_ACCESS_KEY_ID", "nobody"), ("AWS_SESSION_TOKEN", "tok3n")],
)
def test_wrong_credentials(url, monkeypatch, call, name, value):
    monkeypatch.setenv(name, value)
    store = open_store(url)
    with pytest.raises(BadSignature, match="AWS_SECRET_ACCESS_KEY") as caught:
        call(store)
    assert isinstance(caught.value, PermissionError)
    for text in (one_line(caught.value), repr(caught.value), repr(store), store.url):
        assert "hunter2" not in text
        assert "tok3n" not in text
        assert "writer-secret" not in text


def test_no_credentials(url, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(BadSignature, match=r"none are set\). Check AWS_ACCESS_KEY_ID"):
        open_store(url).get("old")


def test_a_clock_that_is_wrong(url, proxy):
    proxy.always("skew")
    with pytest.raises(BadSignature, match=r"RequestTimeTooSkewed, 403\).*the clock"):
        open_store(url).get("old")


@pytest.mark.parametrize("name", ["put", "put a large object", "put_if_absent", "delete"])
def test_denied(url, s3_environment, monkeypatch, name):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_environment.reader_access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_environment.reader_secret_key)
    store = open_store(url)
    assert store.get("old") == b"content"
    with pytest.raises(
        StoreDenied, match=r"these credentials may not access '(new|old)' of s3://.*AccessDenied"
    ) as caught:
        CALLS[name](store)
    assert not isinstance(caught.value, BadSignature)
    one_line(caught.value)


@calls
def test_a_missing_bucket(s3_environment, call):
    with pytest.raises(
        StoreError, match=r"the bucket must exist, .* none for s3://no-bucket-here/x. Create it"
    ) as caught:
        call(open_store("s3://no-bucket-here/x", patience_s=5))
    assert not isinstance(caught.value, ObjectNotFound)


@pytest.mark.parametrize("fault", ["507", "quota"])
@pytest.mark.parametrize("name", ["put", "put a large object", "put_if_absent"])
def test_a_full_server(url, proxy, fault, name):
    proxy.always(fault)
    with pytest.raises(StoreFull, match="no space or quota is left for 'new'"):
        CALLS[name](open_store(url, patience_s=1))


def test_a_bucket_that_is_elsewhere(url, proxy):
    proxy.always("redirect")
    with pytest.raises(StoreError, match=r"refused .*redirect.*AWS_REGION"):
        open_store(url, patience_s=5).get("old")


FILL = """
import pathlib, resource, sys
from fireworks.errors import StoreFull
from fireworks.store import open_store

root = pathlib.Path(sys.argv[1])
store = open_store(root)
store.put("a/before", b"kept")
if sys.argv[2] == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
for put in (lambda: store.put("a/new", [b"x" * 4096] * 1000), lambda: store.put_if_absent("b/new", b"x" * 4_000_000)):
    try:
        put()
    except StoreFull as error:
        print(error)
assert [info.key for info in store.list("")] == ["a/before"]
assert sorted(path.name for path in root.rglob("*") if path.is_file()) == ["before"]
store.put("a/after", b"small")
"""


def fills(command):
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    assert len(lines) == 2
    assert re.match("no space is left for 'a/new' of file:.*Free some", lines[0])
    assert re.match("no space is left for 'b/new' of file:.*Free some", lines[1])


def test_a_quota_on_files(tmp_path):
    fills([sys.executable, "-c", FILL, str(tmp_path), "limit"])


def test_a_full_disk(tmp_path):
    disk = [
        "unshare",
        "--mount",
        "--map-root-user",
        "sh",
        "-ec",
        'mount -t tmpfs -o size=1m tmpfs "$1"; shift; exec "$@"',
    ]
    disk += ["sh", str(tmp_path)]
    if subprocess.run([*disk, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a small disk")
    fills([*disk, sys.executable, "-c", FILL, str(tmp_path), "disk"])


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StoreFull),
        (errno.EDQUOT, StoreFull),
        (errno.EACCES, StoreDenied),
        (errno.EROFS, StoreDenied),
        (errno.ENOENT, ObjectNotFound),
        (errno.ENOTDIR, ObjectNotFound),
        (errno.EISDIR, ObjectNotFound),
        (errno.EIO, StoreError),
        (errno.ENAMETOOLONG, StoreError),
    ],
)
def test_errors_of_the_file_system(number, kind):
    error = from_os(OSError(number, "said by the system"), "file:///store", "a/b")
    assert type(error) is kind
    assert isinstance(error, FireworksError)
    assert "'a/b'" in one_line(error)
    assert "file:///store" in str(error)


def test_faults_name_a_store_that_opens_again(url):
    with pytest.raises(ObjectNotFound) as caught:
        open_store(url).get(f"nothing-{uuid.uuid4().hex}")
    assert open_store(str(re.search(r"s3://\S+", str(caught.value))[0])).get("old") == b"content"


@pytest.mark.parametrize("name", ["get", "get_ranges", "list", "put a large object"])
def test_a_signal_does_not_wait_for_the_server(url, proxy, name):
    def stop(*_):
        raise KeyboardInterrupt

    proxy.always("503" if name.startswith("put") else "stall")
    store = open_store(url, patience_s=30, timeout_s=15)
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    started = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            CALLS[name](store)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert time.monotonic() - started < 5
