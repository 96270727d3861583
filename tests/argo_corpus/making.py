"""The smallest manifests, and what is found in them.

Comes in: what differs from the smallest. Goes out: manifests, to the tests of `fireworks.workflow.argo.validator`.
"""

from fireworks.workflow.argo.validator import validate


def leaf(name="work", **given):
    container = {
        "image": "python:3.11-slim",
        "command": ["true"],
        "resources": {"limits": {"memory": "64Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {"name": name, "container": container | given.pop("container", {}), **given}


def workflow(*templates, **spec):
    given = {
        "entrypoint": "main",
        "activeDeadlineSeconds": 600,
        "podGC": {"strategy": "OnPodCompletion"},
        "ttlStrategy": {"secondsAfterCompletion": 60},
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "templates": list(templates),
    }
    kept = {key: value for key, value in (given | spec).items() if value is not None}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "test-"},
        "spec": kept,
    }


def dag(*tasks, name="main", **given):
    return {"name": name, **given, "dag": {"tasks": list(tasks)}}


def task(name, template="work", **given):
    return {"name": name, "template": template, **given}


def rules(*manifests, **given):
    return [finding.rule for finding in validate(manifests, **given)]


def errors(*manifests):
    return {finding.rule for finding in validate(manifests) if finding.severity == "error"}
