"""Declared sources: found, pinned by content, checked when opened."""

import gzip

import pytest

from fireworks import File
from fireworks.errors import SourceChanged, SourceError, SourceNotFound


@pytest.fixture
def folder(tmp_path):
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_glob_is_resolved_in_sorted_order_relative_to_the_folder(folder):
    source = File("*.txt").resolve(folder)
    assert ["a.txt", "b.txt"] == [item.location for item in source.objects]
    assert [5, 5] == [item.size_bytes for item in source.objects]


def test_the_hash_is_of_contents_not_of_names(folder):
    (folder / "copy").write_text("a.txt")
    assert File("a.txt").resolve(folder).hash == File("copy").resolve(folder).hash != File("b.txt").resolve(folder).hash


def test_nothing_there(folder):
    with pytest.raises(SourceNotFound, match=r"a source must exist, but nothing is at .*c\.txt\. Relative paths"):
        File("c.txt").resolve(folder)


@pytest.mark.parametrize(
    ("location", "message"), [("sub", "must be a file, but .*sub is a folder"), ("*.fa", r"no file matches .*\*\.fa")]
)
def test_what_is_wrong_with_a_location_is_said(folder, location, message):
    (folder / "sub").mkdir()
    with pytest.raises(SourceNotFound, match=message):
        File(location).resolve(folder)


def pinned(folder, location="a.txt"):
    file = File(location)
    file.pin(file.resolve(folder), folder)
    return file


def test_a_pinned_source_opens_its_content(folder):
    with pinned(folder).open() as stream:
        assert b"a.txt" == stream.read()


@pytest.mark.parametrize("content", ["A.txt", "longer"])
def test_a_pinned_source_that_changed_is_refused(folder, content):
    file = pinned(folder)
    (folder / "a.txt").write_text(content)
    with pytest.raises(SourceChanged, match="has changed since the plan was made"):
        file.open()


def test_a_pinned_source_that_vanished_is_named(folder):
    file = pinned(folder)
    (folder / "a.txt").unlink()
    with pytest.raises(SourceNotFound, match=r"a\.txt was there when the plan was made and has vanished"):
        file.open()


def test_open_needs_one_file(folder):
    with pytest.raises(SourceError, match=r"stands for 2\. Go through `paths`"):
        pinned(folder, "*.txt").open()


@pytest.mark.parametrize("name", ["plain", "packed.gz"])
def test_gzip_is_told_by_content(tmp_path, name):
    data = b"ACGT"
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    with pinned(tmp_path, name).open(decompress=True) as stream:
        assert data == stream.read()


def test_an_object_of_a_store_is_pinned_by_version(s3_environment):
    from fireworks.store import open_store

    store = open_store(f"s3://{s3_environment.bucket}/sources")
    store.put("x.txt", b"one")
    file = File(f"s3://{s3_environment.bucket}/sources/x.txt")
    source = file.resolve(None)
    file.pin(source, None)
    with file.open() as stream:
        assert b"one" == stream.read()
    store.put("x.txt", b"two")
    with pytest.raises(SourceChanged, match="has changed since the plan was made"):
        file.open()
    assert source.hash != file.resolve(None).hash
