"""What is removed and what stays. Neighbours: `fireworks.workflow.garbage`, `fireworks gc`."""

import pytest

from fireworks.store import Store, open_store
from fireworks.workflow.garbage import collect
from fireworks.workflow.history import list_runs
from recording import Recorder, commit, make_old, make_plan, publish

OLD, NEW = "phage-20261120-000000-0001", "phage-20261121-000000-0002"


@pytest.fixture
def store(tmp_path) -> Store:
    return open_store(tmp_path / "store")


def output(store: Store, fingerprint: str, attempt: str = "first") -> None:
    publish(store, fingerprint, commit(store, fingerprint, attempt))


def finished(store: Store, run_id: str, fingerprint: str, recipe: str = "recipe") -> Recorder:
    run = Recorder(store, run_id, make_plan("train", recipe=recipe)).begin()
    run.result("train", fingerprint)
    return run.end()


def outputs(store: Store) -> list[str]:
    return sorted({info.key.split("/")[1] for info in store.list("outputs/")})


def test_an_empty_store_has_no_garbage(store):
    found = collect(store)
    assert ((), (), 0, 0) == (found.runs, found.outputs, found.objects, found.size_bytes)


def test_outputs_that_no_run_names_go(store):
    output(store, "used")
    output(store, "orphan")
    finished(store, NEW, "used")
    doomed = list(store.list("outputs/orphan/"))
    found = collect(store)
    assert found.outputs == ("orphan",)
    assert found.runs == ()
    assert (len(doomed), sum(info.size_bytes for info in doomed)) == (found.objects, found.size_bytes)
    assert outputs(store) == ["used"]
    assert len(list(store.list("outputs/used/"))) == 4


def test_a_dry_run_says_the_same_and_removes_nothing(store):
    output(store, "orphan")
    before = [info.key for info in store.list("")]
    planned = collect(store, dry_run=True)
    assert before == [info.key for info in store.list("")]
    assert planned == collect(store)
    assert list(store.list("")) == []


@pytest.mark.parametrize(
    ("keep", "runs", "left"),
    [(None, [NEW, OLD], ["new", "old"]), (1, [NEW], ["new"]), (0, [], []), (7, [NEW, OLD], ["new", "old"])],
)
def test_the_newest_runs_are_kept_with_their_outputs(store, keep, runs, left):
    for run_id, fingerprint in ((OLD, "old"), (NEW, "new")):
        output(store, fingerprint)
        finished(store, run_id, fingerprint)
    collect(store, keep=keep)
    assert runs == list_runs(store)
    assert left == outputs(store)


def test_an_output_of_a_dropped_run_stays_while_a_kept_one_uses_it(store):
    output(store, "shared")
    finished(store, OLD, "shared")
    finished(store, NEW, "shared")
    found = collect(store, keep=1)
    assert (found.runs, found.outputs) == ((OLD,), ())
    assert outputs(store) == ["shared"]


def test_what_a_failed_run_had_done_stays_for_its_resumption(store):
    run = Recorder(store, NEW, make_plan("windows", "train", shards=2)).begin()
    run.start("train", "first", "half", shard=0)
    run.finish("train", "first", "half", shard=0)
    commit(store, "half", "first")
    run.end("failed")
    collect(store)
    assert len(list(store.list("outputs/half/"))) == 3


def test_a_run_that_may_be_going_on_is_never_touched(store):
    run = Recorder(store, OLD, make_plan("train")).begin()
    run.start("train", "under-way", "growing")
    store.put("outputs/growing/under-way/00000-00000.arrow", b"half")
    finished(store, NEW, "elsewhere")
    found = collect(store, keep=0)
    assert found.runs == (NEW,)
    assert list_runs(store) == [OLD]
    assert outputs(store) == ["growing"]


def test_a_run_going_on_may_still_find_dropped_outputs_in_the_cache(store):
    Recorder(store, NEW, make_plan("train", recipe="same")).begin()
    for fingerprint, recipe in (("wanted", "same"), ("unwanted", "other")):
        output(store, fingerprint)
        finished(
            store,
            f"phage-20261119-000000-{fingerprint[0] * 2}11".replace("w", "a").replace("u", "b"),
            fingerprint,
            recipe,
        )
    assert collect(store, keep=0).outputs == ("unwanted",)
    assert outputs(store) == ["wanted"]


def test_orphans_wait_while_a_run_goes_on(store):
    output(store, "orphan")
    run = Recorder(store, NEW, make_plan("train")).begin()
    assert collect(store).outputs == ()
    run.end()
    assert collect(store).outputs == ("orphan",)


def test_a_run_that_fell_silent_does_not_hold_its_outputs_for_ever(store):
    run = Recorder(store, OLD, make_plan("train")).begin()
    run.start("train", "dead", "growing")
    store.put("outputs/growing/dead/00000-00000.arrow", b"half")
    make_old(store, "runs/")
    assert collect(store).objects == 1, "the uncommitted part"
    assert collect(store, keep=0).runs == (OLD,)


@pytest.mark.parametrize("exit_code", [0, 75])
def test_leftovers_of_ended_attempts_go_and_committed_parts_stay(store, exit_code):
    run = Recorder(store, NEW, make_plan("train")).begin()
    for attempt in ("first", "loser"):
        run.start("train", attempt, "f")
    run.finish("train", "first", "f")
    run.finish("train", "loser", "f", exit_code=exit_code)
    commit(store, "f", "first")
    store.put("outputs/f/loser/00000-00000.arrow", b"lost")
    found = collect(store)
    assert (found.objects, found.size_bytes) == (1, 4)
    assert not store.exists("outputs/f/loser/00000-00000.arrow")
    assert store.exists("outputs/f/first/00000-00000.arrow")
    assert store.exists("outputs/f/first/states/model/state.json")


def test_leftovers_of_an_attempt_under_way_stay(store):
    run = Recorder(store, NEW, make_plan("train")).begin()
    run.start("train", "under-way", "f")
    store.put("outputs/f/under-way/00000-00000.arrow", b"half")
    make_old(store, "outputs/")
    assert collect(store).objects == 0


@pytest.mark.parametrize(("old", "objects"), [(False, 0), (True, 1)])
def test_leftovers_that_no_run_tells_of_go_when_they_are_old(store, old, objects):
    output(store, "f")
    store.put("outputs/f/by-hand/00000-00000.arrow", b"half")
    finished(store, NEW, "f")
    if old:
        make_old(store, "outputs/f/by-hand/")
    assert objects == collect(store).objects


def test_checkpoints_go_with_their_output(store):
    for fingerprint in ("used", "orphan"):
        store.put(f"checkpoints/{fingerprint}/00000/00001/done", b"")
    run = Recorder(store, NEW, make_plan("train")).begin()
    run.start("train", "first", "used")
    run.end("failed")
    assert collect(store).outputs == ("orphan",)
    assert [info.key for info in store.list("checkpoints/")] == ["checkpoints/used/00000/00001/done"]


def test_commits_go_before_what_they_name(store, monkeypatch):
    output(store, "orphan")
    removed: list[str] = []
    monkeypatch.setattr(store, "delete", removed.extend)
    collect(store)
    assert removed == [
        "outputs/orphan/manifest.json",
        "outputs/orphan/00000.json",
        "outputs/orphan/first/00000-00000.arrow",
        "outputs/orphan/first/states/model/state.json",
    ]
