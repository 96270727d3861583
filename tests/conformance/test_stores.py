"""Every kind of store does what `fireworks.testing.stores` asks.

Comes in: stores in a folder, in memory, on a real S3 server. Goes out: pass or fail.
"""

import uuid
from pathlib import Path

import pytest

from fireworks.store import Store, open_store
from fireworks.testing.stores import StoreConformance


class TestFileStore(StoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_store(tmp_path / "a store")


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def store(self) -> Store:
        return open_store(f"memory://{uuid.uuid4().hex}")


class TestS3Store(StoreConformance):
    @pytest.fixture
    def store(self, s3_store: Store) -> Store:
        return s3_store


def test_a_store_at_the_root_of_a_bucket(s3_environment: object) -> None:
    store = open_store("s3://fw-tests")
    key = f"{uuid.uuid4().hex}/a"
    store.put(key, b"x")
    assert key in [info.key for info in store.list("")]
    assert store.get(key) == b"x"
