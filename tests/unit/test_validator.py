"""What the validator finds, and that it finds it alone. Neighbours: `fireworks.workflow.argo.validator`, `argo_corpus`.

The cluster suite holds the same corpus against Argo itself.
"""

import copy
import json
import subprocess
import sys
import time
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argo_corpus.corpus import BAD, GOOD, load, mutant, rule_of, seen
from argo_corpus.making import dag, errors, leaf, rules, task, workflow
from fireworks.workflow.argo.validator import RULES, validate

DOCS = Path(__file__).parents[2] / "docs" / "validator.md"
# Too long for a file: made in this module and in the cluster suite.
MADE = {
    "annotations-size",
    "object-size",
    "not-json",
    "too-deep",
    "too-many-metrics",
    "too-many-parameters",
    "too-many-tasks",
    "too-many-templates",
}


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good_workflows_have_no_errors(path):
    assert [] == [str(finding) for finding in validate(load(path)) if finding.severity == "error"]


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_what_a_bad_workflow_breaks_is_found(path):
    found = [finding for finding in validate(load(path)) if finding.rule == rule_of(path)]
    assert found, f"not found: {rule_of(path)}"
    for finding in found:
        assert "error" == finding.severity
        assert str(finding) == " ".join(str(finding).split())
        assert finding.message.endswith((".", "?"))
        assert finding.value in finding.message


def test_every_rule_that_refuses_has_a_bad_workflow():
    broken = {rule_of(path) for path in BAD}
    assert set(RULES) >= broken
    assert {name for name, rule in RULES.items() if rule.severity == "error"} - MADE == broken


def test_what_argo_takes_but_mishandles_is_told_in_the_corpus():
    told = {path.stem for path in BAD if seen(path)}
    # Of a rule that Argo checks in part, a variant may be one that it takes.
    assert {path.stem for path in BAD if RULES[rule_of(path)].evidence == "run"} == told - {"loop-bounds--none"}


def test_the_smallest_workflow_has_no_findings():
    assert [] == rules(workflow(leaf("main")))


def test_everything_is_found_at_once_with_its_stage():
    arguments = {"parameters": [{"name": "stage", "value": "windows"}]}
    manifest = workflow(
        dag(task("a", "wrok", arguments=arguments, depends="b", timeout="5m"), task("c_d")),
        leaf(parallelism=3, metadata={"labels": {"fireworks.io/stage": "train"}}),
    )
    found = {finding.rule: finding for finding in validate([manifest])}
    assert {"template-undefined", "depends-undefined", "unknown-field", "task-name", "parallelism"} <= found.keys()
    assert "windows" == found["template-undefined"].stage
    assert "Workflow, template main, task a" == found["template-undefined"].where
    assert "wrok" == found["template-undefined"].value
    assert (
        "A task runs a template that is here, but got wrok. Did you mean 'work'?" == found["template-undefined"].message
    )
    assert "train" == found["parallelism"].stage
    assert "windows" == found["unknown-field"].stage


def test_the_documentation_lists_all_rules():
    rows = [line.strip("| \n").split(" | ") for line in DOCS.read_text(encoding="utf-8").splitlines() if "| `" in line]
    listed = {row[0].strip("`"): (row[1], row[2], row[3]) for row in rows if len(row) == 4}
    assert {name: (rule.severity, rule.what, rule.evidence) for name, rule in RULES.items()} == listed


@pytest.mark.parametrize(
    ("rule", "manifest"),
    [
        ("annotations-size", workflow(leaf("main")) | {"metadata": {"name": "x", "annotations": {"a": "x" * 300_000}}}),
        ("object-size", workflow(leaf("main", container={"args": ["x" * 1_100_000]}))),
        ("object-large", workflow(leaf("main", container={"args": ["x" * 300_000]}))),
        ("not-json", workflow(leaf("main"), priority=float("nan"))),
        ("not-json", workflow(leaf("main"), onExit=object())),
        ("not-json", []),
        ("not-json", 5),
        ("not-json", None),
        ("too-many-templates", workflow(leaf("main"), *(leaf(f"t{i}") for i in range(200)))),
        ("too-many-tasks", workflow(dag(*(task(f"t{i}") for i in range(201))), leaf())),
        (
            "too-many-parameters",
            workflow(leaf("main", inputs={"parameters": [{"name": f"p{i}", "value": "1"} for i in range(501)]})),
        ),
        (
            "too-many-metrics",
            workflow(
                leaf("main"),
                metrics={"prometheus": [{"name": f"m{i}", "help": "x", "counter": {"value": "1"}} for i in range(101)]},
            ),
        ),
    ],
)
def test_limits(rule, manifest):
    assert rule in rules(manifest)


def test_limits_are_not_exceeded_by_what_just_reaches_them():
    parameters = [{"name": f"p{i}", "value": "1"} for i in range(500)]
    most = workflow(
        leaf("main"),
        *(leaf(f"t{i}") for i in range(198)),
        dag(*(task(f"t{i}", "t1") for i in range(200)), name="wide", inputs={"parameters": parameters}),
    )
    assert set() == errors(most)


@pytest.mark.parametrize("shape", ["inline", "named", "data"])
def test_depth_has_a_limit(shape):
    inner = {"container": leaf()["container"]}
    if shape == "inline":
        for _ in range(150):
            inner = {"dag": {"tasks": [{"name": "a", "inline": inner}]}}
        manifest = workflow({"name": "main", **inner})
    elif shape == "named":
        manifest = workflow(
            *(dag(task("a", f"t{i + 1}"), name=f"t{i}") for i in range(150)), leaf("t150"), entrypoint="t0"
        )
    else:
        value = {}
        for _ in range(20_000):
            value = {"x": value}
        manifest = workflow(leaf("main"), affinity=value)
        assert ["not-json"] == rules(manifest)
        return
    assert "too-deep" in rules(manifest)


@pytest.mark.parametrize(
    ("rule", "manifest"),
    [
        ("argument-size", workflow(leaf("main"), arguments={"parameters": [{"name": "x", "value": "é" * 70_000}]})),
        (
            "argument-unknown",
            workflow(dag(task("a", arguments={"parameters": [{"name": "x", "value": "1"}]})), leaf()),
        ),
        ("deadline-missing", workflow(leaf("main"), activeDeadlineSeconds=None)),
        ("pod-gc-missing", workflow(leaf("main"), podGC=None)),
        ("ttl-missing", workflow(leaf("main"), ttlStrategy=None)),
        ("hook-exit", workflow(leaf("main"), onExit="main", hooks={"exit": {"template": "main"}})),
        ("literal-tag", workflow(leaf("main", container={"args": ["{{ .Values.x }}"]}))),
        ("loop-size", workflow(dag(task("a", withSequence={"count": 501})), leaf())),
        ("loop-size", workflow(dag(task("a", withItems=list(range(501)))), leaf())),
        ("loop-size", workflow(dag(task("a", withSequence={"start": "1", "end": "502"})), leaf())),
        ("memory-limit", workflow(leaf("main", container={"resources": {}}))),
        ("pull-always", workflow(leaf("main", container={"imagePullPolicy": "Always"}))),
        ("recursion", workflow(dag(task("a", "main")))),
        ("recursion", workflow(dag(task("a", "other")), dag(task("b", "main"), name="other"))),
        (
            "retry-exit-code",
            workflow(leaf("main", retryStrategy={"retryPolicy": "Always", "expression": "lastRetry.exitCode == 75"})),
        ),
        ("retry-leaf", workflow(dag(task("a"), retryStrategy={"limit": 1}), leaf())),
        ("retry-policy-implied", workflow(leaf("main", retryStrategy={"expression": "lastRetry.status == 'Error'"}))),
        ("secret-value", workflow(leaf("main"), arguments={"parameters": [{"name": "api-token", "value": "abc"}]})),
        (
            "secret-value",
            workflow(leaf("main"), arguments={"parameters": [{"name": "x", "value": "AKIA" + "A" * 16}]}),
        ),
        ("security-missing", workflow(leaf("main"), securityContext=None)),
        ("server-field", workflow(leaf("main")) | {"status": {"phase": "Running"}}),
        ("status-size", workflow(dag(*(task(f"a{i}", withSequence={"count": "400"}) for i in range(5))), leaf())),
        ("template-elsewhere", workflow(workflowTemplateRef={"name": "there"}, templates=None, entrypoint=None)),
        (
            "template-elsewhere",
            workflow(dag({"name": "a", "templateRef": {"name": "there", "template": "x"}})),
        ),
    ],
)
def test_advice(rule, manifest):
    found = {finding.rule: finding for finding in validate([manifest])}
    assert "warning" == found[rule].severity
    assert set() == errors(manifest)


def test_every_warning_is_tested_here():
    (mark,) = test_advice.pytestmark
    given = {rule for rule, _ in mark.args[1]} | {"object-large"}
    assert {name for name, rule in RULES.items() if rule.severity == "warning"} == given


def test_the_value_of_a_secret_is_not_shown():
    parameters = [{"name": "password", "value": "hunter2"}]
    (finding,) = validate([workflow(leaf("main"), arguments={"parameters": parameters})])
    assert "hunter2" not in repr(finding)


def test_newer_fields_are_for_newer_versions():
    manifest = workflow(leaf("main", pendingTimeout="5m"))
    assert ["unknown-field"] == rules(manifest)
    assert ["unknown-field"] == rules(manifest, argo_version="v3.7.18")
    assert [] == rules(manifest, argo_version="4.1.2")


def test_a_workflow_is_checked_with_the_template_it_refers_to():
    template = workflow(leaf("main", container={"args": ["{{workflow.parameters.plan}}"]}))
    template |= {"kind": "WorkflowTemplate", "metadata": {"name": "there"}}
    thin = workflow(templates=None, entrypoint=None, workflowTemplateRef={"name": "there"}, podGC=None)
    assert [] == rules(template)
    assert ["unknown-variable"] == rules(template, thin)
    thin["spec"]["arguments"] = {"parameters": [{"name": "plan", "value": "s3://x"}]}
    assert [] == rules(template, thin)
    assert [] == rules(thin, template)


def test_findings_name_their_object_where_there_are_several():
    first, second = workflow(leaf("main", parallelism=1)), workflow(leaf("main"))
    first["metadata"], second["metadata"] = {"name": "first"}, {"name": "second"}
    assert ["Workflow first, template main"] == [finding.where for finding in validate([first, second])]


def test_mappings_and_tuples_are_json():
    manifest = workflow(leaf("main"))
    manifest["spec"]["templates"] = tuple(MappingProxyType(template) for template in manifest["spec"]["templates"])
    assert [] == rules(MappingProxyType(manifest))


def test_what_is_given_is_left_as_it_was():
    manifests = load(GOOD[0])
    before = copy.deepcopy(manifests)
    validate(manifests)
    assert before == manifests


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["{{", "a.b", "{{=x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    sorted({key for path in GOOD for key in json.dumps(load(path)).split('"') if key.isalpha() and len(key) < 25})
)
SHAPED = st.recursive(JSON, lambda inner: st.dictionaries(NAMES, inner, max_size=5) | st.lists(inner, max_size=3))


@settings(max_examples=200, deadline=None)
@given(st.lists(SHAPED | st.fixed_dictionaries({"kind": st.just("Workflow"), "spec": SHAPED}), max_size=2))
def test_nothing_is_raised_for_rubbish(objects):
    for finding in validate(objects):
        assert RULES[finding.rule].severity == finding.severity


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(GOOD), st.integers(0, 2**32))
def test_nothing_is_raised_for_mutants(path, seed):
    for finding in validate(mutant(load(path), seed)):
        assert str(finding) == " ".join(str(finding).split())


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(GOOD), st.lists(st.text(max_size=4), max_size=4), SHAPED)
def test_nothing_is_raised_for_anything_in_any_place(path, steps, value):
    manifests = load(path)
    holder, key = manifests, 0
    for step in steps:
        inner = holder[key]
        if isinstance(inner, dict) and inner:
            holder, key = inner, sorted(inner)[len(step) % len(inner)]
        elif isinstance(inner, list) and inner:
            holder, key = inner, len(step) % len(inner)
    holder[key] = value
    validate(manifests)


def test_a_thousand_tasks_take_less_than_a_second():
    tasks = [task(f"t{i}", depends=f"t{i - 1}" if i % 150 else None) for i in range(1, 1001)]
    tasks = [{key: value for key, value in one.items() if value is not None} for one in tasks]
    dags = [dag(*tasks[start : start + 149], name=f"d{start}") for start in range(0, 1000, 150)]
    manifest = workflow(dag(*(task(one["name"], one["name"]) for one in dags)), *dags, leaf())
    times = []
    # What measures coverage makes Python slow, and other tests run beside this one.
    for _ in range(3):
        start = time.process_time()
        validate([manifest])
        times.append(time.process_time() - start)
    assert min(times) < 1


def test_only_what_is_needed_is_imported():
    script = """
import sys
import fireworks.workflow.argo.validator as validator
validator.validate([{}])
print([name for name in ("torch", "pandas", "numpy", "pyarrow", "yaml", "hera", "kubernetes") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "[]" == done.stdout.strip()
