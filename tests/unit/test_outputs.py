"""The commit: one winner, whoever sees all shards writes the same manifest."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from fireworks.records import PartRecord, ShardRecord
from fireworks.store import open_store
from fireworks.workflow.outputs import Output, shard_hash


@pytest.fixture(params=["file", "s3"])
def store(request, tmp_path):
    if request.param == "file":
        return open_store(tmp_path)
    server = request.getfixturevalue("s3_environment")
    return open_store(f"s3://{server.bucket}/{tmp_path.name}")


def record(shard, attempt="a", rows=1):
    part = PartRecord(key=f"outputs/f/{attempt}/{shard:05d}-00000.arrow", size_bytes=10, hash=f"h{shard}", rows=rows)
    content = shard_hash([part], {}, {})
    return ShardRecord(shard=shard, attempt=attempt, rows=rows, size_bytes=10, parts=(part,), hash=content)


def test_of_many_attempts_one_wins_and_all_adopt_it(store):
    output = Output(store, "f")
    with ThreadPoolExecutor(16) as pool:
        winners = list(pool.map(lambda number: output.commit(record(0, attempt=f"a{number}")), range(32)))
    assert 1 == len({winner.attempt for winner in winners})
    assert winners[0] == output.shard(0)


def test_nothing_is_visible_until_every_shard_is_committed(store):
    output = Output(store, "f")
    output.commit(record(1))
    assert None is output.publish(2)
    assert None is output.manifest()
    output.commit(record(0))
    manifest = output.publish(2)
    assert manifest == output.manifest()
    assert ["h0", "h1"] == [part.hash for part in manifest.parts]


def test_the_manifest_does_not_depend_on_the_order_of_commits(tmp_path):
    manifests = []
    for number, order in enumerate([(0, 1, 2), (2, 1, 0)]):
        output = Output(open_store(tmp_path / str(number)), "f")
        for shard in order:
            output.commit(record(shard))
        manifests.append(output.publish(3))
    assert manifests[0] == manifests[1]


def test_a_vanished_part_is_damage_and_discard_takes_the_commits_back(store):
    output = Output(store, "f")
    output.commit(record(0))
    output.publish(1)
    assert output.damaged()
    output.discard()
    assert None is output.shard(0)
    assert None is output.manifest()
