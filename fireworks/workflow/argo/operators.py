"""The WorkflowTemplate of a ready-made stage: one container template, for ``templateRef`` from any workflow.

Its pod is that of any stage; its parameters are the operator's own, and where the output goes.

Comes in: what `fireworks.workflow.operators` says of an operator. Goes out: a manifest, kept as
``operators/<name>/template.yaml``.
"""

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hera.workflows import models as m

from .rendering import to_yaml
from .templates import DEADLINE_S, FACTS, Needs, lifetime, plain, pod_security, stage_template

if TYPE_CHECKING:
    from ..operators import Description
    from ..staging import Stage

__all__ = ["IMAGE", "compile_operator", "render_operator"]

# Replaced at installation; operators/README.md says how.
IMAGE = "fireworks-stage:unset"
_API_VERSION = "argoproj.io/v1alpha1"
_OUTPUT = "The store that the output goes to, such as s3://bucket/prefix; it lies below outputs/."
_FILE = "Write the output as a file too: its URL, which ends in .csv, .parquet or .arrow, or for a report in .html."
_CONNECTION = "The Secret whose key url is the URL of the database."


def compile_operator(operator: "Description", *, namespace: str = "fireworks") -> dict[str, Any]:
    """The WorkflowTemplate, named like the operator; so is the one template in it."""
    stage = operator.stage
    parameters = [
        *(m.Parameter(name=one.name, value=one.default, description=one.text) for one in operator.parameters),
        m.Parameter(name="output", description=_OUTPUT),
        m.Parameter(name="file", value="", description=_FILE),
        *([m.Parameter(name="connection", value="database", description=_CONNECTION)] if stage.secrets else []),
        m.Parameter(name="memory", value=stage.resources.memory, description="Of the pod."),
        m.Parameter(name="image", value=IMAGE, description="That of stages: images/README.md."),
    ]
    spec = m.WorkflowSpec(
        # For `argo submit --from` and `workflowTemplateRef`.
        entrypoint=operator.name,
        arguments=m.Arguments(parameters=parameters),
        service_account_name="stage",
        active_deadline_seconds=DEADLINE_S,
        **lifetime(),
    )
    labels = {
        "app.kubernetes.io/name": operator.name,
        "app.kubernetes.io/part-of": "fireworks",
        "app.kubernetes.io/component": "operator",
    }
    return {
        "apiVersion": _API_VERSION,
        "kind": "WorkflowTemplate",
        "metadata": {
            "name": operator.name,
            "namespace": namespace,
            "labels": labels,
            "annotations": {"workflows.argoproj.io/description": operator.summary},
        },
        "spec": plain(spec) | {"templates": [_template(operator, stage, parameters)]},
    }


def render_operator(operator: "Description") -> str:
    """Its ``template.yaml``."""
    return f"# Made from stage.py, by tests/golden/test_operators.py.\n{to_yaml(compile_operator(operator))}"


def _template(operator: "Description", stage: "Stage", parameters: list[m.Parameter]) -> dict[str, Any]:
    """That of a stage, told what to do by its inputs. What a workflow says of its pods does not reach it."""
    needs = Needs(
        image=_given("image"), resources=stage.resources, secrets=stage.secrets, env=stage.env, retries=stage.retries
    )
    template = stage_template(needs)
    template["container"]["args"] = [*_arguments(operator), "--facts", FACTS]
    for variable in template["container"]["env"]:
        if "valueFrom" in variable:
            # Not all that an operator can do takes a database: without the Secret, the stage says what it lacks.
            variable["valueFrom"]["secretKeyRef"] |= {"name": _given("connection"), "optional": True}
    own = m.Template(
        name=operator.name,
        inputs=m.Inputs(parameters=[m.Parameter(name=one.name, value=one.value) for one in parameters]),
        metadata=m.Metadata(labels={"app.kubernetes.io/part-of": "fireworks", "fireworks.io/operator": operator.name}),
        service_account_name="stage",
        security_context=pod_security(),
        pod_spec_patch=_memory(),
    )
    return template | plain(own)


def _arguments(operator: "Description") -> Iterable[str]:
    """Each value in an argument of its own: nothing is put together of texts that may hold quotes."""
    yield from ("--operator", operator.name)
    for one in operator.parameters:
        yield from ("--input" if one.is_file else "--param", f"{one.name}={_given(one.name)}")
    yield from ("--output", _given("output"), "--file", _given("file"))


def _memory() -> str:
    """As a patch: the API server takes no parameter for a quantity."""
    memory = {"memory": _given("memory")}
    return json.dumps({"containers": [{"name": "main", "resources": {"limits": memory, "requests": memory}}]})


def _given(name: str) -> str:
    return f"{{{{inputs.parameters.{name}}}}}"
