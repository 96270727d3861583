"""What every `Store` must do, as tests to subclass.

::

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def store(self, tmp_path: Path) -> Store:
            return open_store(tmp_path)

Comes in: a fixture that gives an empty store. Goes out: run by pytest.
"""

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from threading import Barrier

import pytest
from blake3 import blake3

from ..errors import ObjectNotFound, StoreError
from ..records import ObjectRecord
from ..store import Data, Store

__all__ = ["HOSTILE_KEYS", "ODD_KEYS", "StoreConformance", "kill_writer"]

HOSTILE_KEYS = (
    *("", "/", "/etc/passwd", "a/", "/a", "a//b", ".", "..", "../a", "a/../b", "a/..", "a/./b", "..\\a", "a\\b"),
    *("a\0b", "a\nb", "a\x1bb", "a\x7fb", "a\ud800b", ".fw-1", "a/.fw-1/b", "x" * 256, "/".join(["x" * 100] * 11)),
)
"""Keys that a store must refuse, before it does anything."""

ODD_KEYS = (
    *("a b", "é/ü", "%2e%2e/x", "a+b=c&d?e*f", "a:b", "~a", "[a]", "a#1", "…", "-rf", "a'b\"c", "x" * 255, ".hidden"),
)
"""Keys that a store must hold, however strange."""

LARGE_BYTES = 35 * 2**20 + 7  # Two whole parts of a multipart upload and a piece.
CREATORS = 32
ROUNDS = 3

_WRITER = """
import sys, time
from fireworks.store import open_store

def blocks():
    for _ in range(40):
        yield b"x" * 2**20
    print("written", flush=True)
    time.sleep(600)

open_store(sys.argv[1]).put(sys.argv[2], blocks())
"""


def kill_writer(url: str, key: str) -> None:
    """Start a process that puts an object, and kill it (-9) when 40 MiB of it have gone."""
    with subprocess.Popen([sys.executable, "-c", _WRITER, url, key], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"written\n"
        finally:
            writer.kill()
    assert writer.returncode == -9


def _record(key: str, data: bytes) -> ObjectRecord:
    return ObjectRecord(key=key, size_bytes=len(data), hash=blake3(data).hexdigest())


def _large() -> bytes:
    return bytes(range(251)) * (LARGE_BYTES // 251) + b"end" * (LARGE_BYTES % 251)


class StoreConformance:
    """Subclass, name it ``Test…``, and give it a fixture `store`: an empty store, a new one for each test."""

    @pytest.fixture
    def store(self) -> Store:
        """An empty store."""
        raise NotImplementedError

    @pytest.mark.parametrize("size", [0, 1, 4096, 2**20 + 1])
    def test_what_is_put_can_be_read(self, store: Store, size: int) -> None:
        data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        assert _record("a/b", data) == store.put("a/b", data)
        assert data == store.get("a/b")
        assert data == b"".join(store.stream("a/b"))
        assert size == store.size("a/b")
        assert store.exists("a/b")

    def test_every_kind_of_data_is_the_same_object(self, store: Store, tmp_path: Path) -> None:
        data = bytes(range(256)) * 9
        file = tmp_path / "data"
        file.write_bytes(data)
        pieces = [data[:1], b"", data[1:1000], data[1000:]]
        with file.open("rb") as opened:
            kinds: list[Data] = [data, bytearray(data), memoryview(data), file, opened]
            kinds += [io.BytesIO(data), pieces, iter(pieces)]
            records = [store.put("same", kind) for kind in kinds]
        assert [_record("same", data)] * 8 == records
        assert data == store.get("same")

    def test_a_file_is_put_from_where_it_stands(self, store: Store) -> None:
        file = io.BytesIO(b"headbody")
        file.seek(4)
        store.put("body", file)
        assert store.get("body") == b"body"

    def test_a_large_stream_arrives_whole(self, store: Store) -> None:
        data = _large()
        pieces = (data[at : at + 3_000_000] for at in range(0, len(data), 3_000_000))
        assert _record("large", data) == store.put("large", pieces)
        assert len(data) == store.size("large")
        assert data == store.get("large")
        hash_ = blake3()
        for block in store.stream("large"):
            hash_.update(block)
        assert blake3(data).hexdigest() == hash_.hexdigest()
        ranges = [(0, 9), (2**20, 2**24 + 5), (len(data) - 3, len(data) + 9), (17, 17), (5, 30_000_000)]
        assert [data[start:end] for start, end in ranges] == store.get_ranges("large", ranges)

    def test_a_put_replaces(self, store: Store) -> None:
        store.put("a", b"first, and longer")
        before = store.head("a")
        assert _record("a", b"second") == store.put("a", b"second")
        assert store.get("a") == b"second"
        assert before.etag is None or before.etag != store.head("a").etag

    def test_what_reading_the_data_raises_comes_out_and_nothing_is_left(self, store: Store) -> None:
        def torn(blocks: int, error: Exception) -> Iterator[bytes]:
            yield from [b"x" * 2**20] * blocks
            raise error

        for blocks in (0, 1, 40):
            for error in (ZeroDivisionError("mine"), FileNotFoundError("mine"), ObjectNotFound("mine")):
                with pytest.raises(type(error), match=r"^mine$"):
                    store.put("torn", torn(blocks, error))
        assert not store.exists("torn")
        assert list(store.list("")) == []

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_odd_keys(self, store: Store, key: str) -> None:
        store.put(key, b"1")
        assert store.get(key) == b"1"
        assert not store.put_if_absent(key, b"2")
        assert [key] == [info.key for info in store.list("")]
        store.delete([key])
        assert not store.exists(key)

    @pytest.mark.parametrize("key", HOSTILE_KEYS)
    def test_hostile_keys(self, store: Store, key: str) -> None:
        calls: list[Callable[[str], object]] = [
            lambda key: store.put(key, b"x"),
            lambda key: store.put_if_absent(key, b"x"),
            store.get,
            lambda key: store.get_range(key, 0, 1),
            lambda key: list(store.stream(key)),
            store.size,
            store.exists,
            lambda key: store.delete(["fine", key]),
            store.local_path,
            lambda key: store.delete_prefix(key + "/"),
            lambda key: list(store.list(key + "/")),
        ]
        for call in calls:
            with pytest.raises(StoreError, match="a key must") as caught:
                call(key)
            assert not isinstance(caught.value, ObjectNotFound)
        assert list(store.list("")) == []

    def test_ranges(self, store: Store) -> None:
        data = bytes(range(256))
        store.put("a", data)
        ranges = [(250, 256), (0, 1), (5, 5), (3, 9), (4, 200), (255, 300), (256, 300), (1000, 2000)]
        assert [data[start:end] for start, end in ranges] == store.get_ranges("a", ranges)
        assert data[7:11] == store.get_range("a", 7, 11)
        assert store.get_ranges("a", []) == []
        store.put("empty", b"")
        assert store.get_range("empty", 0, 10) == b""

    @pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 4), (-3, -1)])
    def test_ranges_that_are_none(self, store: Store, start: int, end: int) -> None:
        store.put("a", b"123456")
        with pytest.raises(StoreError, match=f"0 <= start <= end, but got {start}:{end}"):
            store.get_range("a", start, end)

    def test_a_missing_key(self, store: Store) -> None:
        store.put("a/b", b"x")
        calls: list[Callable[[str], object]] = [
            store.get,
            lambda key: store.get_range(key, 0, 1),
            lambda key: store.get_range(key, 0, 0),
            lambda key: list(store.stream(key)),
            store.size,
        ]
        for key in ("nothing", "a", "a/b/c", "a/bb"):
            for call in calls:
                with pytest.raises(ObjectNotFound, match=f"has no '{key}'"):
                    call(key)
            assert not store.exists(key)

    def test_listing_is_by_folder_and_sorted(self, store: Store) -> None:
        keys = ["b", "a/2", "a/1", "ab/1", "a b", "a/c/1", "a/c/d/1", "a-b/1"]
        for key in keys:
            store.put(key, key.encode())
        assert sorted(keys) == [info.key for info in store.list("")]
        for prefix in ("a", "a/"):
            assert [info.key for info in store.list(prefix)] == ["a/1", "a/2", "a/c/1", "a/c/d/1"]
            assert store.list_folders(prefix) == ["a/c"]
        assert store.list_folders("") == ["a", "a-b", "ab"]
        assert list(store.list("b")) == []
        assert list(store.list("nothing")) == []
        assert store.list_folders("nothing") == []
        (info,) = store.list("a/c/d")
        assert len("a/c/d/1") == info.size_bytes
        assert info == store.head("a/c/d/1")
        assert abs(info.modified_at - next(iter(store.list("a"))).modified_at) < 60

    def test_more_objects_than_a_server_lists_at_once(self, store: Store) -> None:
        keys = [f"many/{number:04}" for number in range(1100)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: store.put(key, b""), keys))
        assert keys == [info.key for info in store.list("many")]
        assert len(keys) == store.delete_prefix("many")
        assert list(store.list("many")) == []

    def test_deleting(self, store: Store) -> None:
        for key in ("a/1", "a/2", "ab/1"):
            store.put(key, b"x")
        store.delete(["a/1", "nothing", "a/nothing"])
        store.delete([])
        assert [info.key for info in store.list("")] == ["a/2", "ab/1"]
        store.put("a/1", b"again")
        assert store.delete_prefix("a") == 2
        assert store.delete_prefix("a/") == 0
        assert [info.key for info in store.list("")] == ["ab/1"]
        with pytest.raises(StoreError, match="must name a folder"):
            store.delete_prefix("")

    def test_put_if_absent(self, store: Store) -> None:
        assert store.put_if_absent("a/record", b"first")
        assert not store.put_if_absent("a/record", b"second")
        assert not store.put_if_absent("a/record", b"first")
        assert store.get("a/record") == b"first"
        store.delete(["a/record"])
        assert store.put_if_absent("a/record", b"third")

    def test_of_many_creators_one_wins(self, store: Store) -> None:
        def create(round_: int, creator: int) -> bool:
            start.wait()
            return store.put_if_absent(f"race/{round_}/record", b"%d" % creator * 1000)

        start = Barrier(CREATORS)
        with ThreadPoolExecutor(CREATORS) as pool:
            for round_ in range(ROUNDS):
                won = list(pool.map(create, [round_] * CREATORS, range(CREATORS)))
                assert sum(won) == 1
                assert b"%d" % won.index(True) * 1000 == store.get(f"race/{round_}/record")
        assert len(list(store.list(""))) == ROUNDS

    def test_readers_see_whole_objects_while_they_are_replaced(self, store: Store) -> None:
        versions = [b"a" * 300_000, b"b" * 200_000]
        store.put("busy", versions[0])
        with ThreadPoolExecutor(4) as pool:
            writes = [pool.submit(store.put, "busy", versions[number % 2]) for number in range(40)]
            seen = {store.get("busy") for _ in range(40)}
            assert seen <= set(versions)
            for write in writes:
                write.result()

    def test_a_killed_writer_leaves_nothing(self, store: Store) -> None:
        if store.url.startswith("memory:"):
            pytest.skip("memory dies with its writer")
        store.put("before", b"x")
        kill_writer(store.url, "a/torn")
        kill_writer(store.url, "before")
        assert [info.key for info in store.list("")] == ["before"]
        assert store.get("before") == b"x"
        assert not store.exists("a/torn")
        assert store.put_if_absent("a/torn", b"whole")
        assert store.get("a/torn") == b"whole"

    def test_a_local_path_is_the_object(self, store: Store) -> None:
        store.put("a/b", b"content")
        path = store.local_path("a/b")
        assert store.url.startswith("file:") == (path is not None)
        if path is not None:
            assert path.read_bytes() == b"content"

    def test_a_store_travels_as_its_url(self, store: Store) -> None:
        store.put("a", b"x")
        again = ForkingPickler.loads(ForkingPickler.dumps(store))
        assert store.url == again.url
        assert store.patience_s == again.patience_s
        assert again.get("a") == b"x"
