"""Keys, ranges and blocks: the arithmetic of a store."""

import io

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from fireworks.errors import StoreError
from fireworks.store.blocks import Upload
from fireworks.store.keys import check_key, check_prefix, plan_requests

offsets = st.integers(0, 200)
ranges = st.lists(st.tuples(offsets, offsets).map(lambda pair: (min(pair), max(pair))), max_size=12)


@given(ranges, st.integers(0, 30), st.integers(1, 50))
def test_requests_cover_the_ranges_and_little_more(wanted, gap, most):
    requests = plan_requests(wanted, gap, most)
    fetched = {at for start, end in requests for at in range(start, end)}
    needed = {at for start, end in wanted for at in range(start, end)}
    assert needed <= fetched
    assert sum(end - start for start, end in requests) == len(fetched)
    assert all(0 < end - start <= most for start, end in requests)
    assert sorted(requests) == requests
    # Every byte that nobody asked for lies in a gap that was worth bridging.
    for at in fetched - needed:
        before = max(end for _, end in wanted if end <= at)
        after = min(start for start, end in wanted if start > at and start < end)
        assert after - before <= gap


@given(st.lists(st.binary(max_size=40), max_size=10), st.integers(1, 16))
def test_blocks_are_equal_and_lose_nothing(pieces, size):
    whole = b"".join(pieces)
    for data in (pieces, iter(pieces), whole, bytearray(whole), memoryview(whole), io.BytesIO(whole)):
        upload = Upload(data, size)
        blocks = [bytes(block) for block in upload]
        assert b"".join(blocks) == whole
        assert [len(block) for block in blocks[:-1]] == [size] * (len(blocks) - 1)
        assert all(blocks)
        record = upload.record("key")
        assert (record.key, record.size_bytes, record.hash) == ("key", len(whole), blake3(whole).hexdigest())


def test_a_view_of_wider_items_is_put_as_its_bytes():
    view = memoryview(bytes(range(16))).cast("I")
    assert b"".join(Upload(view, 5)) == bytes(range(16))


@given(st.text(max_size=20))
def test_a_key_is_refused_or_safe_below_any_folder(key):
    try:
        assert check_key(key) == key
    except StoreError as error:
        assert "\n" not in str(error)
        return
    parts = key.split("/")
    assert not {"", ".", ".."} & set(parts)
    assert key.isprintable() or not any(ord(letter) < 32 for letter in key)
    key.encode()


@pytest.mark.parametrize(("prefix", "folder"), [("", ""), ("a", "a"), ("a/", "a"), ("a/b/", "a/b")])
def test_prefixes_are_folders(prefix, folder):
    assert check_prefix(prefix) == folder


@pytest.mark.parametrize("prefix", ["/", "a//", "..", "../", "/a"])
def test_prefixes_that_are_none(prefix):
    with pytest.raises(StoreError, match="a key must"):
        check_prefix(prefix)
