"""What the validator takes for an expression, a schedule, a duration, an image. Neighbours: `…argo.validator`."""

import pytest

from argo_corpus.making import dag, errors, leaf, task, workflow
from fireworks.workflow.argo.validator.durations import is_duration
from fireworks.workflow.argo.validator.expressions import expression_fault, when_fault
from fireworks.workflow.argo.validator.images import is_floating


@pytest.mark.parametrize(
    "text",
    [
        "1",
        "a.b.c",
        "a['b-c'].d",
        "a?.b ?? 'x'",
        "!a && (b || not c)",
        "-1 + 2 * (3 - -4) ** 2 % 5",
        "a in [1, 2, 3] and b not in ['x']",
        "!(workflow.parameters.skip contains ',a,')",
        "x ? 'yes' : 'no'",
        "x > 1 ? y > 2 ? 1 : 2 : 3",
        "filter(data, {# > 1 and .size < 3})",
        "map(list, {{'name': #.x, \"n\": 1}})",
        "list[1:] == list[:2] || list[:] == list",
        "f() + f(1, 'a, b') | g()",
        "{a: 1, 'b': [2, 3,],}",
        "let x = 1; x + 1",
        "sprig.trim(inputs.parameters['a b'])",
        "'it\\'s' matches \"^a.*$\"",
        "`raw ' text`",
        "1..3",
        'lastRetry.status == "Error" || asInt(lastRetry.exitCode) in [137]',
        "a\n  && b",
    ],
)
def test_expressions_that_are_whole(text):
    assert "" == expression_fault(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "it is empty"),
        ("  ", "it is empty"),
        ("a ==", "nothing follows `==`"),
        ("== a", "an operand is missing before `==`"),
        ("a b", "an operator is missing before `b`"),
        ("a 'b'", "an operator is missing before `'b'`"),
        ("(a", "`(` is not closed"),
        ("a)", "`)` closes nothing"),
        ("[a)", "`)` closes nothing"),
        ("()", "an operand is missing before `)`"),
        ("(a && )", "an operand is missing before `)`"),
        ("a & b", "`& b` is not understood"),
        ("'a", "`'a` is not understood"),
        ("a and", "nothing follows `and`"),
        ("a && || b", "an operand is missing before `||`"),
    ],
)
def test_expressions_that_are_not(text, fault):
    assert fault == expression_fault(text)


@pytest.mark.parametrize(
    "text",
    [
        "{{item}} == 1",
        "'{{steps.a.outputs.result}}' == 'yes it is'",
        "{{a}} != Succeeded && ({{b}} > 3 || !{{c}})",
        "{{=a == 'b'}}",
        "'{{x}}' =~ '^a' || {{x}} in ('a', 'b')",
        "true",
    ],
)
def test_conditions_that_are_whole(text):
    assert "" == when_fault(text)


@pytest.mark.parametrize("text", ["'x' = 'x'", "{{a}} ==", "({{a}}", "{{a}} and {{b}}", "'x", "{{a}} == a b"])
def test_conditions_that_are_not(text):
    assert when_fault(text)


@pytest.mark.parametrize(
    ("text", "with_unit", "seconds"),
    [
        ("5m", True, True),
        ("1h30m", True, True),
        ("1.5h", True, True),
        ("300ms", True, True),
        ("-5s", True, True),
        ("0", True, True),
        ("60", False, True),
        ("5 m", False, False),
        ("5d", False, False),
        ("m", False, False),
        ("", False, False),
        ("1m5", False, False),
    ],
)
def test_durations(text, with_unit, seconds):
    assert (with_unit, seconds) == (is_duration(text, seconds=False), is_duration(text, seconds=True))


@pytest.mark.parametrize(
    ("image", "floats"),
    [
        ("python", True),
        ("python:latest", True),
        ("localhost:5000/python", True),
        ("localhost:5000/python:3", False),
        ("python@sha256:0123", False),
        ("python:latest@sha256:0123", False),
        ("a/b/c:1-latest", False),
    ],
)
def test_images(image, floats):
    assert floats == is_floating(image)


@pytest.mark.parametrize(
    ("schedule", "right"),
    [
        ("* * * * *", True),
        ("*/5 0-12/2 1,15 JAN-jun mon-5", True),
        ("? ? ? ? ?", True),
        ("TZ=Europe/Berlin 0 3 * * *", True),
        ("CRON_TZ=UTC @daily", True),
        ("@every 1h30m", True),
        ("5/10 * * * *", True),
        ("* * * *", False),
        ("60 * * * *", False),
        ("5-1 * * * *", False),
        ("*/0 * * * *", False),
        ("1-2-3 * * * *", False),
        ("* * 0 * *", False),
        ("* * * 13 *", False),
        ("* * * * 7", False),
        ("TZ=Nowhere/Town 0 3 * * *", False),
        ("@every soon", False),
        ("@fortnightly", False),
        ("- * * * *", False),
        ("", False),
    ],
)
def test_schedules(schedule, right):
    cron = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "metadata": {"name": "x"},
        "spec": {"schedules": [schedule], "workflowSpec": workflow(leaf("main"))["spec"]},
    }
    assert (set() if right else {"cron-schedule"}) == errors(cron)


@pytest.mark.parametrize(
    ("depends", "found"),
    [
        ("a", set()),
        ("a && (b.Failed || !a.Succeeded)", set()),
        ("a.AnySucceeded", {"depends-items"}),
        ("l.AnySucceeded || l.AllFailed", set()),
        ("a.Done", {"depends-status"}),
        ("x", {"depends-undefined"}),
        ("a &&", {"depends-syntax"}),
        ("a b", {"depends-syntax"}),
        ("a ? b : a", {"depends-syntax"}),
        ("c", {"dag-cycle"}),
    ],
)
def test_depends(depends, found):
    tasks = [task("a"), task("b"), task("l", withItems=[1, 2]), task("c", depends=depends)]
    assert found == errors(workflow(dag(*tasks), leaf()))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{{inputs.parameters.my-text}}", set()),
        ("{{ inputs.parameters.my-text }}", set()),
        ("{{=inputs.parameters['my-text']}}", set()),
        ("{{=inputs.parameters.my-text}}", {"expression-hyphen"}),
        ("{{=inputs.parameters.plain}}", set()),
        ("{{=inputs.parameters.palin}}", {"unknown-variable"}),
        ("{{=inputs.parameters['palin']}}", {"unknown-variable"}),
        ("{{=workflow.name + '-x'}}", set()),
        ("{{inputs.parameters.palin}}", {"unknown-variable"}),
        ("{{inputs.parameters}}", set()),
        ("{{workflow.parameters.x}}", {"unknown-variable"}),
        ("{{workflow.creationTimestamp.Y}}", set()),
        ("{{workflow.failures}}", {"unknown-variable"}),
        ("{{pod.name}}", set()),
        ("{{item}}", set()),
        ("{{item.x}}", {"unknown-variable"}),
        ("{{retries}}", {"retry-variable"}),
        ("{{=asInt(retries) + 1}}", {"retry-variable"}),
        ("{{=inputs.parameters.plain +}}", {"expression"}),
        ("{{inputs.parameters.plain", {"unclosed-tag"}),
    ],
)
def test_tags(text, found):
    inputs = {"parameters": [{"name": "my-text", "value": "1"}, {"name": "plain", "value": "2"}]}
    assert found == errors(workflow(leaf("main", inputs=inputs, container={"args": [text]})))
