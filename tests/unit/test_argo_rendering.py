"""Manifests as YAML. Neighbours: `fireworks.workflow.argo.rendering`; tests/golden has whole ones."""

import json

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from fireworks.records import PipelineRef, Plan, StagePlan
from fireworks.workflow.argo.compiling import Target, compile_template, compile_workflow
from fireworks.workflow.argo.rendering import render, to_yaml


def stage(name, *inputs, **given):
    return StagePlan(name=name, recipe="r", ingredients={}, inputs=inputs, **given)


def test_what_people_read_says_which_stage_a_task_is():
    first = stage("windows", shards=4)
    stages = (first, stage("train", "windows", fits=("model",)), stage("end", "train"), stage("x", "windows"))
    ref, target = PipelineRef(name="study", module="m", function="study"), Target(image="x:1")
    plan = Plan(pipeline=ref, parameters={}, seed=0, stages=stages)
    template = compile_template(plan, target)
    workflow = compile_workflow(plan, target, template="t", run_id="study-1", plan_url="u")
    text = render(template, workflow, plan)
    for comment in ("stage windows, 4 shards", "stages train, end, in one pod", "pods of windows, x", "records how"):
        assert f" # {comment}" in text
    assert [template, workflow] == list(yaml.safe_load_all(text))
    assert text == render(json.loads(json.dumps(template, sort_keys=True)), workflow, plan)


TEXTS = st.text() | st.sampled_from(
    [
        "yes",
        "No",
        "null",
        "~",
        "1",
        "1e3",
        "0x1f",
        "12:30",
        "a: b",
        "a #b",
        "- a",
        "{{x}}",
        "=",
        "<<",
        "on",
        ".inf",
        "a,b",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(TEXTS, JSON, max_size=4))
def test_yaml_is_read_as_it_was_written(document):
    assert document == (yaml.safe_load(to_yaml(document)) or {})
