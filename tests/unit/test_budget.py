"""What a run takes of Argo. Neighbours: `fireworks.workflow.argo.budget`; tests/cluster/test_compiled.py measures."""

from dataclasses import replace

import pytest

from fireworks.records import PipelineRef, Plan, StagePlan
from fireworks.workflow.argo.budget import measure, size_bytes
from fireworks.workflow.argo.compiling import Target, compile_template, compile_workflow
from fireworks.workflow.argo.limits import LIMIT_BYTES, MAX_TEMPLATES, WARNING_BYTES
from fireworks.workflow.argo.tasks import tasks_of

TARGET = Target(image="x:1")


def stage(name, *inputs, **given):
    return StagePlan(name=name, recipe="r", ingredients={}, inputs=inputs, **given)


def budget(*stages, target=TARGET):
    plan = Plan(pipeline=PipelineRef(name="study", module="m", function="study"), parameters={}, seed=0, stages=stages)
    template = compile_template(plan, target)
    name = template["metadata"]["name"]
    workflow = compile_workflow(plan, target, template=name, run_id="study-1", plan_url="s3://b/plan.json")
    return measure(tasks_of(plan, fuse=target.fuse), template, workflow)


def test_what_is_counted():
    found = budget(stage("a"), stage("b", "a"), stage("wide", "b", shards=4), stage("end", "wide", retries=0))
    # a and b share a pod; the run's end takes one.
    assert (4, 3, 1 + 4 + 1 + 1, 3) == (found.stages, found.tasks, found.pods, found.depth)
    # The DAG; pod and retry of a--b, of four shards and of the end's record; the loop; a pod that is not retried.
    assert 1 + 2 + 8 + 2 + 1 + 1 == found.nodes
    assert ([], []) == (found.problems(), found.warnings())
    assert 14 == len(found.longest_name)
    assert 3 * 3 + 3 * 7 / 7 == found.overhead_s


def test_fewer_pods_at_once_take_longer():
    stages = [stage("wide", shards=99)]
    assert budget(*stages).overhead_s < budget(*stages, target=replace(TARGET, parallelism=10)).overhead_s == 3 + 3 * 10


def test_without_fusion_every_stage_is_a_task():
    stages = [stage("a"), stage("b", "a")]
    alone = budget(*stages, target=replace(TARGET, fuse=False))
    assert (1, 2) == (budget(*stages).tasks, alone.tasks)


def test_sizes_are_in_bytes_of_compact_utf8():
    assert 11 == size_bytes({"a": "é", "b": 1}) - 5
    assert len('{"a":"é","b":1}'.encode()) == size_bytes({"a": "é", "b": 1})


@pytest.mark.parametrize(
    ("shards", "is_packed", "warned", "refused"),
    [(10, False, False, False), (200, False, True, False), (1000, True, True, False), (100_000, True, True, True)],
)
def test_shards_are_paid_for_in_history(shards, is_packed, warned, refused):
    found = budget(stage("wide", shards=shards))
    assert (is_packed, warned, refused) == (found.is_packed, bool(found.warnings()), bool(found.problems()))
    assert found.is_packed == ("Argo packs it" in " ".join(found.warnings()))
    assert refused == (found.live_bytes > LIMIT_BYTES)
    assert found.template_bytes < 100_000


def test_a_thousand_stages_are_warned_about_and_ten_thousand_refused():
    def chain(count):
        return [stage(f"s{number}", f"s{number - 1}", fuse=False) if number else stage("s0") for number in range(count)]

    found = budget(*chain(1000))
    assert ([], True) == (found.problems(), found.is_packed)
    assert WARNING_BYTES < found.live_bytes <= LIMIT_BYTES
    assert "the workflow will take about" in found.warnings()[0]
    large, grown = budget(*chain(10_000)).problems()
    assert large.startswith("a template must stay below 1,000,000 bytes, but takes 1,8")
    assert grown.startswith("a workflow at the end of its run must stay below 1,000,000 bytes, but would take about 8,")


def test_too_many_kinds_of_pods_are_refused():
    kinds = [stage(f"s{number}", env={"N": str(number)}) for number in range(MAX_TEMPLATES)]
    # A nested DAG each for 150 and 50 tasks, the one around them, and the end.
    assert "at most 200 templates, but has 204" in budget(*kinds).problems()[-1]
    assert [] == budget(*kinds[:150]).problems()
