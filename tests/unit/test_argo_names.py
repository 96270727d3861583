"""Names that Kubernetes and Argo take. Neighbours: `fireworks.workflow.argo.names`, `fireworks.workflow.argo.tasks`."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks.records import PipelineRef, Plan, StagePlan
from fireworks.workflow.argo.limits import EXPRESSION_WORDS
from fireworks.workflow.argo.names import MAX_NAME, dns_name, label_value, suffixed, task_name, workflow_name
from fireworks.workflow.argo.tasks import tasks_of

NAMES = st.from_regex(r"[a-zA-Z]([a-zA-Z0-9-]{0,43}[a-zA-Z0-9])?", fullmatch=True)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=80), min_size=2, max_size=5, unique=True))
def test_names_are_legal_and_stay_different(texts):
    for made, pattern, limit in (
        ([dns_name(text) for text in texts], r"[a-z]([a-z0-9-]*[a-z0-9])?", MAX_NAME),
        ([workflow_name(text) for text in texts], r"[a-z]([a-z0-9-]*[a-z0-9])?", 63),
        ([label_value(text) for text in texts], r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?", 63),
    ):
        assert all(re.fullmatch(pattern, name) and len(name) <= limit for name in made)
        assert len(texts) == len(set(made))


@settings(max_examples=100, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=6, unique_by=str.lower))
def test_names_of_tasks_are_legal_and_none_is_anothers(names):
    tasks = [task_name([name], names) for name in names] + ([task_name(names, names)] if len(names) > 1 else [])
    assert len(tasks) == len(set(tasks))
    for name in [*tasks, *(suffixed(task, "99500") for task in tasks)]:
        assert re.fullmatch(r"[a-zA-Z]([a-zA-Z0-9-]*[a-zA-Z0-9])?", name)
        assert len(name) <= MAX_NAME


@pytest.mark.parametrize("word", sorted(EXPRESSION_WORDS))
def test_a_stage_called_like_a_word_of_expressions_is_a_task_of_another_name(word):
    stages = [
        StagePlan(name=word, recipe="r", ingredients={}),
        StagePlan(name="b", recipe="r", ingredients={}, inputs=(word,)),
    ]
    ref = PipelineRef(name="study", module="m", function="study")
    [first, second] = tasks_of(Plan(pipeline=ref, parameters={}, seed=0, stages=tuple(stages)), fuse=False)
    assert first.name.startswith(f"{word}-")
    assert (first.name,) == second.upstream
    assert "filter" == task_name(["filter"])
