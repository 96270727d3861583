"""WorkflowTemplates that nobody needs any more: each graph that was ever submitted leaves one.

Comes in: a cluster. Goes out: fewer templates, by ``fireworks gc``.
"""

import time
from datetime import datetime
from typing import Any

from .client import ClusterClient
from .resources import WORKFLOWS, WORKFLOWTEMPLATES
from .templates import DEADLINE_S

__all__ = ["remove_unused_templates"]

# Ours, and made by a submit: ready-made stages have templates, too, without such a label.
_LABELS = "app.kubernetes.io/part-of=fireworks,fireworks.io/run="


def remove_unused_templates(client: ClusterClient, *, dry_run: bool = False) -> list[str]:
    """Remove the templates that are older than a week and that no Workflow refers to; returns their names.

    Workflows stay for a week after their end, so such a template was not submitted for as long.

    Raises:
        ClusterError: If the cluster does not let us.
    """
    used = {_reference(workflow) for workflow in client.list(WORKFLOWS)}
    found = []
    for template in client.list(WORKFLOWTEMPLATES, labels=_LABELS):
        metadata = template["metadata"]
        age_s = time.time() - datetime.fromisoformat(metadata["creationTimestamp"]).timestamp()
        if age_s > DEADLINE_S and metadata["name"] not in used:
            found.append(str(metadata["name"]))
    for name in found if not dry_run else ():
        client.delete(WORKFLOWTEMPLATES, name)
    return found


def _reference(workflow: dict[str, Any]) -> str | None:
    reference = workflow.get("spec", {}).get("workflowTemplateRef") or {}
    name: str | None = reference.get("name")
    return name
