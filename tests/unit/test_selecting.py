"""Which stages get no pod. Neighbours: `fireworks.workflow.argo.selecting`."""

from dataclasses import replace

import pytest

from fireworks.errors import ParameterError
from fireworks.workflow.argo.selecting import choose, skipped
from fireworks.workflow.argo.tasks import skip_list, tasks_of
from recording import make_plan

PLAN = make_plan("raw", "features", "train", "score")


def test_what_is_cached_is_skipped():
    assert () == skipped(PLAN, set())
    assert ("raw", "features") == skipped(PLAN, {"raw", "features"})


def test_what_is_forced_runs():
    assert ("raw",) == skipped(replace(PLAN, force=("features",)), {"raw", "features"})


def test_only_and_from_leave_the_rest_out():
    assert () == choose(PLAN)
    assert ("train",) == choose(PLAN, only=["train"])
    assert ("train", "score") == choose(PLAN, start="train")
    assert ("score",) == choose(PLAN, only=["raw", "score"], start="train")
    assert ("raw", "features", "score") == skipped(PLAN, {"raw", "features"}, ["train"])
    assert ("features", "train", "score") == skipped(PLAN, set(), ["raw"])


def test_what_leaves_nothing_to_run_is_refused():
    with pytest.raises(ParameterError, match="none of --only comes after 'train'"):
        choose(PLAN, only=["raw"], start="train")


def test_an_output_that_is_needed_and_missing_is_named():
    with pytest.raises(ParameterError, match="stage 'train' needs the output of features, which is not in the store"):
        skipped(PLAN, {"raw"}, ["train", "score"])


@pytest.mark.parametrize("given", [{"only": ["trian"]}, {"start": "trian"}])
def test_a_stage_that_is_none_is_refused(given):
    with pytest.raises(ParameterError, match="but got 'trian'. Did you mean 'train'"):
        choose(PLAN, **given)
    with pytest.raises(ParameterError, match="but got 'scroe'. Did you mean 'score'"):
        choose(replace(PLAN, force=("scroe",)))


def test_what_is_left_out_shares_no_pod_with_what_runs():
    """Else its pod would run it, too."""
    tasks = tasks_of(PLAN, chosen=("features", "train"))
    assert ["raw", "features--train", "score"] == [task.name for task in tasks]
    assert ",raw,score," == skip_list(tasks, ["raw", "score"])
    assert ["raw--features--train--score"] == [task.name for task in tasks_of(PLAN)]
