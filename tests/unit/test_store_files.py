"""What only a store in a folder must do: temporary files, the order of syncs, what a path may be."""

import os
import time
from pathlib import Path

import pytest

from fireworks.errors import ObjectNotFound, StoreError
from fireworks.store import open_store
from fireworks.store.keys import STAGING

TEMPORARY = f"{STAGING}{'0' * 32}.tmp"


def test_uploads_under_way_are_never_seen(tmp_path):
    store = open_store(tmp_path)

    def watched():
        yield b"x"
        (staged,) = (tmp_path / "a").iterdir()
        assert staged.name.startswith(STAGING)
        assert list(store.list("")) == []
        assert store.list_folders("") == []
        assert not store.exists("a/new")

    store.put("a/new", watched())
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["new"]


def test_an_object_is_synced_before_it_is_seen_and_its_folder_after(tmp_path, monkeypatch):
    store, events = open_store(tmp_path), []

    def log(owner, name, describe):
        original = getattr(owner, name)

        def logged(*args, **kwargs):
            result = original(*args, **kwargs)
            events.append(describe(*args))
            return result

        monkeypatch.setattr(owner, name, logged)

    def synced(handle):
        path = Path(f"/proc/self/fd/{handle}").readlink()
        return f"sync {'upload' if path.name.startswith(STAGING) else path.relative_to(tmp_path)}"

    log(os, "fsync", synced)
    log(Path, "replace", lambda _, target: f"show {target.name}")
    log(os, "link", lambda _, target: f"show {target.name}")
    store.put("a/b/put", b"x")
    assert events == ["sync .", "sync a", "sync upload", "show put", "sync a/b"]
    events.clear()
    store.put_if_absent("a/b/created", b"x")
    assert events == ["sync upload", "show created", "sync a/b"]


def test_what_lost_writers_left_goes_with_its_folder_but_not_what_is_being_written(tmp_path):
    store = open_store(tmp_path)
    store.put("a/b/old", b"x")
    stale, fresh = tmp_path / "a/b" / TEMPORARY, tmp_path / "a" / TEMPORARY
    stale.write_bytes(b"torn")
    fresh.write_bytes(b"torn")
    os.utime(stale, (time.time() - 7200,) * 2)
    assert store.delete_prefix("a") == 1
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "a", fresh]


def test_empty_folders_go_with_their_last_object_but_the_store_stays(tmp_path):
    store = open_store(tmp_path / "store")
    store.put("a/b/c", b"x")
    store.put("a/d", b"x")
    store.delete(["a/b/c"])
    assert not (tmp_path / "store/a/b").exists()
    store.delete(["a/d"])
    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.parametrize("write", ["put", "put_if_absent"])
@pytest.mark.parametrize("key", ["a", "a/b/c"])
def test_a_key_is_no_folder_and_lies_under_no_object(tmp_path, write, key):
    store = open_store(tmp_path)
    store.put("a/b", b"x")
    with pytest.raises(StoreError, match=f"cannot be a folder or lie under an object, but '{key}'") as caught:
        getattr(store, write)(key, b"y")
    assert not isinstance(caught.value, ObjectNotFound)
    store.delete([key])
    assert [info.key for info in store.list("")] == ["a/b"]


@pytest.mark.parametrize("write", ["put", "put_if_absent"])
@pytest.mark.parametrize(("place", "reason"), [("/proc/x/y", "No such file"), ("file", "File exists")])
def test_a_store_where_no_folder_can_be_made_says_so(tmp_path, write, place, reason):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(StoreError, match=f"{place} cannot be created there .{reason}"):
        getattr(open_store(tmp_path / place), write)("a/b", b"y")


def test_a_store_that_was_never_written_to_is_empty(tmp_path):
    store = open_store(tmp_path / "nowhere")
    assert list(store.list("")) == []
    assert store.list_folders("") == []
    assert not store.exists("a")
    store.delete(["a"])
    assert not (tmp_path / "nowhere").exists()


def test_a_reader_keeps_the_object_it_opened(tmp_path):
    store = open_store(tmp_path)
    store.put("a", b"old" * 10_000_000)
    reading = store.stream("a")
    start = next(reading)
    store.put("a", b"new")
    assert start + b"".join(reading) == b"old" * 10_000_000


def test_only_files_are_objects(tmp_path):
    store = open_store(tmp_path)
    store.put("a", b"x")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert [info.key for info in store.list("")] == ["a"]
    assert not store.exists("pipe")
