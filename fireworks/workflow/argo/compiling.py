"""From a plan to Argo's objects: a WorkflowTemplate that holds the graph, and the Workflow that runs it.

The template depends on the shape of the graph and on what its pods need, not on the run: equal graphs give equal
templates, under a name made of their content, so a template is created once. The Workflow adds the plan's URL and the
list of tasks to skip, and nothing else, as Argo's strict template referencing demands. docs/argo.md shows both, and
says why.

Comes in: a plan and a `Target`. Goes out: manifests as plain data, to `fireworks.workflow.argo.rendering`, the
validator and the cluster's client.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hera.workflows import models as m

from ...errors import CompileError
from ...records import Plan
from .dags import ENTRYPOINT, dag_templates
from .limits import MAX_PODS_AT_ONCE
from .names import digest, dns_name, label_value, workflow_name
from .tasks import Task, skip_list, tasks_of
from .templates import DEADLINE_S, EXIT_TEMPLATE, exit_template, lifetime, needs_of, plain, stage_template
from .validator.images import is_floating

__all__ = ["Target", "compile_template", "compile_workflow"]

_API_VERSION = "argoproj.io/v1alpha1"
_DIGITS = 10
_BRACES = "{where} must not contain '{{{{', which Argo would replace. Pass it in a file."
_UNPINNED = "an image must have a tag that stays, or a digest, but got {image!r}. {remedy} to NAME:TAG."


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a plan goes.

    Args:
        image: For stages that name none, and for the pod that records the end of the run.
        parallelism: Pods of the run at once; `MAX_PODS_AT_ONCE` unless set.
        argo_version: The oldest that must understand the output, such as ``4.1``; 3.6 unless set.
        fuse: Whether neighbours may share a pod.
        chosen: If not empty, those stages alone are to run: they share no pod with others.
    """

    image: str
    namespace: str = "fireworks"
    service_account: str = "stage"
    parallelism: int | None = None
    argo_version: str | None = None
    fuse: bool = True
    chosen: tuple[str, ...] = ()

    def tasks(self, plan: Plan) -> list[Task]:
        """The tasks that a plan becomes here."""
        return tasks_of(plan, fuse=self.fuse, chosen=self.chosen)


def compile_template(plan: Plan, target: Target) -> dict[str, Any]:
    """The WorkflowTemplate of a plan's graph, named ``<pipeline>-<hash of its spec>``.

    Raises:
        CompileError: With everything that Argo or Kubernetes would take amiss in the stages' own settings.
    """
    problems = list(_problems(plan, target))
    if problems:
        raise CompileError(problems)
    tasks = target.tasks(plan)
    leaves, containers = _containers(tasks, target)
    dags = [plain(dag) for dag in dag_templates(tasks, leaves)]
    spec = _spec(plan, target)
    spec["templates"] = [*dags, *containers, exit_template(target.image)]
    name = f"{dns_name(plan.pipeline.name)}-{digest(json.dumps(spec, sort_keys=True), _DIGITS)}"
    return {
        "apiVersion": _API_VERSION,
        "kind": "WorkflowTemplate",
        # Pods are labelled with the run. Argo's linter knows no labels but the template's, so it has this one, empty.
        "metadata": {"name": name, "namespace": target.namespace, "labels": _labels(plan, "")},
        "spec": spec,
    }


def compile_workflow(
    plan: Plan,
    target: Target,
    *,
    template: str,
    run_id: str,
    plan_url: str,
    skip: Collection[str] = (),
    annotations: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The Workflow of one run, named after the run (`fireworks.workflow.argo.names.workflow_name`).

    Args:
        template: Name of the WorkflowTemplate that `compile_template` made of the same plan and target.
        run_id: Also its label ``fireworks.io/run``.
        plan_url: Where pods find the plan.
        skip: Stages that are done; the tasks that consist of such stages take no pod.
        annotations: Further ones, such as links; short.
    """
    parameters = {"plan": plan_url, "skip": skip_list(target.tasks(plan), skip)}
    metadata: dict[str, Any] = {
        "name": workflow_name(run_id),
        "namespace": target.namespace,
        "labels": _labels(plan, label_value(run_id)),
    }
    if annotations:
        metadata["annotations"] = dict(annotations)
    spec = m.WorkflowSpec(
        workflow_template_ref=m.WorkflowTemplateRef(name=template),
        arguments=m.Arguments(parameters=[m.Parameter(name=key, value=value) for key, value in parameters.items()]),
    )
    return {"apiVersion": _API_VERSION, "kind": "Workflow", "metadata": metadata, "spec": plain(spec)}


def _labels(plan: Plan, run: str) -> dict[str, str]:
    return {
        "app.kubernetes.io/part-of": "fireworks",
        "fireworks.io/pipeline": label_value(plan.pipeline.name),
        "fireworks.io/run": run,
    }


def _containers(tasks: list[Task], target: Target) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """The name of each task's container template, and these, each once, in the order of their first task."""
    leaves: dict[str, str] = {}
    made: dict[str, dict[str, Any]] = {}
    for task in tasks:
        needs = needs_of(task, target.image)
        key = repr(needs)
        if key not in made:
            template = stage_template(needs)
            if _at_least(target.argo_version, 4, 1):
                template["pendingTimeout"] = "24h"
            made[key] = {"name": f"stage-{digest(json.dumps(template, sort_keys=True))}"} | template
        leaves[task.name] = made[key]["name"]
    return leaves, list({template["name"]: template for template in made.values()}.values())


def _spec(plan: Plan, target: Target) -> dict[str, Any]:
    timeouts = sum((stage.timeout_s or 0) * (stage.retries + 1) for stage in plan.stages)
    spec = m.WorkflowSpec(
        entrypoint=ENTRYPOINT,
        on_exit=EXIT_TEMPLATE,
        service_account_name=target.service_account,
        arguments=m.Arguments(parameters=[m.Parameter(name="plan"), m.Parameter(name="skip", value="")]),
        parallelism=target.parallelism or MAX_PODS_AT_ONCE,
        active_deadline_seconds=max(DEADLINE_S, int(timeouts)),
        **lifetime(),
    )
    return plain(spec)


def _problems(plan: Plan, target: Target) -> Iterator[str]:
    if is_floating(target.image):
        yield _UNPINNED.format(image=target.image, remedy="Set `image` in the profile, or --image")
    if "{{" in target.image:
        yield _BRACES.format(where="the image")
    for stage in plan.stages:
        where = f"stage {stage.name!r}"
        if stage.image is not None and is_floating(stage.image):
            yield f"{where}: {_UNPINNED.format(image=stage.image, remedy='Set Stage(image=…)')}"
        for name, reference in stage.secrets.items():
            secret, slash, key = reference.partition("/")
            if not (secret and slash and key):
                yield f"{where}: a secret must be given as 'secret/key', but {name} is {reference!r}. Correct it."
        for setting in ("image", "env", "secrets", "pod"):
            if "{{" in json.dumps(getattr(stage, setting)):
                yield _BRACES.format(where=f"{where}: `{setting}`")
        if any(one.get("name") == "main" and "envFrom" in one for one in _containers_of(stage.pod)):
            yield (
                f"{where}: `pod` must leave `envFrom` of container main alone, which holds the store's credentials, "
                "but sets it. Take single values: env: [{name: …, valueFrom: {configMapKeyRef: …}}]."
            )


def _containers_of(pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    containers = pod.get("containers")
    return [one for one in containers if isinstance(one, dict)] if isinstance(containers, list | tuple) else []


def _at_least(version: str | None, major: int, minor: int) -> bool:
    numbers = (version or "3.6").lstrip("v").split(".")
    return tuple(int(number) for number in numbers[:2]) >= (major, minor)
