"""From URLs to stores."""

import threading
import uuid
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from fireworks.errors import ObjectNotFound, StoreDenied, StoreError
from fireworks.store import open_store


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        """Tests are quiet."""


@pytest.fixture
def web(tmp_path):
    """The URL of a web server over a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["plain", "with space", "ünï", "per%20cent", "a#b?c"])
def test_a_folder_by_path_and_by_url(tmp_path, name):
    folder = tmp_path / name
    open_store(folder).put("key", b"x")
    assert (folder / "key").read_bytes() == b"x"
    for again in (str(folder), open_store(folder).url):
        assert open_store(again).get("key") == b"x"
        assert open_store(again).url == open_store(folder).url


def test_a_relative_path_is_made_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_store("here").url == (tmp_path / "here").as_uri()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_store("~/there").url == (tmp_path / "there").as_uri()
    assert open_store(Path("here")).url == open_store("here/").url


def test_memories_of_one_name_are_one():
    name = uuid.uuid4().hex
    open_store(f"memory://{name}").put("key", b"x")
    assert open_store(f"memory://{name}/").get("key") == b"x"
    assert not open_store(f"memory://{name}/other").exists("key")


def test_settings_reach_the_store(tmp_path, s3_environment):
    for url in (tmp_path, "memory://settings", f"s3://{s3_environment.bucket}"):
        assert open_store(url).patience_s == 600
        assert open_store(url, patience_s=7).patience_s == 7


def test_a_web_server_can_be_read_from(web, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"0123456789")  # From a server that knows no ranges.
    store = open_store(f"{web}/folder")
    assert store.get("file") == b"0123456789"
    assert b"".join(store.stream("file")) == b"0123456789"
    assert store.get_ranges("file", [(8, 20), (2, 4), (3, 3)]) == [b"89", b"23", b""]
    assert store.head("file").size_bytes == 10
    assert not store.exists("nothing")
    with pytest.raises(ObjectNotFound, match="has no 'nothing'"):
        store.get("nothing")
    for write in (lambda: store.put("a", b""), lambda: store.put_if_absent("a", b""), lambda: store.delete(["file"])):
        with pytest.raises(StoreDenied, match="a web server can only be read from"):
            write()
    assert (tmp_path / "folder" / "file").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mem://name", r"got 'mem'\. Did you mean 'memory'\?"),
        ("ftp://host/x", "must begin with one of file, http, https, memory, s3, but got 'ftp'"),
        ("s3://", "must name a place"),
        ("s3:///prefix", "must name a place"),
        ("memory://", "must name a place"),
        ("file://host/path", "an absolute path and no host"),
        ("file://", "an absolute path and no host"),
        ("s3://bucket/a/../b", r"have no '\.', '\.\.' or backslash"),
        ("s3://user:hunter2@bucket", "no user, password, query or fragment, but that of s3://bucket does"),
        ("https://user:hunter2@host/x", "no user, password"),
        ("https://host/x?token=hunter2", "query"),
        ("s3://bucket/x#hunter2", "fragment"),
    ],
)
def test_urls_of_no_store(url, message):
    with pytest.raises(StoreError, match=message) as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
